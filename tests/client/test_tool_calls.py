"""Tools against a server: concurrent calls, time-outs, interruption, and reports of failures."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import (
    ConfigurationError,
    ErrorUpdate,
    RealtimeClient,
    ToolContext,
    ToolFailed,
)
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.server.engine.stages import BrainRequest, Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.asyncio


def caller(*calls: Call) -> Callable[[BrainRequest], Iterator[str | Call]]:
    """Return a brain that makes calls, and then responds with their outputs."""

    def respond(request: BrainRequest) -> Iterator[str | Call]:
        if request.output is None:
            yield from calls
        else:
            yield " ".join(i.output for i in request.items if isinstance(i, ga.FunctionCallOutput))

    return respond


async def ask(client: RealtimeClient) -> str:
    """Send a message, and return the text of the response that follows the tools' outputs."""
    client.send_user_message_content("Go.")
    return await next_text(client)


async def next_text(client: RealtimeClient) -> str:
    """Return the text of the next response that has a message."""
    while True:
        done = await client.wait_for_next(ga.ResponseDoneEvent, timeout=5)
        for item in done.response.output or []:
            if isinstance(item, ga.Message):
                return "".join(part.text or "" for part in item.content)  # type: ignore[union-attr]  # modality is text


def talking(server: LocalServer, **options: Any) -> RealtimeClient:
    return RealtimeClient(url=server.url, output_modalities=["text"], **options)


async def test_a_decorated_function_is_declared_called_and_answered() -> None:
    async with LocalServer(caller(Call("add", '{"a":2,"b":3}'))) as server:
        client = talking(server)

        @client.tool
        def add(a: int, b: int) -> int:
            """Add two numbers."""
            return a + b

        assert add(1, 1) == 2
        async with client:
            assert await ask(client) == "5"
            session = client.session
            assert isinstance(session, ga.RealtimeSession)
            (tool,) = session.tools or []
            assert isinstance(tool, ga.FunctionTool)
            assert (tool.name, tool.description) == ("add", "Add two numbers.")


async def test_a_tool_can_be_added_while_connected_with_options() -> None:
    async with LocalServer(caller(Call("sum", '{"a":2}'))) as server, talking(server) as client:

        @client.tool(name="sum", description="Sums.", timeout=None)
        async def add(a: int, b: int = 4) -> dict[str, int]:
            return {"sum": a + b}

        assert await ask(client) == '{"sum":6}'
        assert await add(1, 1) == {"sum": 2}


async def test_calls_of_a_response_run_concurrently_and_lead_to_one_response() -> None:
    calls = (Call("first", "{}"), Call("second", "{}"))
    async with LocalServer(caller(*calls)) as server, talking(server) as client:
        first_may_go = asyncio.Event()

        @client.tool
        async def first() -> str:
            await first_may_go.wait()
            return "one"

        @client.tool
        async def second() -> str:
            first_may_go.set()
            return "two"

        assert await ask(client) == "two one"
        requests = [e for e in server.sessions[0].received if e.type == "response.create"]
        assert len(requests) == 2


async def test_functions_run_in_threads_with_the_context_variables_of_connect() -> None:
    user: ContextVar[str] = ContextVar("user")
    user.set("Ann")
    async with LocalServer(caller(Call("who", "{}"))) as server, talking(server) as client:

        @client.tool
        def who() -> str:
            is_elsewhere = threading.current_thread() is not threading.main_thread()
            return f"{user.get()} {is_elsewhere}"

        assert await ask(client) == "Ann True"


async def test_hanging_functions_do_not_block_other_tools() -> None:
    server = MemoryServer()
    client = client_of(server)
    over = threading.Event()
    client.tool(name="hang", timeout=0.01)(over.wait)
    client.tool(name="add")(lambda: "two")
    async with client:
        server.begin()
        for number in range(40):
            server.call("hang", f"call_{number}")
        server.call("add", "call_add")
        await server.got("conversation.item.create", 41)
    over.set()
    answers = [event["item"] for event in server.received if "item" in event]
    assert [item["output"] for item in answers if item["call_id"] == "call_add"] == ["two"]


async def test_calls_beyond_the_thread_limit_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duologue.client._concurrency._free", threading.BoundedSemaphore(1))
    server = MemoryServer()
    client = client_of(server)
    over = threading.Event()
    client.tool(name="hang")(over.wait)
    async with client:
        server.begin()
        server.call("hang", "call_1")
        server.call("hang", "call_2")
        answer = await server.got("conversation.item.create")
        over.set()
    assert answer["item"]["call_id"] == "call_2"
    assert "run in threads already" in answer["item"]["output"]


async def test_a_hanging_function_does_not_keep_the_program_alive() -> None:
    """It would with `asyncio.to_thread`: `asyncio.run` waits for the threads of its executor."""
    program = """
import asyncio, threading
from tests.client.client_doubles import MemoryServer, client_of

async def main():
    server = MemoryServer()
    client = client_of(server)
    client.tool(name="hang", timeout=0.01)(threading.Event().wait)
    async with client:
        server.begin()
        server.call("hang")
        await server.got("conversation.item.create")

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        assert await asyncio.wait_for(process.wait(), 15) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def test_a_context_parameter_receives_the_call_and_is_hidden_from_the_model() -> None:
    async with LocalServer(caller(Call("find", '{"what":"it"}'))) as server:
        client = talking(server)
        contexts: list[ToolContext] = []

        @client.tool
        async def find(context: ToolContext, what: str) -> str:
            contexts.append(context)
            return what

        async with client:
            assert await ask(client) == "it"
            (context,) = contexts
            assert context.client is client
            assert context.item.call_id == context.call_id
            assert context.item.arguments == '{"what":"it"}'
            assert isinstance(client.session, ga.RealtimeSession)
            (tool,) = client.session.tools or []
            assert isinstance(tool, ga.FunctionTool)
            parameters: Any = tool.parameters
            assert list(parameters["properties"]) == ["what"]


async def refuse() -> None:
    raise LookupError("there is none")


async def never() -> None:
    await asyncio.Event().wait()


async def give_up() -> None:
    raise asyncio.CancelledError


async def run_out() -> None:
    raise TimeoutError


class Outcome(BaseException):
    """Derived from `BaseException`, as the exceptions of pytest and other frameworks are."""


async def stray() -> None:
    raise Outcome("no Exception")


def stray_in_a_thread() -> None:
    raise Outcome("no Exception")


def exhausted() -> None:
    next(iter(()))


def lose_file() -> None:
    raise OSError("there is no \udcff")


def broken() -> object:
    return object()


async def count(number: int) -> int:
    return number


@pytest.mark.parametrize(
    ("function", "arguments", "reason"),
    [
        (refuse, "{}", "there is none"),
        (never, "{}", "it took longer than 0.01 s"),
        (give_up, "{}", "it was cancelled"),
        (run_out, "{}", "TimeoutError"),
        (stray, "{}", "no Exception"),
        (stray_in_a_thread, "{}", "no Exception"),
        (exhausted, "{}", "it raised StopIteration"),
        (broken, "{}", "object cannot be encoded as JSON"),
        (count, '{"number":"one"}', "Expected `int`, got `str` - at `$.number`"),
        (count, "{", "Input data was truncated"),
    ],
)
async def test_a_failure_is_sent_to_the_model_and_reported_to_the_application(
    function: Callable[..., object], arguments: str, reason: str
) -> None:
    async with LocalServer(caller(Call("do", arguments))) as server, talking(server) as client:
        errors: list[ErrorUpdate] = []
        client.on("error", errors.append)
        client.tool(name="do", timeout=0.01 if function is never else 5)(function)
        assert json.loads(await ask(client)) == {"error": reason}
        (error,) = (update.error for update in errors)
        assert isinstance(error, ToolFailed)
        assert (error.name, error.reason) == ("do", reason)
        assert str(error) == f"tool 'do' failed: {reason}"


async def test_a_call_of_a_removed_tool_fails_and_is_reported() -> None:
    async with LocalServer(caller(Call("ghost", "{}"))) as server, talking(server) as client:
        client.add_tool({"name": "ghost"}, lambda _: None)
        await client.remove_tool("ghost")
        errors: list[ErrorUpdate] = []
        client.on("error", errors.append)
        params = ga.ResponseCreateParams(tools=[ga.FunctionTool(name="ghost")])
        client.create_response(params)
        assert json.loads(await next_text(client)) == {"error": 'Tool "ghost" has not been added'}
        assert "ghost" in str(errors[0].error)


async def test_lone_surrogates_in_results_are_replaced() -> None:
    async with LocalServer(caller(Call("do", "{}"))) as server, talking(server) as client:
        client.tool(name="do")(lambda: "\ud83d!")
        assert await ask(client) == "?!"
    async with LocalServer(caller(Call("do", "{}"))) as server, talking(server) as client:
        client.tool(name="do")(lose_file)
        assert await ask(client) == '{"error":"there is no ?"}'


async def test_a_partial_of_a_coroutine_function_and_a_callable_object_are_tools() -> None:
    class Shout:
        async def __call__(self, arguments: dict[str, Any]) -> str:
            return "hey"

    calls = (Call("count", "{}"), Call("b", "{}"), Call("c", '{"arguments":{}}'))
    async with LocalServer(caller(*calls)) as server, talking(server) as client:
        client.tool(partial(count, number=3))
        client.add_tool({"name": "b"}, Shout())
        client.tool(name="c")(Shout())
        assert sorted((await ask(client)).split()) == ['"hey"', "3", "hey"]


async def test_a_forced_tool_choice_does_not_call_for_ever() -> None:
    """The scripted brain makes every call that it is forced to make."""
    async with LocalServer() as server, talking(server) as client:

        @client.tool
        def weather() -> str:
            return "sunny"

        client.update_session(tool_choice="required")
        assert "sunny" in await ask(client)


async def test_a_tool_with_responds_false_leads_to_no_response() -> None:
    async with LocalServer(caller(Call("note", "{}"))) as server, talking(server) as client:
        client.tool(name="note", responds=False)(lambda: None)
        client.send_user_message_content("Go.")
        await client.wait_for_next("client.conversation.item.create", timeout=5)
        await client.wait_for_next(ga.ConversationItemDone, timeout=5)
        # Its answer is the last event: all earlier ones have arrived.
        assert await client.update_session(instructions="") is not None
        requests = [e for e in server.sessions[0].received if e.type == "response.create"]
        assert len(requests) == 1


async def test_a_background_tool_answers_twice() -> None:
    def respond(request: BrainRequest) -> Iterator[str | Call]:
        last = request.items[-1]
        if isinstance(last, ga.Message) and last.role == "user":
            yield Call("book", "{}")
        elif isinstance(last, ga.Message):
            yield f"News: {last.content[0].text}"  # type: ignore[union-attr]  # a system message has text
        else:
            yield f"Answer: {request.output}"

    async with LocalServer(respond) as server, talking(server) as client:
        may_finish = asyncio.Event()

        @client.tool(background=True)
        async def book() -> str:
            await may_finish.wait()
            return "booked"

        assert await ask(client) == 'Answer: {"status":"started"}'
        may_finish.set()
        message = await next_text(client)
        assert message.startswith("News: The tool book, called as ")
        assert message.endswith(" has finished: booked")


async def test_closing_ends_running_tools() -> None:
    async with LocalServer(caller(Call("wait", "{}"))) as server:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        async with talking(server) as client:
            client.tool(wait)
            client.send_user_message_content("Go.")
            await begun.wait()
        assert ended.is_set()


async def test_a_tool_can_close_the_session() -> None:
    async with LocalServer(caller(Call("hang_up", "{}"))) as server, talking(server) as client:

        @client.tool
        async def hang_up(context: ToolContext) -> None:
            await context.client.close()

        client.send_user_message_content("Go.")
        async for _ in client:
            pass
        assert not client.is_connected


async def test_barge_in_cancels_a_tool_with_on_interrupt_cancel() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        begun, ended = asyncio.Event(), asyncio.Event()

        @client.tool(on_interrupt="cancel")
        async def search() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        server.begin()
        server.call("search")
        server.call("search")
        server.finish()
        await begun.wait()
        server.send("input_audio_buffer.speech_started", item_id="u", audio_start_ms=0)
        answer = await server.got("conversation.item.create")
        assert "interrupted" in answer["item"]["output"]
        await ended.wait()
    assert server.types().count("conversation.item.create") == 1
    assert "response.create" not in server.types()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timeout": 0}, "above 0 s"),
        ({"on_interrupt": "explode"}, "explode"),
        ({"on_interrupt": "cancel", "background": True}, "background"),
        ({"colour": "red"}, "'colour'"),
    ],
)
async def test_invalid_options_are_refused(options: dict[str, Any], problem: str) -> None:
    client = client_of(MemoryServer())
    with pytest.raises(ConfigurationError, match=problem):
        client.tool(**options)(refuse)
    with pytest.raises(ConfigurationError, match=problem):
        client.add_tool({"name": "x"}, lambda _: None, **options)
    client.tool(name="x")(refuse)  # the failures registered nothing


async def test_mcp_servers_are_declared_and_their_calls_approved_or_rejected() -> None:
    server = MemoryServer()
    tool = ga.McpTool(
        server_label="docs", server_url="https://mcp.example", require_approval="always"
    )
    async with client_of(server, tools=[tool]) as client:
        (declared,) = (await server.got("session.update"))["session"]["tools"]
        assert declared["type"] == "mcp"
        request = {"id": "mcpr_1", "type": "mcp_approval_request", "server_label": "docs"}
        request |= {"name": "search", "arguments": "{}"}
        waiter = asyncio.create_task(client.wait_for_next_item(timeout=5))
        await asyncio.sleep(0)
        server.send("conversation.item.added", item=request, previous_item_id=None)
        item = await waiter
        assert isinstance(item.wire, ga.McpApprovalRequest)
        client.approve_mcp_call(item.id)
        client.reject_mcp_call(item.id, reason="too costly")
        client.reject_mcp_call(item.id)
        approved = (await server.got("conversation.item.create"))["item"]
        assert approved.pop("id")
        assert approved == {
            "type": "mcp_approval_response",
            "approval_request_id": "mcpr_1",
            "approve": True,
        }
        rejected = (await server.got("conversation.item.create", 2))["item"]
        assert (rejected["approve"], rejected["reason"]) == (False, "too costly")
        assert "reason" not in (await server.got("conversation.item.create", 3))["item"]


async def test_a_call_that_comes_after_the_end_of_its_response_is_answered() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.tool(name="look")(lambda: "a house")
        answer = asyncio.ensure_future(client.ask("What do you see?"))
        await server.got("response.create")
        server.begin("resp_1")
        server.finish("resp_1")
        server.call("look", response_id="resp_1")
        await server.got("response.create", times=2)
        server.begin("resp_2")
        server.say("A house.", "resp_2")
        server.finish("resp_2")
        async with asyncio.timeout(5):
            await answer
        assert client.responses[-1].id == "resp_2"

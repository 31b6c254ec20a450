"""Tools with a handler: added, run, answered and removed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import Closed, ConfigurationError
from duologue.protocol import ga

pytestmark = pytest.mark.asyncio

DEFINITION = {"name": "add", "parameters": {"type": "object"}}


def call(server: MemoryServer, arguments: str, name: str = "add", call_id: str = "c1") -> None:
    item = {"id": call_id, "type": "function_call", "name": name, "call_id": call_id}
    item |= {"arguments": arguments, "status": "completed"}
    server.begin()
    server.send("response.output_item.done", response_id="resp_1", output_index=0, item=item)
    server.finish()


async def output(server: MemoryServer) -> Any:
    await server.got("response.create")
    item = (await server.got("conversation.item.create"))["item"]
    assert item["call_id"] == "c1"
    return json.loads(item["output"])


async def test_the_result_of_a_coroutine_function_is_sent_and_a_response_requested() -> None:
    server = MemoryServer()

    async def add(arguments: dict[str, Any]) -> int:
        return sum(arguments["numbers"])

    async with client_of(server) as client:
        assert (await client.add_tool(DEFINITION, add)) is not None
        call(server, '{"numbers":[1,2]}')
        assert await output(server) == 3
    assert server.types() == ["session.update", "conversation.item.create", "response.create"]


async def test_a_function_in_a_thread_can_return_an_awaitable() -> None:
    server = MemoryServer()

    async def later() -> str:
        return "later"

    async with client_of(server) as client:
        client.add_tool(ga.FunctionTool(name="add"), lambda _: later())
        call(server, "")
        assert await output(server) == "later"


async def test_an_exception_without_a_message_sends_its_type() -> None:
    server = MemoryServer()

    def broken(_: dict[str, Any]) -> None:
        raise RuntimeError

    async with client_of(server) as client:
        client.add_tool(DEFINITION, broken)
        call(server, "{}")
        assert await output(server) == {"error": "RuntimeError"}


async def test_a_removed_tool_is_not_run() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.add_tool(DEFINITION, lambda _: None)
        await client.remove_tool("add")
        assert [event["session"].get("tools") for event in server.received] == [
            [{"type": "function", **DEFINITION}],
            [],
        ]
        call(server, "{}")
        assert await output(server) == {"error": 'Tool "add" has not been added'}


async def test_closing_cancels_running_tools() -> None:
    server = MemoryServer()
    running, stopped = asyncio.Event(), asyncio.Event()

    async def slow(_: dict[str, Any]) -> None:
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with client_of(server) as client:
        client.add_tool(DEFINITION, slow)
        call(server, "{}")
        await running.wait()
    assert stopped.is_set()


async def test_an_invalid_definition_is_refused() -> None:
    client = client_of(MemoryServer())
    with pytest.raises(ConfigurationError, match="definition"):
        client.add_tool({"name": 1}, lambda _: None)


async def test_changes_before_connecting_are_sent_by_connect() -> None:
    server = MemoryServer()
    client = client_of(server, voice="marin")
    pending = client.update_session(instructions="Be brief.")
    client.add_tool(DEFINITION, lambda _: None)
    with pytest.raises(Closed, match="connect"):
        await pending
    async with client:
        (event,) = server.received
        assert event["session"] == {
            "type": "realtime",
            "instructions": "Be brief.",
            "audio": {"output": {"voice": "marin"}},
            "tools": [{"type": "function", **DEFINITION}],
        }


async def test_a_refused_change_is_not_repeated() -> None:
    server = MemoryServer()
    async with client_of(server, voice="marin") as client:
        server.answers["session.update"] = server.refuse
        client.update_session(instructions="x")
        await client.wait_for_next("error", timeout=5)
        client.update_session(max_output_tokens=7, full=True)
        session = (await server.got("session.update", 3))["session"]
        assert session["max_output_tokens"] == 7
        assert "instructions" not in session
        assert session["audio"]["output"]["voice"] == "marin"


@pytest.mark.parametrize("name", ["<lambda>", "a b", "größe", "a" * 65, "a.b"])
async def test_a_name_that_the_service_refuses_is_refused(name: str) -> None:
    client = client_of(MemoryServer())
    with pytest.raises(ConfigurationError, match="choose another with `name=`"):
        client.add_tool({"name": name}, print)
    with pytest.raises(ConfigurationError, match="choose another with `name=`"):
        client.tool(name=name)(print_nothing)
    assert client.tools == {}


def print_nothing() -> None: ...


async def test_a_lambda_needs_a_name() -> None:
    client = client_of(MemoryServer())
    with pytest.raises(ConfigurationError, match=r"'<lambda>' cannot be the name"):
        client.tool(lambda: None)
    client.tool(name="nothing")(lambda: None)
    assert list(client.tools) == ["nothing"]


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
async def test_a_plain_function_cannot_end_the_program(ending: type[BaseException]) -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        errors: list[Any] = []
        client.on("error", errors.append)

        @client.tool
        def leave() -> None:
            raise ending

        call(server, "{}", name="leave")
        assert await output(server) == {"error": f"it raised {ending.__name__}"}
        assert isinstance(errors[0].error.__cause__.__cause__, ending)
        assert client.is_connected

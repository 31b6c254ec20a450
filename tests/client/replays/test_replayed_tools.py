"""Calls of tools, as public threads report what servers and users do with them.

The threads are on GitHub, written as `owner/repository#number`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.replays.service import Service, Watch, both_dialects, call, speech

from duologue.protocol import ga

if TYPE_CHECKING:
    from duologue import RealtimeClient
    from duologue.protocol.codec import Dialect

pytestmark = pytest.mark.asyncio


def with_tool(client: RealtimeClient) -> list[str]:
    """Add a tool to a client, and return the list to which it adds the cities it is called with."""
    cities: list[str] = []

    @client.tool
    def weather(city: str = "here") -> str:
        """Look up the weather."""
        cities.append(city)
        return "sunny"

    return cities


async def called(server: Service, client: RealtimeClient) -> None:
    """Request a response, and begin it."""
    client.create_response()
    await server.got("response.create")
    server.begin()


async def answered(server: Service, client: RealtimeClient, watch: Watch) -> None:
    """Check that the call was answered once, and that one response uses the output."""
    output = await server.got("conversation.item.create")
    await server.got("response.create", 2)
    server.add({"id": "item_o", **output["item"]}, "item_c")
    server.answer("It is sunny.", "resp_2")
    await server.processed(client)
    assert output["item"]["call_id"] == "call_1"
    assert output["item"]["output"] == "sunny"
    assert server.types().count("conversation.item.create") == 1
    assert server.types().count("response.create") == 2
    assert watch.conversation()[-1] == ("item_a", "It is sunny.")
    assert watch.errors == []


ARGUMENTS: list[Any] = [
    pytest.param("", "here", id="openai/openai-python#3502"),
    pytest.param(" ", "here", id="sashirestela/simple-openai#166"),
    pytest.param("{}", "here", id="simonw/llm#1164"),
    pytest.param('{"city": "Bonn"}', "Bonn", id="livekit/agents#1056"),
]


@both_dialects
@pytest.mark.parametrize(("arguments", "city"), ARGUMENTS)
async def test_a_call_without_arguments_is_run(dialect: Dialect, arguments: str, city: str) -> None:
    """The threads: a function without required parameters is called with no JSON at all."""
    server = Service(dialect)
    async with server.client() as client:
        watch, cities = Watch(client), with_tool(client)
        await called(server, client)
        begun = call("item_c", "call_1", "weather", "", "in_progress")
        whole = call("item_c", "call_1", "weather", arguments)
        output = {"response_id": "resp_1", "output_index": 0}
        server.send("response.output_item.added", **output, item=begun)
        server.send("conversation.item.added", previous_item_id=None, item=begun)
        place = output | {"item_id": "item_c", "call_id": "call_1"}
        server.send("response.function_call_arguments.done", **place, arguments=arguments)
        server.send("conversation.item.done", previous_item_id=None, item=whole)
        server.send("response.output_item.done", **output, item=whole)
        server.finish(output=[whole])
        await answered(server, client, watch)
        assert cities == [city]


@both_dialects
@pytest.mark.parametrize("where", ["deltas", "done", "item", "response"])
async def test_the_arguments_may_come_in_one_place_only(dialect: Dialect, where: str) -> None:
    """nithiink/yapcode#21 (Azure), openai/openai-dotnet#424, Azure/azure-sdk-for-net#54821: the
    arguments are in the deltas, in their `done`, in the item, or in `response.done`; the others
    have an empty text.
    """
    arguments = '{"city":"Bonn"}'
    server = Service(dialect)
    async with server.client() as client:
        watch, cities = Watch(client), with_tool(client)
        await called(server, client)

        def whole(place: str) -> dict[str, Any]:
            return call("item_c", "call_1", "weather", arguments if where == place else "")

        output = {"response_id": "resp_1", "output_index": 0}
        place = output | {"item_id": "item_c", "call_id": "call_1"}
        if where != "response":
            begun = call("item_c", "call_1", "weather", "", "in_progress")
            server.send("response.output_item.added", **output, item=begun)
            server.send("conversation.item.added", previous_item_id=None, item=begun)
            if where == "deltas":
                for piece in ('{"city":', '"Bonn"}'):
                    server.send("response.function_call_arguments.delta", **place, delta=piece)
            given = arguments if where == "done" else ""
            server.send("response.function_call_arguments.done", **place, arguments=given)
            server.send("response.output_item.done", **output, item=whole("item"))
        server.finish(output=[whole("response")])
        await answered(server, client, watch)
        assert cities == ["Bonn"]
        [item] = [each for each in client.conversation if each.formatted.tool]
        assert item.formatted.tool is not None
        assert item.formatted.tool.arguments == arguments


@both_dialects
async def test_two_calls_lead_to_one_response(dialect: Dialect) -> None:
    """jhakulin/realtime-ai#30, livekit/agents#1056: one `response.create` for each output makes the
    second one collide with the first.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch, cities = Watch(client), with_tool(client)
        await called(server, client)
        calls = [
            call(f"item_{n}", f"call_{n}", "weather", json.dumps({"city": city}))
            for n, city in enumerate(("Bonn", "Rome"))
        ]
        for index, item in enumerate(calls):
            output = {"response_id": "resp_1", "output_index": index, "item": item}
            server.send("response.output_item.done", **output)
        await server.got("conversation.item.create", 2)
        assert server.types().count("response.create") == 1
        server.finish(output=calls)
        await server.got("response.create", 2)
        server.answer("It is sunny.", "resp_2")
        await server.processed(client)
        assert cities == ["Bonn", "Rome"]
        assert server.types().count("response.create") == 2
        assert watch.errors == []


@both_dialects
@pytest.mark.parametrize("on_interrupt", ["finish", "cancel"])
async def test_a_call_is_answered_though_the_user_interrupts(
    dialect: Dialect, on_interrupt: Any
) -> None:
    """livekit/agents#6569, #6785, livekit/agents-js#2249, livekit/agents#5092: a call that is never
    answered makes the model wait, or breaks the next request.
    """
    server = Service(dialect)
    async with server.client(turn_detection={"type": "server_vad"}) as client:
        watch, release = Watch(client), asyncio.Event()

        @client.tool(on_interrupt=on_interrupt)
        async def weather() -> str:
            """Look up the weather."""
            await release.wait()
            return "sunny"

        await called(server, client)
        item = call("item_c", "call_1", "weather")
        server.send("response.output_item.done", response_id="resp_1", output_index=0, item=item)
        server.finish(output=[item])
        await server.processed(client)
        server.send("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0)
        await server.processed(client)
        release.set()
        output = await server.got("conversation.item.create")
        assert output["item"]["call_id"] == "call_1"
        assert ("sunny" in output["item"]["output"]) is (on_interrupt == "finish")
        server.add({"id": "item_o", **output["item"]}, "item_c")
        server.send("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=500)
        server.send("input_audio_buffer.committed", item_id="item_u", previous_item_id="item_o")
        server.add(speech("item_u"), "item_o")
        server.answer("Where?", "resp_2")  # turn detection's, which uses the output
        await server.processed(client)
        assert server.types().count("response.create") == 1
        assert watch.conversation()[-1] == ("item_a", "Where?")
        assert watch.errors == []


@both_dialects
async def test_an_answer_that_is_cut_off_is_not_continued(dialect: Dialect) -> None:
    """NVIDIA-NeMo/Gym#2628, 14790897/MiqroForge-Desktop#1100: at the token limit, a call that is
    incomplete is not run.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch, cities = Watch(client), with_tool(client)
        await called(server, client)
        cut = call("item_c", "call_1", "weather", '{"city": "Bo', "incomplete")
        server.send("response.output_item.done", response_id="resp_1", output_index=0, item=cut)
        details = {"type": "incomplete", "reason": "max_output_tokens"}
        server.finish(status="incomplete", status_details=details, output=[cut])
        await server.processed(client)
        assert cities == []
        assert "conversation.item.create" not in server.types()
        assert watch.errors == []


NESTED = {"type": "function", "function": {"name": "weather", "parameters": {}}}


@both_dialects
@pytest.mark.parametrize("echo", [{"tools": [NESTED]}, {}], ids=["nested", "without"])
async def test_calls_of_tools_that_the_application_declared_are_left_to_it(
    dialect: Dialect, echo: dict[str, Any]
) -> None:
    """Recording of xAI (pydantic/pydantic-ai, `test_xai_ws/test_tool_call_round`): the server
    confirms the tools one level deeper than they were sent; others do not repeat them.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        confirmed = ({"type": "realtime"} if dialect == "ga" else {}) | echo
        server.answers["session.update"] = lambda _: server.send(
            "session.updated", session=confirmed
        )
        session: dict[str, Any] = {"tools": [{"type": "function", "name": "weather"}]}
        if dialect == "ga":
            session["type"] = "realtime"
        client.send({"type": "session.update", "session": session})
        await client.wait_for_next("session.updated", timeout=5)
        await called(server, client)
        item = call("item_c", "call_1", "weather")
        server.send("response.output_item.done", response_id="resp_1", output_index=0, item=item)
        server.finish(output=[item])
        await server.processed(client)
        assert "conversation.item.create" not in server.types()
        output = client.create_item(ga.FunctionCallOutput(call_id="call_1", output="sunny"))
        server.add({"id": "item_o", **(await server.got("conversation.item.create"))["item"]})
        await output
        assert watch.errors == []


async def test_mcp_tools_that_fail_do_not_end_the_session() -> None:
    """openai/openai-python#3128, #3243, jamesrochabrun/SwiftOpenAI#192,
    openai/openai-realtime-agents#129: events of MCP are unknown, or nothing follows them.
    """
    server = Service()
    async with server.client() as client:
        watch = Watch(client)
        failed: list[Any] = []
        client.on("mcp_list_tools.failed", failed.append)
        client.on("response.mcp_call.failed", failed.append)
        listing = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "docs", "tools": []}
        server.send("conversation.item.added", previous_item_id=None, item=listing)
        server.send("mcp_list_tools.in_progress", item_id="mcpl_1")
        server.send("mcp_list_tools.failed", item_id="mcpl_1")
        server.begin()
        mcp = {"id": "mcp_1", "type": "mcp_call", "server_label": "docs", "name": "search"}
        mcp |= {"arguments": "{}", "output": None, "error": None, "approval_request_id": None}
        output = {"response_id": "resp_1", "output_index": 0}
        server.send("response.output_item.added", **output, item=mcp)
        server.send("conversation.item.added", previous_item_id="mcpl_1", item=mcp)
        place = {"item_id": "mcp_1", "output_index": 0}
        server.send("response.mcp_call_arguments.delta", response_id="resp_1", **place, delta="{}")
        server.send("response.mcp_call.in_progress", **place)
        server.send("response.mcp_call.failed", **place)
        error = {"type": "http_error", "code": 500, "message": "Internal Server Error"}
        done = mcp | {"error": error}
        server.send("conversation.item.done", previous_item_id="mcpl_1", item=done)
        server.send("response.output_item.done", **output, item=done)
        server.finish(output=[done])
        server.answer("It failed.", "resp_2")
        await server.processed(client)
        assert [event.type for event in failed] == [
            "mcp_list_tools.failed",
            "response.mcp_call.failed",
        ]
        assert [item_id for item_id, _ in watch.conversation()] == ["mcpl_1", "mcp_1", "item_a"]
        [item] = [each.wire for each in client.conversation if each.id == "mcp_1"]
        assert isinstance(item, ga.McpCall)
        assert item.error is not None
        assert watch.errors == []
        assert "response.create" not in server.types()


@both_dialects
async def test_a_response_is_requested_as_soon_as_a_tool_has_answered(dialect: Dialect) -> None:
    """pipecat-ai/pipecat#2179, openai/openai-agents-python#1156: with turn detection, the model is
    silent after a call until the user speaks.
    """
    server = Service(dialect)
    async with server.client(turn_detection={"type": "semantic_vad"}) as client:
        watch = Watch(client)
        with_tool(client)
        server.hear("item_u")
        server.begin()
        said = server.speak("One moment.", item_id="item_s")
        item = call("item_c", "call_1", "weather")
        server.send("response.output_item.done", response_id="resp_1", output_index=1, item=item)
        server.finish(output=[said, item])
        output = await server.got("conversation.item.create")
        await server.got("response.create")
        server.add({"id": "item_o", **output["item"]}, "item_c")
        server.answer("It is sunny.", "resp_2")
        await server.processed(client)
        assert watch.conversation()[-1] == ("item_a", "It is sunny.")
        assert watch.errors == []


@both_dialects
async def test_a_call_may_come_after_the_end_of_its_response(dialect: Dialect) -> None:
    """Azure/azure-sdk-for-net#54821 (Voice Live): the call is the last thing of its response, and
    is not run. Its streamed arguments may differ from those that count.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch, cities = Watch(client), with_tool(client)
        await called(server, client)
        output = {"response_id": "resp_1", "output_index": 0}
        place = output | {"item_id": "item_c", "call_id": "call_1"}
        begun = call("item_c", "call_1", "weather", "", "in_progress")
        server.send("response.output_item.added", **output, item=begun)
        server.send("response.function_call_arguments.delta", **place, delta='{"city":"?"')
        server.finish(output=[])
        whole = '{"city":"Bonn"}'
        server.send("response.function_call_arguments.done", **place, arguments=whole)
        item = call("item_c", "call_1", "weather", whole)
        server.send("response.output_item.done", **output, item=item)
        await answered(server, client, watch)
        assert cities == ["Bonn"]

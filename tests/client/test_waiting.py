"""Waiting: limits of commands and responses, iterators that miss nothing, answers after tools."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import Closed, ConnectionLost, ErrorUpdate, RealtimeClient
from duologue.protocol import ga

pytestmark = pytest.mark.asyncio

TEXT = ga.Message(role="user", content=[ga.InputText(text="hello")])


def item(item_id: str, role: str = "assistant") -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": role, "content": [], "status": "completed"}


def complete(server: MemoryServer, *ids: str) -> None:
    for item_id in ids:
        server.send("conversation.item.added", item=item(item_id), previous_item_id=None)
        server.send("conversation.item.done", item=item(item_id), previous_item_id=None)


async def test_commands_that_are_not_answered_raise_within_the_clients_limit() -> None:
    async with client_of(MemoryServer(), command_timeout=0.01) as client:
        for pending in (
            client.create_item(TEXT),
            client.retrieve_item("item_1"),
            client.delete_item("item_1"),
            client.truncate_item("item_1", 0),
            client.commit_input_audio(),
            client.clear_input_audio(),
            client.create_response(),
        ):
            with pytest.raises(TimeoutError, match="the server did not answer"):
                await pending


async def test_a_call_may_have_a_limit_of_its_own() -> None:
    server = MemoryServer()
    server.answers.clear()
    async with client_of(server, command_timeout=None) as client:
        for pending in (
            client.create_item(TEXT, timeout=0.01),
            client.retrieve_item("item_1", timeout=0.01),
            client.delete_item("item_1", timeout=0.01),
            client.truncate_item("item_1", 0, timeout=0.01),
            client.commit_input_audio(timeout=0.01),
            client.clear_input_audio(timeout=0.01),
            client.update_session(instructions="x", timeout=0.01),
            client.create_response(timeout=0.01),
        ):
            with pytest.raises(TimeoutError, match="the server did not answer"):
                await pending


async def test_a_timeout_that_nothing_awaits_is_reported() -> None:
    async with client_of(MemoryServer(), command_timeout=0.01) as client:
        client.clear_input_audio()
        update = await client.wait_for_next(ErrorUpdate, timeout=5)
        assert isinstance(update.error, TimeoutError)


async def test_waiting_again_at_once_misses_nothing() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        waiting = asyncio.ensure_future(three_items(client))
        await asyncio.sleep(0)
        complete(server, "a", "b", "c")
        assert await waiting == ["a", "b", "c"]
        with pytest.raises(TimeoutError):  # what came before a wait began is not its value
            await client.wait_for_next_completed_item(timeout=0.01)


async def three_items(client: RealtimeClient) -> list[str]:
    return [(await client.wait_for_next_completed_item(timeout=5)).id for _ in range(3)]


async def test_each_waiting_task_gets_every_value() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        waiting = [asyncio.ensure_future(three_items(client)) for _ in range(2)]
        await asyncio.sleep(0)
        complete(server, "a", "b", "c")
        assert await asyncio.gather(*waiting) == [["a", "b", "c"]] * 2


async def test_item_iterators_miss_nothing_and_end_with_the_session() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        items, completed = client.items(), client.completed_items()
        complete(server, "a", "b", "c")
        assert await three_items(client) == ["a", "b", "c"]
    assert [item.id async for item in items] == ["a", "b", "c"]
    assert [item.id async for item in completed] == ["a", "b", "c"]
    with pytest.raises(Closed):
        client.items()


async def test_an_item_iterator_raises_when_the_connection_is_lost() -> None:
    server = MemoryServer()
    async with client_of(server, reconnect=False) as client:
        items = client.completed_items()
        complete(server, "a")
        await client.wait_for_next("conversation.item.done", timeout=5)
        server.end.cut()
        assert (await anext(items)).id == "a"
        with pytest.raises(ConnectionLost):
            await anext(items)


def answering(server: MemoryServer, *, fails: bool = False) -> None:
    """Answer the first request with two calls of tools, the next one with text."""

    def first(_event: dict[str, Any]) -> None:
        server.answers["response.create"] = second
        server.begin("resp_1")
        server.call("weather", "call_1")
        server.call("weather", "call_2")
        server.finish("resp_1")

    def second(_event: dict[str, Any]) -> None:
        if fails:
            server.refuse(_event)
            return
        server.begin("resp_2")
        server.say("It is sunny.", "resp_2")
        server.finish("resp_2")

    server.answers["response.create"] = first


async def test_ask_returns_the_answer_after_the_tools() -> None:
    server = MemoryServer()
    answering(server)
    async with client_of(server) as client:

        @client.tool
        async def weather() -> str:
            """Look up the weather."""
            await asyncio.sleep(0)
            return "sunny"

        answer = await client.ask("What is the weather?")
        assert (answer.id, answer.text) == ("resp_2", "It is sunny.")
        assert server.types().count("response.create") == 2


async def test_ask_returns_the_answer_of_a_response_without_calls() -> None:
    server = MemoryServer()
    server.replies("Hello.")
    async with client_of(server) as client:
        assert (await client.ask("Hello?")).text == "Hello."


async def test_ask_raises_what_ends_its_answer() -> None:
    server = MemoryServer()
    answering(server, fails=True)
    async with client_of(server) as client:

        @client.tool
        def weather() -> str:
            """Look up the weather."""
            return "sunny"

        with pytest.raises(Exception, match="no"):
            await client.ask("What is the weather?")


async def test_ask_ends_with_the_connection_while_a_tool_runs() -> None:
    server = MemoryServer()
    answering(server)
    async with client_of(server, reconnect=False) as client:

        @client.tool
        async def weather() -> str:
            """Cut the connection."""
            server.end.cut()
            await asyncio.Event().wait()
            return ""

        with pytest.raises(ConnectionLost):
            await client.ask("What is the weather?")


async def test_a_fault_of_ours_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    server = MemoryServer()
    async with client_of(server) as client:

        def fail(_event: object) -> None:
            raise KeyError("a fault of ours")

        monkeypatch.setattr(client.conversation, "on_item_done", fail)
        errors: list[ErrorUpdate] = []
        client.on(ErrorUpdate, errors.append)
        complete(server, "a")
        await client.wait_for_next("conversation.item.done", timeout=5)
        assert client.statistics().failed_events == 1
        assert len(errors) == 1
        assert client.is_connected

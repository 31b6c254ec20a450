"""Reconnection on real sockets, beside the drill: when it is tried, and what works meanwhile."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from duologue import (
    ConnectionLost,
    Disconnected,
    RealtimeAPI,
    RealtimeClient,
    Reconnected,
    ReconnectPolicy,
)
from duologue.client.endpoint import Endpoint
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.server.faults import Close, RefuseHandshake
from duologue.sync import serving
from duologue.testing import ChaosProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.asyncio

SOON = 5.0
QUICK = ReconnectPolicy(first_delay=0.01)


@pytest_asyncio.fixture
async def network() -> AsyncGenerator[tuple[LocalServer, ChaosProxy]]:
    async with LocalServer() as server, ChaosProxy(server.url) as proxy:
        yield server, proxy


Network = tuple[LocalServer, ChaosProxy]


async def test_the_first_attempt_follows_at_once(network: Network) -> None:
    _, proxy = network
    async with RealtimeClient(url=proxy.url, reconnect=ReconnectPolicy(first_delay=600)) as client:
        proxy.reset()
        update = await client.wait_for_next(Reconnected, timeout=SOON)
        assert update.attempts == 1


async def test_a_server_that_is_away_for_a_while_is_tried_again(network: Network) -> None:
    _, proxy = network
    async with RealtimeClient(url=proxy.url, reconnect=QUICK) as client:
        proxy.refuse(times=3)
        proxy.reset()
        update = await client.wait_for_next(Reconnected, timeout=SOON)
        assert update.attempts == 4
        await client.ask("Hello")


async def test_an_application_that_blocks_its_loop_keeps_its_connection() -> None:
    """The pongs wait in the socket meanwhile; they count before the time limit does."""
    keepalive = 0.05
    with serving(LocalServer()) as server:
        endpoint = Endpoint(server.url, keepalive=keepalive)
        async with RealtimeClient(endpoint=endpoint) as client:
            lost: list[Disconnected] = []
            client.on(Disconnected, lost.append)
            await client.ask("Hello")
            for _ in range(3):
                time.sleep(6 * keepalive)  # noqa: ASYNC251  # the mistake that is tested
                await client.ask("Hello")
            assert lost == []


async def test_a_plain_connection_is_not_opened_again(network: Network) -> None:
    server, proxy = network
    async with RealtimeAPI(url=proxy.url, api_key="none") as api:
        proxy.reset()
        with pytest.raises(ConnectionLost):
            async for _ in api:
                pass
    assert (len(server.sessions), len(proxy.connections)) == (1, 1)


@pytest.mark.parametrize("reconnect", [False, ReconnectPolicy(budget=0)])
async def test_reconnection_can_be_switched_off(network: Network, reconnect: Any) -> None:
    server, proxy = network
    async with RealtimeClient(url=proxy.url, reconnect=reconnect) as client:
        handle = client.send_user_message_content("Hello")
        proxy.reset()
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(handle, SOON)
        assert not client.is_reconnecting
    assert len(server.sessions) == 1


async def test_giving_up_names_the_loss_and_the_last_failure(network: Network) -> None:
    server, proxy = network
    async with RealtimeClient(url=proxy.url, reconnect=QUICK) as client:
        updates: list[Disconnected] = []
        client.on(Disconnected, updates.append)
        handle = client.send_user_message_content("Hello")
        server.fail(RefuseHandshake(401))
        proxy.reset()
        with pytest.raises(ConnectionLost, match=r"was cut.*HTTP 401.*refused again"):
            await asyncio.wait_for(handle, SOON)
        assert [update.will_retry for update in updates] == [True, False]


async def test_the_budget_ends_the_attempts(network: Network) -> None:
    _, proxy = network
    policy = ReconnectPolicy(budget=0.2, first_delay=0.01)
    async with RealtimeClient(url=proxy.url, reconnect=policy) as client:
        handle = client.send_user_message_content("Hello")
        proxy.refuse()
        proxy.reset()
        with pytest.raises(ConnectionLost, match=r"not within 0\.2 s"):
            await asyncio.wait_for(handle, SOON)


async def test_a_server_that_asks_for_more_time_than_there_is_ends_the_attempts(
    network: Network,
) -> None:
    server, proxy = network
    async with RealtimeClient(url=proxy.url) as client:
        handle = client.send_user_message_content("Hello")
        server.fail(RefuseHandshake(429, retry_after=3600))
        proxy.reset()
        with pytest.raises(ConnectionLost, match="not within 60 s"):
            await asyncio.wait_for(handle, SOON)


async def test_each_attempt_gets_a_new_token() -> None:
    tokens = iter(["token-1", "token-of-yesterday", "token-1"])
    async with LocalServer(api_key="token-1") as server:
        endpoint = Endpoint(server.url, api_key=lambda: next(tokens))
        async with RealtimeClient(endpoint=endpoint, reconnect=QUICK) as client:
            server.sessions[0].close(1012)
            update = await client.wait_for_next(Reconnected, timeout=SOON)
            assert update.attempts == 2


async def test_closing_while_away_ends_the_attempts(network: Network) -> None:
    _, proxy = network
    async with RealtimeClient(url=proxy.url, reconnect=ReconnectPolicy(first_delay=600)) as client:
        proxy.refuse()
        proxy.reset()
        await client.wait_for_next(Disconnected, timeout=SOON)
        assert client.is_reconnecting
    assert not client.is_reconnecting


async def test_everything_may_be_sent_while_away(network: Network) -> None:
    server, proxy = network
    async with RealtimeClient(url=proxy.url) as client:
        proxy.reset()
        await client.wait_for_next(Disconnected, timeout=SOON)
        update = client.update_session(instructions="Be brief.")
        client.append_input_audio(bytes(4800))
        drained = asyncio.create_task(client.drain())
        item = client.create_item(ga.Message(role="user", content=[ga.InputText(text="Hello")]))
        handle = client.create_response()
        assert client.is_reconnecting
        async with asyncio.timeout(SOON):
            await drained
            session = await update
            assert await item in client.conversation
            await handle
        await server.sessions[1].wait_for("input_audio_buffer.append")
        assert isinstance(session, ga.RealtimeSession)
        assert session.instructions == "Be brief."
    assert [event.type for event in server.sessions[1].received][-4:] == [
        "session.update",
        "conversation.item.create",
        "response.create",
        "input_audio_buffer.append",
    ]


async def test_what_an_iteration_yields_begins_again_with_the_response() -> None:
    fault = Close(1011, at="response.output_text.delta", nth=2, connection=1)
    async with (
        LocalServer(faults=[fault]) as server,
        RealtimeClient(url=server.url, output_modalities=["text"]) as client,
    ):
        handle = client.send_user_message_content("one two")
        async with asyncio.timeout(SOON):
            words = [delta.text async for delta in handle if delta.text]
        assert handle.text == "You said: one two"
        beginning, _, rest = "".join(words).rpartition("You said: one two")
        assert beginning in {"You ", "You said: "}  # of the response that was cut
        assert rest == ""


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_items_whose_ids_are_too_long_get_others(network: Network, dialect: Any) -> None:
    server, proxy = network
    name = "item_" + "x" * 40
    async with RealtimeClient(url=proxy.url, dialect=dialect) as client:
        hello = ga.Message(id=name, role="user", content=[ga.InputText(text="Hello")])
        await client.create_item(hello)
        proxy.reset()
        update = await client.wait_for_next(Reconnected, timeout=SOON)
        assert list(update.renamed_items) == [name]
        await client.delete_item(name)
        assert len(client.conversation) == 0
        deleted = [e for e in server.sessions[1].sent if e.type == "conversation.item.deleted"]
        assert len(deleted) == 1


async def test_old_items_are_summarized_where_all_are_too_large(network: Network) -> None:
    server, proxy = network

    async def summarize(items: Any) -> str:
        return f"{len(items)} greetings"

    policy = ReconnectPolicy(history_bytes=250, summarize=summarize)
    async with RealtimeClient(url=proxy.url, reconnect=policy) as client:
        for number in range(4):
            text = ga.InputText(text=f"Hello {number}")
            await client.create_item(ga.Message(role="user", content=[text]))
        proxy.reset()
        update = await client.wait_for_next(Reconnected, timeout=SOON)
        assert len(update.missing_items) + update.restored_items == 4
        first = server.sessions[1].received[0]
        assert isinstance(first, ga.ConversationItemCreateEvent)
        assert isinstance(first.item, ga.Message)
        assert first.item.role == "system"
        assert first.item.content == [ga.InputText(text=f"{len(update.missing_items)} greetings")]
        assert len(client.conversation) == 4

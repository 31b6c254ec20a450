"""Sessions that follow the first: at will, on another server, from a file, after dead air."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from duologue import (
    ConfigurationError,
    ConnectionLost,
    DeadAir,
    DeadAirPolicy,
    Endpoint,
    HandshakeRefused,
    RealtimeClient,
    Reconnected,
    ReconnectPolicy,
)
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.server.faults import Close, Drop, RefuseHandshake

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from duologue.client.endpoint import DialectChoice
    from duologue.protocol.codec import Dialect
    from duologue.server.engine.stages import BrainRequest

both_dialects = pytest.mark.parametrize("dialect", ["ga", "beta"])


def words(client: RealtimeClient) -> list[str]:
    return [item.formatted.text or item.formatted.transcript for item in client.conversation]


def text_only(dialect: DialectChoice) -> dict[str, Any]:
    return {"modalities" if dialect == "beta" else "output_modalities": ["text"]}


@both_dialects
@pytest.mark.asyncio
async def test_a_restart_continues_the_conversation_with_another_configuration(
    dialect: DialectChoice,
) -> None:
    async with (
        LocalServer() as server,
        RealtimeClient(url=server.url, dialect=dialect, **text_only(dialect)) as client,
    ):
        updates: list[Reconnected] = []
        client.on(Reconnected, updates.append)
        await client.ask("One")
        before = [item.id for item in client.conversation]
        await client.restart(instructions="Be brief.")
        assert client.session is not None
        assert getattr(client.session, "instructions", None) == "Be brief."
        assert client.is_connected
        await client.ask("Two")
        assert words(client) == ["One", "You said: One", "Two", "You said: Two"]
        assert [item.id for item in client.conversation][:2] == before
        assert [(each.error, each.restored_items) for each in updates] == [(None, 2)]
        first, second = server.sessions
        assert "conversation.item.create" in [event.type for event in second.received]
    await first.wait_closed()


@pytest.mark.asyncio
async def test_a_response_is_cut_by_a_restart_and_requested_again() -> None:
    async def brain(request: BrainRequest) -> AsyncIterator[str]:
        yield "A long "
        if len(server.sessions) == 1:
            await asyncio.Event().wait()
        yield "answer."

    server = LocalServer(brain)
    async with server, RealtimeClient(url=server.url, **text_only("ga")) as client:
        response = client.send_user_message_content("Tell me")
        await client.wait_for_next("response.output_text.delta", timeout=5)
        await client.restart()
        async with asyncio.timeout(5):
            await response
        assert response.text == "A long answer."
        assert words(client) == ["Tell me", "A long answer."]


@pytest.mark.asyncio
async def test_a_restart_that_fails_leaves_the_session_as_it_is() -> None:
    async with (
        LocalServer() as server,
        LocalServer(faults=[RefuseHandshake(403)]) as other,
        RealtimeClient(url=server.url, **text_only("ga")) as client,
    ):
        with pytest.raises(HandshakeRefused):
            await client.restart(endpoint=Endpoint(other.url))
        await client.ask("One")
        assert words(client) == ["One", "You said: One"]
        assert len(server.sessions) == 1


@pytest.mark.asyncio
async def test_a_restart_moves_to_another_server_for_good() -> None:
    async with (
        LocalServer() as server,
        LocalServer() as other,
        RealtimeClient(url=server.url, **text_only("ga")) as client,
    ):
        await client.ask("One")
        await client.restart(endpoint=Endpoint(other.url))
        other.sessions[0].close(1012)
        await client.wait_for_next(Reconnected, timeout=5)
        await client.ask("Two")
        assert words(client) == ["One", "You said: One", "Two", "You said: Two"]
        assert (len(server.sessions), len(other.sessions)) == (1, 2)


@both_dialects
@pytest.mark.asyncio
async def test_the_next_server_of_a_list_takes_over_and_the_first_comes_back(
    dialect: DialectChoice,
) -> None:
    refuse = RefuseHandshake(503, connection=2)
    policy = ReconnectPolicy(failback_seconds=0.01, first_delay=0.01)
    async with (
        LocalServer(faults=[refuse]) as first,
        LocalServer() as second,
        RealtimeClient(
            endpoint=[Endpoint(each.url, dialect=dialect) for each in (first, second)],
            reconnect=policy,
            **text_only(dialect),
        ) as client,
    ):
        await client.ask("One")
        updates: list[Reconnected] = []
        client.on(Reconnected, updates.append)
        first.sessions[0].close(1012, "restarting")
        async with asyncio.timeout(5):
            while len(updates) < 2:
                await client.wait_for_next(Reconnected)
        assert [each.attempts for each in updates] == [2, 1]
        assert (len(first.sessions), len(second.sessions)) == (2, 1)
        await client.ask("Two")
        assert words(client) == ["One", "You said: One", "Two", "You said: Two"]


def test_the_servers_of_a_list_must_be_alike() -> None:
    endpoints = [Endpoint("ws://a/v1/realtime"), Endpoint("ws://b/v1/realtime", dialect="beta")]
    with pytest.raises(ConfigurationError, match="same dialect"):
        RealtimeClient(endpoint=endpoints)
    with pytest.raises(ConfigurationError, match="empty"):
        RealtimeClient(endpoint=[])


@both_dialects
@pytest.mark.asyncio
async def test_a_saved_conversation_goes_on_in_another_client(
    dialect: Dialect, tmp_path: Path
) -> None:
    path = tmp_path / "conversation.json"
    async with LocalServer() as server:
        async with RealtimeClient(url=server.url, dialect=dialect, **text_only(dialect)) as client:
            await client.ask("One")
            call = ga.FunctionCall(call_id="call_1", name="clock", arguments="{}")
            await client.create_item(call)
            await client.create_item(ga.FunctionCallOutput(call_id="call_1", output="noon"))
            client.conversation.save(path)
            saved = client.conversation.to_json()
            items = [(item.id, item.type) for item in client.conversation]
        assert path.read_bytes() == saved
        for source in (path, str(path), saved):
            async with RealtimeClient(
                url=server.url, dialect=dialect, resume=source, **text_only(dialect)
            ) as client:
                assert [(item.id, item.type) for item in client.conversation] == items
                assert words(client)[:2] == ["One", "You said: One"]
    assert list(tmp_path.iterdir()) == [path]  # noqa: ASYNC240  # nothing else waits


@pytest.mark.parametrize(
    ("saved", "reason"),
    [
        (b"", "not a saved conversation"),
        (b'{"items": []}', "not a saved conversation"),
        (b'{"duologue_conversation": 2, "items": []}', "update it"),
        (b'{"duologue_conversation": 1, "items": [5]}', "not a saved conversation"),
        (Path("/nowhere/conversation.json"), "cannot be read"),
    ],
)
def test_what_is_no_saved_conversation_is_refused(saved: bytes | Path, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        RealtimeClient(url="ws://127.0.0.1:1/v1/realtime", resume=saved)


@both_dialects
@pytest.mark.asyncio
async def test_a_server_that_does_not_begin_a_response_is_replaced(dialect: DialectChoice) -> None:
    policy = DeadAirPolicy(begin_seconds=0.2, go_on_seconds=None)
    server = LocalServer(faults=[Drop(at="response.*", connection=1)])
    async with (
        server,
        RealtimeClient(
            url=server.url, dialect=dialect, dead_air=policy, **text_only(dialect)
        ) as client,
    ):
        silences: list[DeadAir] = []
        client.on(DeadAir, silences.append)
        async with asyncio.timeout(5):
            answer = await client.ask("One")
        assert answer.text == "You said: One"
        assert [(each.kind, each.remedy) for each in silences] == [
            ("response_not_begun", "reconnecting")
        ]
        assert len(server.sessions) == 2


@both_dialects
@pytest.mark.asyncio
async def test_a_response_that_stalls_is_requested_again(dialect: DialectChoice) -> None:
    begun: list[int] = []

    async def brain(request: BrainRequest) -> AsyncIterator[str]:
        begun.append(1)
        yield "Well, "
        if len(begun) == 1:
            await asyncio.Event().wait()
        yield "yes."

    policy = DeadAirPolicy(begin_seconds=None, go_on_seconds=0.2)
    async with (
        LocalServer(brain) as server,
        RealtimeClient(
            url=server.url, dialect=dialect, dead_air=policy, **text_only(dialect)
        ) as client,
    ):
        async with asyncio.timeout(5):
            answer = await client.ask("One")
        assert answer.text == "Well, yes."
        assert len(server.sessions) == 1


@pytest.mark.asyncio
async def test_a_conversation_that_cannot_be_continued_ends() -> None:
    async with LocalServer(faults=[RefuseHandshake(403)]) as server:
        server_faults = [Close(1011, at="response.created")]
        async with LocalServer(faults=server_faults) as first:
            client = RealtimeClient(endpoint=[Endpoint(first.url), Endpoint(server.url)])
            await client.connect()
        with pytest.raises(ConnectionLost, match=r"not possible to connect again.*HTTP 403"):
            async with asyncio.timeout(10):
                await client.ask("One")
        await client.close()

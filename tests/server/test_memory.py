"""A server in memory: the same sessions, without a port."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

import pytest

from duologue import ConfigurationError, ConnectionLost, RealtimeClient
from duologue.errors import Closed, DialectRefused, HandshakeRefused
from duologue.protocol import codec, ga
from duologue.server import Limits, LocalServer, memory_listener
from duologue.server.engine.scripted import ScriptedBrain
from duologue.server.engine.stages import BrainRequest, Say
from duologue.server.faults import Close, Delay, RefuseHandshake
from duologue.server.session.session import ServerSession

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from duologue.protocol.codec import Dialect
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.server.engine.stages import BrainEvent

pytestmark = pytest.mark.asyncio


class Frames:
    """Receives frames, and notes the end."""

    def __init__(self) -> None:
        self.events: list[Event | UnknownEvent] = []
        self.arrived = asyncio.Event()
        self.ended: asyncio.Future[ConnectionLost | None] = asyncio.Future()

    def on_frame(self, frame: bytes) -> None:
        self.events.append(codec.decode(frame))
        self.arrived.set()

    def on_close(self, error: ConnectionLost | None) -> None:
        self.ended.set_result(error)

    async def end(self) -> ConnectionLost | None:
        async with asyncio.timeout(5):
            return await self.ended


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_client_converses_in_either_dialect(dialect: Dialect) -> None:
    async with LocalServer(transport="memory", dialect=dialect) as server:
        async with RealtimeClient(connector=server.connector, dialect=dialect) as client:
            response = client.send_user_message_content("Hello")
            await response
            assert response.transcript
        [session] = server.sessions
        await session.wait_closed()
        assert session.received[-1].type == "response.create"


async def test_it_has_no_url_and_a_server_with_a_url_no_connector() -> None:
    async with LocalServer(transport="memory") as server:
        with pytest.raises(ConfigurationError, match="connector"):
            _ = server.url
    with pytest.raises(Closed, match="not running"):
        await server.connector(Frames())
    with pytest.raises(ConfigurationError, match="memory"):
        await LocalServer().connector(Frames())


async def test_the_connector_chooses_type_and_model() -> None:
    async with LocalServer(transport="memory") as server:
        frames = Frames()
        connect = partial(server.connector, session="transcription", model="whisper-1")
        transport = await connect(frames)
        await frames.arrived.wait()
        [created] = frames.events
        assert isinstance(created, ga.SessionCreatedEvent)
        assert isinstance(created.session, ga.TranscriptionSession)
        await transport.close()


async def test_a_handshake_is_refused_as_over_http() -> None:
    faults = [RefuseHandshake(429, connection=1)]
    async with LocalServer(transport="memory", faults=faults, limits=Limits(sessions=1)) as server:
        with pytest.raises(HandshakeRefused) as refused:
            await server.connector(Frames())
        assert refused.value.status == 429
        await server.connector(Frames())
        with pytest.raises(HandshakeRefused) as full:
            await server.connector(Frames())
        assert full.value.status == 503


async def test_beta_is_refused_as_over_http() -> None:
    async with LocalServer(transport="memory", dialect="beta", refuses_beta=True) as server:
        with pytest.raises(DialectRefused):
            await server.connector(Frames())


@pytest.mark.parametrize("code", [1006, 1011])
async def test_what_was_sent_before_a_fault_closes_arrives(code: int) -> None:
    faults = [Delay(0.01), Close(code, at="session.created")]
    async with LocalServer(transport="memory", faults=faults) as server:
        frames = Frames()
        await server.connector(frames)
        lost = await frames.end()
        assert lost is not None
        assert lost.code == code
        assert [event.type for event in frames.events] == ["session.created"]


async def test_a_session_that_cannot_be_opened_closes_with_1011() -> None:
    class Stillborn(ScriptedBrain):
        """Cannot be made."""

        def __init__(self) -> None:
            raise RuntimeError("no brain today")

    async with LocalServer(Stillborn, transport="memory") as server:
        frames = Frames()
        await server.connector(frames)
        lost = await frames.end()
    assert lost is not None
    assert lost.code == 1011


@pytest.mark.parametrize("method", ["receive", "handle_deadline"])
async def test_a_session_that_raises_closes_with_1011(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    deadline = 0.0 if method == "handle_deadline" else None
    monkeypatch.setattr(ServerSession, "next_deadline", lambda _: deadline)
    async with LocalServer(transport="memory") as server:
        monkeypatch.setattr(ServerSession, method, fail)
        frames = Frames()
        transport = await server.connector(frames)
        transport.send(b'{"type": "response.create"}')
        lost = await frames.end()
    assert lost is not None
    assert lost.code == 1011
    assert "a session ended by a fault of ours" in caplog.text


async def test_open_sessions_close_with_1012_when_the_server_stops() -> None:
    frames = Frames()
    async with LocalServer(transport="memory") as server:
        await server.connector(frames)
    lost = await frames.end()
    assert lost is not None
    assert lost.code == 1012


async def test_a_session_that_is_being_opened_closes_when_the_server_stops() -> None:
    frames = Frames()
    async with asyncio.timeout(5):
        async with LocalServer(transport="memory") as server:
            connecting = asyncio.ensure_future(server.connector(frames))
            await asyncio.sleep(0)
        await connecting
    lost = await frames.end()
    assert lost is not None
    assert lost.code == 1012


async def test_an_engine_that_ignores_cancellation_does_not_keep_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = asyncio.Event()

    class Stubborn(ScriptedBrain):
        async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
            yield Say("Well. ")
            while not over.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await over.wait()
            yield Say("I am still here. ")

    monkeypatch.setattr(memory_listener, "STOP_SECONDS", 0.05)
    async with asyncio.timeout(5):
        async with LocalServer(Stubborn(), transport="memory") as server:
            transport = await server.connector(Frames())
            transport.send(b'{"type": "response.create"}')
            await server.sessions[0].wait_for("response.output_audio.delta")
    sent = len(server.sessions[0].sent)
    over.set()
    await asyncio.sleep(0.01)
    assert len(server.sessions[0].sent) == sent


@pytest.mark.realtime_server(transport="memory")
async def test_the_fixtures_connect_in_memory(
    realtime_server: LocalServer, realtime_client: RealtimeClient
) -> None:
    await realtime_client.send_user_message_content("Hello")
    assert realtime_server.transport == "memory"

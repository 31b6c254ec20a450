from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import SESSION, MemoryServer
from websockets.asyncio.server import ServerConnection, serve

from duologue import (
    Closed,
    ConnectionLost,
    DecodeError,
    ErrorUpdate,
    LocalProtocolError,
    RealtimeAPI,
    RealtimeClient,
)
from duologue.protocol import ga

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duologue.transport import Receiver, Transport

pytestmark = pytest.mark.asyncio


async def test_events_are_sent_and_received_unchanged() -> None:
    server = MemoryServer()
    async with RealtimeAPI(connector=server.connect) as api:
        assert api.is_connected
        event = await anext(aiter(api))
        assert isinstance(event, ga.SessionCreatedEvent)
        api.send(ga.ResponseCancelEvent())
        sent = await server.got("response.cancel")
        assert sent == {"type": "response.cancel", "event_id": sent["event_id"]}
        server.end.send(b"{}")
        update = await api.wait_for_next(ErrorUpdate, timeout=5)
        assert isinstance(update.error, DecodeError)
        await api.drain()
        with pytest.raises(LocalProtocolError):
            await api.connect()
    with pytest.raises(Closed):
        api.send(ga.ResponseCancelEvent())
    assert [event async for event in api] == []


async def test_iterating_before_connecting_raises() -> None:
    server = MemoryServer()
    api = RealtimeAPI(connector=server.connect)
    with pytest.raises(Closed, match="never connected"):
        aiter(api)


@pytest.mark.parametrize("dialect", ["ga", "auto"])
async def test_closing_while_connecting_raises_closed(dialect: Any) -> None:
    server = MemoryServer()
    answers = asyncio.Event()

    async def connect(receiver: Receiver) -> Transport:
        await answers.wait()
        return await server.connect(receiver)

    api = RealtimeAPI(connector=connect, dialect=dialect)
    connecting = asyncio.ensure_future(api.connect())
    await asyncio.sleep(0)
    with pytest.raises(LocalProtocolError, match="being connected"):
        await api.connect()
    await api.close()
    answers.set()
    with pytest.raises(Closed):
        await connecting
    await asyncio.wait_for(server.is_closed.wait(), 5)
    async with api:
        assert isinstance(await anext(aiter(api)), ga.SessionCreatedEvent)


@pytest.mark.parametrize("dialect", ["ga", "auto"])
async def test_sending_while_connecting_raises_closed(dialect: Any) -> None:
    server = MemoryServer(greets=dialect == "ga")
    answers = asyncio.Event()

    async def connect(receiver: Receiver) -> Transport:
        await answers.wait()
        return await server.connect(receiver)

    api = RealtimeAPI(connector=connect, dialect=dialect)
    connecting = asyncio.ensure_future(api.connect())
    await asyncio.sleep(0)
    if dialect == "auto":  # the connection is open, but its dialect is not known yet
        answers.set()
        await asyncio.sleep(0.01)
    assert not api.is_connected
    with pytest.raises(Closed):
        api.send(ga.ResponseCancelEvent())
    answers.set()
    if dialect == "auto":
        server.send("session.created", session=SESSION)
    await asyncio.wait_for(connecting, 5)
    await api.close()
    assert server.types() == []


async def test_a_lost_connection_raises_from_the_iteration() -> None:
    server = MemoryServer()
    async with RealtimeAPI(connector=server.connect) as api:
        events: list[object] = []
        api.on("session.created", events.append)
        with pytest.raises(Closed):
            RealtimeAPI(connector=server.connect).send(ga.ResponseCancelEvent())
        asyncio.get_running_loop().call_soon(server.end.cut)
        with pytest.raises(ConnectionLost):
            async for _ in api:
                pass
    assert events == [] or len(events) == 1


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, logger="duologue.client"):
        yield caplog


async def test_a_conversation_over_a_real_socket(log: pytest.LogCaptureFixture) -> None:
    async def handle(socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.path == "/v1/realtime?model=gpt-realtime"
        assert socket.request.headers["Authorization"] == "Bearer sk-secret-of-mine"
        await socket.send(
            json.dumps({"type": "session.created", "event_id": "e", "session": SESSION})
        )
        async for frame in socket:
            if json.loads(frame)["type"] == "response.create":
                done = {"id": "resp_1", "status": "completed"}
                for kind in ("created", "done"):
                    event = {"type": f"response.{kind}", "event_id": "e", "response": done}
                    await socket.send(json.dumps(event))

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"ws://127.0.0.1:{port}/v1/realtime"
        async with RealtimeClient(url=url, api_key="sk-secret-of-mine") as client:
            client.append_input_audio(bytes(960))
            assert (await client.create_response()).id == "resp_1"
    lines = [record.getMessage() for record in log.records if record.name == "duologue.client"]
    assert any(line.startswith("> input_audio_buffer.append, ") for line in lines)
    assert any(line.startswith("< response.done, ") for line in lines)
    assert not any("secret" in line for line in lines)


async def test_a_close_by_the_server_raises_connection_lost() -> None:
    async def handle(socket: ServerConnection) -> None:
        await socket.send(
            json.dumps({"type": "session.created", "event_id": "e", "session": SESSION})
        )
        await socket.recv()
        await socket.close(1001, "Your session hit the maximum duration of 60 minutes.")

    async with serve(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with RealtimeClient(url=f"ws://127.0.0.1:{port}", reconnect=False) as client:
            with pytest.raises(ConnectionLost, match="60 minutes"):
                await client.create_response()


async def test_an_unreachable_server_raises_connection_lost() -> None:
    client = RealtimeClient(url="ws://127.0.0.1:1")
    with pytest.raises(ConnectionLost):
        await client.connect()
    with pytest.raises(ConnectionLost):
        await RealtimeAPI(url="ws://127.0.0.1:1").connect()

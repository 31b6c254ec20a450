"""What a client that asks for too much is told, and what becomes of its session."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from duologue.server import Limits, LocalServer
from duologue.server.limits import RateLimiter

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


async def receive(connection: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            event: dict[str, Any] = json.loads(await connection.recv())
            if event["type"] == kind:
                return event


async def close_of(connection: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        await receive(connection, "nothing")
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.mark.asyncio
async def test_too_much_audio_in_one_event_is_refused_and_the_session_lives() -> None:
    append = {"type": "input_audio_buffer.append", "event_id": "big", "audio": "AAAA" * (5 << 20)}
    async with LocalServer() as server, connect(server.url) as connection:
        await connection.send(json.dumps(append | {"audio": append["audio"] + "AAAA"}))
        error = (await receive(connection, "error"))["error"]
        assert (error["code"], error["param"], error["event_id"]) == (
            "invalid_value",
            "audio",
            "big",
        )
        await connection.send(json.dumps({"type": "input_audio_buffer.clear"}))
        await receive(connection, "input_audio_buffer.cleared")


@pytest.mark.asyncio
async def test_a_message_that_is_larger_than_any_event_closes_with_1009() -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await receive(connection, "session.created")
        with contextlib.suppress(ConnectionClosed):  # perhaps it is closed while this is sent
            await connection.send("x" * (22 << 20))
        assert (await close_of(connection))[0] == 1009


@pytest.mark.asyncio
@pytest.mark.parametrize("limits", [Limits(events_per_second=0.2), Limits(bytes_per_second=10)])
async def test_what_comes_too_fast_is_refused_by_name_and_the_session_lives(
    limits: Limits,
) -> None:
    async with LocalServer(limits=limits) as server, connect(server.url) as connection:
        for number in range(3):
            clear = {"type": "input_audio_buffer.clear", "event_id": f"e{number}"}
            await connection.send(json.dumps(clear))
        error = (await receive(connection, "error"))["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert error["event_id"] in ("e1", "e2")


@pytest.mark.asyncio
async def test_an_idle_session_is_told_and_closed() -> None:
    server = LocalServer(limits=Limits(idle_seconds=0.12))
    async with server, connect(server.url) as connection:
        error = await receive(connection, "error")
        reason = "Your session was idle for 0.002 minutes."
        assert error["error"]["code"] == "session_expired"
        assert error["error"]["message"] == reason
        assert await close_of(connection) == (1001, reason)


def test_a_client_may_catch_up_on_what_it_did_not_use_up_to_a_bound() -> None:
    pace = RateLimiter(Limits(events_per_second=1, bytes_per_second=100), now=0.0)
    assert [pace.admits(1, 0.0) for _ in range(11)] == [True] * 10 + [False]
    assert [pace.admits(1, 2.0) for _ in range(3)] == [True, True, False]
    assert [pace.admits(1, 900.0) for _ in range(11)] == [True] * 10 + [False]


def test_a_frame_that_is_refused_costs_nothing() -> None:
    pace = RateLimiter(Limits(events_per_second=1, bytes_per_second=100), now=0.0)
    assert [pace.admits(size, 0.0) for size in (1001, 1000, 1)] == [False, True, False]


@pytest.mark.asyncio
async def test_a_connection_that_asks_for_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duologue.server.listening.REQUEST_SECONDS", 0.05)
    async with LocalServer() as server:
        host, _, port = server.url.removeprefix("ws://").partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.asyncio
async def test_a_connection_that_asks_once_and_then_dawdles_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("duologue.server.listening.REQUEST_SECONDS", 0.3)
    async with LocalServer() as server:
        host, _, port = server.url.removeprefix("ws://").partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await reader.readuntil(b"}")
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()

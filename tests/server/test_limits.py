"""What a client that asks for too much is told, and what becomes of its session."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from duologue.errors import ConfigurationError
from duologue.server import Limits, LocalServer
from duologue.server.limits import RateLimiter
from duologue.server.session_log import MAX_WARNINGS, SessionLog

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
@pytest.mark.parametrize(
    ("frame", "answer"),
    [('{"type": "input_audio_buffer.clear"}', "input_audio_buffer.cleared"), ("not JSON", "error")],
)
async def test_a_client_that_sends_too_fast_is_read_more_slowly_and_loses_nothing(
    frame: str, answer: str, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(events_per_second=2)  # 20 at once
    async with LocalServer(limits=limits) as server, connect(server.url) as connection:
        for _ in range(21):
            await connection.send(frame)
        for _ in range(21):
            await receive(connection, answer)
    slowed = [line for line in caplog.messages if "faster than the limit" in line]
    assert len(slowed) == 1


@pytest.mark.asyncio
async def test_an_event_of_more_than_ten_seconds_worth_of_bytes_is_refused() -> None:
    limits = Limits(bytes_per_second=10)
    async with LocalServer(limits=limits) as server, connect(server.url) as connection:
        await connection.send(
            json.dumps({"type": "input_audio_buffer.clear", "event_id": "x" * 70})
        )
        error = (await receive(connection, "error"))["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")


def masked(opcode: int, payload: bytes = b"") -> bytes:
    """Return a frame of a client, whose mask is zero."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "flood", [masked(9), masked(10), masked(1, b"{")], ids=["ping", "pong", "bad"]
)
async def test_a_flood_of_tiny_frames_does_not_hold_up_others(flood: bytes) -> None:
    async with LocalServer() as server, connect(server.url) as other:
        host, _, port = server.url.removeprefix("ws://").partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 26)
        writer.write(
            b"GET /v1/realtime HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await reader.readuntil(b"session.created")
        writer.write(flood * 40_000 + masked(8))
        closed = asyncio.create_task(reader.readuntil(b"\x88\x00"))
        for _ in range(5):
            await other.send('{"type": "input_audio_buffer.clear"}')
            await receive(other, "input_audio_buffer.cleared")
        assert not closed.done(), "the whole flood was parsed before the others had their turn"
        closed.cancel()
        writer.transport.abort()


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
    rate = RateLimiter(Limits(events_per_second=1, bytes_per_second=100), now=0.0)
    assert [rate.count(1, 0.0) for _ in range(12)] == [0.0] * 10 + [1.05, 2.05]
    assert [rate.count(1, 4.0) for _ in range(3)] == [0.0, 0.0, 1.05]
    assert [rate.count(1, 900.0) for _ in range(11)] == [0.0] * 10 + [1.05]


def test_a_large_frame_is_paid_for_afterwards() -> None:
    rate = RateLimiter(Limits(events_per_second=100, bytes_per_second=100), now=0.0)
    assert rate.max_frame_bytes == 1000
    assert [rate.count(size, 0.0) for size in (1000, 100, 10_000)] == [0.0, 1.05, 11.05]


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


@pytest.mark.parametrize("name", ["sessions", "session_seconds", "events_per_second"])
@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_limits_are_positive_and_finite(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Limits(**{name: value})  # type: ignore[arg-type]  # the name is a parameter


@pytest.mark.asyncio
async def test_a_request_of_ambiguous_length_is_answered_and_its_connection_closed() -> None:
    async with LocalServer() as server:
        host, _, port = server.url.removeprefix("ws://").partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
        writer.close()


def test_a_session_logs_a_limited_number_of_warnings(caplog: pytest.LogCaptureFixture) -> None:
    log = SessionLog()
    for number in range(1000):
        text = f"{number:x<1000}"
        log.warning(text)
    assert len(caplog.messages) == MAX_WARNINGS + 1
    assert max(map(len, caplog.messages)) == 500
    assert caplog.messages[-1] == "further warnings of this session are not logged"

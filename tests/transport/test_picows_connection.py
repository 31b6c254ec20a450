"""An open WebSocket, beyond the common contract (`test_transport_contract.py`)."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.transport.transport_doubles import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PATIENCE,
    PING,
    PONG,
    TEXT,
    Peer,
    Recorder,
    closing,
    frame,
    raw_server,
)

from duologue.errors import (
    DialectRefused,
    RemoteProtocolError,
)
from duologue.transport.heartbeat import Heartbeat
from duologue.transport.picows import connect_picows

if TYPE_CHECKING:
    from tests.transport.transport_doubles import Connect

# Messages.


@pytest.mark.asyncio
async def test_fragments_are_joined_around_control_frames(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(TEXT, b'{"a": "\xc3', is_final=False)
        peer.send(PING, b"alive?")
        peer.send(CONTINUATION, b"", is_final=False)
        peer.send(PONG, b"unasked")
        peer.send(CONTINUATION, b'\xa9"}')
        peer.send(BINARY, b"\xff{}")
        assert await peer.receive() == (PONG, b"alive?")
        assert await peer.receive() == (CLOSE, struct.pack("!H", 1000))

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect(server.url, got)
        assert await got.has_frames(2) == ['{"a": "é"}'.encode(), b"\xff{}"]
        await transport.close()


@pytest.mark.asyncio
async def test_frames_behind_the_handshake_are_delivered_before_connect_returns() -> None:
    refusal = closing(4000, "invalid_request_error.beta_api_shape_disabled")

    async def script(peer: Peer) -> None:
        await peer.accept(then=frame(TEXT, b"1") + frame(TEXT, b"2") + refusal)
        assert await peer.receive_close() == 4000

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect_picows(server.url, got)
        assert got.frames == [b"1", b"2"]
        assert isinstance(await got.loss(), DialectRefused)
        with pytest.raises(DialectRefused, match="GA only"):
            transport.send(b"{}")
        await transport.close()


BROKEN = {
    "orphan continuation": (1002, frame(CONTINUATION, b"x")),
    "message in a message": (1002, frame(TEXT, b"x", is_final=False) + frame(TEXT, b"y")),
    "bad UTF-8": (1007, frame(TEXT, b'"\xff"')),
    "UTF-8 cut off": (1007, frame(TEXT, b"\xc3", is_final=False) + frame(CONTINUATION, b"")),
    "reserved bit": (1002, frame(TEXT, b"x", reserved=4)),
    "compressed ping": (1002, frame(PING, b"x", reserved=4)),
    "frame too large": (1009, frame(TEXT, b"x" * 1001)),
    "fragments too large": (
        1009,
        frame(TEXT, b"x" * 600, is_final=False) + frame(CONTINUATION, b"x" * 600, is_final=False),
    ),
    "unknown opcode": (1002, frame(0x3, b"x")),
    "masked": (1002, b"\x81\x81\0\0\0\0x"),
    "fragmented ping": (1002, frame(PING, b"x", is_final=False)),
    "impossible close code": (1002, closing(1004)),
    "a code that is never sent": (1002, closing(1006)),
    "bad UTF-8 in a close reason": (1007, frame(CLOSE, b"\x03\xe8\xff")),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(("code", "data"), BROKEN.values(), ids=BROKEN)
async def test_a_broken_rule_closes_with_its_code(connect: Connect, code: int, data: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(TEXT, b"before")
        await peer.writer.drain()
        peer.writer.write(data + frame(TEXT, b"after"))
        assert await peer.receive_close() == code

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect(server.url, got, max_message_bytes=1000)
        lost = await got.loss()
        assert lost.code == code
        assert isinstance(lost.__cause__, RemoteProtocolError)
        await transport.close()
    assert got.frames[:1] == [b"before"]


# Endings.


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("data", "code", "reason", "answer"),
    [
        (closing(1011, "oops"), 1011, "oops", 1011),
        (frame(CLOSE), 1005, "the server closed the session", 1000),
        (closing(4999), 4999, "the server closed the session", 4999),
    ],
)
async def test_a_close_is_answered_and_told(
    data: bytes, code: int, reason: str, answer: int
) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(then=data)
        assert await peer.receive_close() == answer
        assert await peer.reader.read() == b""

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect_picows(server.url, got)
        lost = await got.loss()
        assert (lost.code, lost.reason) == (code, reason)
        await transport.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("is_reset", [False, True])
async def test_an_end_within_a_frame_is_a_cut(connect: Connect, is_reset: bool) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(then=frame(TEXT, b"whole") + frame(TEXT, b"half of it")[:5])
        if is_reset:
            linger = struct.pack("ii", 1, 0)
            peer.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect(server.url, got)
        lost = await got.loss()
        assert (got.frames, lost.code, lost.reason) == ([b"whole"], 1006, "the connection was cut")
        await transport.close()


@pytest.mark.asyncio
async def test_a_close_that_nobody_answers_is_bounded(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.gone()

    got = Recorder()
    async with raw_server(script) as server, asyncio.timeout(PATIENCE):
        transport = await connect(server.url, got, close_timeout=0.01)
        await transport.close()
    assert got.endings == [None]


@pytest.mark.asyncio
async def test_garbage_in_answer_to_our_close_is_of_no_interest(connect: Connect) -> None:
    """picows stores a fault of its parser in a future, which must not stay unretrieved."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        await peer.receive_close()
        peer.writer.write(frame(0x3, b"x"))
        await peer.gone()

    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect(server.url, got, close_timeout=0.01)
        await transport.close()
    del transport
    assert (got.endings, reports) == ([None], [])


# Signs of life.


@pytest.mark.asyncio
async def test_a_silent_server_is_asked_and_then_given_up(connect: Connect) -> None:
    asked: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        asked.append((await peer.receive())[0])
        await peer.gone()

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect(server.url, got, keepalive=0.05, close_timeout=0.01)
        lost = await got.loss()
        assert (lost.code, lost.reason) == (1006, "the server gave no sign of life for 0.1 s")
        await transport.close()
    assert asked == [PING]


@pytest.mark.asyncio
async def test_any_frame_is_a_sign_of_life() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        for _ in range(2):
            assert (await peer.receive())[0] == PING
            peer.send(TEXT, b"busy")
        peer.writer.write(closing(1000))
        await peer.gone()

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect_picows(server.url, got, keepalive=0.2)
        assert (await got.loss()).code == 1000
        assert got.frames == [b"busy"] * 2
        await transport.close()


@pytest.mark.asyncio
async def test_a_part_of_a_message_is_a_sign_of_life(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        whole = frame(TEXT, bytes(b"a" * 3000))
        for start in range(0, 3000, 1000):
            assert (await peer.receive())[0] == PING
            peer.writer.write(whole[start : start + 1000])
        peer.writer.write(whole[3000:] + closing(1000))
        await peer.gone()

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect(server.url, got, keepalive=0.1)
        assert (await got.loss()).code == 1000
        assert got.frames == [b"a" * 3000]
        await transport.close()


@pytest.mark.asyncio
async def test_a_blocked_event_loop_is_not_the_silence_of_the_server() -> None:
    """What arrives while the application blocks the loop is read before the next look."""
    loop = asyncio.get_running_loop()
    ours, peers = socket.socketpair()
    pings: list[int] = []
    second_ping = asyncio.Event()

    def ping() -> None:
        pings.append(1)
        if len(pings) == 2:
            second_ping.set()
            return
        peers.send(b"pong")
        time.sleep(0.05)  # the application blocks the loop, for longer than the server may take

    def on_data() -> None:
        ours.recv(100)
        heartbeat.has_sign = True

    silences: list[float] = []
    heartbeat = Heartbeat(0.01, ping=ping, give_up=silences.append)
    loop.add_reader(ours, on_data)
    heartbeat.start(None)
    async with asyncio.timeout(5):
        await second_ping.wait()
    heartbeat.stop()
    assert silences == []
    loop.remove_reader(ours)
    ours.close()
    peers.close()


@pytest.mark.asyncio
async def test_a_ping_that_waits_behind_unsent_data_is_not_the_silence_of_the_server() -> None:
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(ignore, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        looks: list[int] = []
        silences: list[float] = []
        given_up = asyncio.Event()

        def unsent_bytes() -> int:
            looks.append(1)
            writer.write(b"x")  # the server acknowledges it
            return 1 << 20 if len(looks) < 4 else 0

        def give_up(silence: float) -> None:
            silences.append(silence)
            given_up.set()

        heartbeat = Heartbeat(0.05, ping=lambda: None, give_up=give_up, unsent_bytes=unsent_bytes)
        heartbeat.start(writer.transport)
        async with asyncio.timeout(5):
            await given_up.wait()
        assert (len(looks), len(silences)) == (4, 1)
        writer.close()
        await writer.wait_closed()


@pytest.mark.asyncio
async def test_pings_are_not_answered_to_a_server_that_does_not_read() -> None:
    """Otherwise its pings would fill our memory with pongs."""
    flooded = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.accept()
        await flooded.wait()
        peer.writer.write(frame(PING, b"p") * 1000 + frame(TEXT, b"after the pings"))
        await peer.writer.drain()
        opcodes: list[int] = []
        while CLOSE not in opcodes:
            opcodes.append((await peer.receive())[0])
        assert opcodes == [TEXT] * 32 + [CLOSE]

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect_picows(server.url, got, close_timeout=5.0)
        for _ in range(32):
            transport.send(b"x" * (1 << 20))
        flooded.set()
        await got.has_frames(1)
        await transport.close()

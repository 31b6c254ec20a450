"""Server of raw WebSocket frames, which can do what no well-behaved server would."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = [
    "BINARY", "CLOSE", "CONTINUATION", "PATIENCE", "PING", "PONG", "TEXT",
    "Peer", "RawServer", "closing", "frame", "raw_server",
]  # fmt: skip

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

PATIENCE: Final = 10.0
"""Limit of every wait, in seconds; no check passes by waiting for it."""


class Peer:
    """Server's end of one TCP connection, and the frames on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.request = b""

    async def accept(self, *headers: str, then: bytes = b"") -> None:
        """Answer the upgrade with 101, followed by `then` in the same segment."""
        self.request = await self.reader.readuntil(b"\r\n\r\n")
        key = self.header("Sec-WebSocket-Key").encode()
        digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()  # noqa: S324  # RFC 6455
        lines = (
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}",
            *headers,
        )
        self.writer.write("".join(f"{line}\r\n" for line in (*lines, "")).encode() + then)

    async def answer(self, response: bytes) -> None:
        """Answer the upgrade with the given bytes."""
        self.request = await self.reader.readuntil(b"\r\n\r\n")
        self.writer.write(response)

    def header(self, name: str) -> str:
        for line in self.request.decode().split("\r\n"):
            found, _, value = line.partition(": ")
            if found.lower() == name.lower():
                return value
        return ""

    def send(self, opcode: int, payload: bytes = b"", *, is_final: bool = True) -> None:
        self.writer.write(frame(opcode, payload, is_final=is_final))

    async def receive(self) -> tuple[int, bytes]:
        """Return the opcode and the payload of the next frame."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        mask = int.from_bytes(await self.reader.readexactly(4)) if second & 0x80 else 0
        payload = await self.reader.readexactly(size)
        keys = (mask.to_bytes(4) * (size // 4 + 1))[:size]
        plain = int.from_bytes(payload) ^ int.from_bytes(keys)
        return first & 0x0F, plain.to_bytes(size)

    async def receive_close(self) -> int:
        """Return the code of the CLOSE frame, which must be the next frame except for pings."""
        while True:
            opcode, payload = await self.receive()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2])
            if opcode != PING:
                raise AssertionError(f"a frame of opcode {opcode:#x} came instead of a CLOSE")

    async def gone(self) -> None:
        """Read until the stream ends, for whatever reason."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 20):
                pass


def frame(opcode: int, payload: bytes = b"", *, is_final: bool = True, reserved: int = 0) -> bytes:
    """Return one unmasked frame, as servers send them."""
    first = (0x80 if is_final else 0) | reserved << 4 | opcode
    size = len(payload)
    if size < 126:
        header = struct.pack("!BB", first, size)
    elif size < 1 << 16:
        header = struct.pack("!BBH", first, 126, size)
    else:
        header = struct.pack("!BBQ", first, 127, size)
    return header + payload


def closing(code: int, reason: str = "") -> bytes:
    """Return a CLOSE frame."""
    return frame(CLOSE, code.to_bytes(2) + reason.encode())


class RawServer:
    """Listening socket that runs a script once for each connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.scripts: list[asyncio.Future[None]] = []

    async def finished(self) -> None:
        """Wait for the scripts, and raise the first error of one."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self.scripts)


@contextlib.asynccontextmanager
async def raw_server(script: Callable[[Peer], Awaitable[None]]) -> AsyncGenerator[RawServer]:
    """Serve `script`; leaving the context hangs up, and raises the first error of a script."""
    loop = asyncio.get_running_loop()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done = loop.create_future()
        served.scripts.append(done)
        try:
            await script(Peer(reader, writer))
            done.set_result(None)
        except asyncio.CancelledError:
            done.cancel()
        except Exception as error:  # noqa: BLE001  # `finished` raises it in the test
            done.set_exception(error)
        finally:
            writer.transport.abort()

    # The limit allows for the large frames of the checks.
    server = await asyncio.start_server(run, "127.0.0.1", 0, limit=1 << 26)
    port = server.sockets[0].getsockname()[1]
    served = RawServer(f"ws://127.0.0.1:{port}/v1/realtime")
    async with server:
        yield served
        await served.finished()

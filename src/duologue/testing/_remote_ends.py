"""The far ends of the transports that duologue has, for their contract's checks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from duologue.testing._raw_server import (
    BINARY,
    CONTINUATION,
    PATIENCE,
    PING,
    PONG,
    TEXT,
    Peer,
    closing,
    raw_server,
)
from duologue.transport import MemoryTransport, Receiver, Transport, memory_pair

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from duologue.errors import ConnectionLost
    from duologue.testing.transports import Far, MakeLink

__all__ = ["in_memory", "over_websocket"]


def over_websocket(connect: Callable[[str, Receiver], Awaitable[Transport]]) -> MakeLink:
    """Return what opens connections to a server of raw sockets.

    Args:
        connect: Opens a WebSocket at a URL. Keep its time-out of closing short: some checks wait
            for it, since the far end of them answers nothing.
    """

    @contextlib.asynccontextmanager
    async def make(receiver: Receiver) -> AsyncGenerator[tuple[Transport, Far]]:
        fars: list[_SocketFar] = []

        async def script(peer: Peer) -> None:
            await peer.accept(then=b"")
            fars.append(_SocketFar(peer))
            await fars[0].is_reading.wait()
            await peer.gone()

        async with raw_server(script) as server:
            near = await connect(server.url, receiver)
            try:
                yield near, fars[0]
            finally:
                async with asyncio.timeout(PATIENCE):
                    await near.close()
                fars[0].read_on()

    return make


class _SocketFar:
    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.is_reading = asyncio.Event()

    async def send(self, *fragments: bytes, is_text: bool = True) -> None:
        opcode = TEXT if is_text else BINARY
        for number, fragment in enumerate(fragments, start=1):
            self._peer.send(opcode, fragment, is_final=number == len(fragments))
            opcode = CONTINUATION

    async def ping(self) -> None:
        self._peer.send(PING, b"alive?")
        if await self._peer.receive() != (PONG, b"alive?"):
            raise AssertionError("broken: a ping is answered by a pong of the same words")

    async def receive(self) -> bytes:
        opcode, payload = await self._peer.receive()
        if opcode != TEXT:
            raise AssertionError(f"broken: messages go out as text, not as opcode {opcode:#x}")
        return payload

    async def close(self, code: int, reason: str) -> None:
        self._peer.writer.write(closing(code, reason))

    async def closed_with(self) -> int:
        return await self._peer.receive_close()

    def cut(self) -> None:
        self._peer.writer.transport.abort()

    def read_on(self) -> None:
        self.is_reading.set()


@contextlib.asynccontextmanager
async def in_memory(receiver: Receiver) -> AsyncGenerator[tuple[Transport, Far]]:
    """Open a connection in memory."""
    far = _MemoryFar()
    near, far.end = memory_pair(receiver, far)
    far.end.pause_reading()
    try:
        yield near, far
    finally:
        far.read_on()
        await near.close()


class _MemoryFar:
    end: MemoryTransport

    def __init__(self) -> None:
        self._messages: asyncio.Queue[bytes] = asyncio.Queue()
        self._lost: asyncio.Future[ConnectionLost | None]
        self._lost = asyncio.get_running_loop().create_future()

    def on_frame(self, frame: bytes) -> None:
        self._messages.put_nowait(frame)

    def on_close(self, error: ConnectionLost | None) -> None:
        self._lost.set_result(error)

    async def send(self, *fragments: bytes, is_text: bool = True) -> None:
        del is_text  # in memory a message has no kind
        self.end.send(b"".join(fragments))

    async def ping(self) -> None:
        """Do nothing: memory has no pings."""

    async def receive(self) -> bytes:
        self.end.resume_reading()
        return await self._messages.get()

    async def close(self, code: int, reason: str) -> None:
        await self.end.close(code, reason)

    async def closed_with(self) -> int:
        self.end.resume_reading()
        lost = await self._lost
        return 0 if lost is None else lost.code or 0

    def cut(self) -> None:
        self.end.cut()

    def read_on(self) -> None:
        self.end.resume_reading()

"""Remote ends of a transport under test: over raw sockets, and in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

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
    from collections.abc import AsyncGenerator, Awaitable

    from duologue.errors import ConnectionLost

__all__ = ["MakeConnection", "RemoteEnd", "in_memory", "over_websocket"]


class RemoteEnd(Protocol):
    """Other end of the transport under test; it reads nothing until asked to."""

    async def send(self, *fragments: bytes, is_text: bool = True) -> None:
        """Send one message, in fragments and as binary data if the wire has such."""

    async def ping(self) -> None:
        """Send a ping and wait for its pong, if the wire has pings."""

    async def receive(self) -> bytes:
        """Return the next message."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close from this end, without waiting for the answer."""

    async def closed_with(self) -> int:
        """Return the code with which the transport under test closes."""
        ...

    def cut(self) -> None:
        """Break the connection, as a pulled cable does."""

    def read_on(self) -> None:
        """Read and discard everything from now on."""


MakeConnection = Callable[
    [Receiver], contextlib.AbstractAsyncContextManager[tuple[Transport, RemoteEnd]]
]
"""Opens a connection that pushes to a receiver; leaving the context closes it."""


def over_websocket(connect: Callable[[str, Receiver], Awaitable[Transport]]) -> MakeConnection:
    """Return a function that opens connections to a server of raw sockets.

    Args:
        connect: Opens a WebSocket at a URL. Give it a short close time-out: in some checks the
            remote end never answers, so they wait for it.
    """

    @contextlib.asynccontextmanager
    async def make(receiver: Receiver) -> AsyncGenerator[tuple[Transport, RemoteEnd]]:
        remotes: list[_SocketEnd] = []

        async def script(peer: Peer) -> None:
            await peer.accept(then=b"")
            remotes.append(_SocketEnd(peer))
            await remotes[0].is_reading.wait()
            await peer.gone()

        async with raw_server(script) as server:
            near = await connect(server.url, receiver)
            try:
                yield near, remotes[0]
            finally:
                async with asyncio.timeout(PATIENCE):
                    await near.close()
                remotes[0].read_on()

    return make


class _SocketEnd:
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
            raise AssertionError("broken: a ping is answered by a pong with the same payload")

    async def receive(self) -> bytes:
        opcode, payload = await self._peer.receive()
        if opcode != TEXT:
            raise AssertionError(f"broken: messages are sent as text, not with opcode {opcode:#x}")
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
async def in_memory(receiver: Receiver) -> AsyncGenerator[tuple[Transport, RemoteEnd]]:
    """Open a connection in memory."""
    remote = _MemoryEnd()
    near, remote.end = memory_pair(receiver, remote)
    remote.end.pause_reading()
    try:
        yield near, remote
    finally:
        remote.read_on()
        await near.close()


class _MemoryEnd:
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
        del is_text  # messages in memory are neither text nor binary
        self.end.send(b"".join(fragments))

    async def ping(self) -> None:
        """Do nothing, as there are no pings in memory."""

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

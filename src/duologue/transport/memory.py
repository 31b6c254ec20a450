"""Two transports that talk to each other in one process: for tests, and for embedding a server."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from duologue.errors import ConnectionLost
from duologue.transport.base import MAX_UNSENT_BYTES
from duologue.transport.delivery import Delivery, closed_by_peer, cut, receiver_failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.transport.base import Receiver

__all__ = ["MemoryTransport", "memory_pair"]

HIGH_WATER_BYTES: Final = 64 * 1024
"""Above this `MemoryTransport.drain` waits; asyncio's own default for sockets."""


def memory_pair(first: Receiver, second: Receiver) -> tuple[MemoryTransport, MemoryTransport]:
    """Return two joined ends: what one sends, the other's receiver gets.

    Call it in a running event loop. A frame arrives in the loop iteration after it was sent, in
    order: no receiver is called from inside a `send`, and two chatty ends cannot recurse.
    """
    ends = MemoryTransport(first), MemoryTransport(second)
    ends[0].join(ends[1])
    ends[1].join(ends[0])
    return ends


class MemoryTransport:
    """One end of a `memory_pair`."""

    __slots__ = ("_delivery", "_gone", "_incoming", "_loop", "_outgoing")

    def __init__(self, receiver: Receiver) -> None:
        self._loop = asyncio.get_running_loop()
        self._delivery = Delivery(receiver)
        self._incoming = _Pipe(self._take)
        self._outgoing = self._incoming
        self._gone = asyncio.Event()

    def join(self, peer: MemoryTransport) -> None:
        """Send to `peer` from now on; `memory_pair` does this."""
        self._outgoing = peer._incoming

    def send(self, frame: bytes) -> None:
        """Queue one message for the other end; see `Transport.send`."""
        self._delivery.check_open()
        if self._outgoing.waiting_bytes > MAX_UNSENT_BYTES:
            self._lose(ConnectionLost("the peer does not read what is sent", code=1006))
            self._delivery.check_open()
        self._outgoing.put(frame)

    async def drain(self) -> None:
        """Wait while the other end's queue is above its high-water mark; see `Transport.drain`."""
        await self._outgoing.room.wait()
        self._delivery.check_open()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close this end; the other one gets what was sent before, then the close code."""
        if self._delivery.end(None):
            self._outgoing.put(closed_by_peer(code, reason))
            self._finish_soon()
        await self._gone.wait()

    def cut(self) -> None:
        """Lose the connection as a broken cable does: both ends, with all that was under way."""
        self._lose(cut())

    def pause_reading(self) -> None:
        """Stop delivering to this end's receiver: a reader that is too slow."""
        self._incoming.pause()

    def resume_reading(self) -> None:
        """Deliver again."""
        self._incoming.resume()

    def _lose(self, lost: ConnectionLost) -> None:
        if self._delivery.end(lost):
            self._outgoing.cut(cut())
            self._finish_soon()

    def _take(self, item: bytes | ConnectionLost) -> None:
        if isinstance(item, ConnectionLost):
            self._delivery.end(item)
            self._finish()
            return
        failure = self._delivery.frame(item)
        if failure is not None and self._delivery.end(receiver_failed(failure)):
            self._outgoing.put(closed_by_peer(1011, ""))
            self._finish()

    def _finish_soon(self) -> None:
        self._incoming.shut()
        self._outgoing.room.set()
        self._loop.call_soon(self._finish)

    def _finish(self) -> None:
        self._incoming.shut()
        self._outgoing.room.set()
        self._delivery.report()
        self._gone.set()


class _Pipe:
    """One direction of a pair: a queue that empties itself into `take` an iteration later."""

    __slots__ = (
        "_is_paused",
        "_is_scheduled",
        "_is_shut",
        "_items",
        "_take",
        "room",
        "waiting_bytes",
    )

    def __init__(self, take: Callable[[bytes | ConnectionLost], None]) -> None:
        self._take = take
        self._items: deque[bytes | ConnectionLost] = deque()
        self._is_paused = self._is_scheduled = self._is_shut = False
        self.waiting_bytes = 0
        """What was put in and not taken; the sender refuses to go far beyond `MAX_UNSENT_BYTES`."""
        self.room = asyncio.Event()
        """Set while less than `HIGH_WATER_BYTES` wait, and when nobody reads any more."""
        self.room.set()

    def put(self, item: bytes | ConnectionLost) -> None:
        if self._is_shut:
            return  # as on a wire: what is sent to a peer that has left is lost
        self._items.append(item)
        if isinstance(item, bytes):
            self.waiting_bytes += len(item)
        if self.waiting_bytes > HIGH_WATER_BYTES:
            self.room.clear()
        self._schedule()

    def cut(self, lost: ConnectionLost) -> None:
        """Drop what waits, and hand over `lost` alone, even to a reader that pauses."""
        self._items.clear()
        self.waiting_bytes = 0
        self._is_paused = False
        self.put(lost)

    def shut(self) -> None:
        """Take nothing any more."""
        self._is_shut = True
        self._items.clear()
        self.waiting_bytes = 0
        self.room.set()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled and not self._is_paused:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._is_scheduled = False
        # Only what is here now: what the reader causes by it comes in the next iteration.
        for _ in range(len(self._items)):
            if self._is_paused or not self._items:
                break
            item = self._items.popleft()
            if isinstance(item, bytes):
                self.waiting_bytes -= len(item)
            self._take(item)
        if self.waiting_bytes <= HIGH_WATER_BYTES:
            self.room.set()

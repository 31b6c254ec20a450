"""Pair of transports in one process, for tests and for an embedded server."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from duologue.errors import ConnectionLost
from duologue.transport.base import MAX_UNSENT_BYTES
from duologue.transport.delivery import Delivery, closed_by_peer, connection_cut, receiver_failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.transport.base import Receiver

__all__ = ["MemoryTransport", "memory_pair"]

HIGH_WATER_BYTES: Final = 64 * 1024
"""Above this `MemoryTransport.drain` waits; asyncio's own default for sockets."""


def memory_pair(first: Receiver, second: Receiver) -> tuple[MemoryTransport, MemoryTransport]:
    """Return two joined ends: the receiver of each gets what the other end sends.

    Call it in a running event loop. Frames arrive in order, in the loop iteration after they were
    sent: no receiver is called from inside a `send`, so two ends that answer each other do not
    recurse.
    """
    ends = MemoryTransport(first), MemoryTransport(second)
    ends[0].join(ends[1])
    ends[1].join(ends[0])
    return ends


class MemoryTransport:
    """One end of a `memory_pair`."""

    __slots__ = ("_delivery", "_gone", "_incoming", "_loop", "_outgoing")

    def __init__(self, receiver: Receiver) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._delivery: Final = Delivery(receiver)
        self._incoming: Final = _Pipe(self._process)
        self._outgoing = self._incoming
        self._gone: Final = asyncio.Event()

    def join(self, peer: MemoryTransport) -> None:
        """Send to `peer` from now on; `memory_pair` does this."""
        self._outgoing = peer._incoming

    def send(self, frame: bytes) -> None:
        """Queue one message for the other end; see `Transport.send`."""
        if not self._delivery.is_open:
            self._delivery.check_open()
        if self._outgoing.waiting_bytes > MAX_UNSENT_BYTES:
            self._lose(ConnectionLost("the peer does not read what is sent", code=1006))
            self._delivery.check_open()
        self._outgoing.put(frame)

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the other end has not received."""
        return self._outgoing.waiting_bytes

    async def drain(self) -> None:
        """Wait while the other end's queue is above its high-water mark; see `Transport.drain`."""
        await self._outgoing.room.wait()
        self._delivery.check_open()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close this end; the other end gets the frames sent before, then the close code."""
        if self._delivery.end(None):
            self._outgoing.put(closed_by_peer(code, reason))
            self._finish_soon()
        await self._gone.wait()

    def cut(self) -> None:
        """Break the connection at both ends; frames on their way are lost."""
        self._lose(connection_cut())

    def pause_reading(self) -> None:
        """Stop delivering to this end's receiver, as a slow reader would."""
        self._incoming.pause()

    def resume_reading(self) -> None:
        """Deliver again, in order."""
        self._incoming.resume()

    def _lose(self, lost: ConnectionLost) -> None:
        if self._delivery.end(lost):
            self._outgoing.cut(connection_cut())
            self._finish_soon()

    def _process(self, item: bytes | ConnectionLost) -> None:
        if isinstance(item, ConnectionLost):
            self._delivery.end(item)
            self._finish()
            return
        failure = self._delivery.deliver(item)
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
        self._delivery.report_end()
        self._gone.set()


class _Pipe:
    """One direction of a pair: a queue that passes its items to `deliver` one iteration later."""

    __slots__ = (
        "_call_soon", "_deliver", "_is_paused", "_is_scheduled", "_is_shut", "_items", "room",
        "waiting_bytes",
    )  # fmt: skip

    def __init__(self, deliver: Callable[[bytes | ConnectionLost], None]) -> None:
        self._call_soon: Final = asyncio.get_running_loop().call_soon
        self._deliver: Final = deliver
        self._items: Final = deque[bytes | ConnectionLost]()
        self._is_paused = self._is_scheduled = self._is_shut = False
        self.waiting_bytes = 0
        """Size of the queue; `MemoryTransport.send` fails when it exceeds `MAX_UNSENT_BYTES`."""
        self.room: Final = asyncio.Event()
        """Set while at most `HIGH_WATER_BYTES` wait, and once the reading end is closed."""
        self.room.set()

    def put(self, item: bytes | ConnectionLost) -> None:
        if self._is_shut:
            return  # as on a network: frames to a peer that has left are lost
        self._items.append(item)
        if isinstance(item, bytes):
            self.waiting_bytes += len(item)
        if self.waiting_bytes > HIGH_WATER_BYTES:
            self.room.clear()
        if not self._is_scheduled and not self._is_paused:
            self._is_scheduled = True
            self._call_soon(self._pump)

    def cut(self, lost: ConnectionLost) -> None:
        """Drop the queue and deliver `lost` alone, even to a paused reader."""
        self._items.clear()
        self.waiting_bytes = 0
        self._is_paused = False
        self.put(lost)

    def shut(self) -> None:
        """Drop the queue and whatever comes later."""
        self._is_shut = True
        self._items.clear()
        self.waiting_bytes = 0
        self.room.set()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        self._is_paused = False
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_soon(self._pump)

    def _pump(self) -> None:
        self._is_scheduled = False
        # Only the items queued now: those that the reader adds wait for the next iteration.
        for _ in range(len(self._items)):
            if self._is_paused or not self._items:
                break
            item = self._items.popleft()
            if isinstance(item, bytes):
                self.waiting_bytes -= len(item)
            self._deliver(item)
        if self.waiting_bytes <= HIGH_WATER_BYTES:
            self.room.set()

"""One direction of a connection through the chaos proxy: computes which bytes are forwarded when.

Nothing here waits or reads a clock: `now` is the time of the event loop, in seconds.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.testing._frame_scanner import FrameScanner

__all__ = ["MAX_WAITING_BYTES", "Conditions", "Cut", "Hangup", "Link"]

MAX_WAITING_BYTES: Final = 1 << 20
"""Bytes that wait in one direction before the sender is no longer read, as with a TCP window."""

CHUNK_BYTES: Final = 256
"""Memory that a chunk takes besides its bytes; without it, very small chunks had no bound."""

SLICE_SECONDS: Final = 0.02
"""Time that one piece takes on a slow link; smaller pieces are smoother, and cost more."""

Hangup: TypeAlias = Literal["close", "reset"]
"""End of a TCP connection: an orderly FIN, or an RST."""


@dataclass(slots=True)
class Conditions:
    """State of the network in one direction; its links look it up whenever they need it."""

    delay: float = 0.0
    jitter: float = 0.0
    bytes_per_second: float = math.inf
    is_stalled: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """Cut that is still to come."""

    after_bytes: int | None
    """Number of bytes that are still forwarded; `None`: up to the middle of the next data frame."""
    ending: Hangup


@dataclass(slots=True)
class _Chunk:
    """Bytes that arrived together, or the end of the stream."""

    arrived: float
    luck: float
    """Its part of the jitter, from 0 to 1."""
    data: memoryview
    hangup: Hangup | None = None


class Link:
    """Queue of bytes that are forwarded in order, when the conditions allow it.

    A change of the conditions also applies to the bytes that wait.
    """

    def __init__(
        self,
        conditions: Conditions,
        dice: Callable[[], float],
        scanner: FrameScanner | None = None,
    ) -> None:
        """Make an empty link.

        Args:
            conditions: Conditions of the network.
            dice: Returns the luck of each chunk, from 0 to 1.
            scanner: Finds the frames in what is forwarded, if it is a WebSocket connection.
        """
        self._conditions: Final = conditions
        self._dice: Final = dice
        self._scanner: Final = scanner
        self._waiting: deque[_Chunk] = deque()
        self._waiting_bytes = 0
        self._busy_until = -math.inf
        self._cut: Cut | None = None
        self._bytes_to_cut: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether the sender should wait."""
        return self._waiting_bytes + CHUNK_BYTES * len(self._waiting) >= MAX_WAITING_BYTES

    @property
    def reached_cut(self) -> Cut | None:
        """Cut, once all bytes before it were taken; nothing must be taken then."""
        return self._cut if self._bytes_to_cut == 0 else None

    def push(self, data: bytes, now: float) -> None:
        """Add bytes that have arrived."""
        self._waiting.append(_Chunk(now, self._dice(), memoryview(data)))
        self._waiting_bytes += len(data)

    def hang_up(self, hangup: Hangup, now: float) -> None:
        """Add the end of the stream, which is forwarded behind the bytes before it."""
        self._waiting.append(_Chunk(now, self._dice(), memoryview(b""), hangup))

    def clear(self) -> None:
        """Drop all that waits."""
        self._waiting.clear()
        self._waiting_bytes = 0

    def cut(self, cut: Cut | None) -> None:
        """Cut the link at a place to come, or no longer."""
        self._cut = cut
        self._bytes_to_cut = None if cut is None else cut.after_bytes

    def restart(self, now: float) -> None:
        """Note that nothing could be forwarded until now, so that no bandwidth was saved up."""
        self._busy_until = max(self._busy_until, now)

    def next_due(self) -> float | None:
        """Return when to call `take`; `None` if nothing waits, or the network is stalled."""
        conditions = self._conditions
        if not self._waiting or conditions.is_stalled:
            return None
        head = self._waiting[0]
        arrives = head.arrived + conditions.delay + conditions.jitter * head.luck
        # After the piece before it, by its due time: a late timer does not slow the link down.
        start = max(arrives, self._busy_until)
        return start + self._piece_size(head) / conditions.bytes_per_second

    def take(self, now: float) -> bytes | Hangup | None:
        """Return the next piece to forward, or the end of the stream, if it is due."""
        due = self.next_due()
        if due is None or due > now:
            return None
        self._busy_until = due
        head = self._waiting[0]
        if head.hangup is not None:
            self._waiting.popleft()
            return head.hangup
        piece = self._before_cut(bytes(head.data[: self._piece_size(head)]))
        head.data = head.data[len(piece) :]
        self._waiting_bytes -= len(piece)
        if not head.data:
            self._waiting.popleft()
        return piece

    def _piece_size(self, chunk: _Chunk) -> int:
        rate = self._conditions.bytes_per_second
        most = math.inf if rate == math.inf else max(1, int(rate * SLICE_SECONDS))
        return int(min(len(chunk.data), most))

    def _before_cut(self, piece: bytes) -> bytes:
        """Return what of the piece is forwarded before a cut."""
        payloads = [] if self._scanner is None else self._scanner.scan(piece)
        if self._cut is None:
            return piece
        if self._bytes_to_cut is None:
            # The middle of the payload may be in a later piece.
            middles = (
                each.start + each.size // 2 for each in payloads if each.is_data and each.size
            )
            self._bytes_to_cut = next(middles, None)
        if self._bytes_to_cut is not None:
            piece = piece[: self._bytes_to_cut]
            self._bytes_to_cut -= len(piece)
        return piece

"""One direction of a connection, simulated: computes when each item put on it arrives.

Items arrive in order and never before an earlier item, as on one TCP connection. The exception is
an item that a `Reorder` fault holds back: it arrives behind the items that overtake it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from duologue.server.faults.plan import Verdict

__all__ = ["Arrival", "DelayLine"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrival(Generic[T]):
    """An item, and when it arrives."""

    item: T
    size: int
    """Bytes."""
    due: float
    """Monotonic seconds."""


@dataclass(slots=True)
class _Held(Generic[T]):
    """An item that waits to be overtaken."""

    item: T
    size: int
    verdict: Verdict
    left: int
    """How many items must still overtake it."""
    until: float
    """When it arrives even if fewer have; monotonic seconds."""


class DelayLine(Generic[T]):
    """Line that delays its items; holds back at most one, until others overtake it."""

    def __init__(self) -> None:
        self._last_due = -math.inf
        self._busy_until = -math.inf
        self._stalled_until = -math.inf
        self._held: _Held[T] | None = None

    def put(self, item: T, size: int, verdict: Verdict, now: float) -> list[Arrival[T]]:
        """Put an item on the line; return what arrives because of it, in order."""
        if verdict.is_dropped:
            return []
        if self._held is None:
            if verdict.overtaken_by:
                until = now + verdict.within
                self._held = _Held(item, size, verdict, verdict.overtaken_by, until)
                return []
            return self._timed(item, size, verdict, now)
        # This item overtakes the one that is held back, so it does not wait for its own `Reorder`.
        self._held.left -= 1
        arrivals = self._timed(item, size, verdict, now)
        return arrivals + self._release(now) if self._held.left <= 0 else arrivals

    def stall(self, until: float) -> None:
        """Let nothing arrive before `until`; if it is infinite, nothing arrives any more."""
        self._stalled_until = max(self._stalled_until, until)

    def next_deadline(self) -> float | None:
        """Return when to call `take_due`, in monotonic seconds."""
        return None if self._held is None else self._held.until

    def take_due(self, now: float) -> list[Arrival[T]]:
        """Return the item that was held back, if its time is over."""
        is_due = self._held is not None and self._held.until <= now
        return self._release(now) if is_due else []

    def _release(self, now: float) -> list[Arrival[T]]:
        held, self._held = self._held, None
        return [] if held is None else self._timed(held.item, held.size, held.verdict, now)

    def _timed(self, item: T, size: int, verdict: Verdict, now: float) -> list[Arrival[T]]:
        if self._stalled_until == math.inf:
            return []
        return [Arrival(item, size, self._due(size, verdict, now)) for _ in range(verdict.copies)]

    def _due(self, size: int, verdict: Verdict, now: float) -> float:
        # The line carries one frame at a time at its bandwidth; latency comes on top and overlaps.
        # `_last_due` keeps the order when a later frame has less jitter than an earlier one.
        self._busy_until = max(self._busy_until, now) + size / verdict.bytes_per_second
        self._last_due = max(self._last_due, self._stalled_until, self._busy_until + verdict.delay)
        return self._last_due

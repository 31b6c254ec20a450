"""One direction of a connection: when what is put on it arrives.

What goes in comes out in the same order and never earlier than what went before, but for what a
`Reorder` holds back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from duologue.server.faults.plan import Fate

__all__ = ["Arrival", "Line"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Arrival(Generic[T]):
    """Something that goes through, and when it is there."""

    item: T
    size: int
    """Bytes."""
    due: float
    """Monotonic seconds."""


@dataclass(slots=True)
class _Held(Generic[T]):
    """Something that waits to be overtaken."""

    item: T
    size: int
    fate: Fate
    left: int
    until: float


class Line(Generic[T]):
    """Times what is put on it; keeps at most one item, that waits to be overtaken."""

    def __init__(self) -> None:
        self._last_due = -math.inf
        self._busy_until = -math.inf
        self._stalled_until = -math.inf
        self._held: _Held[T] | None = None

    def put(self, item: T, size: int, fate: Fate, now: float) -> list[Arrival[T]]:
        """Return what goes through because of this item, in order."""
        if fate.is_dropped:
            return []
        if self._held is None:
            if fate.overtaken_by:
                until = now + fate.within
                self._held = _Held(item, size, fate, fate.overtaken_by, until)
                return []
            return self._timed(item, size, fate, now)
        self._held.left -= 1
        arrivals = self._timed(item, size, fate, now)
        return arrivals + self._release(now) if self._held.left <= 0 else arrivals

    def stall(self, until: float) -> None:
        """Let nothing more arrive before a time; infinite: nothing arrives any more."""
        self._stalled_until = max(self._stalled_until, until)

    def next_deadline(self) -> float | None:
        """Return when to ask `take_due`."""
        return None if self._held is None else self._held.until

    def take_due(self, now: float) -> list[Arrival[T]]:
        """Return what has waited long enough to be overtaken."""
        is_due = self._held is not None and self._held.until <= now
        return self._release(now) if is_due else []

    def _release(self, now: float) -> list[Arrival[T]]:
        held, self._held = self._held, None
        return [] if held is None else self._timed(held.item, held.size, held.fate, now)

    def _timed(self, item: T, size: int, fate: Fate, now: float) -> list[Arrival[T]]:
        if self._stalled_until == math.inf:
            return []
        return [Arrival(item, size, self._due(size, fate, now)) for _ in range(fate.copies)]

    def _due(self, size: int, fate: Fate, now: float) -> float:
        self._busy_until = max(self._busy_until, now) + size / fate.bytes_per_second
        self._last_due = max(self._last_due, self._stalled_until, self._busy_until + fate.delay)
        return self._last_due

"""A bounded queue of what the application has yet to take."""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

__all__ = ["BACKLOG", "CAPACITY", "Buffer"]

T = TypeVar("T")

BACKLOG: Final = 32
"""Entries of each lane that wait for a reader who has not begun: how a session opens.

No more: who never reads pays for each entry with what it drives out of the processor's caches.
"""

CAPACITY: Final = 8192
"""Entries of each lane that wait for a reader who has: minutes of speech in 200 ms deltas."""


class Buffer(Generic[T]):
    """Two lanes in one order; each forgets its oldest entry when it is full.

    What repeats other entries (the raw events) has a lane of its own, so that it never pushes out
    what is told once.
    """

    __slots__ = ("_lanes", "_put", "_taken")

    def __init__(self, capacity: int = BACKLOG) -> None:
        self._lanes: tuple[deque[tuple[int, T]], deque[tuple[int, T]]] = (
            deque(maxlen=capacity),
            deque(maxlen=capacity),
        )
        self._put = self._taken = 0

    def __len__(self) -> int:
        return len(self._lanes[0]) + len(self._lanes[1])

    @property
    def dropped(self) -> int:
        """Entries that nobody took in time."""
        return self._put - self._taken - len(self)

    def widen(self, capacity: int) -> None:
        """Hold more from now on."""
        first, second = self._lanes
        if capacity > (first.maxlen or 0):
            self._lanes = deque(first, capacity), deque(second, capacity)

    def put(self, entry: T | None, repeat: T | None = None) -> None:
        """Add an entry, and one that repeats it or others."""
        entries, repeats = self._lanes
        if entry is not None:
            entries.append((self._put, entry))
            self._put += 1
        if repeat is not None:
            repeats.append((self._put, repeat))
            self._put += 1

    def take(self) -> T:
        """Return the oldest entry, and forget it; there must be one."""
        self._taken += 1
        first, second = self._lanes
        if not second or (first and first[0][0] < second[0][0]):
            return first.popleft()[1]
        return second.popleft()[1]

    def clear(self) -> None:
        """Forget everything."""
        self._taken += len(self)
        for lane in self._lanes:
            lane.clear()

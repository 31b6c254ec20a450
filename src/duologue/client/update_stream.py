"""Updates for `async for`: a bounded queue, and the task that waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from duologue.errors import LocalProtocolError
from duologue.session.updates import RealtimeEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BACKLOG", "CAPACITY", "TwoLaneQueue", "UpdateStream"]

T = TypeVar("T")

BACKLOG: Final = 32
"""Raw events that wait for an iteration that has not begun; with callbacks, also other updates.

No more, because they hold the audio of a session, and an application without an iteration pays for
each entry in processor caches.
"""

CAPACITY: Final = 8192
"""Entries of each lane that wait for an iteration: minutes of speech in 200 ms deltas."""


class TwoLaneQueue(Generic[T]):
    """A bounded queue of two lanes in one order; each drops its oldest entry when it is full.

    Entries that repeat others have a lane of their own, so that they never displace an entry that
    is not repeated: a raw event repeats the updates that it caused.
    """

    __slots__ = ("_firsts", "_lanes", "_repeats", "_taken", "waiter")

    def __init__(self, capacity: int = CAPACITY, repeats_capacity: int = CAPACITY) -> None:
        # An entry that repeats others comes with the number of the others that were put before it.
        self._lanes: tuple[deque[T], deque[tuple[int, T]]] = (
            deque(maxlen=capacity),
            deque(maxlen=repeats_capacity),
        )
        self._firsts = self._repeats = self._taken = 0  # entries that were put, and taken
        self.waiter: asyncio.Future[None] | None = None
        """Completed when an entry is added; whoever waits sets it."""

    def __len__(self) -> int:
        return len(self._lanes[0]) + len(self._lanes[1])

    @property
    def dropped(self) -> int:
        """Entries that were dropped."""
        return self._firsts + self._repeats - self._taken - len(self)

    def resize(self, capacity: int) -> None:
        """Hold this many entries in each lane from now on, the latest ones."""
        first, second = self._lanes
        if first.maxlen != capacity or second.maxlen != capacity:
            self._lanes = deque(first, capacity), deque(second, capacity)

    def put(self, entries: Iterable[T], repeats: type | None = RealtimeEvent) -> None:
        """Add entries; those of the class `repeats` repeat others."""
        first, second = self._lanes
        for entry in entries:
            if entry.__class__ is repeats:
                second.append((self._firsts, entry))
                self._repeats += 1
            else:
                first.append(entry)
                self._firsts += 1
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def take(self) -> T:
        """Remove the oldest entry and return it; there must be one."""
        self._taken += 1
        first, second = self._lanes
        if not second or (first and self._firsts - len(first) < second[0][0]):
            return first.popleft()
        return second.popleft()[1]

    def clear(self) -> None:
        """Remove all entries."""
        self._taken += len(self)
        for lane in self._lanes:
            lane.clear()


class UpdateStream(Generic[T]):
    """An asynchronous iterator for one task at a time.

    It buffers from the beginning, so that an iteration that begins later misses nothing, and one
    that was left can be resumed. See `TwoLaneQueue` for what happens if it is too slow.
    """

    __slots__ = ("__weakref__", "_ending", "_is_over", "_queue", "is_read", "keeps_backlog", "put")

    def __init__(self) -> None:
        self._queue: Final[TwoLaneQueue[T]] = TwoLaneQueue(CAPACITY, BACKLOG)
        self.put: Final = self._queue.put
        """Adds entries."""
        self.is_read: bool = False
        """Whether an iteration has begun."""
        self.keeps_backlog: bool = True
        """Whether all updates wait for an iteration that has not begun; see `keep_recent`."""
        self._ending: Exception | None = None
        self._is_over = False

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def dropped(self) -> int:
        """Entries that were dropped because the iteration was too slow."""
        return self._queue.dropped

    def end(self, ending: Exception | None) -> None:
        """End the stream after what is buffered, with this exception if there is one."""
        self._is_over, self._ending = True, ending
        self._queue.put(())

    def keep_recent(self) -> None:
        """Keep only the latest entries: callbacks get them all, so an iteration is unlikely."""
        self.keeps_backlog = False
        self._queue.resize(BACKLOG)

    def __aiter__(self) -> UpdateStream[T]:
        self._queue.resize(CAPACITY)
        self.is_read, self.keeps_backlog = True, False
        return self

    async def __anext__(self) -> T:
        """Return the next entry.

        Raises:
            LocalProtocolError: If another task waits for it already.
        """
        while not self._queue:
            if self._is_over:
                if self._ending is not None:
                    raise self._ending.with_traceback(None)
                raise StopAsyncIteration
            if self._queue.waiter is not None:
                raise LocalProtocolError("another task iterates over this stream already")
            self._queue.waiter = asyncio.get_running_loop().create_future()
            try:
                await self._queue.waiter
            finally:
                self._queue.waiter = None
        return self._queue.take()

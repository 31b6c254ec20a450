"""Updates for `async for`: a bounded queue, and the tasks that wait for it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

from duologue.errors import LocalProtocolError

__all__ = ["BACKLOG", "CAPACITY", "TwoLaneQueue", "UpdateStream", "Wakeup"]

T = TypeVar("T")

BACKLOG: Final = 32
"""Entries of each lane that wait for an iteration that has not begun: the opening of a session.

No more, because an application without an iteration pays for each entry in processor caches.
"""

CAPACITY: Final = 8192
"""Entries of each lane that wait for an iteration: minutes of speech in 200 ms deltas."""


class Wakeup:
    """Wakes up the tasks that wait for anything new in a session."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: Final[set[asyncio.Future[None]]] = set()
        """Nearly always empty: check it before calling `wake`."""

    async def wait(self) -> None:
        """Wait until something is new."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.add(future)
        try:
            await future
        finally:
            self.waiting.discard(future)

    def wake(self) -> None:
        """Wake up all waiting tasks."""
        for future in self.waiting:
            if not future.done():
                future.set_result(None)


class TwoLaneQueue(Generic[T]):
    """A bounded queue of two lanes in one order; each drops its oldest entry when it is full.

    Entries that repeat others (raw events repeat updates) have a lane of their own, so that they
    never displace an entry that is not repeated.
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
        """Entries that were dropped."""
        return self._put - self._taken - len(self)

    def widen(self, capacity: int) -> None:
        """Hold more entries from now on."""
        first, second = self._lanes
        if capacity > (first.maxlen or 0):
            self._lanes = deque(first, capacity), deque(second, capacity)

    def put(self, entry: T) -> None:
        """Add an entry."""
        self._lanes[0].append((self._put, entry))
        self._put += 1

    def put_repeat(self, entry: T) -> None:
        """Add an entry that repeats others."""
        self._lanes[1].append((self._put, entry))
        self._put += 1

    def take(self) -> T:
        """Remove the oldest entry and return it; there must be one."""
        self._taken += 1
        first, second = self._lanes
        if not second or (first and first[0][0] < second[0][0]):
            return first.popleft()[1]
        return second.popleft()[1]

    def clear(self) -> None:
        """Remove all entries."""
        self._taken += len(self)
        for lane in self._lanes:
            lane.clear()


class UpdateStream(Generic[T]):
    """An asynchronous iterator for one task at a time.

    It buffers from the beginning, so that an iteration that begins later misses nothing recent, and
    one that was left can be resumed. See `TwoLaneQueue` for what happens if it is too slow.
    """

    __slots__ = (
        "_ending", "_is_iterated", "_is_over", "_queue", "_wakeup", "put", "put_repeat",
    )  # fmt: skip

    def __init__(self, wakeup: Wakeup) -> None:
        self._queue: Final[TwoLaneQueue[T]] = TwoLaneQueue()
        self.put: Final = self._queue.put
        """Adds an entry; call `Wakeup.wake` afterwards."""
        self.put_repeat: Final = self._queue.put_repeat
        """Adds an entry that repeats others; see `TwoLaneQueue`."""
        self._wakeup: Final = wakeup
        self._is_iterated = False
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
        self._wakeup.wake()

    def __aiter__(self) -> UpdateStream[T]:
        self._queue.widen(CAPACITY)
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
            if self._is_iterated:
                raise LocalProtocolError("another task iterates over this stream already")
            self._is_iterated = True
            try:
                await self._wakeup.wait()
            finally:
                self._is_iterated = False
        return self._queue.take()

"""The view of `async for`: entries in order, then the ending."""

from __future__ import annotations

import asyncio
from typing import Final, Generic, TypeVar

from duologue.client.buffer import CAPACITY, Buffer
from duologue.errors import LocalProtocolError

__all__ = ["Reader"]

T = TypeVar("T")


class Reader(Generic[T]):
    """One stream of entries for one task at a time.

    It buffers from the beginning, so that who iterates later misses nothing recent, and a loop that
    was left can be taken up again. See `Buffer` for what happens to a reader that is too slow.
    """

    __slots__ = ("_buffer", "_ending", "_is_over", "_waiter", "put")

    def __init__(self) -> None:
        self._buffer: Buffer[T] = Buffer()
        self.put: Final = self._buffer.put
        """Adds an entry, without waking who waits."""
        self._waiter: asyncio.Future[None] | None = None
        self._ending: Exception | None = None
        self._is_over = False

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def dropped(self) -> int:
        """Entries that were not taken in time."""
        return self._buffer.dropped

    def wake(self) -> None:
        """Let who waits go on, after everything that comes first was done."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def end(self, ending: Exception | None) -> None:
        """End the stream after what is buffered: by this error, or normally."""
        self._is_over, self._ending = True, ending
        self.wake()

    def __aiter__(self) -> Reader[T]:
        self._buffer.widen(CAPACITY)
        return self

    async def __anext__(self) -> T:
        """Return the next entry.

        Raises:
            LocalProtocolError: If another task waits for it already.
        """
        while not self._buffer:
            if self._is_over:
                if self._ending is not None:
                    raise self._ending.with_traceback(None)
                raise StopAsyncIteration
            if self._waiter is not None:
                raise LocalProtocolError("another task iterates over this stream already")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._buffer.take()

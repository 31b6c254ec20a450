"""The view of `async for`: entries in order, then the ending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from duologue.client.buffer import CAPACITY, Buffer
from duologue.errors import LocalProtocolError

if TYPE_CHECKING:
    from duologue.client.news import News

__all__ = ["Reader"]

T = TypeVar("T")


class Reader(Generic[T]):
    """One stream of entries for one task at a time.

    It buffers from the beginning, so that who iterates later misses nothing recent, and a loop that
    was left can be taken up again. See `Buffer` for what happens to a reader that is too slow.
    """

    __slots__ = ("_buffer", "_ending", "_is_over", "_is_read", "_news", "put")

    def __init__(self, news: News) -> None:
        self._buffer: Buffer[T] = Buffer()
        self.put: Final = self._buffer.put
        """Adds what the news will be about."""
        self._news: Final = news
        self._is_read = False
        self._ending: Exception | None = None
        self._is_over = False

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def dropped(self) -> int:
        """Entries that were not taken in time."""
        return self._buffer.dropped

    def end(self, ending: Exception | None) -> None:
        """End the stream after what is buffered: by this error, or normally."""
        self._is_over, self._ending = True, ending
        self._news.tell()

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
            if self._is_read:
                raise LocalProtocolError("another task iterates over this stream already")
            self._is_read = True
            try:
                await self._news.wait()
            finally:
                self._is_read = False
        return self._buffer.take()

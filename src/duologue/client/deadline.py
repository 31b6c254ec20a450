"""One time limit for several waits in a row."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["Deadline"]

T = TypeVar("T")


class Deadline:
    """The end of a time limit, which begins now.

    Args:
        seconds: The limit.
    """

    __slots__ = ("_seconds", "at")

    def __init__(self, seconds: float) -> None:
        self._seconds: Final = seconds
        self.at: Final = asyncio.get_running_loop().time() + seconds
        """The end, on the event loop's clock."""

    @property
    def remaining(self) -> float:
        """Seconds until the end; 0 after it."""
        return max(0.0, self.at - asyncio.get_running_loop().time())

    async def limit(self, awaitable: Awaitable[T], failure: str) -> T:
        """Await something until the end.

        Args:
            awaitable: What to await.
            failure: What did not happen, for the error: "the server sent nothing".

        Raises:
            TimeoutError: If it takes longer.
        """
        timeout = asyncio.timeout_at(self.at)
        try:
            async with timeout:
                return await awaitable
        except TimeoutError:
            if not timeout.expired():
                raise
            raise TimeoutError(f"{failure} within {self._seconds:g} s") from None

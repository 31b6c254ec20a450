"""Bounded queue of outgoing frames."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

__all__ = ["ROOM_BYTES", "SendQueue"]

ROOM_BYTES: Final = 1 << 20
"""Above this the producers of frames wait: 16 s of speech in base64."""

T = TypeVar("T")


class SendQueue(Generic[T]):
    """Queue with any number of producers and one consumer.

    `put_nowait` never refuses: producers are expected to wait for `room` first.
    """

    def __init__(self) -> None:
        self._waiting: Final[deque[tuple[T, int, float]]] = deque()
        self.size: int = 0
        """Bytes that wait."""
        self._filled: Final = asyncio.Event()
        self._has_room: Final = asyncio.Event()
        self._has_room.set()
        self._is_empty: Final = asyncio.Event()
        self._is_empty.set()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def has_room(self) -> bool:
        """Whether `room` would return at once."""
        return self._has_room.is_set()

    def put_nowait(self, item: T, size: int, due: float = 0.0) -> None:
        """Add an item.

        Args:
            item: What is sent.
            size: Its bytes.
            due: The loop's time at which it may be taken; not before that of the item ahead.
        """
        self._waiting.append((item, size, due))
        self.size += size
        self._filled.set()
        self._is_empty.clear()
        if self.size > ROOM_BYTES:
            self._has_room.clear()

    async def take(self) -> T:
        """Return the next item, once there is one and it is due."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        if due := self._waiting[0][2]:
            await asyncio.sleep(due - asyncio.get_running_loop().time())
        item, size, _ = self._waiting.popleft()
        self.size -= size
        if self.size <= ROOM_BYTES:
            self._has_room.set()
        if not self._waiting:
            self._is_empty.set()
        return item

    def clear(self) -> None:
        """Drop everything that waits."""
        self._waiting.clear()
        self.size = 0
        self._has_room.set()
        self._is_empty.set()

    async def room(self) -> None:
        """Wait until the queue has room."""
        await self._has_room.wait()

    async def emptied(self) -> None:
        """Wait until everything was taken."""
        await self._is_empty.wait()

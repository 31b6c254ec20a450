"""What is on its way to somebody, with a bound."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

__all__ = ["ROOM_BYTES", "SendQueue"]

ROOM_BYTES: Final = 1 << 20
"""Nothing more is made while more than this waits: 16 s of speech in base64."""

T = TypeVar("T")


class SendQueue(Generic[T]):
    """A queue of frames or events: anybody puts, one takes."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[T, int, float]] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def is_empty(self) -> bool:
        """Whether everything was taken."""
        return not self._waiting

    def put_nowait(self, item: T, size: int, due: float = 0.0) -> None:
        """Add something.

        Args:
            item: What.
            size: Its bytes.
            due: The loop's time before which it is not taken; never less than that of the last.
        """
        self._waiting.append((item, size, due))
        self._bytes += size
        self._filled.set()
        self._is_empty.clear()
        if self._bytes > ROOM_BYTES:
            self._has_room.clear()

    @property
    def last_due(self) -> float:
        """The loop's time before which not everything is taken."""
        return self._waiting[-1][2] if self._waiting else 0.0

    async def take(self) -> T:
        """Return the next, when there is one and its time has come."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        if due := self._waiting[0][2]:
            await asyncio.sleep(due - asyncio.get_running_loop().time())
        item, size, _ = self._waiting.popleft()
        self._bytes -= size
        if self._bytes <= ROOM_BYTES:
            self._has_room.set()
        if not self._waiting:
            self._is_empty.set()
        return item

    async def emptied(self) -> None:
        """Wait until everything was taken."""
        await self._is_empty.wait()

    @property
    def has_room(self) -> bool:
        """Whether `room` would not wait: a timer for each event of audio costs more than it."""
        return self._has_room.is_set()

    async def room(self) -> None:
        """Wait until more may be made: by an engine, or by answering the client's next event."""
        await self._has_room.wait()

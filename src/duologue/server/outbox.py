"""Frames on their way to one client, with a bound."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

__all__ = ["ROOM_BYTES", "Outbox"]

ROOM_BYTES: Final = 1 << 20
"""Nothing more is made while more than this waits: 16 s of speech in base64."""


class Outbox:
    """A queue of frames: anybody puts, one writer takes."""

    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def put_nowait(self, frame: bytes) -> None:
        """Add a frame."""
        text = frame.decode()
        self._frames.append(text)
        self._bytes += len(text)
        self._filled.set()
        self._is_empty.clear()
        if self._bytes > ROOM_BYTES:
            self._has_room.clear()

    async def take(self) -> str:
        """Return the next frame, when there is one."""
        while not self._frames:
            self._filled.clear()
            await self._filled.wait()
        text = self._frames.popleft()
        self._bytes -= len(text)
        if self._bytes <= ROOM_BYTES:
            self._has_room.set()
        if not self._frames:
            self._is_empty.set()
        return text

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

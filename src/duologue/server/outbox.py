"""Frames on their way to one client, with a bound."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

__all__ = ["MAX_WAITING_BYTES", "ROOM_BYTES", "Outbox"]

ROOM_BYTES: Final = 1 << 20
"""An engine pauses while more than this waits: 16 s of speech in base64."""

MAX_WAITING_BYTES: Final = 16 << 20
"""A client that lets more than this wait reads too slowly, and is dropped."""


class Outbox:
    """A queue of frames: anybody puts, one writer takes."""

    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def is_overfull(self) -> bool:
        """Whether the client reads too slowly."""
        return self._bytes > MAX_WAITING_BYTES

    def put_nowait(self, frame: bytes) -> None:
        """Add a frame."""
        text = frame.decode()
        self._frames.append(text)
        self._bytes += len(text)
        self._filled.set()
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
        return text

    async def room(self) -> None:
        """Wait until an engine may make more."""
        await self._has_room.wait()

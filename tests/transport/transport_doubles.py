"""Doubles for tests of transports: a recording receiver, a scripted server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from duologue.testing._raw_server import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PATIENCE,
    PING,
    PONG,
    TEXT,
    Peer,
    RawServer,
    closing,
    frame,
    raw_server,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from duologue.errors import ConnectionLost
    from duologue.transport import Transport

    Connect = Callable[..., Awaitable[Transport]]

__all__ = [
    "BINARY", "CLOSE", "CONTINUATION", "PATIENCE", "PING", "PONG", "TEXT",
    "FailingReceiver", "Peer", "RawServer", "Recorder", "closing", "frame", "raw_server",
]  # fmt: skip


class Recorder:
    """Receiver that stores frames and endings, and can be waited on."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.endings: list[ConnectionLost | None] = []
        self._news = asyncio.Event()

    def on_frame(self, frame: bytes) -> None:
        assert not self.endings, "a frame after on_close"
        self.frames.append(frame)
        self._news.set()

    def on_close(self, error: ConnectionLost | None) -> None:
        self.endings.append(error)
        self._news.set()

    async def has_frames(self, count: int) -> list[bytes]:
        await self._until(lambda: len(self.frames) >= count)
        return self.frames

    async def ending(self) -> ConnectionLost | None:
        await self._until(lambda: bool(self.endings))
        assert len(self.endings) == 1
        return self.endings[0]

    async def loss(self) -> ConnectionLost:
        lost = await self.ending()
        assert lost is not None
        return lost

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not is_so():
                self._news.clear()
                await self._news.wait()


class FailingReceiver(Recorder):
    """Receiver that raises."""

    def on_frame(self, frame: bytes) -> None:
        raise ZeroDivisionError(frame)

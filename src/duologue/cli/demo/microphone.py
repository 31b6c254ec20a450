"""The user's voice, sent as a microphone sends it: all the time, or as fast as it goes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from duologue.cli.demo.speech import Utterance

__all__ = ["Microphone"]

FRAME_MS: Final = 20
_FRAME: Final = PCM16.bytes(FRAME_MS)


class Microphone:
    """Sends 20 ms of speech or silence every 20 ms."""

    def __init__(self, send: Callable[[bytes], None], drain: Callable[[], Awaitable[None]]) -> None:
        self._send = send
        self._drain = drain
        self._waiting = bytearray()
        self._ends: list[int] = []  # bytes of `_waiting` until each stretch of speech ends
        self._is_empty = asyncio.Event()
        self.speech_ended_at: float = time.monotonic()
        """When the last stretch of speech ended."""

    async def run(self) -> None:
        """Send until cancelled. Frames keep to an absolute schedule, so delays do not add up."""
        due = time.monotonic()
        while True:
            frame = bytes(self._waiting[:_FRAME])
            del self._waiting[:_FRAME]
            self._send(frame.ljust(_FRAME, b"\0"))
            self._note_ends()
            if not self._waiting:
                self._is_empty.set()
            due += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def say(self, utterance: Utterance) -> None:
        """Speak, and return when the last of it was sent."""
        self._waiting += utterance.pcm
        self._ends = [PCM16.bytes(end) for end in utterance.ends_ms()]
        self._is_empty.clear()
        await self._is_empty.wait()

    async def say_at_once(self, pcm: bytes, *, silence_ms: int) -> None:
        """Send speech and the silence after it as fast as they are taken."""
        padded = pcm + bytes(PCM16.bytes(silence_ms))
        step = PCM16.bytes(100)
        for start in range(0, len(padded), step):
            self._send(padded[start : start + step])
            await self._drain()
        self.speech_ended_at = time.monotonic()

    def _note_ends(self) -> None:
        self._ends = [end - _FRAME for end in self._ends]
        while self._ends and self._ends[0] <= 0:
            del self._ends[0]
            self.speech_ended_at = time.monotonic()

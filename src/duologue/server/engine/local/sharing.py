"""Stages whose models all sessions share: each session asks for one thing at a time.

A model works for a few and keeps the others in a line, first come, first served. A session that
stood in it with each of thirty responses would make the others wait for all of them; so it stands
in it once, and the line is never longer than there are sessions. Whoever is cancelled leaves it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from duologue.server.engine.streams import closing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from duologue.server.engine.stages import (
        Brain,
        BrainEvent,
        BrainRequest,
        Synthesizer,
        Transcriber,
    )

__all__ = ["SharedBrain", "SharedSynthesizer", "SharedTranscriber"]


class SharedBrain:
    """One session's access to a brain."""

    def __init__(self, brain: Brain) -> None:
        """Take the brain that all sessions share."""
        self._brain = brain
        self._turn = asyncio.Lock()

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield the answer, when the session's answers before it are made."""
        async with self._turn, closing(self._brain.respond(request)) as events:
            async for event in events:
                yield event

    async def warm(self, request: BrainRequest) -> None:
        """Prepare, when no answer is being made."""
        async with self._turn:
            await self._brain.warm(request)


class SharedTranscriber:
    """One session's access to a transcriber."""

    def __init__(self, transcriber: Transcriber) -> None:
        """Take the transcriber that all sessions share."""
        self._transcriber = transcriber
        self._turn = asyncio.Lock()

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        """Yield the transcript, when those of the session's turns before it are found."""
        stream = self._transcriber.transcribe(pcm, language=language, prompt=prompt)
        async with self._turn, closing(stream) as deltas:
            async for delta in deltas:
                yield delta


class SharedSynthesizer:
    """One session's access to a synthesizer."""

    def __init__(self, synthesizer: Synthesizer) -> None:
        """Take the synthesizer that all sessions share."""
        self._synthesizer = synthesizer
        self._turn = asyncio.Lock()

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        """Yield the speech, when the session's clauses before it are spoken."""
        stream = self._synthesizer.speak(text, voice=voice, speed=speed)
        async with self._turn, closing(stream) as chunks:
            async for chunk in chunks:
                yield chunk

"""Models that all sessions share: the threads they run on, and each session's place in the queue.

A model serves a few requests at a time and queues the others, first come, first served. A session
that queued each of thirty responses would make every other session wait for all of them. So a
session has at most one request in the queue of each model, and the queue is never longer than the
number of sessions. A cancelled request leaves the queue.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from duologue.server.engine.stages import closing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Future

    from duologue.server.engine.stages import (
        Brain,
        BrainEvent,
        BrainRequest,
        Synthesizer,
        Transcriber,
    )

__all__ = ["SharedBrain", "SharedSynthesizer", "SharedTranscriber", "Worker"]

P = ParamSpec("P")
R = TypeVar("R")


class Worker:
    """Threads for native code, so that the event loop never waits for a model.

    Cancelling the caller removes a job that has not started. A running job continues to its end:
    native code cannot be stopped from outside, so jobs are short or poll a flag.
    """

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self._pool: Final = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a job and return its result."""
        return await asyncio.wrap_future(self.start(job, *args, **kwargs))

    def start(self, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Start a job as soon as a thread is free."""
        return self._pool.submit(job, *args, **kwargs)

    def close(self) -> None:
        """Drop the waiting jobs, wait for the running ones, and refuse new ones; blocks."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class SharedBrain:
    """One session's access to a shared brain."""

    def __init__(self, brain: Brain) -> None:
        self._brain: Final = brain
        self._turn: Final = asyncio.Lock()

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        """Yield a response, after the session's earlier responses are complete."""
        async with self._turn, closing(self._brain.respond(request)) as events:
            async for event in events:
                yield event

    async def warm(self, request: BrainRequest) -> None:
        """Prepare for a response, after the session's earlier responses are complete."""
        async with self._turn:
            await self._brain.warm(request)


class SharedTranscriber:
    """One session's access to a shared transcriber."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber: Final = transcriber
        self._turn: Final = asyncio.Lock()

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        """Yield a transcript, after the session's earlier turns are transcribed."""
        stream = self._transcriber.transcribe(pcm, language=language, prompt=prompt)
        async with self._turn, closing(stream) as deltas:
            async for delta in deltas:
                yield delta


class SharedSynthesizer:
    """One session's access to a shared synthesizer."""

    def __init__(self, synthesizer: Synthesizer) -> None:
        self._synthesizer: Final = synthesizer
        self._turn: Final = asyncio.Lock()

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        """Yield a clause's audio, after the session's earlier clauses are synthesized."""
        stream = self._synthesizer.speak(text, voice=voice, speed=speed)
        async with self._turn, closing(stream) as chunks:
            async for chunk in chunks:
                yield chunk

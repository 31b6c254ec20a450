"""Threads for native code, so that the event loop never waits for a model."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

__all__ = ["Worker"]

P = ParamSpec("P")
R = TypeVar("R")


class Worker:
    """A few threads with an owner.

    A job that waits for its turn goes away with its caller. One that runs is let run to its end:
    native code cannot be stopped from outside, so jobs are short or ask whether to go on.
    """

    def __init__(self, name: str, *, threads: int = 1) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(self, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a job and return its result."""
        return await asyncio.wrap_future(self.start(job, *args, **kwargs))

    def start(self, job: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Start a job as soon as a thread is free."""
        return self._pool.submit(job, *args, **kwargs)

    def close(self) -> None:
        """Drop the waiting jobs, wait for the running ones, and refuse new ones; blocks."""
        self._pool.shutdown(wait=True, cancel_futures=True)

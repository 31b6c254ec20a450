"""Runs callbacks: synchronous ones at once, asynchronous ones in order on one task."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from duologue.client.buffer import CAPACITY, Buffer
from duologue.session.updates import RealtimeEvent

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Dispatcher"]


class Dispatcher:
    """Owns the task of the asynchronous callbacks; it lives while there is something to call."""

    __slots__ = ("_queue", "_task", "failures")

    def __init__(self) -> None:
        self._queue: Buffer[tuple[Callable[[Any], Any], object]] = Buffer(CAPACITY)
        self._task: asyncio.Task[None] | None = None
        self.failures: int = 0
        """Callbacks that raised."""

    @property
    def dropped(self) -> int:
        """Calls that were not made: callbacks were too slow for too long."""
        return self._queue.dropped

    def run(self, callback: Callable[[Any], object], value: object) -> None:
        """Call a synchronous callback."""
        try:
            callback(value)
        except Exception as error:  # noqa: BLE001  # an application's fault must not end its session
            self._report(callback, error)

    def put(self, callback: Callable[[Any], Any], value: object) -> None:
        """Queue the call of an asynchronous callback."""
        self._queue.put((callback, value), is_repeat=isinstance(value, RealtimeEvent))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="callbacks")

    async def stop(self) -> None:
        """Make no more calls; the one under way is cancelled, unless it is what calls this."""
        self._queue.clear()
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait([task])

    async def _work(self) -> None:
        task = asyncio.current_task()
        while self._queue and self._task is task:
            callback, value = self._queue.take()
            try:
                await callback(value)
            except Exception as error:  # noqa: BLE001  # as in `run`
                self._report(callback, error)
        if self._task is task:
            self._task = None

    def _report(self, callback: Callable[[Any], object], error: Exception) -> None:
        self.failures += 1
        name = getattr(callback, "__qualname__", type(callback).__qualname__)
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"the callback {name} raised", "exception": error}
        )

"""Runs callbacks: synchronous ones at once, asynchronous ones in order on one task."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

from duologue.client.buffer import CAPACITY, Buffer
from duologue.client.tasks import cancel_all
from duologue.session.updates import RealtimeEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

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
        """Call a synchronous callback; a coroutine that it returns is awaited as if it were one."""
        try:
            result = callback(value)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # an application's fault must not end its session
            self._report(callback, error)
            return
        if result is not None and inspect.iscoroutine(result):  # of a lambda
            self.put(_finished, result)

    def put(self, callback: Callable[[Any], Any], value: object) -> None:
        """Queue the call of an asynchronous callback."""
        call = callback, value
        if isinstance(value, RealtimeEvent):
            self._queue.put(None, call)
        else:
            self._queue.put(call)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="callbacks")

    async def stop(self) -> None:
        """Make no more calls; the one under way is cancelled, unless it is what calls this."""
        self._queue.clear()
        task, self._task = self._task, None
        if task is not None:
            await cancel_all([task])

    async def _work(self) -> None:
        task = asyncio.current_task()
        try:
            while self._queue and self._task is task:
                await self._call(*self._queue.take())
        finally:
            if self._task is task:
                self._task = None

    async def _call(self, callback: Callable[[Any], Any], value: object) -> None:
        try:
            await callback(value)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._report(callback, error)  # of something that the callback awaited
        except Exception as error:  # noqa: BLE001  # as in `run`
            self._report(callback, error)

    def _report(self, callback: Callable[[Any], object], error: BaseException) -> None:
        self.failures += 1
        name = getattr(callback, "__qualname__", type(callback).__qualname__)
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"the callback {name} raised", "exception": error}
        )


async def _finished(begun: Coroutine[Any, Any, object]) -> None:
    await begun

"""Queues of asynchronous callbacks: one for each, so that a slow one delays no other."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Final

from duologue.client._concurrency import cancel_all
from duologue.client.update_stream import TwoLaneQueue
from duologue.session.updates import RealtimeEvent

__all__ = ["AsyncCallback", "AsyncCallbackQueues"]

AsyncCallback = Callable[[Any], Any]

MAX_REPORTED: Final = 256
"""Callbacks whose first exception is remembered as reported."""


class AsyncCallbackQueues:
    """Runs asynchronous callbacks. The calls of one run one after the other, in order.

    A callback has a queue and a task as long as there is something to call.
    """

    __slots__ = ("_dropped", "_queues", "_reported", "failures")

    def __init__(self) -> None:
        self._queues: Final[dict[object, _Queue]] = {}
        self._reported: Final[set[object]] = set()
        self._dropped = 0
        self.failures: int = 0
        """Exceptions that callbacks have raised."""

    def __len__(self) -> int:
        return sum(len(queue.calls) for queue in self._queues.values())

    @property
    def dropped(self) -> int:
        """Calls that were dropped: callbacks were too slow for too long."""
        return self._dropped + sum(queue.calls.dropped for queue in self._queues.values())

    def put(self, callback: AsyncCallback, value: object) -> None:
        """Queue the call of an asynchronous callback, or the coroutine that it has returned."""
        key = _identity(callback)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue()
            queue.task = asyncio.get_running_loop().create_task(
                self._work(key, queue), name="callbacks"
            )
        is_repeat = isinstance(value, RealtimeEvent)
        queue.calls.put([(callback, value)], repeats=tuple if is_repeat else None)

    async def stop(self) -> None:
        """Drop the queued calls, and cancel the running ones except the caller."""
        queues = list(self._queues.values())
        for queue in queues:
            queue.calls.clear()
        self._queues.clear()  # the next session's calls do not wait for a stubborn one of this one
        await cancel_all([queue.task for queue in queues if queue.task is not None])

    def report(self, callback: AsyncCallback, error: BaseException) -> None:
        """Report the first exception of a callback: one that always fails would flood the log."""
        self.failures += 1
        key = _identity(callback)
        if key in self._reported:
            return
        if len(self._reported) < MAX_REPORTED:
            self._reported.add(key)
        name = getattr(callback, "__qualname__", type(callback).__qualname__)
        text = f"the callback {name} raised; further exceptions of it are only counted"
        context = {"message": text, "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)

    async def _work(self, key: object, queue: _Queue) -> None:
        try:
            while queue.calls:
                await self._call(*queue.calls.take())
        finally:
            self._dropped += queue.calls.dropped
            if self._queues.get(key) is queue:
                del self._queues[key]

    async def _call(self, callback: AsyncCallback, value: object) -> None:
        try:
            await (value if inspect.iscoroutine(value) else callback(value))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self.report(callback, error)  # of something that the callback awaited
        except Exception as error:  # noqa: BLE001  # as of a synchronous one
            self.report(callback, error)


class _Queue:
    __slots__ = ("calls", "task")

    def __init__(self) -> None:
        self.calls: Final[TwoLaneQueue[tuple[AsyncCallback, object]]] = TwoLaneQueue()
        self.task: asyncio.Task[None] | None = None


def _identity(callback: AsyncCallback) -> object:
    """Return a key for a callback: equal callbacks are one, such as a method looked up twice."""
    try:
        hash(callback)
    except TypeError:
        return id(callback)
    return callback

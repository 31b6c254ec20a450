"""Running code of the application: functions that block, and tasks that must end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from duologue.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["MAX_THREADS", "cancel_all", "in_thread"]

T = TypeVar("T")

MAX_THREADS: Final = 64
"""Threads at a time, in the whole process: more means that the functions hang."""

PATIENCE: Final = 5.0
"""Seconds that a cancelled task may take to clean up: as long as a server has for its CLOSE."""

_free: Final = threading.BoundedSemaphore(MAX_THREADS)


async def in_thread(function: Callable[[], T]) -> T:
    """Call a function in a thread of its own, with the caller's context variables.

    Not in the event loop's own threads: they are few, and a function that hangs would take one of
    them for ever, until no host name can be looked up any more and the program does not end.
    Cancelling only stops the waiting: the function runs on to its end, or to the program's.

    Raises:
        LocalProtocolError: If `MAX_THREADS` run already.
    """
    free = _free
    if not free.acquire(blocking=False):
        text = f"{MAX_THREADS} functions run in threads already: they seem to hang"
        raise LocalProtocolError(text)
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    outcome.set_running_or_notify_cancel()
    work = partial(contextvars.copy_context().run, function)
    thread = threading.Thread(
        target=_run, args=(work, outcome, free.release), name="duologue function", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # the system has no thread left
        free.release()
        raise
    return await asyncio.wrap_future(outcome)


def _run(
    function: Callable[[], T],
    outcome: concurrent.futures.Future[T],
    release: Callable[[], None],
) -> None:
    try:
        result = function()
    except StopIteration as error:  # a future cannot hold it, and its awaiter would wait for ever
        failure = RuntimeError("it raised StopIteration")
        failure.__cause__ = error
        outcome.set_exception(failure)
    except BaseException as error:  # noqa: BLE001  # raised where the outcome is awaited
        outcome.set_exception(error)
    else:
        outcome.set_result(result)
    finally:
        release()


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have ended; the current task is left alone.

    A task that has not ended after `PATIENCE` is reported to the event loop's exception handler.
    """
    ending = {task for task in tasks if task is not asyncio.current_task()}
    for task in ending:
        task.cancel()
    if not ending:
        return
    _, stubborn = await asyncio.wait(ending, timeout=PATIENCE)
    for task in stubborn:
        text = f"{task.get_name()} goes on although it was cancelled {PATIENCE:g} s ago"
        asyncio.get_running_loop().call_exception_handler({"message": text, "task": task})

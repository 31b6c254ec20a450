"""Helpers to run the application's code: blocking functions, and tasks that must end."""

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

__all__ = ["MAX_THREADS", "cancel_all", "contained", "in_thread"]

T = TypeVar("T")

MAX_THREADS: Final = 64
"""Largest number of threads in the process; with more, the functions seem to hang."""

PATIENCE: Final = 5.0
"""Seconds that a cancelled task may take to clean up; the closing handshake has the same limit."""

_ENDINGS: Final = (StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit)
"""Exceptions that must not reach the awaiter of a function in a thread.

A future refuses StopIteration, so its awaiter would wait for ever. The others would end the event
loop, and with it the program; in a thread of its own a function ends only that thread.
"""

_free: Final = threading.BoundedSemaphore(MAX_THREADS)


async def in_thread(function: Callable[[], T]) -> T:
    """Call a function in a new thread, with the caller's context variables.

    Cancelling this coroutine stops only the waiting: the function runs to its end, or until the
    program ends.

    Raises:
        LocalProtocolError: If `MAX_THREADS` functions are running already.
    """
    # Not `asyncio.to_thread`: the event loop's executor has few threads, and a function that hangs
    # would occupy one for ever. Soon no host name could be resolved, and the program would never
    # end, because the interpreter joins those threads. It does not join daemon threads.
    free = _free
    if not free.acquire(blocking=False):
        text = f"{MAX_THREADS} functions run in threads already: they seem to hang"
        raise LocalProtocolError(text)
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    outcome.set_running_or_notify_cancel()  # from here on, a cancelled waiter cannot cancel it
    work = partial(contextvars.copy_context().run, function)
    thread = threading.Thread(
        target=_run, args=(work, outcome, free.release), name="duologue function", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # the system cannot start another thread
        free.release()
        raise
    return await asyncio.wrap_future(outcome)


def _run(
    function: Callable[[], T],
    outcome: concurrent.futures.Future[T],
    release: Callable[[], None],
) -> None:
    try:
        result = contained(function)
    except BaseException as error:  # noqa: BLE001  # raised where the outcome is awaited
        outcome.set_exception(error)
    else:
        outcome.set_result(result)
    finally:
        release()


def contained(function: Callable[[], T]) -> T:
    """Call a function; an exception that would end the event loop becomes a RuntimeError."""
    try:
        return function()
    except _ENDINGS as error:
        raise RuntimeError(f"it raised {type(error).__name__}") from error


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have ended.

    The current task is not cancelled: a tool or a callback may close its own session. A task that
    has not ended after `PATIENCE` is reported to the event loop's exception handler.
    """
    ending = {task for task in tasks if task is not asyncio.current_task()}
    for task in ending:
        task.cancel()
    if not ending:
        return
    _, stubborn = await asyncio.wait(ending, timeout=PATIENCE)
    for task in stubborn:
        text = f"{task.get_name()} is still running {PATIENCE:g} s after it was cancelled"
        asyncio.get_running_loop().call_exception_handler({"message": text, "task": task})

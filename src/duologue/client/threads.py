"""Functions of the application that may block: each on a thread of its own.

The event loop's own threads are few. A function that hangs would take one of them for ever, until
no name can be looked up any more, and keep the program from ending.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from duologue.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_THREADS", "in_thread"]

T = TypeVar("T")

MAX_THREADS: Final = 64
"""At a time, in the whole process: more means that they hang."""

_free: Final = threading.BoundedSemaphore(MAX_THREADS)


async def in_thread(function: Callable[[], T]) -> T:
    """Return what a function returns, called in a thread with the caller's context variables.

    Cancelling ends the waiting alone: the function runs on to its end, or to the program's.

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
        target=_work, args=(work, outcome, free.release), name="duologue function", daemon=True
    )
    try:
        thread.start()
    except RuntimeError:  # the system has no thread left
        free.release()
        raise
    return await asyncio.wrap_future(outcome)


def _work(
    function: Callable[[], T],
    outcome: concurrent.futures.Future[T],
    release: Callable[[], None],
) -> None:
    try:
        result = function()
    except StopIteration as error:  # no future takes it: who waits would never hear of it
        failure = RuntimeError("it raised StopIteration")
        failure.__cause__ = error
        outcome.set_exception(failure)
    except BaseException as error:  # noqa: BLE001  # handed over to who waits
        outcome.set_exception(error)
    else:
        outcome.set_result(result)
    finally:
        release()

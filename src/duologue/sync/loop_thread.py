"""An event loop on a thread of its own, and blocking calls into it from all others."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from duologue.client.tasks import cancel_all
from duologue.errors import Closed, LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextlib import AbstractAsyncContextManager

__all__ = ["Bridge", "serving"]

T = TypeVar("T")

WAKE_SECONDS: Final = 0.5
"""How long a thread sleeps at a time: a Ctrl-C that comes as it falls asleep wakes nobody."""


class Bridge:
    """Runs what it is given on its loop, one step after the other.

    While it is stopped nothing changes behind the caller's back: a call is made at once, where it
    comes from.
    """

    def __init__(self) -> None:
        self._lock: Final = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._callbacks: concurrent.futures.Executor | None = None

    def start(self, coroutine: Coroutine[Any, Any, T], *, is_idle: Callable[[], bool]) -> T:
        """Start the thread, if it is stopped, and `run`; when that fails, `stop` if it is idle.

        Args:
            coroutine: What to run.
            is_idle: Asked on the loop.
        """
        self._check_may_wait(coroutine)
        with self._lock:  # nobody stops it before the coroutine is there
            if self._loop is None:
                self._start()
            future = self._submitted(coroutine)
        try:
            return _waited(future)
        except Exception:
            self.stop(is_idle=is_idle)
            raise
        except BaseException:  # Ctrl-C
            self.stop()
            raise

    def stop(self, *, is_idle: Callable[[], bool] = lambda: True) -> None:
        """Cancel what still runs, and end the thread; harmless to repeat.

        Who waits for a call hears `Closed`.

        Args:
            is_idle: Asked on the loop, after all that is to run there already; if it says no,
                nothing is done.
        """
        with self._lock:  # what comes meanwhile waits until all is over
            if self._loop is None or not _waited(self._submitted(_stepping(is_idle))):
                return
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None
            if self._thread is not None:
                self._thread.join()
            if self._callbacks is not None:
                self._callbacks.shutdown(wait=False)  # it may be a callback that ends all this

    def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns on the loop; see `run`."""
        return self.run(_stepping(function))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns on the loop.

        Raises:
            Closed: If the session is closed meanwhile.
            LocalProtocolError: If the loop itself would have to wait for it.
        """
        self._check_may_wait(coroutine)
        with self._lock:
            if self._loop is None:
                return _stepped(coroutine)
            future = self._submitted(coroutine)
        return _waited(future)

    async def call_back(self, callback: Callable[[Any], object], value: object) -> None:
        """Make a call on the thread of the callbacks, from the loop."""
        variables = contextvars.copy_context()
        await asyncio.get_running_loop().run_in_executor(
            self._callbacks, lambda: variables.run(callback, value)
        )

    def _start(self) -> None:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_serve, args=(loop,), name="duologue", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            loop.close()
            raise
        self._loop, self._thread = loop, thread
        self._callbacks = concurrent.futures.ThreadPoolExecutor(1, "duologue callbacks")

    def _check_may_wait(self, coroutine: Coroutine[Any, Any, object]) -> None:
        if threading.current_thread() is self._thread:
            coroutine.close()
            text = "a blocking call on the client's own loop: take a function without `async`"
            raise LocalProtocolError(text)

    def _submitted(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        if self._loop is None:
            raise AssertionError("nothing can be run without a loop")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


@contextlib.contextmanager
def serving(context: AbstractAsyncContextManager[T]) -> Generator[T]:
    """Hold an asynchronous context open, on a thread of its own, for code that blocks.

    with serving(LocalServer()) as server, RealtimeClient(url=server.url) as client: ...
    """
    bridge = Bridge()
    try:
        entered = bridge.start(_entered(context), is_idle=lambda: True)
        try:
            yield entered
        finally:
            bridge.run(_left(context))
    finally:
        bridge.stop()


async def _entered(context: AbstractAsyncContextManager[T]) -> T:
    return await context.__aenter__()


async def _left(context: AbstractAsyncContextManager[T]) -> None:
    await context.__aexit__(None, None, None)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped."""
    threads = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="duologue names")
    loop.set_default_executor(threads)
    try:
        loop.run_forever()
        loop.run_until_complete(_all_cancelled())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        threads.shutdown(wait=False, cancel_futures=True)  # a name may still be looked up
        loop.close()


async def _stepping(function: Callable[[], T]) -> T:
    return function()


def _waited(future: concurrent.futures.Future[T]) -> T:
    """Return what comes of a coroutine on the loop."""
    try:
        while not future.done():
            concurrent.futures.wait((future,), WAKE_SECONDS)
        return future.result()
    except concurrent.futures.CancelledError:
        raise Closed("the session was closed") from None
    except BaseException:  # Ctrl-C: nobody waits any more
        future.cancel()
        raise


async def _all_cancelled() -> None:
    await cancel_all(asyncio.all_tasks())


def _stepped(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        coroutine.close()
    raise AssertionError("there is no session, but something was waited for")

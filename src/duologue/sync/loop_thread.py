"""Event loop on a thread of its own, and blocking calls into it from other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from duologue.client._concurrency import cancel_all, contained
from duologue.errors import Closed, ConfigurationError, LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextlib import AbstractAsyncContextManager

__all__ = ["LoopThread", "ThreadCallback", "serving"]

T = TypeVar("T")

WAKE_SECONDS: Final = 0.5
"""Longest uninterrupted sleep of a waiting thread.

Python raises KeyboardInterrupt between two bytecodes only: a Ctrl-C that arrives just before the
thread falls asleep would wait for the end of the sleep.
"""


class LoopThread:
    """Event loop on a thread, and a second thread for callbacks.

    While it is stopped, nothing can change in the background: calls run at once, on the thread of
    their caller.
    """

    def __init__(self) -> None:
        self._lock: Final = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._callbacks: concurrent.futures.Executor | None = None

    def start(self, coroutine: Coroutine[Any, Any, T], *, is_idle: Callable[[], bool]) -> T:
        """Start the threads unless they run, then `run` a coroutine.

        If the coroutine fails, `stop` with `is_idle`.

        Args:
            coroutine: Runs on the loop.
            is_idle: Returns whether the threads may stop; called on the loop.
        """
        self._check_may_wait(coroutine)
        try:
            # Locked, so that no other thread stops the loop between its start and the coroutine's.
            with self._lock:
                if self._loop is None:
                    self._start()
                future = self._submit(coroutine)
            return _wait(future)
        except Exception:
            self.stop(is_idle=is_idle)
            raise
        except BaseException:  # Ctrl-C, perhaps before `_submit` has returned
            self.stop()
            raise

    def stop(self, *, is_idle: Callable[[], bool] = lambda: True) -> None:
        """Cancel whatever still runs, and end the threads; harmless to repeat.

        Threads that wait for a call get `Closed`.

        Args:
            is_idle: Called on the loop, after everything that was submitted before; if it returns
                false, nothing is stopped.
        """
        with self._lock:  # later calls wait until the loop has stopped
            if self._loop is None or not _wait(self._submit(_as_coroutine(is_idle))):
                return
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None
            if self._thread is not None:
                self._thread.join()
            if self._callbacks is not None:
                # Not awaited: this may be called by a callback.
                self._callbacks.shutdown(wait=False)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on the loop and return its result; see `run`."""
        return self.run(_as_coroutine(function))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and return its result.

        Raises:
            Closed: If the session is closed meanwhile.
            LocalProtocolError: If this is called on the loop's own thread, which would deadlock.
        """
        self._check_may_wait(coroutine)
        with self._lock:
            if self._loop is None:
                return _run_without_loop(coroutine)
            future = self._submit(coroutine)
        return _wait(future)

    async def call_back(self, callback: Callable[[Any], object], value: object) -> None:
        """Call a function on the thread of the callbacks, from the loop."""
        variables = contextvars.copy_context()
        await asyncio.get_running_loop().run_in_executor(
            self._callbacks, lambda: contained(lambda: variables.run(callback, value))
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
            text = "a blocking call on the client's own loop: use a function without `async`"
            raise LocalProtocolError(text)

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        if self._loop is None:
            raise AssertionError("nothing can be submitted without a loop")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)


class ThreadCallback:
    """Callback that runs on the thread of the callbacks."""

    def __init__(self, thread: LoopThread, callback: Callable[[Any], object]) -> None:
        if not callable(callback):
            text = f"a callback must be a function, not {type(callback).__name__}"
            raise ConfigurationError(text)
        if inspect.iscoroutinefunction(callback):
            text = "callbacks of the blocking client are plain functions: leave out `async`"
            raise ConfigurationError(text)
        self.__qualname__ = getattr(callback, "__qualname__", type(callback).__qualname__)
        self._thread: Final = thread
        self._callback: Final = callback

    async def __call__(self, value: object) -> None:
        """Call the function, and wait until it returns."""
        await self._thread.call_back(self._callback, value)

    # `off` finds a callback by equality: each call of `on` and `off` wraps it anew.

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ThreadCallback) and other._callback == self._callback

    def __hash__(self) -> int:
        return hash(self._callback)


@contextlib.contextmanager
def serving(context: AbstractAsyncContextManager[T]) -> Generator[T]:
    """Hold an asynchronous context open on a thread of its own, for blocking code.

    with serving(LocalServer()) as server, RealtimeClient(url=server.url) as client: ...
    """
    thread = LoopThread()
    try:
        entered = thread.start(_enter(context), is_idle=lambda: True)
        try:
            yield entered
        finally:
            thread.run(_exit(context))
    finally:
        thread.stop()


async def _enter(context: AbstractAsyncContextManager[T]) -> T:
    return await context.__aenter__()


async def _exit(context: AbstractAsyncContextManager[T]) -> None:
    await context.__aexit__(None, None, None)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, then cancel its tasks and close it."""
    threads = concurrent.futures.ThreadPoolExecutor(thread_name_prefix="duologue names")
    loop.set_default_executor(threads)
    try:
        loop.run_forever()
        loop.run_until_complete(_cancel_all_tasks())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        # Not awaited: a name lookup cannot be cancelled, and may take long.
        threads.shutdown(wait=False, cancel_futures=True)
        loop.close()


async def _cancel_all_tasks() -> None:
    await cancel_all(asyncio.all_tasks())


async def _as_coroutine(function: Callable[[], T]) -> T:
    return function()


def _wait(future: concurrent.futures.Future[T]) -> T:
    """Wait for a coroutine on the loop, and return its result."""
    try:
        while not future.done():
            concurrent.futures.wait((future,), WAKE_SECONDS)
        return future.result()
    except concurrent.futures.CancelledError:
        raise Closed("the session was closed") from None
    except BaseException:  # Ctrl-C: the result is no longer wanted
        future.cancel()
        raise


def _run_without_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        coroutine.close()
    raise AssertionError("a coroutine suspended although there is no session")

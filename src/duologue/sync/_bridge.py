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
        self._lock: Final = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._callbacks: concurrent.futures.Executor | None = None

    def start(self) -> bool:
        """Start the thread; return whether it was stopped."""
        with self._lock:
            if self._loop is not None:
                return False
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_serve, args=(loop,), name="duologue", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no thread left
                loop.close()
                raise
            self._loop, self._thread = loop, thread
            self._callbacks = concurrent.futures.ThreadPoolExecutor(1, "duologue callbacks")
            return True

    def stop(self) -> None:
        """Cancel what still runs, and end the thread; harmless to repeat.

        Who waits for a call hears `Closed`.
        """
        with self._lock:
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.call_soon_threadsafe(loop.stop)
            thread, callbacks = self._thread, self._callbacks
        if thread is not None:
            thread.join()
        if callbacks is not None:
            callbacks.shutdown(wait=False)  # it may be a callback that ends all this

    def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns on the loop; see `run`."""

        async def step() -> T:
            return function()

        return self.run(step())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns on the loop.

        Raises:
            Closed: If the session is closed meanwhile.
            LocalProtocolError: If the loop itself would have to wait for it.
        """
        with self._lock:
            if threading.current_thread() is self._thread:
                coroutine.close()
                text = "a blocking call on the client's own loop: take a function without `async`"
                raise LocalProtocolError(text)
            loop = self._loop
            future = None if loop is None else asyncio.run_coroutine_threadsafe(coroutine, loop)
        if future is None:
            return _stepped(coroutine)
        try:
            while not future.done():
                concurrent.futures.wait((future,), WAKE_SECONDS)
            return future.result()
        except concurrent.futures.CancelledError:
            raise Closed("the session was closed") from None
        except BaseException:  # Ctrl-C: nobody waits any more
            future.cancel()
            raise

    async def call_back(self, callback: Callable[[Any], object], value: object) -> None:
        """Make a call on the thread of the callbacks, from the loop."""
        variables = contextvars.copy_context()
        await asyncio.get_running_loop().run_in_executor(
            self._callbacks, lambda: variables.run(callback, value)
        )


@contextlib.contextmanager
def serving(context: AbstractAsyncContextManager[T]) -> Generator[T]:
    """Hold an asynchronous context open, on a thread of its own, for code that blocks.

    with serving(LocalServer()) as server, RealtimeClient(url=server.url) as client: ...
    """
    bridge = Bridge()
    bridge.start()
    try:
        entered = bridge.run(_entered(context))
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

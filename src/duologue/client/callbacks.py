"""Callbacks by event: `on`, `on_next`, `off` and `wait_for_next`."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from duologue.client._concurrency import cancel_all
from duologue.client.update_stream import CAPACITY, TwoLaneQueue, UpdateStream
from duologue.errors import Closed, ConnectionLost
from duologue.protocol.ga import InputAudioBufferAppendEvent
from duologue.protocol.model import UnknownEvent
from duologue.session.updates import (
    ConversationUpdated,
    ErrorUpdate,
    Interrupted,
    ItemAppended,
    ItemCompleted,
    RealtimeEvent,
    Update,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CLASSIC_NAMES", "AsyncCallbackQueue", "Callback", "CallbackKey", "CallbackRegistry",
    "CallbackResult", "RealtimeEventHandler",
]  # fmt: skip

T = TypeVar("T")

CallbackResult = Awaitable[object] | object
"""Result of a callback: coroutines are awaited, anything else is ignored."""

Callback = Callable[[Any], CallbackResult]

CallbackKey = type | str
"""Key of a callback; see `RealtimeEventHandler`."""

CLASSIC_NAMES: Final[dict[str, type]] = {
    "conversation.updated": ConversationUpdated,
    "conversation.item.appended": ItemAppended,
    "conversation.item.completed": ItemCompleted,
    "conversation.interrupted": Interrupted,
    "realtime.event": RealtimeEvent,
    "error": ErrorUpdate,
}
"""The application events of the reference client."""

_SENT_AUDIO: Final[frozenset[CallbackKey]] = frozenset(
    {
        RealtimeEvent,
        InputAudioBufferAppendEvent,
        "input_audio_buffer.append",
        "client.input_audio_buffer.append",
        "client.*",
    }
)
"""The keys of an event of `append_input_audio`."""

MAX_REPORTED: Final = 256
"""Callbacks whose first exception is remembered as reported."""


class RealtimeEventHandler:
    """Registers callbacks.

    A key is one of:

    - a class of update (`ConversationUpdated`): the callback gets the update;
    - a class of wire event (`ResponseDoneEvent`): it gets the event;
    - a classic name (`conversation.updated`, `conversation.item.appended`, `realtime.event`,
      `error`, ...): it gets the update;
    - a wire type, with or without its source (`response.done`, `server.response.done`), or all
      of one source (`server.*`, `client.*`): it gets the event.

    The callbacks of a key are called in the order of their registration. Synchronous callbacks run
    at once, before anything else sees the update. Asynchronous ones run one after the other on a
    task of their own, so that they may await anything of the client. The first exception of a
    callback goes to the event loop's exception handler, further ones are only counted; the session
    goes on.
    """

    def __init__(self) -> None:
        self._callbacks: Final = CallbackRegistry()

    @overload
    def on(self, key: type[T], callback: Callable[[T], CallbackResult]) -> None: ...
    @overload
    def on(self, key: str, callback: Callback) -> None: ...
    @overload
    def on(
        self, key: type[T]
    ) -> Callable[[Callable[[T], CallbackResult]], Callable[[T], CallbackResult]]: ...
    @overload
    def on(self, key: str) -> Callable[[Callback], Callback]: ...
    def on(self, key: CallbackKey, callback: Callback | None = None) -> object:
        """Call `callback` each time; without one, return a decorator."""
        if callback is not None:
            self._callbacks.add(key, callback)
            return None

        def register(callback: Callback) -> Callback:
            self._callbacks.add(key, callback)
            return callback

        return register

    @overload
    def on_next(self, key: type[T], callback: Callable[[T], CallbackResult]) -> None: ...
    @overload
    def on_next(self, key: str, callback: Callback) -> None: ...
    def on_next(self, key: CallbackKey, callback: Callback) -> None:
        """Call `callback` the next time only."""
        self._callbacks.add(key, callback, is_once=True)

    def off(self, key: CallbackKey, callback: Callback | None = None) -> None:
        """Remove a callback, or all of a key; harmless if there is none."""
        self._callbacks.remove(key, callback)

    @overload
    async def wait_for_next(self, key: type[T], *, timeout: float | None = None) -> T: ...  # noqa: ASYNC109  # see below
    @overload
    async def wait_for_next(self, key: str, *, timeout: float | None = None) -> Any: ...  # noqa: ANN401, ASYNC109  # depends on the name
    async def wait_for_next(self, key: CallbackKey, *, timeout: float | None = None) -> object:  # noqa: ASYNC109  # its error names the key
        """Return the next value that a callback of `key` would get.

        A loop that waits again at once misses none, however close they follow each other. One that
        awaits something else in between does: iterate over the client, or over `items()`, then.

        Raises:
            TimeoutError: If nothing came within `timeout` seconds.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first, or is not open.
        """
        return await self._callbacks.wait(key, timeout)


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    callback: Callback
    is_async: bool
    is_once: bool


class CallbackRegistry:
    """The callbacks and futures of a client, over all its sessions."""

    def __init__(self) -> None:
        self._entries: Final[dict[CallbackKey, tuple[_Entry, ...]]] = {}
        self._keys_of: Final[dict[str, dict[type, tuple[CallbackKey, ...]]]] = {
            "client": {},
            "server": {},
        }
        """The registered keys of an event, by its source and class: filled when one comes."""
        self.want_sent_audio: bool = False
        """Whether a callback may want the events of `append_input_audio`."""
        self._futures: Final[set[asyncio.Future[object]]] = set()
        self._missed: Final[dict[tuple[object, CallbackKey], deque[object]]] = {}
        """Values that came before a task, which one has woken up, ran: by task and key."""
        self._streams: Final[weakref.WeakSet[UpdateStream[Any]]] = weakref.WeakSet()
        self._ending: Exception | None = Closed("the session is not open")
        self.queue: Final = AsyncCallbackQueue()

    def add(self, key: CallbackKey, callback: Callback, *, is_once: bool = False) -> None:
        """Register a callback; whether it is asynchronous is decided here, once."""
        call = type(callback).__call__
        is_async = inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(call)
        entry = _Entry(callback, is_async, is_once)
        self._set(_class_of(key), (*self._entries.get(_class_of(key), ()), entry))

    def remove(self, key: CallbackKey, callback: Callback | None = None) -> None:
        """Remove a callback, or all of a key."""
        entries = self._entries.get(_class_of(key), ())
        kept = () if callback is None else (e for e in entries if e.callback != callback)
        self._set(_class_of(key), tuple(kept))

    async def wait(self, key: CallbackKey, timeout: float | None) -> object:  # noqa: ASYNC109  # its own text
        """Wait for the next value of a key; see `RealtimeEventHandler.wait_for_next`."""
        missed = self._missed.get((asyncio.current_task(), key)) if self._missed else None
        if missed:
            return missed.popleft()
        if self._ending is not None:
            raise self._ending.with_traceback(None)
        loop = asyncio.get_running_loop()
        waiting = asyncio.current_task(), key
        future: asyncio.Future[object] = loop.create_future()

        def settle(value: object) -> None:
            if not future.done():
                future.set_result(value)
            else:  # of the same segment: the task has not run yet, and may wait for this one next
                self._missed.setdefault(waiting, deque(maxlen=CAPACITY)).append(value)

        self._futures.add(future)
        self.add(key, settle)
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await future
        except TimeoutError:
            if not limit.expired():
                raise
            name = key if isinstance(key, str) else key.__name__
            raise TimeoutError(f"no {name} came within {timeout} s") from None
        finally:
            self._futures.discard(future)
            self.remove(key, settle)
            if waiting in self._missed:
                loop.call_soon(self._missed.pop, waiting, None)

    def stream(self, kind: type[T], read: Callable[[T], object]) -> UpdateStream[Any]:
        """Return a stream of what `read` returns for each update of a class, from now on."""
        if self._ending is not None:
            raise self._ending.with_traceback(None)
        stream: UpdateStream[Any] = UpdateStream()
        aiter(stream)  # so that as much waits as for an iteration that has begun
        reference = weakref.ref(stream)

        def put(update: T) -> None:
            stream = reference()
            if stream is None:  # nobody reads it any more
                self.remove(kind, put)
            else:
                stream.put([read(update)])

        self._streams.add(stream)
        self.add(kind, put)
        return stream

    def open(self) -> None:
        """Allow waiting: a session begins."""
        self._ending = None

    def end(self, ending: Exception) -> None:
        """Fail all waiting tasks, and every `wait` until the next session."""
        self._ending = ending
        for future in self._futures:
            if not future.done():
                future.set_exception(ending.with_traceback(None))
        for stream in self._streams:
            stream.end(ending if isinstance(ending, ConnectionLost) else None)
        self._streams.clear()

    def call(self, updates: Iterable[Update]) -> None:
        """Call the callbacks of updates, and those of the wire events in them."""
        entries = self._entries
        if not entries:
            return
        for update in updates:
            if update.__class__ in entries:
                self._call(update.__class__, update)
            if type(update) is RealtimeEvent:
                event, source = update.event, update.source
                kind = event.__class__
                keys = self._keys_of[source].get(kind)
                if keys is None:
                    # A classic name (`error`) is never a key: `_class_of` replaces it.
                    name = event.type if kind is UnknownEvent else str(kind.__struct_config__.tag)
                    possible = (kind, name, f"{source}.{name}", f"{source}.*")
                    keys = tuple(filter(entries.__contains__, possible))
                    if kind is not UnknownEvent:  # its type is not that of its class
                        self._keys_of[source][kind] = keys
                for key in keys:
                    self._call(key, event)
                if update.meanings:
                    self._call_for_meanings(update)

    def _call_for_meanings(self, update: RealtimeEvent) -> None:
        for meaning in update.meanings:
            self._call(type(meaning), meaning)
            if meaning.type != update.event.type:  # otherwise its names were called already
                self._call(meaning.type, meaning)
                self._call(f"{update.source}.{meaning.type}", meaning)

    def _call(self, key: CallbackKey, value: object) -> None:
        for entry in self._entries.get(key, ()):
            if entry.is_once and not self._take(key, entry):
                continue  # another callback removed it
            if entry.is_async:
                self.queue.put(entry.callback, value)
                continue
            try:
                result = entry.callback(value)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # an application's fault must not end its session
                self.queue.report(entry.callback, error)
                continue
            if result is not None and inspect.iscoroutine(result):  # of a lambda
                self.queue.put(entry.callback, result)

    def _take(self, key: CallbackKey, entry: _Entry) -> bool:
        entries = self._entries.get(key, ())
        self._set(key, tuple(e for e in entries if e is not entry))
        return entry in entries

    def _set(self, key: CallbackKey, entries: tuple[_Entry, ...]) -> None:
        if entries:
            self._entries[key] = entries
        else:
            self._entries.pop(key, None)
        for keys in self._keys_of.values():
            keys.clear()
        self.want_sent_audio = not _SENT_AUDIO.isdisjoint(self._entries)


class AsyncCallbackQueue:
    """Runs asynchronous callbacks, one after the other on one task.

    The task lives as long as there is something to call.
    """

    __slots__ = ("_queue", "_reported", "_task", "failures")

    def __init__(self) -> None:
        self._queue: TwoLaneQueue[tuple[Callable[[Any], Any], object]] | None = None
        self._task: asyncio.Task[None] | None = None
        # A list, because a callback need not be hashable.
        self._reported: Final[list[Callable[[Any], Any]]] = []
        self.failures: int = 0
        """Exceptions that callbacks have raised."""

    @property
    def dropped(self) -> int:
        """Calls that were dropped: callbacks were too slow for too long."""
        return 0 if self._queue is None else self._queue.dropped

    def put(self, callback: Callable[[Any], Any], value: object) -> None:
        """Queue the call of an asynchronous callback, or the coroutine that it has returned."""
        is_repeat = isinstance(value, RealtimeEvent)
        if self._queue is None:  # most clients have no asynchronous callback
            self._queue = TwoLaneQueue(CAPACITY)
        self._queue.put([(callback, value)], repeats=tuple if is_repeat else None)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="callbacks")

    async def stop(self) -> None:
        """Drop the queued calls, and cancel the running one unless it is the caller."""
        if self._queue is not None:
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
            await (value if inspect.iscoroutine(value) else callback(value))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self.report(callback, error)  # of something that the callback awaited
        except Exception as error:  # noqa: BLE001  # as of a synchronous one
            self.report(callback, error)

    def report(self, callback: Callable[[Any], object], error: BaseException) -> None:
        """Report the first exception of a callback: one that always fails would flood the log."""
        self.failures += 1
        if callback in self._reported:
            return
        if len(self._reported) < MAX_REPORTED:
            self._reported.append(callback)
        name = getattr(callback, "__qualname__", type(callback).__qualname__)
        text = f"the callback {name} raised; further exceptions of it are only counted"
        context = {"message": text, "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)


def _class_of(key: CallbackKey) -> CallbackKey:
    """Return the class that a classic name stands for; any other key as it is."""
    return CLASSIC_NAMES.get(key, key) if isinstance(key, str) else key

"""Callbacks by event: `on`, `on_next`, `off` and `wait_for_next`."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, overload

from duologue.client.callback_keys import SENT_AUDIO, CallbackKey, resolve
from duologue.client.callback_queue import AsyncCallbackQueues
from duologue.client.coercion import seconds
from duologue.client.update_stream import CAPACITY, UpdateStream
from duologue.errors import Closed, ConfigurationError, LocalProtocolError
from duologue.protocol.model import UnknownEvent
from duologue.session.updates import RealtimeEvent, Update

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Callback", "CallbackRegistry", "CallbackResult", "RealtimeEventHandler"]

T = TypeVar("T")

CallbackResult = Awaitable[object] | object
"""Result of a callback: coroutines are awaited, anything else is ignored."""

Callback = Callable[[Any], CallbackResult]

_UPDATES: Final = frozenset(get_args(Update))
"""The keys of updates; all others are of wire events."""


class RealtimeEventHandler:
    """Registers callbacks.

    A key is one of:

    - a class of update (`ConversationUpdated`): the callback gets the update;
    - a class of wire event (`ResponseDoneEvent`): it gets the event;
    - a classic name (`conversation.updated`, `conversation.item.appended`, `realtime.event`,
      `error`, `close`, ...): it gets the update;
    - a wire type, with or without its source (`response.done`, `server.response.done`), all
      of one source (`server.*`, `client.*`), or all (`*`): it gets the event. Dart's names `all`,
      `server.all` and `client.all` are the same.

    A key that no event has is refused. An event that duologue does not know is named with its
    source: `server.event.of.tomorrow`.

    The callbacks of a key are called in the order of their registration. Synchronous callbacks run
    at once, before anything else sees the update. The calls of an asynchronous one run one after
    the other on a task of its own, so that it may await anything of the client, and delays no other
    callback; when 8192 calls wait, the oldest are dropped and counted. The first exception of a
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
        """Call `callback` each time; without one, return a decorator.

        Raises:
            ConfigurationError: If no event or update has this key, or the callback is no function.
        """
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

    def off_next(self, key: CallbackKey, callback: Callback | None = None) -> None:
        """Remove a callback of `on_next`, or all of a key; harmless if there is none."""
        self._callbacks.remove(key, callback, only_once=True)

    def clear_event_handlers(self) -> None:
        """Remove all callbacks."""
        self._callbacks.clear()

    def dispatch(self, key: CallbackKey, value: object) -> None:
        """Call the callbacks of a key with a value, as if it had arrived.

        Raises:
            LocalProtocolError: If this is not called on a running event loop.
        """
        self._callbacks.dispatch(key, value)

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
    is_async: bool = False
    is_once: bool = False
    is_ours: bool = False
    """Whether it belongs to a task that waits, or to the client, not to the application."""


class CallbackRegistry:
    """The callbacks and futures of a client, over all its sessions."""

    def __init__(self) -> None:
        self._entries: Final[dict[CallbackKey, tuple[_Entry, ...]]] = {}
        self._keys_of: Final[dict[str, dict[type, tuple[CallbackKey, ...]]]] = {
            "client": {},
            "server": {},
        }
        """The registered keys of an event, by its source and class: filled when one comes."""
        self.has_any: bool = False
        """Whether the application has registered a callback."""
        self._want_events = False  # whether a key is one of wire events
        self.want_sent_audio: bool = False
        """Whether a callback may want the events of `append_input_audio`."""
        self._futures: Final[set[asyncio.Future[object]]] = set()
        self._missed: Final[dict[tuple[object, CallbackKey], deque[object]]] = {}
        """Values that came before a task, which one has woken up, ran: by task and key."""
        self._streams: Final[weakref.WeakSet[UpdateStream[Any]]] = weakref.WeakSet()
        self._ending: Exception | None = Closed("the session is not open")
        self.queues: Final = AsyncCallbackQueues()

    def add(self, key: CallbackKey, callback: Callback, *, is_once: bool = False) -> None:
        """Register a callback; whether it is asynchronous is decided here, once."""
        key = resolve(key)
        if not callable(callback):
            text = f"a callback must be a function, not {type(callback).__name__}"
            raise ConfigurationError(text)
        call = type(callback).__call__
        is_async = inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(call)
        entry = _Entry(callback, is_async, is_once)
        self._add(key, entry)

    def observe(self, kind: type[T], callback: Callable[[T], object]) -> None:
        """Register a callback of the client itself, which stays when the application's go."""
        self._add(kind, _Entry(callback, is_ours=True))

    def remove(
        self, key: CallbackKey, callback: Callback | None = None, *, only_once: bool = False
    ) -> None:
        """Remove a callback, or all of a key; with `only_once` only those of `on_next`."""
        key = resolve(key)
        kept = (
            entry
            for entry in self._entries.get(key, ())
            if entry.is_ours
            or (callback is not None and entry.callback != callback)
            or (only_once and not entry.is_once)
        )
        self._set(key, tuple(kept))

    def clear(self) -> None:
        """Remove all callbacks; what waits for a value goes on waiting."""
        for key, entries in list(self._entries.items()):
            self._set(key, tuple(entry for entry in entries if entry.is_ours))

    def dispatch(self, key: CallbackKey, value: object) -> None:
        """Call the callbacks of a key; see `RealtimeEventHandler.dispatch`."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise LocalProtocolError("dispatch needs a running event loop") from None
        self._call(resolve(key), value)

    async def wait(self, key: CallbackKey, timeout: float | None) -> object:  # noqa: ASYNC109  # its own text
        """Wait for the next value of a key; see `RealtimeEventHandler.wait_for_next`."""
        limit_, found = seconds(timeout, "timeout"), resolve(key)
        missed = self._missed.get((asyncio.current_task(), found)) if self._missed else None
        if missed:
            return missed.popleft()
        if self._ending is not None:
            raise self._ending.with_traceback(None)
        loop = asyncio.get_running_loop()
        waiting = asyncio.current_task(), found
        future: asyncio.Future[object] = loop.create_future()

        def settle(value: object) -> None:
            if not future.done():
                future.set_result(value)
            else:  # of the same segment: the task has not run yet, and may wait for this one next
                self._missed.setdefault(waiting, deque(maxlen=CAPACITY)).append(value)

        entry = _Entry(settle, is_ours=True)
        self._futures.add(future)
        self._add(found, entry)
        limit = asyncio.timeout(limit_)
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
            self._take(found, entry)
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
                self._take(kind, entry)
            else:
                stream.put([read(update)])

        entry = _Entry(put, is_ours=True)
        self._streams.add(stream)
        self._add(kind, entry)
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
            stream.end(None if isinstance(ending, Closed) else ending)
        self._streams.clear()

    def call(self, updates: Iterable[Update]) -> None:
        """Call the callbacks of updates, and those of the wire events in them."""
        entries = self._entries
        if not entries:
            return
        for update in updates:
            found = entries.get(update.__class__)
            if found is not None:
                self._call_each(found, update.__class__, update)
            if self._want_events and type(update) is RealtimeEvent:
                event, source = update.event, update.source
                kind = event.__class__
                keys = self._keys_of[source].get(kind)
                if keys is None:
                    # A classic name (`error`) is never a key: `resolve` replaces it.
                    name = event.type if kind is UnknownEvent else str(kind.__struct_config__.tag)
                    possible = (kind, name, f"{source}.{name}", f"{source}.*", "*")
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
        self._call_each(self._entries.get(key, ()), key, value)

    def _call_each(self, entries: tuple[_Entry, ...], key: CallbackKey, value: object) -> None:
        for entry in entries:
            if entry.is_once and not self._take(key, entry):
                continue  # another callback removed it
            if entry.is_async:
                self.queues.put(entry.callback, value)
                continue
            try:
                result = entry.callback(value)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # an application's fault must not end its session
                self.queues.report(entry.callback, error)
                continue
            if result is not None and inspect.iscoroutine(result):  # of a lambda
                self.queues.put(entry.callback, result)

    def _add(self, key: CallbackKey, entry: _Entry) -> None:
        self._set(key, (*self._entries.get(key, ()), entry))

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
        self._want_events = not _UPDATES.issuperset(self._entries)
        self.want_sent_audio = not SENT_AUDIO.isdisjoint(self._entries)
        self.has_any = any(not entry.is_ours for each in self._entries.values() for entry in each)

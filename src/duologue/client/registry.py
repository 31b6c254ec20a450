"""Who waits for what: callbacks and futures by key."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from duologue.client.dispatcher import Dispatcher
from duologue.errors import Closed
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
    from duologue.protocol.model import Event

__all__ = ["CLASSIC_NAMES", "Callback", "CallbackResult", "Key", "Registry"]

CallbackResult = Awaitable[object] | object
"""What a callback may return: coroutines are awaited, anything else is ignored."""

Callback = Callable[[Any], CallbackResult]

Key = type | str
"""What a callback waits for; see `RealtimeEventHandler`."""

CLASSIC_NAMES: Final[dict[str, type]] = {
    "conversation.updated": ConversationUpdated,
    "conversation.item.appended": ItemAppended,
    "conversation.item.completed": ItemCompleted,
    "conversation.interrupted": Interrupted,
    "realtime.event": RealtimeEvent,
    "error": ErrorUpdate,
}
"""The application events of the reference client."""


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    callback: Callback
    is_async: bool
    is_once: bool


class Registry:
    """Keeps callbacks and futures over all sessions of a client, and calls them."""

    def __init__(self) -> None:
        self._entries: dict[Key, tuple[_Entry, ...]] = {}
        self._awaited: dict[str, dict[type, tuple[Key, ...]]] = {"client": {}, "server": {}}
        """The keys that somebody waits for, by source and class of event; found when one comes."""
        self._futures: set[asyncio.Future[object]] = set()
        self._ending: Exception | None = Closed("the session is not open")
        self.dispatcher: Final = Dispatcher()
        self._run: Final = self.dispatcher.run

    def add(self, key: Key, callback: Callback, *, is_once: bool = False) -> None:
        """Register a callback; whether it is asynchronous is decided here, once."""
        called = type(callback).__call__
        is_async = inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(called)
        entry = _Entry(callback, is_async, is_once)
        self._put(_known(key), (*self._entries.get(_known(key), ()), entry))

    def remove(self, key: Key, callback: Callback | None = None) -> None:
        """Forget a callback, or all of a key."""
        entries = self._entries.get(_known(key), ())
        kept = () if callback is None else (e for e in entries if e.callback != callback)
        self._put(_known(key), tuple(kept))

    async def wait(self, key: Key, timeout: float | None) -> object:  # noqa: ASYNC109  # its own text
        """Wait for the next value of a key; see `RealtimeEventHandler.wait_for_next`."""
        if self._ending is not None:
            raise self._ending.with_traceback(None)
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def settle(value: object) -> None:
            if not future.done():
                future.set_result(value)

        self._futures.add(future)
        self.add(key, settle, is_once=True)
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

    def open(self) -> None:
        """Allow waiting: a session begins."""
        self._ending = None

    def end(self, ending: Exception) -> None:
        """Fail everybody who waits, and who will until the next session."""
        self._ending = ending
        for future in self._futures:
            if not future.done():
                future.set_exception(ending.with_traceback(None))

    def tell(self, updates: Iterable[Update]) -> None:
        """Call who waits for updates, and for the wire events in them."""
        entries = self._entries
        for update in updates if entries else ():
            if type(update) in entries:
                self._call(type(update), update)
            if type(update) is RealtimeEvent:
                event = update.event
                keys = self._awaited[update.source].get(type(event))
                if keys is None:
                    keys = self._find_keys(event, update.source)
                for key in keys:
                    self._call(key, event)
                if update.meanings:
                    self._tell_meanings(update)

    def _find_keys(self, event: Event | UnknownEvent, source: str) -> tuple[Key, ...]:
        possible = [*_keys_of(event, source), f"{source}.*"]
        keys = tuple(key for key in possible if key in self._entries)
        if not isinstance(event, UnknownEvent):  # whose type is not that of its class
            self._awaited[source][type(event)] = keys
        return keys

    def _tell_meanings(self, update: RealtimeEvent) -> None:
        for meaning in update.meanings:
            is_named_alike = meaning.type == update.event.type  # but of another class
            for key in _keys_of(meaning, update.source)[: 1 if is_named_alike else None]:
                self._call(key, meaning)

    def _call(self, key: Key, value: object) -> None:
        for entry in self._entries.get(key, ()):
            if entry.is_once and not self._take_off(key, entry):
                continue  # another callback took it off
            if entry.is_async:
                self.dispatcher.put(entry.callback, value)
            else:
                self._run(entry.callback, value)

    def _take_off(self, key: Key, entry: _Entry) -> bool:
        entries = self._entries.get(key, ())
        self._put(key, tuple(e for e in entries if e is not entry))
        return entry in entries

    def _put(self, key: Key, entries: tuple[_Entry, ...]) -> None:
        if entries:
            self._entries[key] = entries
        else:
            self._entries.pop(key, None)
        for keys in self._awaited.values():
            keys.clear()


def _keys_of(event: Event | UnknownEvent, source: str) -> list[Key]:
    """Return what an event can be awaited by, beside its source alone."""
    kind = event.type
    named: list[Key] = [] if kind in CLASSIC_NAMES else [kind]
    return [type(event), *named, f"{source}.{kind}"]


def _known(key: Key) -> Key:
    return CLASSIC_NAMES.get(key, key) if isinstance(key, str) else key

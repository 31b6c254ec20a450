"""Who waits for what: callbacks and futures by key."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
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
        self._entries: dict[Key, list[_Entry]] = {}
        self._awaited: dict[tuple[type, str], tuple[Key, ...]] = {}
        self._futures: set[asyncio.Future[object]] = set()
        self._ending: Exception | None = Closed("the session is not open")
        self.dispatcher: Final = Dispatcher()

    def add(self, key: Key, callback: Callback, *, is_once: bool = False) -> None:
        """Register a callback; whether it is asynchronous is decided here, once."""
        called = type(callback).__call__
        is_async = inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(called)
        self._awaited.clear()
        self._entries.setdefault(_known(key), []).append(_Entry(callback, is_async, is_once))

    def remove(self, key: Key, callback: Callback | None = None) -> None:
        """Forget a callback, or all of a key."""
        entries = self._entries.pop(_known(key), [])
        kept = [] if callback is None else [e for e in entries if e.callback != callback]
        if kept:
            self._entries[_known(key)] = kept
        self._awaited.clear()

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

    def tell(self, update: Update) -> None:
        """Call who waits for an update, and for the wire event in it."""
        entries = self._entries
        if not entries:
            return
        kind = type(update)
        if kind in entries:
            self._call(kind, update)
        if isinstance(update, RealtimeEvent):
            event, source = update.event, update.source
            about = type(event), source
            keys = self._awaited.get(about)
            if keys is None:
                possible = [*_keys_of(event, source), f"{source}.*"]
                keys = tuple(key for key in possible if key in entries)
                if not isinstance(event, UnknownEvent):  # whose type is not that of its class
                    self._awaited[about] = keys
            for key in keys:
                self._call(key, event)
            for meaning in update.meanings:
                is_named_alike = meaning.type == event.type  # but of another class
                for key in _keys_of(meaning, source)[: 1 if is_named_alike else None]:
                    self._call(key, meaning)

    def _call(self, key: Key, value: object) -> None:
        for entry in list(self._entries.get(key, ())):
            if entry.is_once:
                entries = self._entries.get(key, [])
                if entry not in entries:
                    continue  # another callback took it off
                entries.remove(entry)
            if entry.is_async:
                self.dispatcher.put(entry.callback, value)
            else:
                self.dispatcher.run(entry.callback, value)


def _keys_of(event: Event | UnknownEvent, source: str) -> list[Key]:
    """Return what an event can be awaited by, beside its source alone."""
    kind = event.type
    named: list[Key] = [] if kind in CLASSIC_NAMES else [kind]
    return [type(event), *named, f"{source}.{kind}"]


def _known(key: Key) -> Key:
    return CLASSIC_NAMES.get(key, key) if isinstance(key, str) else key

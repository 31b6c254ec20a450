"""The face of callbacks: `on`, `on_next`, `off` and `wait_for_next`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from duologue.client.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.client.registry import Callback, CallbackResult, Key

__all__ = ["RealtimeEventHandler"]

T = TypeVar("T")


class RealtimeEventHandler:
    """Takes callbacks.

    A key is one of:

    - a class of update (`ConversationUpdated`): the callback gets the update;
    - a class of wire event (`ResponseDoneEvent`): it gets the event;
    - a classic name (`conversation.updated`, `conversation.item.appended`, `realtime.event`,
      `error`, ...): it gets the update;
    - a wire type, with or without its source (`response.done`, `server.response.done`), or all
      of one source (`server.*`, `client.*`): it gets the event.

    The callbacks of a key are called in the order of their registration. Synchronous ones run at
    once, before anything else sees what happened. Asynchronous ones run one after the other on a
    task of their own, so that they may await anything of the client. What a callback raises goes
    to the event loop's exception handler; the session goes on.
    """

    def __init__(self) -> None:
        self._registry: Final = Registry()

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
    def on(self, key: Key, callback: Callback | None = None) -> object:
        """Call `callback` each time; without one, return a decorator."""
        if callback is not None:
            self._registry.add(key, callback)
            return None

        def register(callback: Callback) -> Callback:
            self._registry.add(key, callback)
            return callback

        return register

    @overload
    def on_next(self, key: type[T], callback: Callable[[T], CallbackResult]) -> None: ...
    @overload
    def on_next(self, key: str, callback: Callback) -> None: ...
    def on_next(self, key: Key, callback: Callback) -> None:
        """Call `callback` the next time only."""
        self._registry.add(key, callback, is_once=True)

    def off(self, key: Key, callback: Callback | None = None) -> None:
        """Call `callback` no more; without one, none of the key's. Harmless if there is none."""
        self._registry.remove(key, callback)

    @overload
    async def wait_for_next(self, key: type[T], *, timeout: float | None = None) -> T: ...  # noqa: ASYNC109  # see below
    @overload
    async def wait_for_next(self, key: str, *, timeout: float | None = None) -> Any: ...  # noqa: ANN401, ASYNC109  # depends on the name
    async def wait_for_next(self, key: Key, *, timeout: float | None = None) -> object:  # noqa: ASYNC109  # its error names what did not come
        """Return what a callback of `key` would get, the next time.

        Raises:
            TimeoutError: If nothing came within `timeout` seconds.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first, or is not open.
        """
        return await self._registry.wait(key, timeout)

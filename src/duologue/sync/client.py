"""Blocking `RealtimeClient`: the asynchronous client on a thread of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from duologue.client import client
from duologue.client.tool_schema import CallContext
from duologue.errors import Closed, LocalProtocolError
from duologue.sync._generated import ClientMethods
from duologue.sync.handles import RealtimeConversation
from duologue.sync.loop_thread import ThreadCallback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from types import TracebackType

    from duologue.client.callback_keys import CallbackKey
    from duologue.client.callbacks import Callback
    from duologue.client.tools import ToolOptions
    from duologue.session.formatted import FormattedItem
    from duologue.session.tool_calls import ToolCall
    from duologue.session.updates import Update

__all__ = ["RealtimeClient", "ToolContext"]

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., object]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext(CallContext):
    """One call of a tool, and the client that received it; see `duologue.ToolContext`."""

    client: RealtimeClient
    """The client; a tool may call its blocking methods."""


class _WrappedClient(client.RealtimeClient):
    """Asynchronous client that belongs to a blocking one."""

    _context_class = ToolContext
    wrapper: RealtimeClient
    """The blocking client; set before a session is opened."""

    _closings: int = 0

    def is_idle(self) -> bool:
        """Return whether no session is open, being opened or being closed."""
        is_busy = self._is_connecting or self.is_connected or self.is_reconnecting
        return not (is_busy or self._closings)

    async def close(self) -> None:
        """Close the session; see the asynchronous client."""
        self._closings += 1
        try:
            await super().close()
        finally:
            self._closings -= 1

    def add_callback(self, key: CallbackKey, callback: Callback, *, is_once: bool = False) -> None:
        """Register a callback: `on` and `on_next` without their overloads."""
        self._callbacks.add(key, callback, is_once=is_once)

    async def wait(self, key: CallbackKey, timeout: float | None) -> object:  # noqa: ASYNC109  # its own text
        """Wait for the next value of a key: `wait_for_next` without its overloads."""
        return await self._callbacks.wait(key, timeout)

    def _context(self, call: ToolCall) -> CallContext:
        return ToolContext(client=self.wrapper, call_id=call.call_id, item=call.item)


class RealtimeClient(ClientMethods[_WrappedClient]):
    """One Realtime session over a WebSocket, for blocking code.

    Has the methods of `duologue.RealtimeClient`. Where those are awaited, these block, or return a
    handle whose `result()` blocks. Any number of threads may use a client at once. Between
    `connect` and `close` a thread of its own runs the session, so that audio and tools go on while
    the caller does something else.

    Callbacks are plain functions. They run one after the other on another thread, and may call
    blocking methods. Iterating over the client yields every update, as with the asynchronous
    client. Ctrl-C interrupts a waiting call; leave the session with `with` or `close`.

    The arguments, and the errors for wrong ones, are those of `duologue.RealtimeClient`.
    """

    _client_class = _WrappedClient

    @property
    def conversation(self) -> RealtimeConversation:
        """The conversation; after `close` as it was last."""
        return RealtimeConversation(self._thread, self._client)

    def connect(self) -> None:
        """Open a session, with an empty conversation. See `duologue.RealtimeClient.connect`."""
        self._client.wrapper = self
        self._thread.start(self._client.connect(), is_idle=self._client.is_idle)

    def close(self) -> None:
        """Close the session and wait until it is gone.

        Harmless to repeat, and may be called on any thread.
        """
        self._end(self._client.close())

    def disconnect(self) -> None:
        """Close the session and empty the conversation, as the reference client does."""
        self._end(self._client.disconnect())

    def reset(self) -> None:
        """Close the session, and forget the callbacks, the tools and all changes of the session."""
        self._end(self._client.reset())

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Update]:
        yield from self._iterate(self._thread.call(lambda: aiter(self._client)))

    def items(self) -> Iterator[FormattedItem]:
        """Return an iterator over the items that are added to the conversation from now on.

        It misses none. See `duologue.RealtimeClient.items`.
        """
        return self._iterate(self._thread.call(self._client.items))

    def completed_items(self) -> Iterator[FormattedItem]:
        """Return an iterator over the items that are completed from now on; see `items`."""
        return self._iterate(self._thread.call(self._client.completed_items))

    @overload
    def on(self, key: type[T], callback: Callable[[T], object]) -> None: ...
    @overload
    def on(self, key: str, callback: Callable[[Any], object]) -> None: ...
    @overload
    def on(self, key: type[T]) -> Callable[[Callable[[T], object]], Callable[[T], object]]: ...
    @overload
    def on(self, key: str) -> Callable[[Callable[[Any], object]], Callable[[Any], object]]: ...
    def on(self, key: CallbackKey, callback: Callable[[Any], object] | None = None) -> object:
        """Call `callback` for each value of a key; without a callback, return a decorator.

        See `duologue.RealtimeEventHandler` for the keys.

        Raises:
            ConfigurationError: If the callback is a coroutine function.
        """
        if callback is not None:
            threaded = ThreadCallback(self._thread, callback)
            return self._thread.call(lambda: self._client.add_callback(key, threaded))

        def register(callback: Callable[[Any], object]) -> Callable[[Any], object]:
            threaded = ThreadCallback(self._thread, callback)
            self._thread.call(lambda: self._client.add_callback(key, threaded))
            return callback

        return register

    @overload
    def on_next(self, key: type[T], callback: Callable[[T], object]) -> None: ...
    @overload
    def on_next(self, key: str, callback: Callable[[Any], object]) -> None: ...
    def on_next(self, key: CallbackKey, callback: Callable[[Any], object]) -> None:
        """Call `callback` for the next value only; see `on`."""
        threaded = ThreadCallback(self._thread, callback)
        self._thread.call(lambda: self._client.add_callback(key, threaded, is_once=True))

    def off(self, key: CallbackKey, callback: Callable[[Any], object] | None = None) -> None:
        """Remove `callback`, or all callbacks of a key; harmless if there is none."""
        threaded = None if callback is None else ThreadCallback(self._thread, callback)
        self._thread.call(lambda: self._client.off(key, threaded))

    def off_next(self, key: CallbackKey, callback: Callable[[Any], object] | None = None) -> None:
        """Remove a callback of `on_next`, or all of a key; harmless if there is none."""
        threaded = None if callback is None else ThreadCallback(self._thread, callback)
        self._thread.call(lambda: self._client.off_next(key, threaded))

    @overload
    def wait_for_next(self, key: type[T], *, timeout: float | None = None) -> T: ...
    @overload
    def wait_for_next(self, key: str, *, timeout: float | None = None) -> Any: ...  # noqa: ANN401  # depends on the name
    def wait_for_next(self, key: CallbackKey, *, timeout: float | None = None) -> object:
        """Return the next value that a callback of `key` would get.

        Only values that arrive after this call count. To wait for the answer to a command use its
        `result()`, and to miss nothing iterate over the client.

        Raises:
            TimeoutError: If no value arrives within `timeout` seconds.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first, or is not open.
        """
        return self._thread.run(self._client.wait(key, timeout))

    @overload
    def tool(self, function: F, /) -> F: ...
    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        **options: Unpack[ToolOptions],
    ) -> Callable[[F], F]: ...
    def tool(
        self,
        function: F | None = None,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        **options: Unpack[ToolOptions],
    ) -> F | Callable[[F], F]:
        """Offer a function to the model, as a decorator with or without options.

        The function runs on a thread, and may call blocking methods of the client. A parameter of
        the class `duologue.sync.ToolContext` gets the call. See `duologue.RealtimeClient.tool`.
        """

        def offer(function: F) -> F:
            offering = self._client.tool
            return self._thread.call(
                lambda: offering(name=name, description=description, **options)(function)
            )

        return offer if function is None else offer(function)

    def _iterate(self, values: AsyncIterator[T]) -> Iterator[T]:
        while (value := self._thread.run(_next(values))) is not None:
            yield value

    def _end(self, closing: Coroutine[Any, Any, None]) -> None:
        try:
            self._thread.run(closing)
        except LocalProtocolError:  # on the loop's own thread, which cannot wait for its end
            raise
        except Closed:  # another thread has closed it
            pass
        except BaseException:
            self._thread.stop()
            raise
        self._thread.stop(is_idle=self._client.is_idle)  # another thread may have connected


async def _next(values: AsyncIterator[T]) -> T | None:
    return await anext(values, None)

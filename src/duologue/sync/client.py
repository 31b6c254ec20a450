"""RealtimeClient for code that blocks: the asynchronous one, on a thread of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from duologue.errors import Closed, LocalProtocolError
from duologue.sync._bridged import Threaded
from duologue.sync._generated import ClientMethods
from duologue.sync.conversation import RealtimeConversation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from types import TracebackType

    from duologue.client.registry import Key
    from duologue.client.tools import ToolOptions
    from duologue.session.updates import Update

__all__ = ["RealtimeClient"]

T = TypeVar("T")
F = TypeVar("F", bound="Callable[..., object]")


class RealtimeClient(ClientMethods):
    """One conversation over a WebSocket, for code that blocks.

    The same as `duologue.RealtimeClient`, method by method, where what is awaited there is waited
    for here: by the call itself, or by `result()` of what it returns. It may be used by any number
    of threads at once. Between `connect` and `close` a thread of its own holds the session, so that
    audio and tools go on while the caller does something else.

    Callbacks run one after the other on another thread, and may call anything that blocks; they
    are plain functions. Iterating yields every update, as with the asynchronous client. Ctrl-C ends
    what waits; leave the session by `with` or `close`.

    The arguments and what they raise are those of `duologue.RealtimeClient`.
    """

    @property
    def conversation(self) -> RealtimeConversation:
        """What was said; after `close` as it was last."""
        return RealtimeConversation(self._bridge, self._client)

    def connect(self) -> None:
        """Open a session, with an empty conversation. See `duologue.RealtimeClient.connect`."""
        self._client.face = self
        self._bridge.start(self._client.connect(), is_idle=self._client.is_idle)

    def close(self) -> None:
        """Close the session and wait until it is gone; harmless to repeat, and from any thread."""
        self._end(self._client.close())

    def disconnect(self) -> None:
        """Close the session, and empty the conversation as the reference client does."""
        self._end(self._client.disconnect())

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
        updates = self._bridge.call(lambda: aiter(self._client))
        while (update := self._bridge.run(_next(updates))) is not None:
            yield update

    @overload
    def on(self, key: type[T], callback: Callable[[T], object]) -> None: ...
    @overload
    def on(self, key: str, callback: Callable[[Any], object]) -> None: ...
    @overload
    def on(self, key: type[T]) -> Callable[[Callable[[T], object]], Callable[[T], object]]: ...
    @overload
    def on(self, key: str) -> Callable[[Callable[[Any], object]], Callable[[Any], object]]: ...
    def on(self, key: Key, callback: Callable[[Any], object] | None = None) -> object:
        """Call `callback` each time; without one, return a decorator.

        See `duologue.RealtimeEventHandler` for the keys.

        Raises:
            ConfigurationError: If it is a coroutine function.
        """
        if callback is not None:
            threaded = Threaded(self._bridge, callback)
            return self._bridge.call(lambda: self._client.add_callback(key, threaded))

        def register(callback: Callable[[Any], object]) -> Callable[[Any], object]:
            threaded = Threaded(self._bridge, callback)
            self._bridge.call(lambda: self._client.add_callback(key, threaded))
            return callback

        return register

    @overload
    def on_next(self, key: type[T], callback: Callable[[T], object]) -> None: ...
    @overload
    def on_next(self, key: str, callback: Callable[[Any], object]) -> None: ...
    def on_next(self, key: Key, callback: Callable[[Any], object]) -> None:
        """Call `callback` the next time only; see `on`."""
        threaded = Threaded(self._bridge, callback)
        self._bridge.call(lambda: self._client.add_callback(key, threaded, is_once=True))

    def off(self, key: Key, callback: Callable[[Any], object] | None = None) -> None:
        """Call `callback` no more; without one, none of the key's. Harmless if there is none."""
        threaded = None if callback is None else Threaded(self._bridge, callback)
        self._bridge.call(lambda: self._client.off(key, threaded))

    @overload
    def wait_for_next(self, key: type[T], *, timeout: float | None = None) -> T: ...
    @overload
    def wait_for_next(self, key: str, *, timeout: float | None = None) -> Any: ...  # noqa: ANN401  # depends on the name
    def wait_for_next(self, key: Key, *, timeout: float | None = None) -> object:
        """Return what a callback of `key` would get, the next time from now on.

        What follows from a call may have come before this one begins: for the answer to a command
        take `result()`, and to miss nothing iterate.

        Raises:
            TimeoutError: If nothing came within `timeout` seconds.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first, or is not open.
        """
        return self._bridge.run(self._client.wait(key, timeout))

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
        """Offer the model a function, as a decorator with or without options.

        It runs in a thread, and may call anything of the client that blocks. The call is told to a
        parameter of the class `duologue.sync.ToolContext`. See `duologue.RealtimeClient.tool`.
        """

        def offer(function: F) -> F:
            offering = self._client.tool
            return self._bridge.call(
                lambda: offering(name=name, description=description, **options)(function)
            )

        return offer if function is None else offer(function)

    def _end(self, closing: Coroutine[Any, Any, None]) -> None:
        try:
            self._bridge.run(closing)
        except LocalProtocolError:  # the loop cannot wait for its own end
            raise
        except Closed:  # by another thread
            pass
        except BaseException:
            self._bridge.stop()
            raise
        self._bridge.stop(is_idle=self._client.is_idle)  # another thread may have connected


async def _next(updates: AsyncIterator[Update]) -> Update | None:
    return await anext(updates, None)

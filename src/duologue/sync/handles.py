"""What a sent command gives back, for code that blocks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator

    from duologue.client import handles
    from duologue.protocol.ga import Response, Usage
    from duologue.session.formatted import FormattedItem
    from duologue.session.response_state import RequestState
    from duologue.session.updates import Delta
    from duologue.sync.loop_thread import Bridge

__all__ = ["Pending", "ResponseHandle"]

T = TypeVar("T")


class Pending(Generic[T]):
    """A command that was sent; `result()` waits for the server's answer."""

    __slots__ = ("_bridge", "_pending")

    def __init__(self, bridge: Bridge, pending: handles.Pending[T]) -> None:
        self._bridge: Final = bridge
        self._pending: Final = pending

    @property
    def event_id(self) -> str:
        """The id of the client event."""
        return self._pending.event_id

    @property
    def is_done(self) -> bool:
        """Whether it was answered, refused or lost."""
        return self._pending.is_done

    def result(self, timeout: float | None = None) -> T:
        """Wait for the answer, for so many seconds at most.

        Raises:
            ServerError: If the server refused the command.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first.
            RemoteProtocolError: If the server answered a thousand later commands, but not this.
            TimeoutError: If it takes too long; the command stands, and may be waited for again.
        """
        return self._bridge.run(_awaited(self._pending, None if self.is_done else timeout))


class ResponseHandle:
    """A response that was asked for.

    `result()` waits for its end, iterating yields what it says as it comes, and what it has said
    can be read at any time.
    """

    __slots__ = ("_bridge", "_handle")

    def __init__(self, bridge: Bridge, handle: handles.ResponseHandle) -> None:
        self._bridge: Final = bridge
        self._handle: Final = handle

    @property
    def event_id(self) -> str:
        """The id of the `response.create`."""
        return self._handle.event_id

    @property
    def id(self) -> str | None:
        """The response's id, once the server has begun it."""
        return self._handle.id

    @property
    def state(self) -> RequestState:
        """How far it is."""
        return self._handle.state

    @property
    def is_done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self._handle.is_done

    @property
    def items(self) -> tuple[FormattedItem, ...]:
        """The items that it made so far, also those of an out-of-band response."""
        return self._bridge.call(lambda: self._handle.items)

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self._bridge.call(lambda: self._handle.text)

    @property
    def transcript(self) -> str:
        """What it has said so far, in words; they run ahead of the audio."""
        return self._bridge.call(lambda: self._handle.transcript)

    @property
    def audio(self) -> bytes:
        """What it has said so far, in the session's output format."""
        return self._bridge.call(lambda: self._handle.audio)

    @property
    def usage(self) -> Usage | None:
        """What it cost, once it is done."""
        return self._handle.usage

    def cancel(self) -> None:
        """Stop it; harmless when it has ended. See `duologue.ResponseHandle.cancel`.

        Raises:
            Closed: If the session was closed.
            ConnectionLost: If the connection has ended.
        """
        self._bridge.call(self._handle.cancel)

    def result(self, timeout: float | None = None) -> Response:
        """Wait for the end: completed, incomplete or cancelled, see the `status` of what returns.

        Raises:
            ResponseFailed: If it ended as `failed`.
            ServerError: If the server refused to begin it.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first.
            TimeoutError: If it takes more than `timeout` seconds; it goes on, and may be waited for
                again.
        """
        return self._bridge.run(_awaited(self._handle, None if self.is_done else timeout))

    def __iter__(self) -> Iterator[Delta]:
        """Yield what it says, from its beginning, as deltas of text, transcript, audio, arguments.

        Ends when the response has ended, in whatever way; `result()` tells in which.
        """
        deltas = aiter(self._handle)
        while (delta := self._bridge.run(_next(deltas))) is not None:
            yield delta

    def __repr__(self) -> str:
        return repr(self._handle)


async def _next(deltas: AsyncIterator[Delta]) -> Delta | None:
    return await anext(deltas, None)


async def _awaited(handle: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109  # its own text
    if timeout is None:
        return await handle
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            return await handle
    except TimeoutError:
        if not limit.expired():
            raise
        raise TimeoutError(f"the server did not answer within {timeout} s") from None

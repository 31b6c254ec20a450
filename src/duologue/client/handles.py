"""What a sent command gives back: something that may be awaited, and need not be.

Sending never waits. Awaiting a handle waits for the server's answer; cancelling that only stops the
waiting. An error that nobody awaits is told as an `ErrorUpdate`, so that none is lost.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from duologue.client.news import News
from duologue.protocol.ga import Response
from duologue.session.commands import Command, CommandState
from duologue.session.response_state import RequestState, ResponseRequest, response_failed
from duologue.session.response_stream import ResponseStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from duologue.protocol.ga import Usage
    from duologue.session.formatted import FormattedItem
    from duologue.session.updates import Delta

__all__ = ["Pending", "ResponseHandle", "Waiters"]

T = TypeVar("T")


class Waiters:
    """Who awaits which command or response."""

    def __init__(self) -> None:
        self._futures: dict[Command | ResponseRequest, set[asyncio.Future[None]]] = {}
        self.news: Final = News()
        """Who waits for something to read."""

    def is_awaited(self, record: Command | ResponseRequest) -> bool:
        """Tell whether somebody waits for this."""
        return record in self._futures

    async def wait(self, record: Command | ResponseRequest) -> None:
        """Wait until a record has ended."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        futures = self._futures.setdefault(record, set())
        futures.add(future)
        try:
            await future
        finally:
            futures.discard(future)
            if not futures:
                self._futures.pop(record, None)

    def settle(self, record: Command | ResponseRequest) -> None:
        """Let those go on who wait for a record that has ended."""
        for future in self._futures.get(record, ()):
            if not future.done():
                future.set_result(None)


class Pending(Generic[T]):
    """A command that was sent. Await it for the server's answer.

    Awaiting has no limit but the connection's end: the server may be busy for long. Put an
    `asyncio.timeout` around it where there is one; that ends the waiting alone, the command stands.
    """

    __slots__ = ("_command", "_read", "_waiters")

    def __init__(self, command: Command, waiters: Waiters, read: Callable[[Any], T]) -> None:
        self._command: Final = command
        self._waiters: Final = waiters
        self._read: Final = read

    @property
    def event_id(self) -> str:
        """The id of the client event."""
        return self._command.event_id

    @property
    def is_done(self) -> bool:
        """Whether it was answered, refused or lost."""
        return self._command.state is not CommandState.PENDING

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the answer.

        Raises:
            ServerError: If the server refused the command.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first.
            RemoteProtocolError: If the server answered a thousand later commands, but not this.
        """
        return self._wait().__await__()

    async def _wait(self) -> T:
        if not self.is_done:
            await self._waiters.wait(self._command)
        if self._command.error is not None:
            raise self._command.error.with_traceback(None)
        return self._read(self._command.answer)


class ResponseHandle:
    """A response that was asked for.

    Await it for its end, iterate over what it says as it comes, read what it has said at any time.
    As with `Pending`, a limit of time is the caller's.
    """

    __slots__ = ("_cancel", "_request", "_waiters")

    def __init__(
        self,
        request: ResponseRequest,
        waiters: Waiters,
        cancel: Callable[[ResponseRequest], None],
    ) -> None:
        self._request: Final = request
        self._waiters: Final = waiters
        self._cancel: Final = cancel

    @property
    def event_id(self) -> str:
        """The id of the `response.create`."""
        return self._request.event_id

    @property
    def id(self) -> str | None:
        """The response's id, once the server has begun it."""
        response = self._request.response
        return None if response is None else response.id

    @property
    def state(self) -> RequestState:
        """How far it is."""
        return self._request.state

    @property
    def is_done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return not self._request.is_open

    @property
    def items(self) -> tuple[FormattedItem, ...]:
        """The items that it made so far, also those of an out-of-band response."""
        return self._request.snapshots()

    @property
    def text(self) -> str:
        """What it has written so far."""
        return "".join(item.formatted.text for item in self.items)

    @property
    def transcript(self) -> str:
        """What it has said so far, in words; they run ahead of the audio."""
        return "".join(item.formatted.transcript for item in self.items)

    @property
    def audio(self) -> bytes:
        """What it has said so far, in the session's output format."""
        return b"".join(item.formatted.audio for item in self.items)

    @property
    def usage(self) -> Usage | None:
        """What it cost, once it is done."""
        response = self._request.response
        return None if response is None else response.usage

    def cancel(self) -> None:
        """Stop it; harmless when it has ended.

        One that waits its turn is never sent. One that the server has not begun yet is stopped as
        soon as it has.

        Raises:
            Closed: If the session was closed.
            ConnectionLost: If the connection has ended.
        """
        if not self.is_done:
            self._cancel(self._request)

    async def __aiter__(self) -> AsyncIterator[Delta]:
        """Yield what it says, from its beginning, as deltas of text, transcript, audio, arguments.

        Ends when the response has ended, in whatever way; await it to know in which.
        """
        stream = ResponseStream(self._request)
        while True:
            deltas = stream.take()
            for delta in deltas:
                yield delta
            if deltas:
                continue
            if self.is_done:
                return
            await self._waiters.news.wait()

    def __await__(self) -> Generator[Any, None, Response]:
        """Wait for the end: completed, incomplete or cancelled, see the `status` of what returns.

        One that was cancelled before it began has no more than that.

        Raises:
            ResponseFailed: If it ended as `failed`.
            ServerError: If the server refused to begin it.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first.
        """
        return self._wait().__await__()

    def __repr__(self) -> str:
        return f"<ResponseHandle {self.id or self.event_id} {self.state.name.lower()}>"

    async def _wait(self) -> Response:
        request = self._request
        if request.is_open:
            await self._waiters.wait(request)
        if request.error is not None:
            raise request.error.with_traceback(None)
        if request.response is None:  # cancelled while it waited its turn
            return Response(status="cancelled")
        if request.state is RequestState.FAILED:
            raise response_failed(request.response.response)
        return request.response.response

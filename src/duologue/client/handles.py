"""Handles: what sending a command returns. They may be awaited, and need not be.

Sending never waits. Awaiting a handle waits for the server's answer; cancelling that only stops the
waiting. An error that nothing awaits is reported as an `ErrorUpdate`, so that none is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from duologue.errors import Closed, ServerError
from duologue.protocol.ga import Response
from duologue.session.commands import CommandState
from duologue.session.response_state import RequestState, response_failed
from duologue.session.response_stream import ResponseStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from duologue.client.driver import Driver
    from duologue.client.waiters import Waiters
    from duologue.protocol.ga import Usage
    from duologue.protocol.model import UnsetType
    from duologue.session.commands import Command
    from duologue.session.formatted import FormattedItem
    from duologue.session.response_state import ResponseRequest
    from duologue.session.updates import Delta

__all__ = ["Pending", "ResponseHandle", "TimeLimit"]

T = TypeVar("T")

TimeLimit: TypeAlias = "float | UnsetType | None"
"""Seconds for the server; `None`: no limit; unset: the client's `command_timeout`."""


class Pending(Generic[T]):
    """A command that was sent. Await it for the server's answer.

    The server has the client's `command_timeout` to answer. Use `asyncio.timeout` to wait less:
    that stops the waiting, not the command.
    """

    __slots__ = ("_command", "_read", "_waiters")

    def __init__(self, command: Command, waiters: Waiters | None, read: Callable[[Any], T]) -> None:
        self._command: Final = command
        self._waiters: Final = waiters
        self._read: Final = read

    @property
    def event_id(self) -> str:
        """Id of the client event."""
        return self._command.event_id

    @property
    def is_done(self) -> bool:
        """Whether the command was answered, refused or lost."""
        return self._command.state is not CommandState.PENDING

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for the answer.

        Raises:
            ServerError: If the server refused the command.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first.
            TimeoutError: If the server did not answer in time.
            RemoteProtocolError: If the server answered a thousand later commands, but not this one.
        """
        return self._wait().__await__()

    async def _wait(self) -> T:
        if not self.is_done and self._waiters is not None:
            await self._waiters.wait(self._command)
        if self._command.error is not None:
            raise self._command.error.with_traceback(None)
        return self._read(self._command.answer)


class ResponseHandle:
    """A response that was requested.

    Await it for its end, iterate over its deltas as they come, read its content at any time. As
    with `Pending`, use `asyncio.timeout` to limit the waiting.
    """

    __slots__ = ("_driver", "_request")

    def __init__(self, request: ResponseRequest, driver: Driver) -> None:
        self._request: Final = request
        self._driver: Final = driver

    @property
    def event_id(self) -> str:
        """Id of the `response.create`."""
        return self._request.event_id

    @property
    def id(self) -> str | None:
        """Id of the response, once the server has begun it."""
        response = self._request.response
        return None if response is None else response.id

    @property
    def state(self) -> RequestState:
        """State of the request."""
        return self._request.state

    @property
    def is_done(self) -> bool:
        """Whether it has ended, in whatever way."""
        return not self._request.is_open

    @property
    def items(self) -> tuple[FormattedItem, ...]:
        """Its items so far, including those of an out-of-band response."""
        return self._request.snapshots()

    @property
    def text(self) -> str:
        """Its text so far."""
        return "".join(item.formatted.text for item in self.items)

    @property
    def transcript(self) -> str:
        """Transcript of its audio so far; it runs ahead of the audio."""
        return "".join(item.formatted.transcript for item in self.items)

    @property
    def audio(self) -> bytes:
        """Its audio so far, in the session's output format."""
        return b"".join(item.formatted.audio for item in self.items)

    @property
    def usage(self) -> Usage | None:
        """Its token usage, once it is done."""
        response = self._request.response
        return None if response is None else response.usage

    def cancel(self) -> None:
        """Cancel it; harmless when it has ended.

        A request that waits its turn is never sent. One that the server has not begun yet is
        cancelled as soon as it has.

        Raises:
            Closed: If the session was closed.
            ConnectionLost: If the connection has ended.
        """
        if not self.is_done:
            self._driver.call(lambda core, now: core.cancel_request(self._request, now))

    async def answer(self) -> ResponseHandle:
        """Wait for its end and, if it called tools, for the response after their results.

        Returns:
            The response that has ended without calls; this one if there were none, or if no
            further response is requested (the user interrupted).

        Raises:
            ResponseFailed: If a response failed.
            ServerError: If the server refused to begin one.
            BudgetExceeded: If the budget was used up before one was requested.
            TimeoutError: If the server did not begin one, or go on with it, in time.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first.
        """
        handle = self
        while True:
            await handle
            request = handle._request  # of the same class
            while request.follow_up is None and self._driver.is_continued(request):
                await self._driver.waiters.wait_for_more()
            if request.follow_up is None:
                return handle
            handle = ResponseHandle(request.follow_up, self._driver)

    async def __aiter__(self) -> AsyncIterator[Delta]:
        """Yield its deltas of text, transcript, audio and arguments, from its beginning.

        Ends when the response has ended, in whatever way; await the handle to learn in which. If
        the connection is lost meanwhile, and the response requested again, all deltas of the new
        one follow.

        Raises:
            ConnectionLost: After the last delta that arrived, if the connection is lost.
        """
        stream = ResponseStream(self._request)
        while True:
            deltas = stream.take()
            for delta in deltas:
                yield delta
            if deltas:
                continue
            if self.is_done:
                error = self._request.error
                if error is not None and not isinstance(error, ServerError | Closed):
                    raise error.with_traceback(None)
                return
            await self._driver.waiters.wait_for_more()

    def __await__(self) -> Generator[Any, None, Response]:
        """Wait for its end, and return it: see its `status` (completed, incomplete, cancelled).

        A response that was cancelled before it began has nothing but a status.

        Raises:
            ResponseFailed: If its status is `failed`.
            ServerError: If the server refused to begin it.
            BudgetExceeded: If the budget was used up while it waited its turn.
            TimeoutError: If the server did not begin it, or go on with it, in time.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first.
        """
        return self._wait().__await__()

    def __repr__(self) -> str:
        return f"<ResponseHandle {self.id or self.event_id} {self.state.name.lower()}>"

    async def _wait(self) -> Response:
        request = self._request
        if request.is_open:
            await self._driver.waiters.wait(request)
        if request.error is not None:
            raise request.error.with_traceback(None)
        if request.response is None:  # cancelled while it waited its turn
            return Response(status="cancelled")
        if request.state is RequestState.FAILED:
            raise response_failed(request.response.response)
        return request.response.response

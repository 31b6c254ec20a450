"""Blocking views of what the asynchronous client returns: commands, responses, conversation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator
    from os import PathLike

    from duologue.client import client, handles
    from duologue.protocol.formats import Format
    from duologue.protocol.ga import Response, Usage
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.formatted import FormattedItem
    from duologue.session.response_state import RequestState
    from duologue.session.transcript import Transcript
    from duologue.session.updates import Delta
    from duologue.sync.loop_thread import LoopThread

__all__ = ["Pending", "RealtimeConversation", "ResponseHandle"]

T = TypeVar("T")


class Pending(Generic[T]):
    """Sent command; `result()` waits for the server's answer."""

    __slots__ = ("_pending", "_thread")

    def __init__(self, thread: LoopThread, pending: handles.Pending[T]) -> None:
        self._thread: Final = thread
        self._pending: Final = pending

    @property
    def event_id(self) -> str:
        """Id of the client event."""
        return self._pending.event_id

    @property
    def is_done(self) -> bool:
        """Whether the command was answered, refused or lost."""
        return self._pending.is_done

    def result(self, timeout: float | None = None) -> T:
        """Wait for the answer, for at most `timeout` seconds.

        Raises:
            ServerError: If the server refused the command.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first.
            RemoteProtocolError: If the server answered a thousand later commands, but not this one.
            TimeoutError: If the server did not answer within the client's `command_timeout`, or
                within `timeout`: then the command stays valid, and `result` may be called again.
        """
        return self._thread.run(_awaited(self._pending, None if self.is_done else timeout))


class ResponseHandle:
    """Requested response.

    `result()` waits for its end, iterating yields its deltas as they arrive, and the properties
    return what has arrived so far.
    """

    __slots__ = ("_handle", "_thread")

    def __init__(self, thread: LoopThread, handle: handles.ResponseHandle) -> None:
        self._thread: Final = thread
        self._handle: Final = handle

    @property
    def event_id(self) -> str:
        """Id of the `response.create`."""
        return self._handle.event_id

    @property
    def id(self) -> str | None:
        """Id of the response, once the server has begun it."""
        return self._handle.id

    @property
    def state(self) -> RequestState:
        """State of the response, from waiting to completed."""
        return self._handle.state

    @property
    def is_done(self) -> bool:
        """Whether the response has ended, for whatever reason."""
        return self._handle.is_done

    @property
    def items(self) -> tuple[FormattedItem, ...]:
        """Output items so far, also those of an out-of-band response."""
        return self._thread.call(lambda: self._handle.items)

    @property
    def text(self) -> str:
        """Text so far."""
        return self._thread.call(lambda: self._handle.text)

    @property
    def transcript(self) -> str:
        """Transcript of the speech so far; it runs ahead of the audio."""
        return self._thread.call(lambda: self._handle.transcript)

    @property
    def audio(self) -> bytes:
        """Audio so far, in the session's output format."""
        return self._thread.call(lambda: self._handle.audio)

    @property
    def usage(self) -> Usage | None:
        """Tokens used, once the response is done."""
        return self._handle.usage

    def cancel(self) -> None:
        """Cancel the response; harmless if it has ended. See `duologue.ResponseHandle.cancel`.

        Raises:
            Closed: If the session was closed.
            ConnectionLost: If the connection has ended.
        """
        self._thread.call(self._handle.cancel)

    def answer(self) -> ResponseHandle:
        """Wait for its end and, if it called tools, for the response after their results.

        See `duologue.ResponseHandle.answer`.
        """
        return ResponseHandle(self._thread, self._thread.run(self._handle.answer()))

    def result(self, timeout: float | None = None) -> Response:
        """Wait for the response to end; its `status` is completed, incomplete or cancelled.

        Raises:
            ResponseFailed: If the response ended as `failed`.
            ServerError: If the server refused to begin the response.
            ConnectionLost: If the connection ended first.
            Closed: If the session was closed first.
            TimeoutError: If it takes more than `timeout` seconds; the response goes on, and
                `result` may be called again.
        """
        return self._thread.run(_awaited(self._handle, None if self.is_done else timeout))

    def __iter__(self) -> Iterator[Delta]:
        """Yield deltas of text, transcript, audio and arguments, from the response's beginning.

        The iteration ends when the response ends, for whatever reason; `result()` returns which.
        """
        deltas = aiter(self._handle)
        while (delta := self._thread.run(_next(deltas))) is not None:
            yield delta

    def __repr__(self) -> str:
        return repr(self._handle)


class RealtimeConversation:
    """Conversation of the current session, as far as the server has reported it."""

    def __init__(self, thread: LoopThread, source: client.RealtimeClient) -> None:
        self._thread: Final = thread
        self._source: Final = source

    @property
    def items(self) -> tuple[FormattedItem, ...]:
        """All items, in the order of the conversation."""
        return self._thread.call(lambda: self._source.conversation.items)

    @property
    def output_format(self) -> Format:
        """Format of the assistant's audio, in which truncation counts."""
        return self._source.conversation.output_format

    def item(self, item_id: str) -> FormattedItem:
        """Return the current state of an item.

        Raises:
            ItemNotFound: If the conversation has no item of this id.
        """
        return self._thread.call(lambda: self._source.conversation.item(item_id))

    def transcript(self) -> Transcript:
        """Return what was said until now, in spoken order; see `duologue.Transcript`."""
        return self._thread.call(self._source.conversation.transcript)

    def to_json(self) -> bytes:
        """Return the conversation as JSON that another client can continue: see `save`."""
        return self._thread.call(self._source.conversation.to_json)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the conversation to a file; see `duologue.RealtimeConversation.save`.

        Raises:
            OSError: If it cannot be written.
        """
        self._thread.call(lambda: self._source.conversation.save(path))

    def clear(self) -> None:
        """Forget all items here; the server's conversation stays as it is."""
        self._thread.call(self._source.conversation.clear)

    def queue_input_audio(self, audio: bytes) -> None:
        """Set the audio of the next user message that is added without audio that was recorded."""
        self._thread.call(lambda: self._source.conversation.queue_input_audio(audio))

    def process_event(
        self, event: Event | UnknownEvent
    ) -> tuple[FormattedItem | None, Delta | None]:
        """Process a server event as if it had arrived; return what it changed and added."""
        return self._thread.call(lambda: self._source.conversation.process_event(event))

    def __iter__(self) -> Iterator[FormattedItem]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self._source.conversation)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._source.conversation


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

"""The methods of the blocking client; written by `python -m tests.sync.generate`, not by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from duologue.client import client
from duologue.session.retention import KEEP_RECENT
from duologue.sync.handles import Pending, ResponseHandle
from duologue.sync.loop_thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Unpack

    from duologue.client.client import Statistics
    from duologue.client.endpoint import Endpoint, Spoken
    from duologue.client.keys import Key
    from duologue.client.link import Connector
    from duologue.client.sending import ResponseKeywords
    from duologue.client.session_keywords import SessionKeywords
    from duologue.client.tools import ToolHandler, ToolOptions
    from duologue.protocol import beta, ga
    from duologue.protocol.formats import Format
    from duologue.protocol.ga import (
        ContentPart,
        FunctionTool,
        Item,
        RealtimeSession,
        ResponseCreateParams,
        Session,
        TranscriptionSession,
    )
    from duologue.session.formatted import FormattedItem
    from duologue.session.playback import PlaybackCut
    from duologue.session.response_state import ResponseState
    from duologue.session.retention import Retention

__all__ = ["ClientMethods"]
C = TypeVar("C", bound=client.RealtimeClient)


class ClientMethods(Generic[C]):
    """Methods that only pass their arguments on to the asynchronous client."""

    _client_class: type[C]

    def __init__(
        self,
        *,
        endpoint: Endpoint | None = None,
        url: str | None = None,
        api_key: Key | None = None,
        model: str | None = None,
        session: RealtimeSession | TranscriptionSession | beta.SessionConfig | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 10.0,
        connector: Connector | None = None,
        dialect: Spoken | None = None,
        retention: Retention = KEEP_RECENT,
        validate: bool = False,
        **keywords: Unpack[SessionKeywords],
    ) -> None:
        self._thread: Final = LoopThread()
        self._client: Final = self._client_class(
            endpoint=endpoint,
            url=url,
            api_key=api_key,
            model=model,
            session=session,
            headers=headers,
            connect_timeout=connect_timeout,
            connector=connector,
            dialect=dialect,
            retention=retention,
            validate=validate,
            **keywords,
        )

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self._thread.call(lambda: self._client.is_connected)

    @property
    def session(self) -> Session | None:
        """The configuration that holds, as the server last told it; `None` before it did."""
        return self._thread.call(lambda: self._client.session)

    @property
    def responses(self) -> tuple[ResponseState, ...]:
        """The responses of the session, oldest first: the last thousand, whoever asked for them."""
        return self._thread.call(lambda: self._client.responses)

    @property
    def input_format(self) -> Format:
        """In which `append_input_audio` takes audio."""
        return self._thread.call(lambda: self._client.input_format)

    def wait_for_session_created(self, *, timeout: float | None = None) -> Session:
        """Return the session's configuration, as soon as there is one; see `wait_for_next`."""
        return self._thread.run(self._client.wait_for_session_created(timeout=timeout))

    def wait_for_next_item(self, *, timeout: float | None = None) -> FormattedItem:
        """Return the next item that enters the conversation; see `wait_for_next`."""
        return self._thread.run(self._client.wait_for_next_item(timeout=timeout))

    def wait_for_next_completed_item(self, *, timeout: float | None = None) -> FormattedItem:
        """Return the next item that is completed; see `wait_for_next`."""
        return self._thread.run(self._client.wait_for_next_completed_item(timeout=timeout))

    def statistics(self) -> Statistics:
        """Return the state of the client's queues."""
        return self._thread.call(self._client.statistics)

    def add_tool(
        self,
        definition: FunctionTool | Mapping[str, Any],
        handler: ToolHandler,
        **options: Unpack[ToolOptions],
    ) -> Pending[Session]:
        """Offer the model a function with a schema of your own; the session is updated.

        Args:
            definition: Name, description and `parameters` (JSON Schema), as a struct or as JSON.
            handler: Takes the arguments; see `ToolHandler`.
            options: See `ToolOptions`.

        Raises:
            ConfigurationError: If it has no name, or that of another tool, or an option is wrong.
        """
        return Pending(
            self._thread,
            self._thread.call(lambda: self._client.add_tool(definition, handler, **options)),
        )

    def remove_tool(self, name: str) -> Pending[Session]:
        """Take back a tool; the session is updated. Its calls that run are finished.

        Raises:
            ConfigurationError: If it was not added.
        """
        return Pending(self._thread, self._thread.call(lambda: self._client.remove_tool(name)))

    def approve_mcp_call(self, request_id: str) -> Pending[str]:
        """Let the API call a tool of an MCP server; `result()` returns the id of the new item.

        Args:
            request_id: The id of the item of type `mcp_approval_request`.
        """
        return Pending(
            self._thread, self._thread.call(lambda: self._client.approve_mcp_call(request_id))
        )

    def reject_mcp_call(self, request_id: str, *, reason: str | None = None) -> Pending[str]:
        """Forbid a call of an MCP server's tool; see `approve_mcp_call`.

        Args:
            request_id: The id of the item of type `mcp_approval_request`.
            reason: For the model.
        """
        return Pending(
            self._thread,
            self._thread.call(lambda: self._client.reject_mcp_call(request_id, reason=reason)),
        )

    def send(self, event: ga.AnyClientEvent | beta.AnyClientEvent) -> None:
        """Send any event, at once; it gets an `event_id` if it has none.

        On a beta connection it may be written in either dialect.

        Raises:
            LocalProtocolError: If a command with the same `event_id` awaits its answer, or the
                event cannot be said in beta or written as JSON.
        """
        self._thread.call(lambda: self._client.send(event))

    def drain(self) -> None:
        """Wait while more is queued than the server takes: for who sends without end."""
        self._thread.run(self._client.drain())

    def update_session(
        self,
        session: RealtimeSession | TranscriptionSession | beta.SessionConfig | None = None,
        *,
        full: bool | None = None,
        **keywords: Unpack[SessionKeywords],
    ) -> Pending[Session]:
        """Change the session; `result()` returns the configuration that holds then.

        What is unset stays as it is, `None` switches off. Without a session the change is kept for
        `connect`; its `result()` raises then.

        Args:
            session: The change, in the words of either dialect.
            full: Send everything that was ever wanted along with it, or the change alone. When it
                is `None`: all in beta, as the reference client does, the change alone in GA.
            keywords: The same, laid over `session`.

        Raises:
            ConfigurationError: If nothing is told, a keyword is unknown, a session that transcribes
                has no such thing, or a tool has the name of one that `add_tool` added.
        """
        return Pending(
            self._thread,
            self._thread.call(lambda: self._client.update_session(session, full=full, **keywords)),
        )

    def append_input_audio(self, audio: bytes | bytearray | memoryview) -> None:
        """Send what the user says, in the session's input format; nothing is sent of nothing.

        The one thing that the server does not confirm.
        """
        self._thread.call(lambda: self._client.append_input_audio(audio))

    def commit_input_audio(self) -> Pending[str]:
        """Make the input audio a user message; `result()` returns its item id."""
        return Pending(self._thread, self._thread.call(self._client.commit_input_audio))

    def clear_input_audio(self) -> Pending[None]:
        """Forget the input audio that is not committed."""
        return Pending(self._thread, self._thread.call(self._client.clear_input_audio))

    def send_user_message_content(self, content: str | Sequence[ContentPart]) -> ResponseHandle:
        """Say something as the user, and ask for a response; without content only ask."""
        return ResponseHandle(
            self._thread, self._thread.call(lambda: self._client.send_user_message_content(content))
        )

    def create_item(self, item: Item, *, previous_item_id: str | None = None) -> Pending[str]:
        """Put an item into the conversation; `result()` returns its id.

        Args:
            item: Anything but speech of the assistant: that is put back as its text.
            previous_item_id: Insert after this one; `root`: at the front; `None`: at the end.
        """
        return Pending(
            self._thread,
            self._thread.call(
                lambda: self._client.create_item(item, previous_item_id=previous_item_id)
            ),
        )

    def retrieve_item(self, item_id: str) -> Pending[Item]:
        """Ask for the server's copy of an item, with its audio; `result()` returns it."""
        return Pending(self._thread, self._thread.call(lambda: self._client.retrieve_item(item_id)))

    def delete_item(self, item_id: str) -> Pending[None]:
        """Take an item out of the conversation; the mirror follows when the server has."""
        return Pending(self._thread, self._thread.call(lambda: self._client.delete_item(item_id)))

    def truncate_item(
        self, item_id: str, audio_end_ms: int, content_index: int = 0
    ) -> Pending[None]:
        """Cut what the assistant said to what was heard of it; its transcript goes.

        Never more is asked for than was received, where the conversation has the audio: the server
        would refuse it. Nothing is sent of an item that has ended and was heard to its end.
        """
        return Pending(
            self._thread,
            self._thread.call(
                lambda: self._client.truncate_item(item_id, audio_end_ms, content_index)
            ),
        )

    def truncate_items(self, cuts: Iterable[PlaybackCut]) -> None:
        """Tell the server what was not heard: what `PlaybackLedger.interrupt` returned.

        What was begun is truncated. What nobody heard is deleted, unless it is also written: the
        server refuses to truncate what has no audio yet. What the conversation does not hold is
        left alone.
        """
        self._thread.call(lambda: self._client.truncate_items(cuts))

    def create_response(
        self, params: ResponseCreateParams | None = None, **keywords: Unpack[ResponseKeywords]
    ) -> ResponseHandle:
        """Ask for a response.

        While another response of the conversation is in progress it waits its turn, one beside the
        conversation does not. Without turn detection, input audio that is not committed is
        committed first.

        Args:
            params: What the response does differently.
            keywords: The same, laid over `params`.

        Raises:
            ConfigurationError: If a keyword is unknown.
            LocalProtocolError: If too many responses wait already.
        """
        return ResponseHandle(
            self._thread,
            self._thread.call(lambda: self._client.create_response(params, **keywords)),
        )

    def cancel_response(
        self, response_id: str | None = None, *, item_id: str | None = None, heard_samples: int = 0
    ) -> None:
        """Stop a response, the conversation's when none is named; harmless when there is none.

        Args:
            response_id: Which response.
            item_id: What is being played: an item of the assistant, which is cut to what was heard
                of it as `truncate_item` does. One without audio is not.
            heard_samples: How much of that item was heard.

        Raises:
            ItemNotFound: If there is no such item; nothing is sent then.
            LocalProtocolError: If the item is none of the assistant's; nothing is sent then.
        """
        self._thread.call(
            lambda: self._client.cancel_response(
                response_id, item_id=item_id, heard_samples=heard_samples
            )
        )

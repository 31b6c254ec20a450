"""What an application can tell a session: one method for each thing it may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from duologue.client.config import SessionKeywords, session_config
from duologue.client.driver import Driver
from duologue.client.handlers import RealtimeEventHandler
from duologue.client.handles import Pending, ResponseHandle
from duologue.errors import ConfigurationError
from duologue.protocol.ga import (
    ConversationItemCreateEvent,
    ConversationItemDeleteEvent,
    ConversationItemRetrieveEvent,
    ConversationItemTruncateEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    InputText,
    Message,
    RealtimeSession,
    ResponseCancelEvent,
    ResponseCreateEvent,
    ResponseCreateParams,
    SessionUpdateEvent,
)
from duologue.protocol.model import UNSET, UnsetType, replace
from duologue.session.wire import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from duologue.protocol.ga import (
        AnyClientEvent,
        ContentPart,
        ConversationItemAdded,
        ConversationItemRetrieved,
        InputAudioBufferCommittedEvent,
        Item,
        KnownClientEvent,
        Prompt,
        Reasoning,
        ResponseAudio,
        Session,
        SessionUpdatedEvent,
        Tool,
        ToolChoice,
    )

__all__ = ["ResponseKeywords", "Sending"]

T = TypeVar("T")


class ResponseKeywords(TypedDict, total=False):
    """What one response does differently from its session; see `ResponseCreateParams`."""

    conversation: str
    """`none`: out-of-band, the conversation neither sees nor keeps it."""
    input: list[Item]
    instructions: str
    output_modalities: list[str]
    audio: ResponseAudio
    tools: list[Tool]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    max_output_tokens: int | str
    metadata: dict[str, str] | None
    prompt: Prompt | None
    reasoning: Reasoning


class Sending(RealtimeEventHandler):
    """The half of `RealtimeClient` that sends.

    Everything is sent at once, and in order. What is returned may be awaited for the server's
    answer; an error that nobody awaits arrives as an `ErrorUpdate`. Every method raises `Closed`
    when the session is closed or not open, and `ConnectionLost` when the connection has ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self._driver = Driver(self._registry, new_id=lambda kind: kind)

    def send(self, event: AnyClientEvent) -> None:
        """Send any event; it gets an `event_id` if it has none.

        Raises:
            LocalProtocolError: If a command with the same `event_id` awaits its answer.
        """
        self._driver.send(event)

    async def drain(self) -> None:
        """Wait while more is queued than the server takes: for who sends without end."""
        self._driver.check_open()
        await self._driver.link.drain()

    def update_session(
        self, session: RealtimeSession | None = None, **keywords: Unpack[SessionKeywords]
    ) -> Pending[Session]:
        """Change what is told of the session; awaiting returns the configuration that holds then.

        Raises:
            ConfigurationError: If nothing is told, or a keyword is unknown.
        """
        config = session_config(session, keywords)
        if config is None:
            raise ConfigurationError("update_session needs a configuration, or keywords")
        return self._command(SessionUpdateEvent(session=config), _session)

    def append_input_audio(self, audio: bytes | bytearray | memoryview) -> None:
        """Send what the user says, in the session's input format; nothing is sent of nothing.

        The one thing that the server does not confirm.
        """
        if len(audio):
            self._driver.append_audio(audio)

    def commit_input_audio(self) -> Pending[str]:
        """Make the input audio a user message; awaiting returns its item id."""
        return self._command(InputAudioBufferCommitEvent(), _item_id)

    def clear_input_audio(self) -> Pending[None]:
        """Forget the input audio that is not committed."""
        return self._command(InputAudioBufferClearEvent(), _nothing)

    def send_user_message_content(self, content: str | Sequence[ContentPart]) -> ResponseHandle:
        """Say something as the user, and ask for a response; without content only ask."""
        parts: list[ContentPart] = []
        parts += [InputText(text=content)] if isinstance(content, str) else content
        if content:
            self.create_item(Message(role="user", content=parts))
        return self.create_response()

    def create_item(self, item: Item, *, previous_item_id: str | None = None) -> Pending[str]:
        """Put an item into the conversation; awaiting returns its id.

        Args:
            item: Anything but speech of the assistant: that is put back as its text.
            previous_item_id: Insert after this one; `root`: at the front; `None`: at the end.
        """
        previous = UNSET if previous_item_id is None else previous_item_id
        event = ConversationItemCreateEvent(item=item, previous_item_id=previous)
        return self._command(event, _added_id)

    def retrieve_item(self, item_id: str) -> Pending[Item]:
        """Ask for the server's copy of an item, with its audio; awaiting returns it."""
        return self._command(ConversationItemRetrieveEvent(item_id=item_id), _item)

    def delete_item(self, item_id: str) -> Pending[None]:
        """Take an item out of the conversation; the mirror follows when the server has."""
        return self._command(ConversationItemDeleteEvent(item_id=item_id), _nothing)

    def truncate_item(
        self, item_id: str, audio_end_ms: int, content_index: int = 0
    ) -> Pending[None]:
        """Cut what the assistant said to what was heard of it; its transcript goes."""
        event = ConversationItemTruncateEvent(
            item_id=item_id, content_index=content_index, audio_end_ms=audio_end_ms
        )
        return self._command(event, _nothing)

    def create_response(
        self, params: ResponseCreateParams | None = None, **keywords: Unpack[ResponseKeywords]
    ) -> ResponseHandle:
        """Ask for a response.

        Without turn detection, input audio that is not committed is committed first.

        Args:
            params: What the response does differently.
            keywords: The same, laid over `params`.

        Raises:
            ConfigurationError: If a keyword is unknown.
        """
        core = self._driver.core
        response = _response_params(params, keywords)
        self._driver.check_open()
        if not core.detects_turns and core.input_audio.uncommitted_bytes:
            self.commit_input_audio()
        event_id = core.new_id("event")
        self._driver.send(ResponseCreateEvent(event_id=event_id, response=response))
        request = core.responses.request(event_id)
        if request is None:
            raise AssertionError("a response.create was sent, but not noted")
        return ResponseHandle(request, self._driver.waiters, self.cancel_response)

    def cancel_response(self, response_id: str | None = None) -> None:
        """Stop a response, the conversation's when none is named; harmless when there is none."""
        named = UNSET if response_id is None else response_id
        self._driver.send(ResponseCancelEvent(response_id=named))

    def _command(self, event: KnownClientEvent, read: Callable[[Any], T]) -> Pending[T]:
        core = self._driver.core
        self._driver.check_open()
        event_id = core.new_id("event")
        self._driver.send(replace(event, event_id=event_id))
        command = core.commands.get(event_id)
        if command is None:
            raise AssertionError("a command was sent, but not noted")
        return Pending(command, self._driver.waiters, read)


def _response_params(
    params: ResponseCreateParams | None, keywords: ResponseKeywords
) -> ResponseCreateParams | UnsetType:
    if not keywords:
        return UNSET if params is None else params
    unknown = keywords.keys() - set(ResponseCreateParams.__struct_fields__)
    if unknown:
        raise ConfigurationError(f"a response has no {', '.join(sorted(map(repr, unknown)))}")
    return replace(params or ResponseCreateParams(), **keywords)


def _session(answer: SessionUpdatedEvent) -> Session:
    return answer.session


def _item_id(answer: InputAudioBufferCommittedEvent) -> str:
    return answer.item_id


def _added_id(answer: ConversationItemAdded) -> str:
    return id_of(answer.item) or ""


def _item(answer: ConversationItemRetrieved) -> Item:
    return answer.item


def _nothing(_: object) -> None:
    return None

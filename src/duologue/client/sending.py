"""What an application can tell a session: one method for each thing it may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from duologue.client.driver import Driver, Setup
from duologue.client.handlers import RealtimeEventHandler
from duologue.client.handles import Pending, ResponseHandle
from duologue.client.session_keywords import SessionKeywords, session_config, transcription_config
from duologue.errors import Closed, ConfigurationError, LocalProtocolError
from duologue.protocol.ga import (
    ConversationItemCreateEvent,
    ConversationItemDeleteEvent,
    ConversationItemRetrieveEvent,
    ConversationItemTruncateEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    InputText,
    Message,
    OutputAudio,
    RealtimeSession,
    ResponseCancelEvent,
    ResponseCreateEvent,
    ResponseCreateParams,
    SessionUpdateEvent,
)
from duologue.protocol.model import UNSET, UnsetType, replace
from duologue.session.commands import Command, CommandState
from duologue.session.wire import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from duologue.protocol import beta, ga
    from duologue.protocol.ga import (
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
        TranscriptionSession,
    )
    from duologue.session.playback import PlaybackCut

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

    _transcribes: bool
    """Whether the session is for transcription alone, and configured as such."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self._setup = setup
        self._driver = Driver(self._registry, setup, new_id=lambda kind: kind)

    def send(self, event: ga.AnyClientEvent | beta.AnyClientEvent) -> None:
        """Send any event, at once; it gets an `event_id` if it has none.

        On a beta connection it may be written in either dialect.

        Raises:
            LocalProtocolError: If a command with the same `event_id` awaits its answer, or the
                event cannot be said in beta or written as JSON.
        """
        self._driver.send(event)

    async def drain(self) -> None:
        """Wait while more is queued than the server takes: for who sends without end."""
        self._driver.check_open()
        await self._driver.link.drain()

    def update_session(
        self,
        session: RealtimeSession | TranscriptionSession | beta.SessionConfig | None = None,
        *,
        full: bool | None = None,
        **keywords: Unpack[SessionKeywords],
    ) -> Pending[Session]:
        """Change the session; awaiting returns the configuration that holds then.

        What is unset stays as it is, `None` switches off. Without a session the change is kept for
        `connect`; awaiting it raises then.

        Args:
            session: The change, in the words of either dialect.
            full: Send everything that was ever wanted along with it, or the change alone. When it
                is `None`: all in beta, as the reference client does, the change alone in GA.
            keywords: The same, laid over `session`.

        Raises:
            ConfigurationError: If nothing is told, a keyword is unknown, a session that transcribes
                has no such thing, or a tool has the name of one that `add_tool` added.
        """
        config = session_config(session, keywords, dialect=self._setup.words.dialect)
        if config is None:
            raise ConfigurationError("update_session needs a configuration, or keywords")
        return self._update(config, full=full)

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
        """Cut what the assistant said to what was heard of it; its transcript goes.

        Never more is asked for than was received, where the conversation has the audio: the server
        would refuse it. Nothing is sent of an item that has ended and was heard to its end.
        """
        received_ms = self._received_ms(item_id)
        is_whole = received_ms is not None and audio_end_ms >= received_ms
        event = ConversationItemTruncateEvent(
            item_id=item_id,
            content_index=content_index,
            audio_end_ms=audio_end_ms if received_ms is None else min(audio_end_ms, received_ms),
        )
        if is_whole and self._driver.core.conversation.item(item_id).status != "in_progress":
            return self._unneeded(event)
        return self._command(event, _nothing)

    def truncate_items(self, cuts: Iterable[PlaybackCut]) -> None:
        """Tell the server what was not heard: what `PlaybackLedger.interrupt` returned.

        What was begun is truncated. What nobody heard is deleted, unless it is also written: the
        server refuses to truncate what has no audio yet. What the conversation does not hold is
        left alone.
        """
        conversation = self._driver.core.conversation
        for cut in cuts:
            if cut.item_id not in conversation:
                continue
            parts = conversation.item(cut.item_id).content
            if cut.audio_end_ms or not all(isinstance(part, OutputAudio) for part in parts):
                self.truncate_item(cut.item_id, cut.audio_end_ms, cut.content_index)
            else:
                self.delete_item(cut.item_id)

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
        core = self._driver.core
        response = _response_params(params, keywords)
        self._driver.check_open()
        if not core.detects_turns and core.input_audio.uncommitted_bytes:
            self.commit_input_audio()
        request = self._driver.request_response(ResponseCreateEvent(response=response))
        return ResponseHandle(request, self._driver.waiters, self._driver.cancel_request)

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
        content_index = None if item_id is None else self._audio_part(item_id)
        named = UNSET if response_id is None else response_id
        self._driver.send(ResponseCancelEvent(response_id=named))
        if item_id is not None and content_index is not None:
            rate_hz = self._driver.core.conversation.output_format.rate_hz
            self.truncate_item(item_id, heard_samples * 1000 // rate_hz, content_index)

    def _audio_part(self, item_id: str) -> int | None:
        """Return the place of the first audio part of something that the assistant says."""
        item = self._driver.core.conversation.item(item_id)
        if item.role != "assistant":
            raise LocalProtocolError(f"the item {item_id!r} is not the assistant's to be cut")
        spoken = (index for index, part in enumerate(item.content) if isinstance(part, OutputAudio))
        return next(spoken, None)

    def _received_ms(self, item_id: str) -> int | None:
        """Return how much an item of the assistant says, as far as the conversation has its audio.

        It has none when that is forgotten, or goes another way: by WebRTC or telephone.
        """
        conversation = self._driver.core.conversation
        item = conversation.item(item_id) if item_id in conversation else None
        if item is None or item.role != "assistant" or not item.formatted.audio_bytes:
            return None
        return conversation.output_format.ms(item.formatted.audio_bytes)

    def _update(self, change: RealtimeSession, *, full: bool | None = None) -> Pending[Session]:
        """Want a change, and send it if there is a session."""
        configuration = self._setup.configuration
        config = self._of_its_kind(configuration.update(change, is_full=full))
        event_id = self._driver.core.new_id("event")
        configuration.note(event_id, change)
        if not self._driver.is_connected:
            configuration.settle(event_id, is_refused=False)
            text = "the session is not open: the change is kept, and sent by `connect()`"
            event = SessionUpdateEvent(event_id=event_id, session=config)
            unsent = Command(event_id, event, CommandState.FAILED, error=Closed(text))
            return Pending(unsent, self._driver.waiters, _session)
        try:
            return self._tell(config, event_id)
        except BaseException:  # it was not sent, and is not to be sent again
            configuration.settle(event_id, is_refused=True)
            raise

    def _tell(self, config: Session, event_id: str | UnsetType = UNSET) -> Pending[Session]:
        event = SessionUpdateEvent(event_id=event_id, session=self._of_its_kind(config))
        return self._command(event, _session)

    def _of_its_kind(self, config: Session) -> Session:
        """Return a configuration as one of the kind that the session is.

        Raises:
            ConfigurationError: If such a session has not what it tells.
        """
        if self._transcribes and isinstance(config, RealtimeSession):
            return transcription_config(config)
        return config

    def _unneeded(self, event: ConversationItemTruncateEvent) -> Pending[None]:
        """Return what is done already: there is nothing to send."""
        self._driver.check_open()
        command = Command(self._driver.core.new_id("event"), event, CommandState.ANSWERED)
        return Pending(command, self._driver.waiters, _nothing)

    def _command(self, event: KnownClientEvent, read: Callable[[Any], T]) -> Pending[T]:
        core = self._driver.core
        self._driver.check_open()
        event_id = event.event_id or core.new_id("event")
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

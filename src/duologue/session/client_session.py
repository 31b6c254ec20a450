"""The client's end of a session, as a function of what happened and when.

`receive` and `send` are told what goes over the wire; after each call the driver takes
`events_to_send`, `take_commands` and `take_requests`, which it turns into frames and answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.errors import (
    Closed,
    ConnectionLost,
    DecodeError,
    LocalProtocolError,
    RemoteProtocolError,
    ServerError,
)
from duologue.protocol.formats import Format, format_named
from duologue.protocol.ga import (
    InputAudioBufferAppendEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    RealtimeErrorEvent,
    RealtimeSession,
    ResponseCreateEvent,
    ResponseDoneEvent,
    ResponseOutputItemAddedEvent,
    SessionCreatedEvent,
    SessionUpdatedEvent,
    SessionUpdateEvent,
    TranscriptionSession,
)
from duologue.protocol.model import UnknownEvent, UnsetType, replace
from duologue.session.commands import Command, Commands
from duologue.session.conversation import RealtimeConversation
from duologue.session.input_audio import InputAudio
from duologue.session.requests import response_failed
from duologue.session.responses import Responses
from duologue.session.updates import ErrorUpdate, RealtimeEvent
from duologue.session.wire import id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.protocol.ga import (
        AnyClientEvent,
        AnyServerEvent,
        AudioFormat,
        KnownClientEvent,
        Session,
    )
    from duologue.session.requests import ResponseRequest
    from duologue.session.updates import Update

__all__ = ["ClientSession"]

BENIGN_CODES: Final = frozenset({"response_cancel_not_active"})
"""Errors that tell of a race which does no harm: the response ended before the cancel came."""


class ClientSession:
    """One session, from its connection's first event to its last.

    Args:
        new_id: Returns a new id of a kind: `new_id("event")`.
        validates: Whether `send` refuses what the service would refuse.
    """

    def __init__(self, *, new_id: Callable[[str], str], validates: bool = False) -> None:
        self.new_id: Final = new_id
        self._validates = validates
        self.input_audio: Final = InputAudio()
        self.conversation: Final = RealtimeConversation(clip_of=self.input_audio.take_clip)
        self.responses: Final = Responses()
        self.commands: Final = Commands()
        self.session: Session | None = None
        """The configuration that holds, as the server last told it."""
        self.detects_turns = True
        """Whether the server finds out by itself when a turn ends; else the client commits."""
        self._outbox: list[AnyClientEvent] = []
        self._is_over = False

    def receive(self, event: AnyServerEvent, now: float) -> list[Update]:
        """Take a server event; return what it means to the application, in order."""
        told = RealtimeEvent("server", event, now)
        if isinstance(event, UnknownEvent):
            return [*_misfit(event), told]
        self.responses.receive(event)
        self.input_audio.receive(event)
        self.commands.receive(event)
        updates: list[Update]
        try:
            updates = self.conversation.receive(event)
        except DecodeError as error:
            updates = [ErrorUpdate(error)]
        match event:
            case ResponseOutputItemAddedEvent():
                if state := self.conversation.find(id_of(event.item) or ""):
                    self.responses.take_item(event, state)
            case SessionCreatedEvent() | SessionUpdatedEvent():
                self.session = event.session
                self._apply(event.session)
            case ResponseDoneEvent() if self.responses.is_unasked_failure(event.response):
                updates = [ErrorUpdate(response_failed(event.response))]
            case RealtimeErrorEvent():
                updates = self._on_error(event)
            case _:
                pass
        return [*updates, told]

    def send(self, event: AnyClientEvent, now: float) -> None:
        """Take an event of the application, to be sent next; it gets an `event_id` if it has none.

        Raises:
            LocalProtocolError: If the session is over, or an open command has the same `event_id`,
                or what is asked for is validated and the service would refuse it.
        """
        del now  # no deadline depends on it yet
        self._check_open()
        if self._validates:
            _check_valid(event)
        if isinstance(event, UnknownEvent):
            self._outbox.append(event)
            return
        event_id = event.event_id
        if isinstance(event_id, UnsetType):
            event_id = self.new_id("event")
            event = replace(event, event_id=event_id)
        elif self.commands.get(event_id) or self.responses.request(event_id):
            raise LocalProtocolError(f"an open command has the event_id {event_id!r} already")
        self._note(event_id, event)
        self._outbox.append(event)

    def append_audio(self, audio: bytes, now: float) -> None:
        """Note input audio that the caller sends by itself: the way of `send` without its cost.

        Raises:
            LocalProtocolError: If the session is over.
        """
        del now
        self._check_open()
        self.input_audio.append(audio)

    def events_to_send(self) -> list[AnyClientEvent]:
        """Return what is to be sent now, and forget it."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def take_commands(self) -> list[Command]:
        """Return the commands that were answered or failed since the last call."""
        return self.commands.take_settled()

    def take_requests(self) -> list[ResponseRequest]:
        """Return the requests for a response that ended since the last call."""
        return self.responses.take_settled()

    def next_deadline(self) -> float | None:
        """Return when `handle_deadline` wants to be called, on the clock of `now`."""
        return None

    def handle_deadline(self, now: float) -> list[Update]:
        """Do what was due."""
        raise AssertionError(f"no deadline was set, but one fired at {now}")

    def end(self, error: ConnectionLost | Closed) -> None:
        """Take the end of the connection: nothing that is open will be answered."""
        self._is_over = True
        self._outbox.clear()
        self.commands.lose(error)
        self.responses.lose(error)

    def _check_open(self) -> None:
        if self._is_over:
            raise LocalProtocolError("the session is over: nothing can be sent")

    def _note(self, event_id: str, event: KnownClientEvent) -> None:
        """Learn from an event that is being sent."""
        match event:
            case InputAudioBufferAppendEvent():
                try:
                    self.input_audio.append(event.audio_data)
                except DecodeError as error:
                    raise LocalProtocolError("the audio of the append is not base64") from error
            case InputAudioBufferCommitEvent():
                self.input_audio.commit(event_id)
            case InputAudioBufferClearEvent():
                self.input_audio.clear()
            case ResponseCreateEvent():
                self.responses.ask(event_id, event)
            case SessionUpdateEvent():
                self._apply(event.session)
            case _:
                pass
        self.commands.send(event_id, event)

    def _apply(self, session: Session) -> None:
        """Count audio as a configuration says, in what it tells."""
        if not isinstance(session, RealtimeSession | TranscriptionSession) or not session.audio:
            return
        audio_in, audio_out = session.audio.input, session.audio.output
        if audio_in and not isinstance(audio_in.turn_detection, UnsetType):
            self.detects_turns = audio_in.turn_detection is not None
        if audio_in and (format_in := _format(audio_in.format)):
            self.input_audio.set_format(format_in)
        if audio_out and (format_out := _format(audio_out.format)):
            self.conversation.output_format = format_out

    def _on_error(self, event: RealtimeErrorEvent) -> list[Update]:
        told = event.error
        error = ServerError(
            told.message,
            type=told.type,
            code=told.code or None,
            param=told.param or None,
            event_id=told.event_id or None,
        )
        if error.code in BENIGN_CODES:
            return []
        cause = error.event_id or self._cause_of(error.code or "") or ""
        self.input_audio.refuse_commit(cause)
        is_bound = self.responses.refuse(cause, error) or self.commands.fail(cause, error)
        return [] if is_bound else [ErrorUpdate(error)]

    def _cause_of(self, code: str) -> str | None:
        """Return the event that an error without an `event_id` refuses, where its code tells."""
        if code == "conversation_already_has_active_response":
            return self.responses.oldest_waiting()
        return self.commands.refused_by(code)


def _check_valid(event: AnyClientEvent) -> None:
    from duologue.protocol.validate import validate  # noqa: PLC0415  # who asks for it pays for it

    problems = validate(event)
    if problems:
        told = "; ".join(f"{problem.message} Fix: {problem.fix}." for problem in problems)
        raise LocalProtocolError(told)


def _misfit(event: UnknownEvent) -> list[Update]:
    """Report an event of a known type that does not fit it; one of an unknown type is no fault."""
    if event.reason is None:
        return []
    where = f" at {event.path}" if event.path else ""
    return [ErrorUpdate(RemoteProtocolError(f"bad {event.type}{where}: {event.reason}"))]


def _format(told: AudioFormat | UnsetType) -> Format | None:
    tag = None if isinstance(told, UnsetType) else told.__struct_config__.tag
    return format_named(tag) if isinstance(tag, str) else None

"""The server's side of a session, without its waiting: client events in, server events out.

`ServerSession` decides everything that follows from what the client sent and what the engine made.
The edge (`connection.py`) feeds it frames and results, sends what `take_events` returns, and
carries out what `take_commands` returns. A response that needs the words of the user's audio waits
for them here, not there.

Source: DIALECTS.md §4, §6 and §7.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from typing import Any, ClassVar, Final

from duologue.errors import DecodeError
from duologue.protocol import ga
from duologue.protocol.model import UNSET, UnsetType
from duologue.server.session.audio_input import InputAudioProcessor, JudgeWords, Score
from duologue.server.session.config import updated_session
from duologue.server.session.conversation import ServerConversation
from duologue.server.session.deferred import DeferredToolOutputs
from duologue.server.session.engine_work import Command, LogWarning, PrewarmBrain
from duologue.server.session.idle_timeout import IdleTimer
from duologue.server.session.item_events import ItemEvents
from duologue.server.session.kept_audio import AudioStore
from duologue.server.session.leniency import CompatibilityReader
from duologue.server.session.mcp import mcp_labels, unlisted
from duologue.server.session.rate_limits import RateLimits
from duologue.server.session.responses import ResponseScheduler
from duologue.server.session.session_type import (
    SessionType,
    asked_change,
    first_session,
    refuse_responses,
    shown_session,
)
from duologue.server.session.transcription import InputTranscription
from duologue.server.session.turn_detection import (
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
)
from duologue.server.session.validation import InvalidRequest, audio_fault, checked

__all__ = ["ServerSession"]

MAX_APPEND_BYTES: Final = 15 << 20
"""Source: DIALECTS.md §4, limits."""


class ServerSession:
    """One conversation, seen from the server."""

    def __init__(  # noqa: PLR0913  # one argument per choice
        self,
        *,
        model: str | None,
        score: Score,
        new_id: Callable[[str], str],
        expires_at: int = 0,
        judge_words: JudgeWords | None = None,
        transcribes_early: bool = False,
        audio_store: AudioStore | None = None,
        asked: ga.RealtimeSession | ga.TranscriptionSession | None = None,
        strict: bool = False,
        kind: SessionType = SessionType.CONVERSATION,
    ) -> None:
        """Open a session; `session.created` is the first event to send.

        Args:
            model: What the client asked for; told back to it. In a transcription session the one
                that transcribes, if it was named.
            score: The voice activity detector.
            new_id: Returns a fresh id for a prefix: `item` to `item_…`.
            expires_at: Unix seconds, told to the client.
            judge_words: Tells from the words whether a turn is over; `None`: silence alone tells.
            transcribes_early: Whether the words are looked for in a pause that may end the turn.
            audio_store: Where audio is kept, shared by the sessions of a server; `None`: its own.
            asked: What the session begins with, instead of the defaults.
            strict: Refuse what the service refuses although real clients send it.
            kind: A conversation, or transcription.

        Raises:
            InvalidRequest: If `asked` cannot be.
        """
        self._kind = kind
        self._new_id = new_id
        self._leniency = CompatibilityReader(self._command, strict=strict)
        self._events: list[ga.KnownServerEvent] = []
        self._commands: list[Command] = []
        self.conversation: ServerConversation = ServerConversation(audio_store or AudioStore())
        self.config: ga.RealtimeSession = first_session(
            kind, asked, session_id=new_id("sess"), model=model, expires_at=expires_at
        )
        """What holds, kept as a conversation's whatever the kind."""
        self._hearing = InputAudioProcessor(
            score, judge_words=judge_words, notices_pauses=transcribes_early
        )
        self._idle = IdleTimer()
        self._rate_limits = RateLimits()
        self._speech_item_id: str | None = None
        self._owes_answer = False
        self.responses: ResponseScheduler = ResponseScheduler(
            self.conversation,
            emit=self._emit,
            command=self._command,
            new_id=new_id,
            on_answered=self._on_answered,
        )
        """The responses being made; the engine hands its answers to it."""
        self._early = DeferredToolOutputs(self.responses.is_making_call)
        self.transcripts: InputTranscription = InputTranscription(
            self.conversation,
            emit=self._emit,
            command=self._command,
            new_id=new_id,
            on_all_found=self.responses.release,
            on_guessed=self._on_guessed,
        )
        """The words being found; the engine hands its transcripts to it."""
        self._placing = ItemEvents(
            self.conversation, self.transcripts, emit=self._emit, new_id=new_id
        )
        self._configure()
        shown = shown_session(self.config, kind)
        self._emit(ga.SessionCreatedEvent(event_id=new_id("event"), session=shown))

    def take_events(self, now: float) -> list[ga.KnownServerEvent]:
        """Return what is to be sent now, once."""
        events, self._events = self._rate_limits.filled_in(self._events, now), []
        self._idle.follow(events, now)
        return events

    def take_commands(self) -> list[Command]:
        """Return the work to start or stop, once."""
        commands, self._commands = self._commands, []
        return commands

    def next_deadline(self) -> float | None:
        """Return when `handle_deadline` is to be called; ask again when events were taken."""
        return self._idle.deadline

    def handle_deadline(self, now: float) -> None:
        """Answer a user who has been silent for too long; before the deadline do nothing."""
        deadline = self._idle.deadline
        if deadline is None or now < deadline:
            return
        with self._refusing():
            self._answer_silence()

    def _answer_silence(self) -> None:
        silence = self._hearing.take_silence()
        item_id = self._new_id("item")
        self._emit(
            ga.InputAudioBufferTimeoutTriggered(
                event_id=self._new_id("event"),
                audio_start_ms=silence.start_ms,
                audio_end_ms=silence.end_ms,
                item_id=item_id,
            )
        )
        self._add_heard(item_id, silence.pcm, has_words=False)
        self._answer_turn()

    # What the client says.

    def receive(self, event: ga.AnyClientEvent) -> None:
        """Carry out a client event, or answer it with one `error`."""
        try:
            known = checked(self._leniency.read(event))
            if self._kind is not SessionType.CONVERSATION:
                refuse_responses(known)
            if not self._early.keep(known):
                self._HANDLERS[type(known)](self, known)
        except InvalidRequest as refusal:
            self.refuse(refusal, event.event_id)
        except DecodeError:  # audio that is not base64
            self.refuse(audio_fault(event), event.event_id)

    def refuse_frame(self, error: DecodeError) -> None:
        """Answer a frame that is no event."""
        self.refuse(InvalidRequest("invalid_event", f"Invalid event: {error}."), UNSET)

    def refuse(self, refusal: InvalidRequest, event_id: str | UnsetType) -> None:
        """Answer an event that the edge refuses."""
        error = refusal.error(event_id)
        self._emit(ga.RealtimeErrorEvent(event_id=self._new_id("event"), error=error))

    @contextlib.contextmanager
    def _refusing(self) -> Generator[None]:
        """Tell the client of what cannot be though no event of its own asked for it."""
        try:
            yield
        except InvalidRequest as refusal:
            self.refuse(refusal, UNSET)

    def _update(self, event: ga.SessionUpdateEvent) -> None:
        change = asked_change(event.session, self._kind)
        self.config = updated_session(self.config, change, spoken=self.responses.have_spoken)
        self._configure()
        self._warm()
        shown = shown_session(self.config, self._kind)
        self._emit(ga.SessionUpdatedEvent(event_id=self._new_id("event"), session=shown))
        for label in mcp_labels(change):
            self._command(
                LogWarning(f"the tools of MCP server {label!r} fail: this server calls none")
            )
            for told in unlisted(self._new_id):
                self._emit(told)

    def _configure(self) -> None:
        self._hearing.configure(self.config)
        self.transcripts.config = self._hearing.transcription

    def _warm(self) -> None:
        """Let the brain read what every answer will begin with, before the user has spoken."""
        if self._kind is not SessionType.CONVERSATION:
            return
        config = self.config
        self._commands.append(
            PrewarmBrain(
                instructions="" if config.instructions is UNSET else config.instructions,
                tools=[] if config.tools is UNSET else config.tools,
                tool_choice="auto" if config.tool_choice is UNSET else config.tool_choice,
            )
        )

    def _update_flat(self, _event: ga.TranscriptionSessionUpdate) -> None:
        message = (
            "Invalid value: 'transcription_session.update'. It is beta: use session.update with"
            " session.type 'transcription'."
        )
        raise InvalidRequest("invalid_value", message, "type")

    def expire(self, reason: str) -> None:
        """Tell that the session has lasted as long as one may; the edge closes it then."""
        error = ga.RealtimeError(
            type="invalid_request_error",
            code="session_expired",
            message=reason,
        )
        self._emit(ga.RealtimeErrorEvent(event_id=self._new_id("event"), error=error))

    def _append(self, event: ga.InputAudioBufferAppendEvent) -> None:
        pcm = event.audio_data
        if len(pcm) > MAX_APPEND_BYTES:
            message = (
                "Invalid 'audio': expected at most "
                f"{MAX_APPEND_BYTES} bytes of audio, but got {len(pcm)}."
            )
            raise InvalidRequest("invalid_value", message, "audio")
        self.transcripts.check_room(0, "audio")
        pause: SpeechPaused | None = None
        for change in self._hearing.append(pcm):
            pause = None
            match change:
                case SpeechStarted():
                    self._on_speech_started(change)
                case SpeechPaused():
                    pause = change
                case SpeechResumed():
                    self.transcripts.forget_guess()
                case SpeechStopped():
                    self._on_speech_stopped(change)
        if pause is not None and self._speech_item_id is not None:  # the last: others are over
            self.transcripts.guess(self._speech_item_id, self._hearing.peek(pause.at_ms))

    def _on_speech_started(self, speech: SpeechStarted) -> None:
        self._speech_item_id = self._new_id("item")
        self._emit(
            ga.InputAudioBufferSpeechStartedEvent(
                event_id=self._new_id("event"),
                audio_start_ms=self._hearing.open_turn(speech.onset_ms),
                item_id=self._speech_item_id,
            )
        )
        if self._hearing.interrupts:
            self._owes_answer = False  # what is said now goes on with what was said before
            self.responses.interrupt()

    def _on_speech_stopped(self, speech: SpeechStopped) -> None:
        self._commit_audio(self._hearing.take(until_ms=speech.end_ms), speech.end_ms)
        if self._hearing.responds:
            self._answer_turn()

    def _on_guessed(self, words: str) -> None:
        stopped = self._hearing.hear_words(words)
        if stopped is not None:
            with self._refusing():
                self._on_speech_stopped(stopped)

    def _answer_turn(self) -> None:
        if self.responses.active_id is None:
            self._respond(ga.ResponseCreateParams())
        else:
            self._owes_answer = True  # spoken over an answer that may not be interrupted

    def _on_answered(self) -> None:
        for event in self._early.release():
            self.receive(event)
        if self._owes_answer:
            self._owes_answer = False
            self._respond(ga.ResponseCreateParams())

    def _commit(self, _event: ga.InputAudioBufferCommitEvent) -> None:
        pcm = self._hearing.commit()
        self.transcripts.forget_guess()
        self._commit_audio(pcm, self._hearing.clock_ms)

    def _commit_audio(self, pcm: bytes, end_ms: int) -> None:
        """Make audio an item: the one that an open turn, which ends by this, has announced."""
        item_id, self._speech_item_id = self._speech_item_id, None
        if item_id is not None:
            self._emit(
                ga.InputAudioBufferSpeechStoppedEvent(
                    event_id=self._new_id("event"), audio_end_ms=end_ms, item_id=item_id
                )
            )
        self._add_heard(item_id or self._new_id("item"), pcm)

    def _add_heard(self, item_id: str, pcm: bytes, *, has_words: bool = True) -> None:
        previous = self.conversation.last_id
        event_id = self._new_id("event")
        self._emit(
            ga.InputAudioBufferCommittedEvent(
                event_id=event_id, item_id=item_id, previous_item_id=previous
            )
        )
        item = ga.Message(
            id=item_id,
            object="realtime.item",
            status="completed",
            role="user",
            content=[ga.InputAudio(transcript=None)],
        )
        self._placing.add(item, pcm, after=None, has_words=has_words)

    def _clear(self, _event: ga.InputAudioBufferClearEvent) -> None:
        self._hearing.clear()
        self.transcripts.forget_guess()
        self._speech_item_id = None
        self._emit(ga.InputAudioBufferClearedEvent(event_id=self._new_id("event")))

    def _create_item(self, event: ga.ConversationItemCreateEvent) -> None:
        self._placing.create(event, self.config)

    def _retrieve(self, event: ga.ConversationItemRetrieveEvent) -> None:
        self._placing.retrieve(event, self.config)

    def _truncate(self, event: ga.ConversationItemTruncateEvent) -> None:
        self._placing.truncate(event)

    def _delete(self, event: ga.ConversationItemDeleteEvent) -> None:
        self._placing.delete(event)

    def _create_response(self, event: ga.ResponseCreateEvent) -> None:
        params = event.response
        self._respond(
            params if isinstance(params, ga.ResponseCreateParams) else ga.ResponseCreateParams()
        )

    def _respond(self, params: ga.ResponseCreateParams) -> None:
        if self._kind is not SessionType.CONVERSATION:
            return
        for stored in self.responses.start(params, self.config):
            if stored.audio and str(stored.item.id) not in self.conversation:
                self.transcripts.find(str(stored.item.id), stored)
        if not self.transcripts.are_awaited:
            self.responses.release()

    def _cancel_response(self, event: ga.ResponseCancelEvent) -> None:
        self.responses.cancel(None if event.response_id is UNSET else event.response_id)

    def _clear_output(self, _event: ga.OutputAudioBufferClearEvent) -> None:
        message = "output_audio_buffer.clear is for WebRTC and SIP; over a WebSocket use truncate."
        raise InvalidRequest("invalid_event", message, "type")

    def _emit(self, event: ga.KnownServerEvent) -> None:
        self._events.append(event)

    def _command(self, command: Command) -> None:
        self._commands.append(command)

    _HANDLERS: ClassVar[dict[type[Any], Callable[[ServerSession, Any], None]]] = {
        ga.SessionUpdateEvent: _update,
        ga.TranscriptionSessionUpdate: _update_flat,
        ga.InputAudioBufferAppendEvent: _append,
        ga.InputAudioBufferCommitEvent: _commit,
        ga.InputAudioBufferClearEvent: _clear,
        ga.ConversationItemCreateEvent: _create_item,
        ga.ConversationItemRetrieveEvent: _retrieve,
        ga.ConversationItemTruncateEvent: _truncate,
        ga.ConversationItemDeleteEvent: _delete,
        ga.ResponseCreateEvent: _create_response,
        ga.ResponseCancelEvent: _cancel_response,
        ga.OutputAudioBufferClearEvent: _clear_output,
    }

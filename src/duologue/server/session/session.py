"""A conversation or transcription session on the server, as a pure function of events and time.

The connection feeds the session: client events to `receive`, results of the engine to `send`, the
time to `handle_deadline`. Each of them is an occurrence, and `REACTIONS` below lists the steps that
it takes. The steps (`steps.py`, `input_steps.py`) act on the session's parts:

- `input_audio` detects the user's turns in the audio; `transcription` has them transcribed;
- `items` changes the conversation and confirms each change to the client;
- `responses` writes the engine's output as the events of a response;
- `deferred` holds back tool outputs that arrive too early;
- `idle` measures the user's silence.

The parts append effects to one list: events to send, and work for the engine to start or cancel.
The connection executes the list in order. So an event that announces something precedes what
follows from it: `response.created` precedes the request to the engine, and `response.done` precedes
the items that waited for it.

The same class serves transcription sessions: conversations that never respond.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from duologue.errors import DecodeError
from duologue.protocol import ga
from duologue.protocol.model import UNSET, UnsetType
from duologue.server.session import input_steps, steps
from duologue.server.session.audio_input import InputAudioProcessor, JudgeWords, Score
from duologue.server.session.config import SessionType, first_session, shown_session
from duologue.server.session.context import ConversationContext
from duologue.server.session.conversation import AudioStore, ServerConversation
from duologue.server.session.deferred import DeferredToolOutputs
from duologue.server.session.engine_work import (
    ConversationEffect,
    ConversationResult,
    GenerationFailed,
    GenerationFinished,
    LogWarning,
    ResponseAudioChunk,
    ResponseFunctionCall,
    ResponseTextChunk,
    TranscriptDelta,
    TranscriptDone,
    TranscriptFailed,
)
from duologue.server.session.idle_timeout import IdleTimedOut, IdleTimer
from duologue.server.session.item_events import ItemEvents
from duologue.server.session.parts import SessionParts
from duologue.server.session.responses import ResponseScheduler
from duologue.server.session.transcription import InputTranscription
from duologue.server.session.turn_detection import (
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    SpeechStopped,
)
from duologue.server.session.validation import (
    CompatibilityReader,
    InvalidRequest,
    audio_fault,
    checked,
)

if TYPE_CHECKING:
    from duologue.server.session.statistics import SessionStatistics

__all__ = ["REACTIONS", "ServerSession"]

Step = Callable[[SessionParts, Any], None]

RESPONSE_ENDED: Final[tuple[Step, ...]] = (
    steps.process_deferred_events,  # first, so that the next response reads the tool outputs
    steps.start_owed_response,
    steps.request_responses,
)
"""Steps after everything that may end a response; they do nothing if none has ended."""

REACTIONS: Final[dict[type[object], tuple[Step, ...]]] = {
    ga.SessionUpdateEvent: (
        steps.update_session,  # a refused change has no effect at all
        steps.configure_parts,
        steps.prewarm_brain,
        steps.confirm_update,
        steps.report_mcp_failures,  # after `session.updated`, which lists the MCP servers
    ),
    ga.TranscriptionSessionUpdate: (
        steps.refuse_beta_update,  # GA replaced it by `session.update`
    ),
    ga.InputAudioBufferAppendEvent: (
        input_steps.append_audio,  # speech that starts or stops in it takes the steps below
    ),
    ga.InputAudioBufferCommitEvent: (
        input_steps.commit_audio,  # no response: without turn detection the client creates it
    ),
    ga.InputAudioBufferClearEvent: (input_steps.clear_audio,),
    ga.ConversationItemCreateEvent: (
        steps.create_item,  # no response: the client may create several items first
    ),
    ga.ConversationItemRetrieveEvent: (steps.retrieve_item,),
    ga.ConversationItemTruncateEvent: (steps.truncate_item,),
    ga.ConversationItemDeleteEvent: (
        steps.delete_item,
        steps.request_responses,  # they may have waited for the transcript of this item
    ),
    ga.ResponseCreateEvent: (
        steps.require_conversation,
        steps.create_response,
        steps.request_responses,  # after `response.created`, and only if no transcript is pending
    ),
    ga.ResponseCancelEvent: (
        steps.require_conversation,
        steps.cancel_response,
        *RESPONSE_ENDED,  # tool outputs, or a turn of the user, may have waited for its end
    ),
    ga.OutputAudioBufferClearEvent: (
        steps.refuse_output_clear,  # the server does not play the audio
    ),
    SpeechStarted: (
        input_steps.announce_speech,  # first, because a client stops its playback at this event
        input_steps.interrupt_response,
        *RESPONSE_ENDED,
    ),
    SpeechPaused: (
        input_steps.guess_transcript,  # saves the time of transcribing if the turn ends here
    ),
    SpeechResumed: (input_steps.forget_guess,),
    SpeechStopped: (
        input_steps.commit_turn,
        steps.respond_to_turn,  # the response follows the item that it answers
        steps.request_responses,  # at once, if the transcript was guessed
    ),
    IdleTimedOut: (
        input_steps.commit_silence,  # the model gets an item to respond to
        steps.respond_to_silence,
        steps.request_responses,
    ),
    TranscriptDelta: (input_steps.send_transcript_delta,),
    TranscriptDone: (
        input_steps.store_transcript,  # a guess may end the turn: then this takes its steps
        steps.request_responses,
    ),
    TranscriptFailed: (
        input_steps.report_transcription_failure,
        steps.request_responses,  # the model answers without the words
    ),
    ResponseTextChunk: (
        steps.add_response_text,
        *RESPONSE_ENDED,  # at the token limit
    ),
    ResponseAudioChunk: (
        steps.add_response_audio,
        *RESPONSE_ENDED,  # at the token limit
    ),
    ResponseFunctionCall: (
        steps.add_function_call,
        *RESPONSE_ENDED,  # at the token limit
    ),
    GenerationFinished: (steps.finish_response, *RESPONSE_ENDED),
    GenerationFailed: (steps.fail_response, *RESPONSE_ENDED),
}
"""The steps that each occurrence takes, in order: client events, speech, results of the engine."""


class ServerSession:
    """One conversation or transcription session; implements `SessionCore`."""

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
        requested: ga.RealtimeSession | ga.TranscriptionSession | None = None,
        strict: bool = False,
        session_type: SessionType = SessionType.CONVERSATION,
    ) -> None:
        """Open a session; its first effect sends `session.created`.

        Args:
            model: The model that the client named; for transcription, the one that transcribes.
            score: The voice activity detector.
            new_id: Returns a new id for a prefix: `item` to `item_…`.
            expires_at: Unix seconds, reported to the client.
            judge_words: Judges from the words whether a turn is over; `None`: only silence counts.
            transcribes_early: Whether to transcribe in a pause that may end the turn.
            audio_store: Keeps the audio of all sessions of a server; `None`: of this one alone.
            requested: Configuration that the session begins with, over the defaults.
            strict: Refuse the mistakes of published clients that are tolerated otherwise.
            session_type: Conversation or transcription.

        Raises:
            InvalidRequest: If `requested` is invalid.
        """
        context = ConversationContext(new_id)
        conversation = ServerConversation(audio_store or AudioStore())
        transcription = InputTranscription(conversation, context)
        idle = IdleTimer()
        config = first_session(
            session_type,
            requested,
            session_id=new_id("sess"),
            model=model,
            expires_at=expires_at,
        )
        responses = ResponseScheduler(conversation, context, idle)
        self._context: Final = context
        self._compatibility: Final = CompatibilityReader(
            lambda text: context.start(LogWarning(text)), strict=strict
        )
        self.parts: Final = SessionParts(
            session_type=session_type,
            context=context,
            config=config,
            conversation=conversation,
            input_audio=InputAudioProcessor(
                score, judge_words=judge_words, notices_pauses=transcribes_early
            ),
            transcription=transcription,
            items=ItemEvents(conversation, transcription, context),
            idle=idle,
            responses=responses,
            deferred=DeferredToolOutputs(responses.is_making_call),
            receive=lambda event: self.receive(event, context.now),
            react=self._react,
        )
        steps.configure_parts(self.parts, None)
        created = shown_session(config, session_type)
        context.emit(ga.SessionCreatedEvent(event_id=context.event_id(), session=created))

    @property
    def config(self) -> ga.RealtimeSession:
        """The configuration; a transcription session's is kept in the same shape."""
        return self.parts.config

    @property
    def conversation(self) -> ServerConversation:
        """The items, with their audio."""
        return self.parts.conversation

    @property
    def statistics(self) -> SessionStatistics:
        """Counts of the session so far."""
        return self._context.statistics

    def receive(self, event: ga.AnyClientEvent, now: float) -> None:
        """Process a client event; one that is invalid is answered with one `error`."""
        self._context.now = now
        try:
            valid = checked(self._compatibility.read(event))
            if not self.parts.deferred.defer(valid):
                self._react(valid)
        except InvalidRequest as refusal:
            self._refuse(refusal, event.event_id)
        except DecodeError:  # audio that is not base64
            self._refuse(audio_fault(event), event.event_id)

    def send(self, result: ConversationResult, now: float) -> None:
        """Process a result of the engine; one for work that was cancelled is ignored."""
        self._context.now = now
        self._react_and_report(result)

    def report_error(self, error: ga.RealtimeError, now: float) -> None:
        """Send an `error` that the connection decides on: a frame that is no event, an expiry."""
        self._context.now = now
        self._context.emit(self._context.error_event(error))

    def effects(self) -> list[ConversationEffect]:
        """Return what is to be done now, in order, and forget it."""
        return self._context.take_effects()

    def next_deadline(self) -> float | None:
        """Return when `handle_deadline` is due; `None` if the idle timeout does not run."""
        return self.parts.idle.deadline

    def handle_deadline(self, now: float) -> None:
        """Respond to a user who has been silent for too long; before the deadline, do nothing."""
        deadline = self.parts.idle.deadline
        if deadline is not None and now >= deadline:
            self._context.now = now
            self._react_and_report(IdleTimedOut())

    def end(self, error: Exception | None) -> None:  # noqa: ARG002  # both ends are the same here
        """Release the audio that is kept for the conversation."""
        self.parts.idle.stop()
        self.parts.conversation.close()

    def _react_and_report(self, occurrence: object) -> None:
        """Take the steps of an occurrence that no client event causes; report what it refuses."""
        try:
            self._react(occurrence)
        except InvalidRequest as refusal:
            self._refuse(refusal, UNSET)

    def _react(self, occurrence: object) -> None:
        for step in REACTIONS[type(occurrence)]:
            step(self.parts, occurrence)

    def _refuse(self, refusal: InvalidRequest, event_id: str | UnsetType) -> None:
        self._context.emit(self._context.error_event(refusal.error(event_id)))

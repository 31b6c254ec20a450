"""Steps of a conversation or transcription session: what happens to its parts, one thing at a time.

A step is a function of the session's parts and of what has occurred: a client event, a result of
the engine, or a change in the user's speech. The table in `session.py` lists which steps an
occurrence takes, and in which order.

A step that refuses a client event raises `InvalidRequest`; the steps after it are skipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.protocol.model import UNSET
from duologue.server.session.audio_formats import input_of
from duologue.server.session.config import updated_session
from duologue.server.session.engine_work import (
    GenerationFailed,
    GenerationFinished,
    LogWarning,
    PrewarmBrain,
    ResponseAudioChunk,
    ResponseFunctionCall,
    ResponseTextChunk,
    TranscriptDelta,
    TranscriptDone,
    TranscriptFailed,
)
from duologue.server.session.session_type import SessionType, asked_change, shown_session
from duologue.server.session.turn_detection import SpeechPaused, SpeechStarted, SpeechStopped
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.server.session.audio_input import InputAudioProcessor
    from duologue.server.session.context import ConversationContext
    from duologue.server.session.conversation import ServerConversation
    from duologue.server.session.deferred import DeferredToolOutputs
    from duologue.server.session.idle_timeout import IdleTimer
    from duologue.server.session.item_events import ItemEvents
    from duologue.server.session.responses import ResponseScheduler
    from duologue.server.session.transcription import InputTranscription
    from duologue.server.session.turn_detection import TurnChange

MAX_APPEND_BYTES: Final = 15 << 20
"""Source: Realtime API reference, `input_audio_buffer.append`."""


@dataclass(slots=True, kw_only=True)
class SessionParts:
    """The parts of a session, and the little state that belongs to none of them."""

    session_type: SessionType
    context: ConversationContext
    config: ga.RealtimeSession
    """The configuration; a transcription session's is kept in the same shape."""
    conversation: ServerConversation
    input_audio: InputAudioProcessor
    transcription: InputTranscription
    items: ItemEvents
    idle: IdleTimer
    responses: ResponseScheduler
    deferred: DeferredToolOutputs
    receive: Callable[[ga.KnownClientEvent], None]
    """Processes a client event that was deferred."""
    react: Callable[[TurnChange], None]
    """Takes the steps of a change in the user's speech, before the present step continues."""
    open_turn_id: str | None = None
    """The item that the user's speech will become, while the user speaks."""
    owes_response: bool = False
    """Whether a turn ended during a response that it could not interrupt."""


# Configuration.


def configure_parts(parts: SessionParts, _event: object) -> None:
    """Apply the configuration to the parts that follow it."""
    parts.input_audio.configure(parts.config)
    parts.transcription.config = parts.input_audio.transcription
    parts.idle.configure(input_of(parts.config), parts.context.now)


def update_session(parts: SessionParts, event: ga.SessionUpdateEvent) -> None:
    """Change the configuration, wholly or not at all."""
    change = asked_change(event.session, parts.session_type)
    parts.config = updated_session(parts.config, change, spoken=parts.responses.has_spoken)


def prewarm_brain(parts: SessionParts, _event: object) -> None:
    """Have the brain read the beginning of every prompt while the user has yet to speak."""
    if parts.session_type is not SessionType.CONVERSATION:
        return
    config = parts.config
    parts.context.start(
        PrewarmBrain(
            instructions="" if config.instructions is UNSET else config.instructions,
            tools=[] if config.tools is UNSET else config.tools,
            tool_choice="auto" if config.tool_choice is UNSET else config.tool_choice,
        )
    )


def confirm_update(parts: SessionParts, _event: object) -> None:
    """Send `session.updated`."""
    session = shown_session(parts.config, parts.session_type)
    event_id = parts.context.event_id()
    parts.context.emit(ga.SessionUpdatedEvent(event_id=event_id, session=session))


def report_mcp_failures(parts: SessionParts, event: ga.SessionUpdateEvent) -> None:
    """Report that the tools of each MCP server cannot be listed: this server calls none.

    OpenAI's server asks every MCP server for its tools, so applications must handle one that cannot
    be reached. Functions in the same list are not affected.
    """
    tools = event.session.tools if isinstance(event.session, ga.RealtimeSession) else UNSET
    context = parts.context
    for tool in [] if tools is UNSET else tools:
        if isinstance(tool, ga.McpTool):
            label = tool.server_label
            context.start(
                LogWarning(f"the tools of MCP server {label!r} fail: this server calls none")
            )
            item_id = context.new_id("mcpl")
            for kind in (ga.McpListToolsInProgress, ga.McpListToolsFailed):
                context.emit(kind(event_id=context.event_id(), item_id=item_id))


def refuse_beta_update(_parts: SessionParts, _event: object) -> None:
    """Refuse `transcription_session.update`, which exists in beta only."""
    message = (
        "Invalid value: 'transcription_session.update'. It is beta: use session.update with"
        " session.type 'transcription'."
    )
    raise InvalidRequest("invalid_value", message, "type")


# Input audio.


def append_audio(parts: SessionParts, event: ga.InputAudioBufferAppendEvent) -> None:
    """Add audio to the input buffer, and react to speech that starts or stops in it."""
    audio = event.audio_data
    parts.context.statistics.audio_received(parts.input_audio.format.ms(len(audio)))
    if len(audio) > MAX_APPEND_BYTES:
        message = (
            f"Invalid 'audio': expected at most {MAX_APPEND_BYTES} bytes of audio, but got"
            f" {len(audio)}."
        )
        raise InvalidRequest("invalid_value", message, "audio")
    parts.transcription.check_room(0, "audio")
    pause: SpeechPaused | None = None
    for change in parts.input_audio.append(audio):
        pause = change if isinstance(change, SpeechPaused) else None
        if pause is None:
            parts.react(change)
    # Pauses that ended within the same append need no guess: only the last one may be open.
    if pause is not None:
        parts.react(pause)


def commit_audio(parts: SessionParts, _event: object) -> None:
    """Make the buffered audio an item on the client's request."""
    pcm = parts.input_audio.commit()
    parts.transcription.forget_guess()
    _add_user_turn(parts, pcm, parts.input_audio.clock_ms)


def clear_audio(parts: SessionParts, _event: object) -> None:
    """Throw the buffered audio away, with the turn that is open in it."""
    parts.input_audio.clear()
    parts.transcription.forget_guess()
    parts.open_turn_id = None
    event_id = parts.context.event_id()
    parts.context.emit(ga.InputAudioBufferClearedEvent(event_id=event_id))


def announce_speech(parts: SessionParts, speech: SpeechStarted) -> None:
    """Open a turn, and send `input_audio_buffer.speech_started`."""
    parts.idle.speech_started()
    parts.open_turn_id = parts.context.new_id("item")
    parts.context.emit(
        ga.InputAudioBufferSpeechStartedEvent(
            event_id=parts.context.event_id(),
            audio_start_ms=parts.input_audio.open_turn(speech.onset_ms),
            item_id=parts.open_turn_id,
        )
    )


def interrupt_response(parts: SessionParts, _speech: object) -> None:
    """Cancel the response that the user talks over, if the configuration says so."""
    if parts.input_audio.interrupts:
        # The new turn continues the one that was not answered yet: one response answers both.
        parts.owes_response = False
        parts.responses.interrupt()


def guess_transcript(parts: SessionParts, pause: SpeechPaused) -> None:
    """Transcribe the turn so far: it may be over."""
    if parts.open_turn_id is not None:
        parts.transcription.guess(parts.open_turn_id, parts.input_audio.peek(pause.at_ms))


def forget_guess(parts: SessionParts, _speech: object) -> None:
    """Throw the guess away: the user goes on."""
    parts.transcription.forget_guess()


def commit_turn(parts: SessionParts, speech: SpeechStopped) -> None:
    """Make the turn an item."""
    _add_user_turn(parts, parts.input_audio.take(until_ms=speech.end_ms), speech.end_ms)


def commit_silence(parts: SessionParts, _timeout: object) -> None:
    """Make the silence of an idle timeout an item; there is nothing in it to transcribe."""
    silence = parts.input_audio.take_silence()
    item_id = parts.context.new_id("item")
    parts.context.emit(
        ga.InputAudioBufferTimeoutTriggered(
            event_id=parts.context.event_id(),
            audio_start_ms=silence.start_ms,
            audio_end_ms=silence.end_ms,
            item_id=item_id,
        )
    )
    _add_user_audio(parts, item_id, silence.pcm, has_words=False)


def _add_user_turn(parts: SessionParts, pcm: bytes, end_ms: int) -> None:
    """Make audio an item: that of the open turn, which ends with it, or a new one."""
    item_id, parts.open_turn_id = parts.open_turn_id, None
    if item_id is not None:
        parts.context.statistics.response_requested(parts.context.now)
        parts.context.emit(
            ga.InputAudioBufferSpeechStoppedEvent(
                event_id=parts.context.event_id(), audio_end_ms=end_ms, item_id=item_id
            )
        )
    _add_user_audio(parts, item_id or parts.context.new_id("item"), pcm)


def _add_user_audio(
    parts: SessionParts, item_id: str, pcm: bytes, *, has_words: bool = True
) -> None:
    parts.idle.turn_committed(parts.context.now)
    previous = parts.conversation.last_id
    event_id = parts.context.event_id()
    parts.context.emit(
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
    parts.items.add(item, pcm, after=None, has_words=has_words)


# Transcripts.


def send_transcript_delta(parts: SessionParts, result: TranscriptDelta) -> None:
    """Send more words of a transcript."""
    parts.transcription.delta(result.item_id, result.text)


def store_transcript(parts: SessionParts, result: TranscriptDone) -> None:
    """Write a transcript into its item, or end the turn that it was guessed for."""
    guess = parts.transcription.done(result.item_id, result.transcript)
    if guess is not None:
        _end_turn_by_words(parts, guess)


def report_transcription_failure(parts: SessionParts, result: TranscriptFailed) -> None:
    """Report that an item has no transcript; it is answered without one."""
    guess = parts.transcription.failed(result.item_id, result.message, result.code)
    if guess is not None:
        _end_turn_by_words(parts, guess)


def _end_turn_by_words(parts: SessionParts, words: str) -> None:
    stopped = parts.input_audio.judge_words(words)
    if stopped is not None:
        parts.react(stopped)


# Items.


def create_item(parts: SessionParts, event: ga.ConversationItemCreateEvent) -> None:
    """Add a client's item."""
    parts.items.create(event, parts.config)


def retrieve_item(parts: SessionParts, event: ga.ConversationItemRetrieveEvent) -> None:
    """Send an item."""
    parts.items.retrieve(event, parts.config)


def truncate_item(parts: SessionParts, event: ga.ConversationItemTruncateEvent) -> None:
    """Cut an assistant message to what the user has heard."""
    parts.items.truncate(event)


def delete_item(parts: SessionParts, event: ga.ConversationItemDeleteEvent) -> None:
    """Delete an item."""
    parts.items.delete(event)


# Responses.


def require_conversation(parts: SessionParts, event: ga.KnownClientEvent) -> None:
    """Refuse a transcription session's client that asks for a response, or to cancel one."""
    if parts.session_type is not SessionType.CONVERSATION:
        message = (
            f"Invalid value: '{event.type}'. A transcription session has no responses; connect"
            " with ?model= for a conversation."
        )
        raise InvalidRequest("invalid_value", message, "type")


def create_response(parts: SessionParts, event: ga.ResponseCreateEvent) -> None:
    """Start a response on the client's request."""
    params = event.response
    if not isinstance(params, ga.ResponseCreateParams):
        params = ga.ResponseCreateParams()
    _start_response(parts, params)
    parts.context.statistics.response_requested(parts.context.now)


def respond_to_turn(parts: SessionParts, _speech: object) -> None:
    """Start a response to the user's turn, unless the client creates its responses itself."""
    if parts.input_audio.responds:
        respond_to_silence(parts, _speech)


def respond_to_silence(parts: SessionParts, _occurrence: object) -> None:
    """Start a response, at once or after the one that is in progress."""
    if parts.responses.active_id is None:
        _start_response(parts, ga.ResponseCreateParams())
    else:
        parts.owes_response = True  # the user spoke over a response that cannot be interrupted


def cancel_response(parts: SessionParts, event: ga.ResponseCancelEvent) -> None:
    """Cancel a response on the client's request."""
    parts.responses.cancel(None if event.response_id is UNSET else event.response_id)


def add_response_text(parts: SessionParts, result: ResponseTextChunk) -> None:
    """Send more text of a response."""
    parts.responses.add_text(result.response_id, result.text)


def add_response_audio(parts: SessionParts, result: ResponseAudioChunk) -> None:
    """Send more speech of a response."""
    parts.responses.add_audio(result.response_id, result.pcm)


def add_function_call(parts: SessionParts, result: ResponseFunctionCall) -> None:
    """Send a function call of a response."""
    parts.responses.add_call(result.response_id, result.name, result.arguments)


def finish_response(parts: SessionParts, result: GenerationFinished) -> None:
    """End a response that is complete."""
    parts.responses.finish(result.response_id, result.tokens, truncated=result.truncated)


def fail_response(parts: SessionParts, result: GenerationFailed) -> None:
    """End a response that the engine could not finish."""
    parts.responses.fail(result.response_id, result.message, result.code)


def process_deferred_events(parts: SessionParts, _occurrence: object) -> None:
    """Process the client events that waited for the end of the conversation's response."""
    if parts.responses.active_id is None:
        for event in parts.deferred.release():
            parts.receive(event)


def start_owed_response(parts: SessionParts, _occurrence: object) -> None:
    """Answer the turn that ended during a response, now that this one has ended."""
    if parts.owes_response and parts.responses.active_id is None:
        parts.owes_response = False
        _start_response(parts, ga.ResponseCreateParams())


def request_responses(parts: SessionParts, _occurrence: object) -> None:
    """Ask the engine for the announced responses, unless a transcript is pending."""
    if not parts.transcription.is_pending:
        parts.responses.request_pending()


def refuse_output_clear(_parts: SessionParts, _event: object) -> None:
    """Refuse `output_audio_buffer.clear`, which needs a server that plays the audio itself."""
    message = "output_audio_buffer.clear is for WebRTC and SIP; over a WebSocket use truncate."
    raise InvalidRequest("invalid_event", message, "type")


def _start_response(parts: SessionParts, params: ga.ResponseCreateParams) -> None:
    if parts.session_type is not SessionType.CONVERSATION:
        return
    for stored in parts.responses.start(params, parts.config):
        item_id = str(stored.item.id)
        if stored.audio and item_id not in parts.conversation:
            parts.transcription.transcribe(item_id, stored)

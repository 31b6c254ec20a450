"""Steps of a translation session: what happens to its state, one thing at a time.

Turn detection cuts the incoming speech into stretches: at pauses, and after `MAX_STRETCH_MS` of
speech without one. Stretches are translated one after the other, so that none overtakes another.
The table in `translation.py` lists which steps an occurrence takes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET, UnsetType, audio_field, replace
from duologue.server.session.config import merge
from duologue.server.session.context import SessionContext
from duologue.server.session.engine_work import (
    CloseConnection,
    SourceTranscriptChunk,
    Translate,
    TranslationAudioChunk,
    TranslationFailed,
    TranslationTextChunk,
    TranslationWork,
)
from duologue.server.session.turn_detection import SpeechStarted, SpeechStopped
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from duologue.server.session.audio_input import InputAudioProcessor

DEFAULT_LANGUAGE: Final = "en"
"""Language of the translation until the client names one."""

MAX_STRETCH_MS: Final = 15_000
"""Speech without a pause is cut here, so that the translation is never further behind."""

MAX_WAITING_MS: Final = 15 * 60_000
"""Speech that waits for a slow engine, or for a client that does not read: 43 MB."""

TranslationContext = SessionContext[translation.KnownTranslationServerEvent, TranslationWork]


@dataclass(slots=True, kw_only=True)
class TranslationState:
    """The state of a translation session."""

    context: TranslationContext
    config: translation.TranslationSession
    input_audio: InputAudioProcessor
    received_bytes: int = 0
    stretch_start_ms: int | None = None
    """Where the open stretch began on the input's clock; `None` while nobody speaks."""
    waiting: deque[Translate] = field(default_factory=deque[Translate])
    current: Translate | None = None
    """The stretch that the engine translates now."""
    is_closing: bool = False
    source_needs_space: bool = False
    translation_needs_space: bool = False
    """Whether the next words begin a new stretch: clients append deltas without a separator."""


def require_open(state: TranslationState) -> None:
    """Refuse every event after `session.close`."""
    if state.is_closing:
        message = "The session is closing; open another."
        raise InvalidRequest("session_closing", message, "type")


def update_session(
    state: TranslationState, event: translation.RealtimeTranslationSessionUpdateEvent
) -> None:
    """Change the configuration, and confirm it."""
    audio = event.session.audio
    if audio is not UNSET:
        state.config = replace(state.config, audio=merge(state.config.audio, audio))
    state.context.emit(
        translation.RealtimeTranslationSessionUpdatedEvent(
            event_id=state.context.event_id(), session=state.config
        )
    )


def append_audio(
    state: TranslationState, event: translation.RealtimeTranslationInputAudioBufferAppendEvent
) -> None:
    """Add audio, and cut off the stretches of speech that end in it."""
    pcm = event.audio_data
    added_ms = PCM16.ms(len(pcm))
    state.context.statistics.audio_received(added_ms)
    waiting_ms = sum(PCM16.ms(len(stretch.pcm)) for stretch in state.waiting)
    if waiting_ms + added_ms > MAX_WAITING_MS:
        message = "Too much speech waits for its translation; send it in real time."
        raise InvalidRequest("input_audio_buffer_full", message, "audio")
    for change in state.input_audio.append(pcm):
        if isinstance(change, SpeechStarted):
            state.stretch_start_ms = state.input_audio.open_turn(change.onset_ms)
        elif isinstance(change, SpeechStopped):
            _cut_stretch(state, change.end_ms)
            state.stretch_start_ms = None
    state.received_bytes += len(pcm)
    now_ms = PCM16.ms(state.received_bytes)
    if state.stretch_start_ms is not None and now_ms - state.stretch_start_ms > MAX_STRETCH_MS:
        _cut_stretch(state, now_ms)
        state.stretch_start_ms = now_ms


def begin_closing(state: TranslationState, _event: object) -> None:
    """Translate the speech received so far; then the session closes."""
    if state.stretch_start_ms is not None:
        _cut_stretch(state, PCM16.ms(state.received_bytes))
    state.is_closing = True


def send_source_transcript(state: TranslationState, result: SourceTranscriptChunk) -> None:
    """Send words of the speech, to a client that configured a transcription."""
    if result.text and isinstance(
        _input(state).transcription, translation.TranslationTranscription
    ):
        delta = _separated(result.text, needs_space=state.source_needs_space)
        state.source_needs_space = False
        state.context.emit(
            translation.RealtimeTranslationInputTranscriptDeltaEvent(
                event_id=state.context.event_id(), delta=delta, elapsed_ms=_elapsed_ms(state)
            )
        )


def send_translated_text(state: TranslationState, result: TranslationTextChunk) -> None:
    """Send words of the translation."""
    if result.text:
        delta = _separated(result.text, needs_space=state.translation_needs_space)
        state.translation_needs_space = False
        state.context.emit(
            translation.RealtimeTranslationOutputTranscriptDeltaEvent(
                event_id=state.context.event_id(), delta=delta, elapsed_ms=_elapsed_ms(state)
            )
        )


def send_translated_audio(state: TranslationState, result: TranslationAudioChunk) -> None:
    """Send speech of the translation."""
    state.context.statistics.audio_sent(PCM16.ms(len(result.pcm)), state.context.now)
    state.context.emit(
        translation.RealtimeTranslationOutputAudioDeltaEvent(
            event_id=state.context.event_id(),
            delta=audio_field(result.pcm),
            format="pcm16",
            sample_rate=PCM16.rate_hz,
            channels=1,
            elapsed_ms=_elapsed_ms(state),
        )
    )


def report_failure(state: TranslationState, result: TranslationFailed) -> None:
    """Report that a stretch could not be translated; the session continues."""
    error = ga.RealtimeError(type="server_error", code=result.code, message=result.message)
    state.context.emit(state.context.error_event(error))


def finish_stretch(state: TranslationState, _result: object) -> None:
    """Leave the stretch that the engine is done with."""
    state.current = None
    state.source_needs_space = state.translation_needs_space = True


def translate_next(state: TranslationState, _occurrence: object) -> None:
    """Have the next stretch translated if none is at present; close after the last one."""
    if state.current is not None:
        return
    if state.waiting:
        state.current = state.waiting.popleft()
        state.context.start(state.current)
    elif state.is_closing:
        event_id = state.context.event_id()
        state.context.emit(translation.RealtimeTranslationSessionClosedEvent(event_id=event_id))
        state.context.start(CloseConnection())


def _cut_stretch(state: TranslationState, end_ms: int) -> None:
    transcription = _input(state).transcription
    source: str | UnsetType = UNSET
    if isinstance(transcription, translation.TranslationTranscription):
        source = transcription.language
    output = state.config.audio.output
    language = UNSET if output is UNSET else output.language
    state.waiting.append(
        Translate(
            pcm=state.input_audio.take(until_ms=end_ms),
            source_language=None if source is UNSET else source,
            language=DEFAULT_LANGUAGE if language is UNSET else language,
            end_ms=end_ms,
        )
    )


def _input(state: TranslationState) -> translation.TranslationInput:
    audio_input = state.config.audio.input
    return translation.TranslationInput() if audio_input is UNSET else audio_input


def _elapsed_ms(state: TranslationState) -> int:
    if state.current is None:
        raise AssertionError("the engine translates a stretch that it was not asked for")
    return state.current.end_ms


def _separated(text: str, *, needs_space: bool) -> str:
    return text if not needs_space or text[0].isspace() else f" {text}"

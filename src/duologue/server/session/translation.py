"""A translation session on the server, as a pure function of events and time.

Speech comes in and its translation goes out: there are no items, responses or commits. The
connection feeds the session as it feeds a conversation (see `session.py`): client events to
`receive`, results of the engine to `send`. `REACTIONS` lists the steps that each of them takes.

After `session.close`, the speech received so far is translated, and the session closes.

Source: Realtime API reference, translation sessions (GA); the guide to realtime translation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from duologue.errors import DecodeError
from duologue.protocol import ga
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET, UnsetType
from duologue.server.session import translation_steps as steps
from duologue.server.session.audio_input import InputAudioProcessor, Score
from duologue.server.session.config import merge
from duologue.server.session.engine_work import (
    SourceTranscriptChunk,
    TranslationAudioChunk,
    TranslationEffect,
    TranslationFailed,
    TranslationFinished,
    TranslationResult,
    TranslationTextChunk,
)
from duologue.server.session.translation_steps import (
    DEFAULT_LANGUAGE,
    TranslationContext,
    TranslationState,
)
from duologue.server.session.validation import InvalidRequest, audio_fault, checked_translation

if TYPE_CHECKING:
    from duologue.server.session.statistics import SessionStatistics

__all__ = ["DEFAULT_TRANSLATOR", "REACTIONS", "TranslationServerSession"]

Step = Callable[[TranslationState, Any], None]

REACTIONS: Final[dict[type[object], tuple[Step, ...]]] = {
    translation.RealtimeTranslationSessionUpdateEvent: (steps.update_session,),
    translation.RealtimeTranslationInputAudioBufferAppendEvent: (
        steps.append_audio,
        steps.translate_next,  # one stretch at a time, so that none overtakes another
    ),
    translation.RealtimeTranslationSessionCloseEvent: (
        steps.begin_closing,
        steps.translate_next,  # closes at once if nothing is left to translate
    ),
    SourceTranscriptChunk: (steps.send_source_transcript,),
    TranslationTextChunk: (steps.send_translated_text,),
    TranslationAudioChunk: (steps.send_translated_audio,),
    TranslationFinished: (
        steps.finish_stretch,
        steps.translate_next,
    ),
    TranslationFailed: (
        steps.report_failure,  # costs one stretch, not the session
        steps.finish_stretch,
        steps.translate_next,
    ),
}
"""The steps that each occurrence takes, in order: client events, then results of the engine."""

DEFAULT_TRANSLATOR: Final = "gpt-realtime-translate"

_DEFAULT_AUDIO: Final = translation.TranslationAudio(
    input=translation.TranslationInput(transcription=None, noise_reduction=None),
    output=translation.TranslationOutput(language=DEFAULT_LANGUAGE),
)

_TURN_DETECTION: Final = ga.RealtimeSession(
    audio=ga.AudioConfig(input=ga.AudioInput(turn_detection=ga.ServerVad(silence_duration_ms=400)))
)
"""Slower than a conversation's default: a whole sentence is translated better than its parts."""


class TranslationServerSession:
    """One translation session; implements `SessionCore`."""

    def __init__(
        self,
        *,
        model: str,
        score: Score,
        new_id: Callable[[str], str],
        expires_at: int = 0,
        requested: translation.TranslationSession | None = None,
    ) -> None:
        """Open a session; its first effect sends `session.created`.

        Args:
            model: The model that the client named.
            score: The voice activity detector.
            new_id: Returns a new id for a prefix: `event` to `event_…`.
            expires_at: Unix seconds, reported to the client.
            requested: Configuration that the session begins with, from a client secret.
        """
        audio = _DEFAULT_AUDIO if requested is None else merge(_DEFAULT_AUDIO, requested.audio)
        config = translation.TranslationSession(
            type="translation",
            id=new_id("sess"),
            model=model if requested is None else requested.model,
            audio=audio,
            expires_at=expires_at,
        )
        self._context: Final = TranslationContext(new_id)
        self._state: Final = TranslationState(
            context=self._context, config=config, input_audio=InputAudioProcessor(score)
        )
        self._state.input_audio.configure(_TURN_DETECTION)
        self._context.emit(
            translation.RealtimeTranslationSessionCreatedEvent(
                event_id=self._context.event_id(), session=config
            )
        )

    @property
    def config(self) -> translation.TranslationSession:
        """The configuration."""
        return self._state.config

    @property
    def statistics(self) -> SessionStatistics:
        """Counts of the session so far."""
        return self._context.statistics

    def receive(self, event: translation.AnyTranslationClientEvent, now: float) -> None:
        """Process a client event; one that is invalid is answered with one `error`."""
        self._context.now = now
        try:
            steps.require_open(self._state)
            self._react(checked_translation(event))
        except InvalidRequest as refusal:
            self._refuse(refusal, event.event_id)
        except DecodeError:  # audio that is not base64
            self._refuse(audio_fault(event), event.event_id)

    def send(self, result: TranslationResult, now: float) -> None:
        """Process a result of the engine."""
        self._context.now = now
        try:
            self._react(result)
        except InvalidRequest as refusal:
            self._refuse(refusal, UNSET)

    def report_error(self, error: ga.RealtimeError, now: float) -> None:
        """Send an `error` that the connection decides on: a frame that is no event, an expiry."""
        self._context.now = now
        self._context.emit(self._context.error_event(error))

    def effects(self) -> list[TranslationEffect]:
        """Return what is to be done now, in order, and forget it."""
        return self._context.take_effects()

    def next_deadline(self) -> None:
        """Return `None`: nothing in a translation session waits for time to pass."""

    def handle_deadline(self, now: float) -> None:
        """Do nothing; see `next_deadline`."""

    def end(self, error: Exception | None) -> None:
        """Do nothing: the session holds nothing that it must release."""

    def _react(self, occurrence: object) -> None:
        for step in REACTIONS[type(occurrence)]:
            step(self._state, occurrence)

    def _refuse(self, refusal: InvalidRequest, event_id: str | UnsetType) -> None:
        self._context.emit(self._context.error_event(refusal.error(event_id)))

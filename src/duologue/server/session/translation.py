"""The server's side of a translation session, without its waiting.

Speech flows in and its translation flows out: no items, no responses, no commit. The session's ear
cuts the stream into stretches of speech, at pauses, and where somebody speaks on and on; they are
translated one after the other, so that nothing overtakes. `session.close` lets what was said be
translated; then the session is closed.

Source: Realtime API reference, translation sessions (GA); the guide to realtime translation.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from duologue.errors import DecodeError
from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.protocol.ga.translation import (
    AnyTranslationClientEvent,
    KnownTranslationServerEvent,
    RealtimeTranslationInputAudioBufferAppendEvent,
    RealtimeTranslationInputTranscriptDeltaEvent,
    RealtimeTranslationOutputAudioDeltaEvent,
    RealtimeTranslationOutputTranscriptDeltaEvent,
    RealtimeTranslationSessionClosedEvent,
    RealtimeTranslationSessionCloseEvent,
    RealtimeTranslationSessionCreatedEvent,
    RealtimeTranslationSessionUpdatedEvent,
    RealtimeTranslationSessionUpdateEvent,
    TranslationAudio,
    TranslationInput,
    TranslationOutput,
    TranslationSession,
    TranslationTranscription,
)
from duologue.protocol.model import UNSET, UnsetType, audio_field, replace
from duologue.server.session.audio_input import InputAudioProcessor, Score
from duologue.server.session.config import merge
from duologue.server.session.turn_detection import SpeechStarted, SpeechStopped
from duologue.server.session.validation import InvalidRequest, audio_fault, checked_translation

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DEFAULT_TRANSLATOR",
    "CloseConnection",
    "Translate",
    "TranslationCommand",
    "TranslationServerSession",
]

DEFAULT_TRANSLATOR: Final = "gpt-realtime-translate"

DEFAULT_LANGUAGE: Final = "en"
"""Spoken until the client names another."""

MAX_STRETCH_MS: Final = 15_000
"""Who speaks on without a pause is cut here, so that a listener is never further behind."""

MAX_WAITING_MS: Final = 15 * 60_000
"""Speech that waits for a slow engine, or for a client that does not read; 43 MB."""

_VAD: Final = ga.RealtimeSession(
    audio=ga.AudioConfig(input=ga.AudioInput(turn_detection=ga.ServerVad(silence_duration_ms=400)))
)
"""A little slower than a conversation's ear: a sentence is translated better whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translate:
    """Translate a stretch of speech: `heard`, `said` and `spoke`, then `done` or `failed`."""

    pcm: bytes
    """PCM16 at 24 kHz."""
    source_language: str | None
    """As the client named it, if it did."""
    language: str
    end_ms: int
    """Where the stretch ends on the input's clock."""


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the socket: everything is said."""


TranslationCommand = Translate | CloseConnection


class TranslationServerSession:
    """One translation session, seen from the server."""

    def __init__(
        self,
        *,
        model: str,
        score: Score,
        new_id: Callable[[str], str],
        expires_at: int = 0,
        asked: TranslationSession | None = None,
    ) -> None:
        """Open a session; `session.created` is the first event to send.

        Args:
            model: What the client asked for; told back to it.
            score: The voice activity detector.
            new_id: Returns a fresh id for a prefix: `event` to `event_…`.
            expires_at: Unix seconds, told to the client.
            asked: What the session begins with, from a client secret.
        """
        self._new_id = new_id
        self._events: list[KnownTranslationServerEvent] = []
        self._commands: list[TranslationCommand] = []
        self._hearing = InputAudioProcessor(score)
        self._hearing.configure(_VAD)
        self._heard_bytes = 0
        self._speaks_since_ms: int | None = None
        self._waiting: deque[Translate] = deque()
        self._translated: Translate | None = None
        self._is_closing = False
        self._needs_space = {"heard": False, "said": False}
        self.config: TranslationSession = TranslationSession(
            type="translation",
            id=new_id("sess"),
            model=model if asked is None else asked.model,
            audio=_DEFAULT_AUDIO if asked is None else merge(_DEFAULT_AUDIO, asked.audio),
            expires_at=expires_at,
        )
        self._emit(
            RealtimeTranslationSessionCreatedEvent(event_id=self._event_id(), session=self.config)
        )

    def next_deadline(self) -> None:
        """Nothing here is timed but by its audio."""

    def handle_deadline(self, now: float) -> None:
        """Never called: see `next_deadline`."""
        raise AssertionError(f"a deadline at {now} that nobody asked for")

    def take_events(
        self,
        now: float,  # noqa: ARG002  # as all cores; nothing here is timed
    ) -> list[KnownTranslationServerEvent]:
        """Return what is to be sent, once."""
        events, self._events = self._events, []
        return events

    def take_commands(self) -> list[TranslationCommand]:
        """Return the work to start, once."""
        commands, self._commands = self._commands, []
        return commands

    # What the client says.

    def receive(self, event: AnyTranslationClientEvent) -> None:
        """Carry out a client event, or answer it with one `error`."""
        if self._is_closing:
            closing = InvalidRequest(
                "session_closing", "The session is closing; open another.", "type"
            )
            self.refuse(closing, event.event_id)
            return
        try:
            known = checked_translation(event)
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
        self._tell(refusal.error(event_id))

    def expire(self, reason: str) -> None:
        """Tell that the session has lasted as long as one may; the edge closes it then."""
        self._tell(
            ga.RealtimeError(type="invalid_request_error", code="session_expired", message=reason)
        )

    def _update(self, event: RealtimeTranslationSessionUpdateEvent) -> None:
        asked = event.session.audio
        if asked is not UNSET:
            self.config = replace(self.config, audio=merge(self.config.audio, asked))
        self._emit(
            RealtimeTranslationSessionUpdatedEvent(event_id=self._event_id(), session=self.config)
        )

    def _append(self, event: RealtimeTranslationInputAudioBufferAppendEvent) -> None:
        pcm = event.audio_data
        waiting_ms = sum(PCM16.ms(len(stretch.pcm)) for stretch in self._waiting)
        if waiting_ms + PCM16.ms(len(pcm)) > MAX_WAITING_MS:
            message = (
                "Too much speech waits for its translation; send it no faster than it is said."
            )
            raise InvalidRequest("input_audio_buffer_full", message, "audio")
        for change in self._hearing.append(pcm):
            if isinstance(change, SpeechStarted):
                self._speaks_since_ms = self._hearing.open_turn(change.onset_ms)
            elif isinstance(change, SpeechStopped):
                self._cut(change.end_ms)
                self._speaks_since_ms = None
        self._heard_bytes += len(pcm)
        now_ms = PCM16.ms(self._heard_bytes)
        if self._speaks_since_ms is not None and now_ms - self._speaks_since_ms > MAX_STRETCH_MS:
            self._cut(now_ms)
            self._speaks_since_ms = now_ms

    def _close(self, _event: RealtimeTranslationSessionCloseEvent) -> None:
        if self._speaks_since_ms is not None:
            self._cut(PCM16.ms(self._heard_bytes))
        self._is_closing = True
        self._go_on()

    def _cut(self, end_ms: int) -> None:
        """Let what was said up to a time be translated."""
        heard = self._input.transcription
        spoken = heard.language if isinstance(heard, TranslationTranscription) else UNSET
        output = self.config.audio.output
        language = UNSET if output is UNSET else output.language
        self._waiting.append(
            Translate(
                pcm=self._hearing.take(until_ms=end_ms),
                source_language=None if spoken is UNSET else spoken,
                language=DEFAULT_LANGUAGE if language is UNSET else language,
                end_ms=end_ms,
            )
        )
        self._go_on()

    def _go_on(self) -> None:
        """Start on the next stretch when the one before is done; close after the last."""
        if self._translated is not None:
            return
        if self._waiting:
            self._translated = self._waiting.popleft()
            self._commands.append(self._translated)
        elif self._is_closing:
            self._emit(RealtimeTranslationSessionClosedEvent(event_id=self._event_id()))
            self._commands.append(CloseConnection())

    # What the engine made of the stretch that it was asked for.

    def heard(self, text: str) -> None:
        """Pass on what was said, to a client that wants to know."""
        if text and isinstance(self._input.transcription, TranslationTranscription):
            delta = self._spaced(text, "heard")
            self._emit(
                RealtimeTranslationInputTranscriptDeltaEvent(
                    event_id=self._event_id(), delta=delta, elapsed_ms=self._elapsed_ms
                )
            )

    def said(self, text: str) -> None:
        """Pass on words of the translation."""
        if text:
            delta = self._spaced(text, "said")
            self._emit(
                RealtimeTranslationOutputTranscriptDeltaEvent(
                    event_id=self._event_id(), delta=delta, elapsed_ms=self._elapsed_ms
                )
            )

    def spoke(self, pcm: bytes) -> None:
        """Pass on speech of the translation."""
        self._emit(
            RealtimeTranslationOutputAudioDeltaEvent(
                event_id=self._event_id(),
                delta=audio_field(pcm),
                format="pcm16",
                sample_rate=PCM16.rate_hz,
                channels=1,
                elapsed_ms=self._elapsed_ms,
            )
        )

    def done(self) -> None:
        """Go on to the next stretch."""
        self._translated = None
        self._needs_space = {"heard": True, "said": True}
        self._go_on()

    def failed(self, message: str, *, code: str) -> None:
        """Tell that a stretch could not be translated; the session goes on with the next."""
        self._tell(ga.RealtimeError(type="server_error", code=code, message=message))
        self.done()

    @property
    def _elapsed_ms(self) -> int:
        assert self._translated is not None, "nothing is made unasked"  # noqa: S101  # ours
        return self._translated.end_ms

    @property
    def _input(self) -> TranslationInput:
        asked = self.config.audio.input
        return TranslationInput() if asked is UNSET else asked

    def _spaced(self, text: str, side: str) -> str:
        """Part the words of a stretch from those before: clients append them as they are."""
        needs_space, self._needs_space[side] = self._needs_space[side], False
        return text if not needs_space or text[0].isspace() else f" {text}"

    def _tell(self, error: ga.RealtimeError) -> None:
        self._emit(ga.RealtimeErrorEvent(event_id=self._event_id(), error=error))

    def _event_id(self) -> str:
        return self._new_id("event")

    def _emit(self, event: KnownTranslationServerEvent) -> None:
        self._events.append(event)

    _HANDLERS: ClassVar[dict[type[Any], Callable[[TranslationServerSession, Any], None]]] = {
        RealtimeTranslationSessionUpdateEvent: _update,
        RealtimeTranslationInputAudioBufferAppendEvent: _append,
        RealtimeTranslationSessionCloseEvent: _close,
    }


_DEFAULT_AUDIO: Final = TranslationAudio(
    input=TranslationInput(transcription=None, noise_reduction=None),
    output=TranslationOutput(language=DEFAULT_LANGUAGE),
)

"""Translation sessions, which translate speech into speech in another language.

They have an endpoint (`/v1/realtime/translations`) and events of their own, and no conversation,
items or responses. Their two unions of events are separate from those of realtime sessions.

Source: Realtime API reference, translation sessions (GA).
"""

from __future__ import annotations

from duologue.protocol.ga.audio import NoiseReductionType
from duologue.protocol.ga.client_events import ClientEvent
from duologue.protocol.ga.server_events.base import ServerEvent
from duologue.protocol.ga.server_events.session import RealtimeErrorEvent
from duologue.protocol.model import (
    UNSET,
    Model,
    Open,
    Raw,
    UnknownEvent,
    UnsetType,
    audio_field,
    audio_of,
)

__all__ = [
    "AnyTranslationClientEvent",
    "AnyTranslationServerEvent",
    "KnownTranslationClientEvent",
    "KnownTranslationServerEvent",
    "RealtimeTranslationInputAudioBufferAppendEvent",
    "RealtimeTranslationInputTranscriptDeltaEvent",
    "RealtimeTranslationOutputAudioDeltaEvent",
    "RealtimeTranslationOutputTranscriptDeltaEvent",
    "RealtimeTranslationSessionCloseEvent",
    "RealtimeTranslationSessionClosedEvent",
    "RealtimeTranslationSessionCreatedEvent",
    "RealtimeTranslationSessionUpdateEvent",
    "RealtimeTranslationSessionUpdatedEvent",
    "TranslationAudio",
    "TranslationInput",
    "TranslationNoiseReduction",
    "TranslationOutput",
    "TranslationSession",
    "TranslationSessionConfig",
    "TranslationSessionParams",
    "TranslationTranscription",
]


class TranslationNoiseReduction(Model, frozen=True, kw_only=True):
    """Noise reduction of input audio."""

    type: Open[NoiseReductionType]
    strength: float | UnsetType = UNSET
    """0 to 1."""


class TranslationTranscription(Model, frozen=True, kw_only=True):
    """Transcription of the input, in its own language."""

    model: str
    """Such as `gpt-realtime-whisper`."""
    language: str | UnsetType = UNSET
    """ISO 639-1 code of the input; in official examples, but not in official types."""


class TranslationInput(Model, frozen=True, kw_only=True):
    """Settings of input audio."""

    transcription: TranslationTranscription | None | UnsetType = UNSET
    """`None` switches the transcript of the input off."""
    noise_reduction: TranslationNoiseReduction | None | UnsetType = UNSET
    """`None` switches noise reduction off."""


class TranslationOutput(Model, frozen=True, kw_only=True):
    """Settings of output audio."""

    language: str | UnsetType = UNSET
    """ISO 639-1 code of the target language."""


class TranslationAudio(Model, frozen=True, kw_only=True):
    """Settings of input and output audio."""

    input: TranslationInput | UnsetType = UNSET
    output: TranslationOutput | UnsetType = UNSET


class TranslationSessionConfig(Model, frozen=True, kw_only=True):
    """A change to a running session. Unset fields stay unchanged."""

    audio: TranslationAudio | UnsetType = UNSET


class TranslationSessionParams(Model, frozen=True, kw_only=True):
    """The session in a request for a client secret."""

    model: str
    """`gpt-realtime-translate`"""
    audio: TranslationAudio | UnsetType = UNSET


class TranslationSession(Model, frozen=True, kw_only=True):
    """The reported configuration of a translation session."""

    type: str
    """`translation`"""
    id: str
    """`sess_…`"""
    model: str
    audio: TranslationAudio
    expires_at: int
    """Unix seconds."""


class RealtimeTranslationSessionUpdateEvent(
    ClientEvent, frozen=True, kw_only=True, tag="session.update"
):
    """Change the fields that are set in `session`. The answer is `session.updated`."""

    session: TranslationSessionConfig


class RealtimeTranslationInputAudioBufferAppendEvent(
    ClientEvent, frozen=True, kw_only=True, tag="session.input_audio_buffer.append"
):
    """Append audio to be translated. It needs no commit and has no answer."""

    audio: Raw
    """Base64 of PCM at 24 kHz, as a JSON string; at most 15 MiB."""

    @classmethod
    def of(
        cls, audio: bytes | bytearray | memoryview
    ) -> RealtimeTranslationInputAudioBufferAppendEvent:
        """Return an event that appends `audio`."""
        return cls(audio=audio_field(audio))

    @property
    def audio_data(self) -> bytes:
        """The audio, decoded.

        Raises:
            DecodeError: If it is not base64.
        """
        return audio_of(self, self.audio)


class RealtimeTranslationSessionCloseEvent(
    ClientEvent, frozen=True, kw_only=True, tag="session.close"
):
    """End the session when all audio is translated. The answer is `session.closed`."""


KnownTranslationClientEvent = (
    RealtimeTranslationSessionUpdateEvent
    | RealtimeTranslationInputAudioBufferAppendEvent
    | RealtimeTranslationSessionCloseEvent
)
"""All known client events of translation sessions."""

AnyTranslationClientEvent = KnownTranslationClientEvent | UnknownEvent


class RealtimeTranslationSessionCreatedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="session.created"
):
    """The first event of a connection."""

    session: TranslationSession


class RealtimeTranslationSessionUpdatedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="session.updated"
):
    """The configuration after a `session.update`."""

    session: TranslationSession


class RealtimeTranslationSessionClosedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="session.closed"
):
    """The session has ended and everything is translated: the last event."""


class TranscriptEvent(ServerEvent, frozen=True, kw_only=True):
    """Base class of transcript deltas."""

    delta: str
    """Text to append, including its spaces."""
    elapsed_ms: int | None | UnsetType = UNSET
    """Position in the input audio, in milliseconds."""


class RealtimeTranslationInputTranscriptDeltaEvent(
    TranscriptEvent, frozen=True, kw_only=True, tag="session.input_transcript.delta"
):
    """More of the transcript of the input."""


class RealtimeTranslationOutputTranscriptDeltaEvent(
    TranscriptEvent, frozen=True, kw_only=True, tag="session.output_transcript.delta"
):
    """More of the transcript of the translation."""


class RealtimeTranslationOutputAudioDeltaEvent(
    ServerEvent, frozen=True, kw_only=True, tag="session.output_audio.delta"
):
    """More audio of the translation."""

    delta: Raw
    """Base64, as a JSON string; `audio_data` decodes it."""
    format: str | UnsetType = UNSET
    """`pcm16`"""
    sample_rate: int | UnsetType = UNSET
    """Samples per second; 24000 when unset."""
    channels: int | UnsetType = UNSET
    """1 when unset."""
    elapsed_ms: int | None | UnsetType = UNSET
    """Position in the input audio, in milliseconds."""

    @property
    def audio_data(self) -> bytes:
        """The audio, decoded.

        Raises:
            DecodeError: If it is not base64.
        """
        return audio_of(self, self.delta)


KnownTranslationServerEvent = (
    RealtimeErrorEvent
    | RealtimeTranslationSessionCreatedEvent
    | RealtimeTranslationSessionUpdatedEvent
    | RealtimeTranslationSessionClosedEvent
    | RealtimeTranslationInputTranscriptDeltaEvent
    | RealtimeTranslationOutputTranscriptDeltaEvent
    | RealtimeTranslationOutputAudioDeltaEvent
)
"""All known server events of translation sessions."""

AnyTranslationServerEvent = KnownTranslationServerEvent | UnknownEvent

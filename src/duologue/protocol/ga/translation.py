"""Translation sessions: speech in, the same speech in another language out.

A surface of its own (`/v1/realtime/translations`), with its own events: no conversation, no items,
no responses. Both unions here stand beside those of the ordinary session.

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
    """Noise reduction of the input."""

    type: Open[NoiseReductionType]
    strength: float | UnsetType = UNSET
    """0 to 1."""


class TranslationTranscription(Model, frozen=True, kw_only=True):
    """Transcription of what goes in, in its own language."""

    model: str
    """`gpt-realtime-whisper`, ..."""
    language: str | UnsetType = UNSET
    """ISO 639-1 code of what goes in: official examples show it, no official type has it."""


class TranslationInput(Model, frozen=True, kw_only=True):
    """How the server treats incoming audio."""

    transcription: TranslationTranscription | None | UnsetType = UNSET
    """`None` switches the input's transcript off."""
    noise_reduction: TranslationNoiseReduction | None | UnsetType = UNSET
    """`None` switches noise reduction off."""


class TranslationOutput(Model, frozen=True, kw_only=True):
    """What comes out."""

    language: str | UnsetType = UNSET
    """ISO 639-1 code of the language to speak."""


class TranslationAudio(Model, frozen=True, kw_only=True):
    """Audio in and out."""

    input: TranslationInput | UnsetType = UNSET
    output: TranslationOutput | UnsetType = UNSET


class TranslationSessionConfig(Model, frozen=True, kw_only=True):
    """What of a running session may change; what is unset stays as it is."""

    audio: TranslationAudio | UnsetType = UNSET


class TranslationSessionParams(Model, frozen=True, kw_only=True):
    """A session as asked for with its client secret."""

    model: str
    """`gpt-realtime-translate`"""
    audio: TranslationAudio | UnsetType = UNSET


class TranslationSession(Model, frozen=True, kw_only=True):
    """A session as it is."""

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
    """Change what is set in `session`; answered by `session.updated`."""

    session: TranslationSessionConfig


class RealtimeTranslationInputAudioBufferAppendEvent(
    ClientEvent, frozen=True, kw_only=True, tag="session.input_audio_buffer.append"
):
    """Add audio to what is being translated; nothing acknowledges it, nothing needs a commit."""

    audio: Raw
    """Base64 of PCM at 24 kHz, still a JSON string; at most 15 MiB."""

    @classmethod
    def of(
        cls, audio: bytes | bytearray | memoryview
    ) -> RealtimeTranslationInputAudioBufferAppendEvent:
        """Return the event for audio bytes."""
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
    """End the session once what was sent is translated; answered by `session.closed`."""


KnownTranslationClientEvent = (
    RealtimeTranslationSessionUpdateEvent
    | RealtimeTranslationInputAudioBufferAppendEvent
    | RealtimeTranslationSessionCloseEvent
)
"""Every client event of a translation session."""

AnyTranslationClientEvent = KnownTranslationClientEvent | UnknownEvent


class RealtimeTranslationSessionCreatedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="session.created"
):
    """The first event of a connection."""

    session: TranslationSession


class RealtimeTranslationSessionUpdatedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="session.updated"
):
    """The whole configuration after a `session.update`."""

    session: TranslationSession


class RealtimeTranslationSessionClosedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="session.closed"
):
    """Everything is translated and the session is over: the last event."""


class TranscriptEvent(ServerEvent, frozen=True, kw_only=True):
    """More words, in the language of one side."""

    delta: str
    """Appended as it is: spaces are part of it."""
    elapsed_ms: int | None | UnsetType = UNSET
    """Where on the input's clock it belongs."""


class RealtimeTranslationInputTranscriptDeltaEvent(
    TranscriptEvent, frozen=True, kw_only=True, tag="session.input_transcript.delta"
):
    """More of what was said."""


class RealtimeTranslationOutputTranscriptDeltaEvent(
    TranscriptEvent, frozen=True, kw_only=True, tag="session.output_transcript.delta"
):
    """More of the translation."""


class RealtimeTranslationOutputAudioDeltaEvent(
    ServerEvent, frozen=True, kw_only=True, tag="session.output_audio.delta"
):
    """More of the translation's speech."""

    delta: Raw
    """Base64, still a JSON string; `audio_data` decodes it."""
    format: str | UnsetType = UNSET
    """`pcm16`"""
    sample_rate: int | UnsetType = UNSET
    """Samples per second; 24000 when unset."""
    channels: int | UnsetType = UNSET
    """1 when unset."""
    elapsed_ms: int | None | UnsetType = UNSET
    """Where on the input's clock it belongs."""

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
"""Every server event of a translation session."""

AnyTranslationServerEvent = KnownTranslationServerEvent | UnknownEvent

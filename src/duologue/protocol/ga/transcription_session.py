"""The flat transcription session of beta, whose events are still in the GA reference.

Current servers expect `session.update` with `type: transcription` instead. The types are defined
here because GA does not import beta; beta imports them from here.

Source: Realtime API reference, `transcription_session.update` and `.updated` (beta).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.ga.audio import AudioTranscription, Eagerness, NoiseReduction
from duologue.protocol.ga.session import OutputModality
from duologue.protocol.model import UNSET, Event, Model, Open, UnsetType

__all__ = [
    "AudioFormatName",
    "ClientSecret",
    "ExpiresAfter",
    "ExpiresAfterAnchor",
    "FlatTranscriptionConfig",
    "FlatTranscriptionSecret",
    "FlatTranscriptionSession",
    "FlatTurnDetection",
    "TranscriptionSessionUpdate",
    "TranscriptionSessionUpdatedEvent",
    "TurnDetectionType",
]


class AudioFormatName(StrEnum):
    """Audio formats by their beta names."""

    PCM16 = "pcm16"
    """16-bit little-endian mono PCM at 24 kHz."""
    G711_ULAW = "g711_ulaw"
    """µ-law at 8 kHz."""
    G711_ALAW = "g711_alaw"
    """A-law at 8 kHz."""


class TurnDetectionType(StrEnum):
    """Kinds of turn detection: by silence, or by meaning."""

    SERVER_VAD = "server_vad"
    SEMANTIC_VAD = "semantic_vad"


class FlatTurnDetection(Model, frozen=True, kw_only=True):
    """Turn detection of either kind. Each kind ignores the fields of the other."""

    type: Open[TurnDetectionType] | UnsetType = UNSET
    """`server_vad` when unset."""
    threshold: float | UnsetType = UNSET
    """Probability from which audio counts as speech, 0 to 1; 0.5 when unset."""
    prefix_padding_ms: int | UnsetType = UNSET
    """Audio to include from before the speech; 300 when unset."""
    silence_duration_ms: int | UnsetType = UNSET
    """Silence that ends a turn. When unset, recorded servers use 200; the reference says 500."""
    create_response: bool | UnsetType = UNSET
    """Whether to create a response when a turn ends; no effect in transcription sessions."""
    interrupt_response: bool | UnsetType = UNSET
    """Whether to cancel the response in progress when the user speaks; true when unset."""
    eagerness: Open[Eagerness] | UnsetType = UNSET
    """`semantic_vad` only."""
    idle_timeout_ms: int | None | UnsetType = UNSET
    """Silence after a response that triggers another one; `None` disables it. Late servers only."""


class ExpiresAfterAnchor(StrEnum):
    """Start of the lifetime of a client secret."""

    CREATED_AT = "created_at"


class ExpiresAfter(Model, frozen=True, kw_only=True):
    """Requested lifetime of a client secret."""

    anchor: Open[ExpiresAfterAnchor] | UnsetType = UNSET
    seconds: int | UnsetType = UNSET
    """10 to 7200 seconds from the anchor; 600 when unset."""


class Secret(Model, frozen=True, kw_only=True):
    """An ephemeral key for browsers. Its `repr` does not show the value."""

    value: str
    """`ek_…`: a secret."""
    expires_at: int
    """Unix seconds."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(value=[removed], expires_at={self.expires_at})"


class ClientSecret(Secret, frozen=True, kw_only=True):
    """An ephemeral key for browsers, bound to a configuration. It expires after a minute or so."""


class FlatTranscriptionSecret(Model, frozen=True, kw_only=True):
    """Request of a client secret along with a transcription session."""

    expires_at: ExpiresAfter | UnsetType = UNSET
    """The lifetime of the secret, despite its name."""


class TranscriptionFields(Model, frozen=True, kw_only=True):
    """Fields that are common to requested and reported transcription sessions."""

    input_audio_format: Open[AudioFormatName] | UnsetType = UNSET
    """`pcm16` when unset."""
    input_audio_transcription: AudioTranscription | None | UnsetType = UNSET
    input_audio_noise_reduction: NoiseReduction | None | UnsetType = UNSET
    """`None` switches noise reduction off."""
    turn_detection: FlatTurnDetection | None | UnsetType = UNSET
    """`None` switches turn detection off: the client commits."""
    modalities: list[Open[OutputModality]] | UnsetType = UNSET
    """Accepted, without effect: a transcription session sends text only."""
    include: list[str] | None | UnsetType = UNSET
    """`item.input_audio_transcription.logprobs`"""


class FlatTranscriptionConfig(TranscriptionFields, frozen=True, kw_only=True):
    """A requested configuration of a transcription session. Unset fields stay unchanged."""

    client_secret: FlatTranscriptionSecret | UnsetType = UNSET
    """Used by REST only."""


class FlatTranscriptionSession(TranscriptionFields, frozen=True, kw_only=True):
    """The reported configuration of a transcription session."""

    id: str | UnsetType = UNSET
    """`sess_…`"""
    object: str | UnsetType = UNSET
    """`realtime.transcription_session`"""
    expires_at: int | UnsetType = UNSET
    """Unix seconds."""
    client_secret: ClientSecret | None | UnsetType = UNSET
    """Sent in REST responses only, although the official types require it."""


class TranscriptionSessionUpdate(
    Event, frozen=True, kw_only=True, tag="transcription_session.update"
):
    """Change a transcription session. The answer is `transcription_session.updated`.

    Current servers reject it: send `session.update` with `type: transcription`.
    """

    session: FlatTranscriptionConfig
    event_id: str | UnsetType = UNSET
    """Chosen by the client, at most 512 characters. The `error` that an event causes names it."""


class TranscriptionSessionUpdatedEvent(
    Event, frozen=True, kw_only=True, tag="transcription_session.updated"
):
    """The configuration after a `transcription_session.update`."""

    event_id: str
    """`event_…`"""
    session: FlatTranscriptionSession

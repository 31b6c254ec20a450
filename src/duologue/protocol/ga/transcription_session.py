"""The flat, beta-shaped transcription session that the GA unions still list.

Today's servers take `session.update` with `type: transcription` instead. The beta dialect, whose
home these shapes are, takes them from here.

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
    """What ends a turn: silence, or words that sound finished."""

    SERVER_VAD = "server_vad"
    SEMANTIC_VAD = "semantic_vad"


class FlatTurnDetection(Model, frozen=True, kw_only=True):
    """Turn detection of either kind in one object; each kind ignores the other's fields."""

    type: Open[TurnDetectionType] | UnsetType = UNSET
    """`server_vad` when unset."""
    threshold: float | UnsetType = UNSET
    """Likelihood of speech from which a frame counts, 0 to 1; 0.5 when unset."""
    prefix_padding_ms: int | UnsetType = UNSET
    """Audio kept from before the speech; 300 when unset."""
    silence_duration_ms: int | UnsetType = UNSET
    """Silence that ends the turn; 200 on the wire when unset (500 in the documents)."""
    create_response: bool | UnsetType = UNSET
    """Answer when the turn ends; true when unset. Without meaning in a transcription session."""
    interrupt_response: bool | UnsetType = UNSET
    """Cancel the response in progress when the user speaks; true when unset."""
    eagerness: Open[Eagerness] | UnsetType = UNSET
    """`semantic_vad` only."""
    idle_timeout_ms: int | None | UnsetType = UNSET
    """`server_vad` of late beta servers: answer after so long a silence; `None` never."""


class ExpiresAfterAnchor(StrEnum):
    """From when the life of a key is counted."""

    CREATED_AT = "created_at"


class ExpiresAfter(Model, frozen=True, kw_only=True):
    """When a key that is asked for shall end."""

    anchor: Open[ExpiresAfterAnchor] | UnsetType = UNSET
    seconds: int | UnsetType = UNSET
    """10 to 7200 from the anchor; 600 when unset."""


class Secret(Model, frozen=True, kw_only=True):
    """A key for a browser; its `repr` does not show it."""

    value: str
    """`ek_…`: a secret."""
    expires_at: int
    """Unix seconds."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(value=[removed], expires_at={self.expires_at})"


class ClientSecret(Secret, frozen=True, kw_only=True):
    """A key for a browser, bound to one configuration; it ends about a minute ahead."""


class FlatTranscriptionSecret(Model, frozen=True, kw_only=True):
    """The key that is asked for along with a transcription session."""

    expires_at: ExpiresAfter | UnsetType = UNSET
    """Says after how long, despite its name."""


class TranscriptionFields(Model, frozen=True, kw_only=True):
    """What the two forms of a flat transcription session share."""

    input_audio_format: Open[AudioFormatName] | UnsetType = UNSET
    """`pcm16` when unset."""
    input_audio_transcription: AudioTranscription | None | UnsetType = UNSET
    input_audio_noise_reduction: NoiseReduction | None | UnsetType = UNSET
    """`None` switches noise reduction off."""
    turn_detection: FlatTurnDetection | None | UnsetType = UNSET
    """`None` switches detection off: the client commits."""
    modalities: list[Open[OutputModality]] | UnsetType = UNSET
    """Accepted for symmetry; nothing but text comes back."""
    include: list[str] | None | UnsetType = UNSET
    """`item.input_audio_transcription.logprobs`"""


class FlatTranscriptionConfig(TranscriptionFields, frozen=True, kw_only=True):
    """A transcription session as asked for; what is unset stays as it is."""

    client_secret: FlatTranscriptionSecret | UnsetType = UNSET
    """Only where a key is made, by REST."""


class FlatTranscriptionSession(TranscriptionFields, frozen=True, kw_only=True):
    """A transcription session as it is."""

    id: str | UnsetType = UNSET
    """`sess_…`"""
    object: str | UnsetType = UNSET
    """`realtime.transcription_session`"""
    expires_at: int | UnsetType = UNSET
    """Unix seconds."""
    client_secret: ClientSecret | None | UnsetType = UNSET
    """Official types demand it, but it is only in REST replies."""


class TranscriptionSessionUpdate(
    Event, frozen=True, kw_only=True, tag="transcription_session.update"
):
    """Change what is set in a transcription session; answered by `transcription_session.updated`.

    Gone from today's servers: send `session.update` with `type: transcription`.
    """

    session: FlatTranscriptionConfig
    event_id: str | UnsetType = UNSET
    """The client's own choice, at most 512 characters; an `error` that it causes names it."""


class TranscriptionSessionUpdatedEvent(
    Event, frozen=True, kw_only=True, tag="transcription_session.updated"
):
    """The whole configuration after a `transcription_session.update`."""

    event_id: str
    """`event_…`"""
    session: FlatTranscriptionSession

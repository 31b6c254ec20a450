"""Audio settings of a session: formats, turn detection, transcription, voice.

Source: Realtime API reference, session object, `audio` (GA).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.model import UNSET, Model, Open, TaggedModel, Unknown, UnsetType

__all__ = [
    "AudioConfig",
    "AudioFormat",
    "AudioInput",
    "AudioOutput",
    "AudioPcm",
    "AudioPcma",
    "AudioPcmu",
    "AudioTranscription",
    "Delay",
    "Eagerness",
    "NoiseReduction",
    "NoiseReductionType",
    "SemanticVad",
    "ServerVad",
    "TranscriptionModel",
    "TurnDetection",
    "UnknownAudioFormat",
    "UnknownTurnDetection",
    "Voice",
    "VoiceChoice",
    "VoiceId",
]


class Voice(StrEnum):
    """Built-in voices."""

    ALLOY = "alloy"
    ASH = "ash"
    BALLAD = "ballad"
    CORAL = "coral"
    ECHO = "echo"
    SAGE = "sage"
    SHIMMER = "shimmer"
    VERSE = "verse"
    MARIN = "marin"
    CEDAR = "cedar"


class NoiseReductionType(StrEnum):
    """Distance of the microphone."""

    NEAR_FIELD = "near_field"
    """Headphones or a handset."""
    FAR_FIELD = "far_field"
    """A laptop or a conference room."""


class Eagerness(StrEnum):
    """Eagerness of `semantic_vad` to end a turn.

    It waits at most 8 s (low), 4 s (medium and auto) or 2 s (high).
    """

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    AUTO = "auto"


class TranscriptionModel(StrEnum):
    """Models that transcribe input audio."""

    WHISPER_1 = "whisper-1"
    GPT_TRANSCRIBE = "gpt-transcribe"
    GPT_LIVE_TRANSCRIBE = "gpt-live-transcribe"
    GPT_4O_MINI_TRANSCRIBE = "gpt-4o-mini-transcribe"
    GPT_4O_MINI_TRANSCRIBE_2025_12_15 = "gpt-4o-mini-transcribe-2025-12-15"
    GPT_4O_TRANSCRIBE = "gpt-4o-transcribe"
    GPT_4O_TRANSCRIBE_DIARIZE = "gpt-4o-transcribe-diarize"
    GPT_REALTIME_WHISPER = "gpt-realtime-whisper"


class Delay(StrEnum):
    """Delay of a streaming transcription: more delay improves accuracy."""

    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"


class AudioPcm(TaggedModel, frozen=True, kw_only=True, tag="audio/pcm"):
    """16-bit little-endian mono PCM."""

    rate: int | UnsetType = UNSET
    """Samples per second. Only 24000 is accepted, and the service requires it for output."""


class AudioPcmu(TaggedModel, frozen=True, kw_only=True, tag="audio/pcmu"):
    """G.711 µ-law at 8 kHz."""


class AudioPcma(TaggedModel, frozen=True, kw_only=True, tag="audio/pcma"):
    """G.711 A-law at 8 kHz."""


class UnknownAudioFormat(Unknown, frozen=True, kw_only=True):
    """An unknown audio format."""


AudioFormat = AudioPcm | AudioPcmu | AudioPcma | UnknownAudioFormat


class NoiseReduction(Model, frozen=True, kw_only=True):
    """Noise reduction of input audio, applied before turn detection and the model."""

    type: Open[NoiseReductionType] | UnsetType = UNSET
    strength: float | UnsetType = UNSET
    """0 to 1."""


class AudioTranscription(Model, frozen=True, kw_only=True):
    """Transcription of input audio, by a separate model."""

    model: Open[TranscriptionModel] | UnsetType = UNSET
    language: str | None | UnsetType = UNSET
    """ISO 639-1 code of the spoken language; improves accuracy and latency."""
    languages: list[str] | UnsetType = UNSET
    """Languages to expect."""
    prompt: str | None | UnsetType = UNSET
    """Text that guides the style, or words to expect."""
    keywords: list[str] | UnsetType = UNSET
    """Words to expect."""
    delay: Open[Delay] | UnsetType = UNSET


class ServerVad(TaggedModel, frozen=True, kw_only=True, tag="server_vad"):
    """Turn detection by silence."""

    threshold: float | UnsetType = UNSET
    """Probability from which audio counts as speech, 0 to 1; 0.5 when unset."""
    prefix_padding_ms: int | UnsetType = UNSET
    """Audio to include from before the speech; 300 when unset."""
    silence_duration_ms: int | UnsetType = UNSET
    """Silence that ends a turn. When unset, recorded servers use 200; the reference says 500."""
    create_response: bool | UnsetType = UNSET
    """Whether to create a response when a turn ends; true when unset."""
    interrupt_response: bool | UnsetType = UNSET
    """Whether to cancel the response in progress when the user speaks; true when unset."""
    idle_timeout_ms: int | None | UnsetType = UNSET
    """Silence after a response that triggers another one, 5000 to 30000. `None` disables it."""


class SemanticVad(TaggedModel, frozen=True, kw_only=True, tag="semantic_vad"):
    """Turn detection by meaning: a turn ends when the user seems to have finished."""

    eagerness: Open[Eagerness] | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    """Whether to create a response when a turn ends; true when unset."""
    interrupt_response: bool | UnsetType = UNSET
    """Whether to cancel the response in progress when the user speaks; true when unset."""
    threshold: float | UnsetType = UNSET
    """See `ServerVad`; in transcription sessions only."""
    prefix_padding_ms: int | UnsetType = UNSET
    """See `ServerVad`; in transcription sessions only."""
    silence_duration_ms: int | UnsetType = UNSET
    """See `ServerVad`; in transcription sessions only."""


class UnknownTurnDetection(Unknown, frozen=True, kw_only=True):
    """An unknown kind of turn detection."""


TurnDetection = ServerVad | SemanticVad | UnknownTurnDetection


class VoiceId(Model, frozen=True, kw_only=True):
    """A custom voice, or a voice of another provider."""

    id: str | UnsetType = UNSET
    """`voice_…`. Azure's voices have none: their `name` and `type` are in `extra`."""


VoiceChoice = Open[Voice] | VoiceId
"""A built-in voice by name, or a custom voice."""


class AudioInput(Model, frozen=True, kw_only=True):
    """Settings of input audio."""

    format: AudioFormat | UnsetType = UNSET
    transcription: AudioTranscription | None | UnsetType = UNSET
    """`None` switches transcription off."""
    noise_reduction: NoiseReduction | None | UnsetType = UNSET
    """`None` switches noise reduction off."""
    turn_detection: TurnDetection | None | UnsetType = UNSET
    """Turn detection. `None` switches it off, for push to talk."""


class AudioOutput(Model, frozen=True, kw_only=True):
    """Settings of output audio."""

    format: AudioFormat | UnsetType = UNSET
    voice: VoiceChoice | UnsetType = UNSET
    """Cannot change after the first output audio of the session."""
    speed: float | UnsetType = UNSET
    """0.25 to 1.5; 1 when unset. Changes take effect between turns."""


class AudioConfig(Model, frozen=True, kw_only=True):
    """Settings of input and output audio."""

    input: AudioInput | UnsetType = UNSET
    output: AudioOutput | UnsetType = UNSET

"""How audio goes in and out of a session: formats, turn detection, transcription, voice.

Source: Realtime API reference, session object, `audio` (GA).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.model import UNSET, Model, Open, Unknown, UnsetType

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
    """Where the microphone is."""

    NEAR_FIELD = "near_field"
    """Headphones, a handset."""
    FAR_FIELD = "far_field"
    """A laptop, a conference room."""


class Eagerness(StrEnum):
    """How soon `semantic_vad` takes the turn: waits at most 8 s (low), 4 s (medium, auto), 2 s."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    AUTO = "auto"


class TranscriptionModel(StrEnum):
    """Models that transcribe the user's audio."""

    WHISPER_1 = "whisper-1"
    GPT_TRANSCRIBE = "gpt-transcribe"
    GPT_LIVE_TRANSCRIBE = "gpt-live-transcribe"
    GPT_4O_MINI_TRANSCRIBE = "gpt-4o-mini-transcribe"
    GPT_4O_MINI_TRANSCRIBE_2025_12_15 = "gpt-4o-mini-transcribe-2025-12-15"
    GPT_4O_TRANSCRIBE = "gpt-4o-transcribe"
    GPT_4O_TRANSCRIBE_DIARIZE = "gpt-4o-transcribe-diarize"
    GPT_REALTIME_WHISPER = "gpt-realtime-whisper"


class Delay(StrEnum):
    """How long a streaming transcriber may hold words back to be surer of them."""

    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"


class AudioPcm(Model, frozen=True, kw_only=True, tag_field="type", tag="audio/pcm"):
    """16-bit little-endian mono PCM."""

    rate: int | UnsetType = UNSET
    """Samples per second; only 24000 is accepted, and the service demands that it is said."""


class AudioPcmu(Model, frozen=True, kw_only=True, tag_field="type", tag="audio/pcmu"):
    """G.711 µ-law at 8 kHz."""


class AudioPcma(Model, frozen=True, kw_only=True, tag_field="type", tag="audio/pcma"):
    """G.711 A-law at 8 kHz."""


class UnknownAudioFormat(Unknown, frozen=True, kw_only=True):
    """An audio format that this version does not know."""


AudioFormat = AudioPcm | AudioPcmu | AudioPcma | UnknownAudioFormat


class NoiseReduction(Model, frozen=True, kw_only=True):
    """Noise reduction of the input, before turn detection and the model hear it."""

    type: Open[NoiseReductionType] | UnsetType = UNSET
    strength: float | UnsetType = UNSET
    """0 to 1."""


class AudioTranscription(Model, frozen=True, kw_only=True):
    """Transcription of the user's audio, beside the model and independent of it."""

    model: Open[TranscriptionModel] | UnsetType = UNSET
    language: str | None | UnsetType = UNSET
    """ISO 639-1 code of the spoken language; helps accuracy and latency."""
    languages: list[str] | UnsetType = UNSET
    """Languages that may be spoken."""
    prompt: str | None | UnsetType = UNSET
    """Guides the style, or lists words to expect."""
    keywords: list[str] | UnsetType = UNSET
    """Words to expect."""
    delay: Open[Delay] | UnsetType = UNSET


class ServerVad(Model, frozen=True, kw_only=True, tag_field="type", tag="server_vad"):
    """A turn ends after so much silence."""

    threshold: float | UnsetType = UNSET
    """Likelihood of speech from which a frame counts, 0 to 1; 0.5 when unset."""
    prefix_padding_ms: int | UnsetType = UNSET
    """Audio kept from before the speech; 300 when unset."""
    silence_duration_ms: int | UnsetType = UNSET
    """Silence that ends the turn; 200 on the wire when unset (500 in the documents)."""
    create_response: bool | UnsetType = UNSET
    """Answer when the turn ends; true when unset."""
    interrupt_response: bool | UnsetType = UNSET
    """Cancel the response in progress when the user speaks; true when unset."""
    idle_timeout_ms: int | None | UnsetType = UNSET
    """Answer when nobody spoke for so long after a response, 5000 to 30000; `None` never."""


class SemanticVad(Model, frozen=True, kw_only=True, tag_field="type", tag="semantic_vad"):
    """A turn ends when the words sound finished."""

    eagerness: Open[Eagerness] | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    """Answer when the turn ends; true when unset."""
    interrupt_response: bool | UnsetType = UNSET
    """Cancel the response in progress when the user speaks; true when unset."""
    threshold: float | UnsetType = UNSET
    """As in `ServerVad`; the reference lists it for transcription sessions only."""
    prefix_padding_ms: int | UnsetType = UNSET
    """As in `ServerVad`; for transcription sessions only."""
    silence_duration_ms: int | UnsetType = UNSET
    """As in `ServerVad`; for transcription sessions only."""


class UnknownTurnDetection(Unknown, frozen=True, kw_only=True):
    """A kind of turn detection that this version does not know."""


TurnDetection = ServerVad | SemanticVad | UnknownTurnDetection


class VoiceId(Model, frozen=True, kw_only=True):
    """A custom voice."""

    id: str
    """`voice_…`"""


VoiceChoice = Open[Voice] | VoiceId
"""A built-in voice by its name, or a custom one."""


class AudioInput(Model, frozen=True, kw_only=True):
    """How the server treats incoming audio."""

    format: AudioFormat | UnsetType = UNSET
    transcription: AudioTranscription | None | UnsetType = UNSET
    """`None` switches transcription off."""
    noise_reduction: NoiseReduction | None | UnsetType = UNSET
    """`None` switches noise reduction off."""
    turn_detection: TurnDetection | None | UnsetType = UNSET
    """How a turn ends. `None` switches detection off: push to talk."""


class AudioOutput(Model, frozen=True, kw_only=True):
    """How the server speaks."""

    format: AudioFormat | UnsetType = UNSET
    voice: VoiceChoice | UnsetType = UNSET
    """Cannot change once the session has spoken."""
    speed: float | UnsetType = UNSET
    """0.25 to 1.5, 1 when unset; changes between turns only."""


class AudioConfig(Model, frozen=True, kw_only=True):
    """Audio in and out."""

    input: AudioInput | UnsetType = UNSET
    output: AudioOutput | UnsetType = UNSET

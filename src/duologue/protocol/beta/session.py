"""The session's configuration, as asked for and as it is: flat, and without a type.

The official beta types know function tools only, and `tool_choice` only as a string; the service
accepts the other forms as well.

Source: Realtime API reference, session object (beta).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.ga.audio import AudioTranscription as InputAudioTranscription
from duologue.protocol.ga.audio import (
    Delay,
    Eagerness,
    NoiseReduction,
    NoiseReductionType,
    TranscriptionModel,
    VoiceId,
)
from duologue.protocol.ga.session import Include, Prompt, Tracing, TracingConfig, Truncation
from duologue.protocol.ga.session import OutputModality as Modality
from duologue.protocol.ga.tools import (
    FunctionTool,
    McpTool,
    Tool,
    ToolChoice,
    ToolChoiceFunction,
    ToolChoiceMcp,
    ToolChoiceMode,
    UnknownTool,
    UnknownToolChoice,
)
from duologue.protocol.ga.transcription_session import AudioFormatName as AudioFormat
from duologue.protocol.ga.transcription_session import (
    ClientSecret,
    ExpiresAfter,
    ExpiresAfterAnchor,
    TurnDetectionType,
)
from duologue.protocol.ga.transcription_session import (
    FlatTranscriptionConfig as TranscriptionSessionConfig,
)
from duologue.protocol.ga.transcription_session import (
    FlatTranscriptionSecret as TranscriptionSecretConfig,
)
from duologue.protocol.ga.transcription_session import (
    FlatTranscriptionSession as TranscriptionSession,
)
from duologue.protocol.ga.transcription_session import FlatTurnDetection as TurnDetection
from duologue.protocol.model import UNSET, Model, Open, UnsetType

__all__ = [
    "AudioFormat",
    "ClientSecret",
    "ClientSecretConfig",
    "Delay",
    "Eagerness",
    "ExpiresAfter",
    "ExpiresAfterAnchor",
    "FunctionTool",
    "Include",
    "InputAudioTranscription",
    "MaxOutputTokens",
    "McpTool",
    "Modality",
    "NoiseReduction",
    "NoiseReductionType",
    "ObjectType",
    "Prompt",
    "RealtimeModel",
    "Session",
    "SessionConfig",
    "Tool",
    "ToolChoice",
    "ToolChoiceFunction",
    "ToolChoiceMcp",
    "ToolChoiceMode",
    "ToolType",
    "Tracing",
    "TracingConfig",
    "TranscriptionModel",
    "TranscriptionSecretConfig",
    "TranscriptionSession",
    "TranscriptionSessionConfig",
    "Truncation",
    "TurnDetection",
    "TurnDetectionType",
    "UnknownTool",
    "UnknownToolChoice",
    "Voice",
    "VoiceId",
]


class Voice(StrEnum):
    """Built-in voices; `marin` and `cedar` came with GA."""

    ALLOY = "alloy"
    ASH = "ash"
    BALLAD = "ballad"
    CORAL = "coral"
    ECHO = "echo"
    SAGE = "sage"
    SHIMMER = "shimmer"
    VERSE = "verse"


class ToolType(StrEnum):
    """Kinds of tool; beta itself has one."""

    FUNCTION = "function"


MaxOutputTokens = int | str
"""1 to 4096, or `inf`."""


class ObjectType(StrEnum):
    """What an object says that it is, in its field `object`."""

    ITEM = "realtime.item"
    RESPONSE = "realtime.response"
    SESSION = "realtime.session"
    CONVERSATION = "realtime.conversation"


class RealtimeModel(StrEnum):
    """Models that hold a conversation."""

    GPT_REALTIME = "gpt-realtime"
    GPT_REALTIME_2025_08_28 = "gpt-realtime-2025-08-28"
    GPT_4O_REALTIME_PREVIEW = "gpt-4o-realtime-preview"
    GPT_4O_REALTIME_PREVIEW_2024_10_01 = "gpt-4o-realtime-preview-2024-10-01"
    GPT_4O_REALTIME_PREVIEW_2024_12_17 = "gpt-4o-realtime-preview-2024-12-17"
    GPT_4O_REALTIME_PREVIEW_2025_06_03 = "gpt-4o-realtime-preview-2025-06-03"
    GPT_4O_MINI_REALTIME_PREVIEW = "gpt-4o-mini-realtime-preview"
    GPT_4O_MINI_REALTIME_PREVIEW_2024_12_17 = "gpt-4o-mini-realtime-preview-2024-12-17"


class ClientSecretConfig(Model, frozen=True, kw_only=True):
    """The key that is asked for along with a session."""

    expires_after: ExpiresAfter | UnsetType = UNSET


class SessionFields(Model, frozen=True, kw_only=True):
    """What the two forms of a session share."""

    model: Open[RealtimeModel] | UnsetType = UNSET
    """Chosen when connecting; never changes."""
    modalities: list[Open[Modality]] | UnsetType = UNSET
    """`["text", "audio"]` (when unset) or `["text"]`: audio does not come without its text."""
    instructions: str | UnsetType = UNSET
    """The system prompt; an empty string clears it."""
    voice: Open[Voice] | VoiceId | UnsetType = UNSET
    """Cannot change once the session has spoken. Custom voices are GA's."""
    input_audio_format: Open[AudioFormat] | UnsetType = UNSET
    """`pcm16` when unset."""
    output_audio_format: Open[AudioFormat] | UnsetType = UNSET
    """`pcm16` when unset."""
    input_audio_transcription: InputAudioTranscription | None | UnsetType = UNSET
    """`None` switches transcription off."""
    input_audio_noise_reduction: NoiseReduction | None | UnsetType = UNSET
    """`None` switches noise reduction off."""
    turn_detection: TurnDetection | None | UnsetType = UNSET
    """How a turn ends. `None` switches detection off: push to talk."""
    tools: list[Tool] | UnsetType = UNSET
    """All of them each time; an empty list clears."""
    tool_choice: ToolChoice | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    """0.6 to 1.2, 0.8 when unset. GA has none."""
    max_response_output_tokens: MaxOutputTokens | UnsetType = UNSET
    """Per response, tool calls included; `inf` when unset."""
    speed: float | UnsetType = UNSET
    """0.25 to 1.5, 1 when unset; changes between turns only."""
    tracing: Tracing | None | UnsetType = UNSET
    """`auto`, or a configuration; `None` switches tracing off. Cannot change once set."""
    include: list[Open[Include]] | None | UnsetType = UNSET
    """In the last beta servers only, as are `prompt` and `truncation`."""
    prompt: Prompt | None | UnsetType = UNSET
    truncation: Truncation | UnsetType = UNSET


class SessionConfig(SessionFields, frozen=True, kw_only=True):
    """A session as asked for; what is unset stays as it is."""

    client_secret: ClientSecretConfig | UnsetType = UNSET
    """Only where a key is made, by REST."""


class Session(SessionFields, frozen=True, kw_only=True):
    """A session as it is."""

    id: str | UnsetType = UNSET
    """`sess_…`"""
    object: str | UnsetType = UNSET
    """`realtime.session`"""
    expires_at: int | UnsetType = UNSET
    """Unix seconds."""
    client_secret: ClientSecret | None | UnsetType = UNSET
    """Null or absent on a socket."""

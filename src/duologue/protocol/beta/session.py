"""Configuration of a session, as requested and as reported: flat, and without a `type`.

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
    """Built-in voices. `marin` and `cedar` are GA's."""

    ALLOY = "alloy"
    ASH = "ash"
    BALLAD = "ballad"
    CORAL = "coral"
    ECHO = "echo"
    SAGE = "sage"
    SHIMMER = "shimmer"
    VERSE = "verse"


class ToolType(StrEnum):
    """Kinds of tool. Beta itself has one."""

    FUNCTION = "function"


MaxOutputTokens = int | str
"""1 to 4096, or `inf`."""


class ObjectType(StrEnum):
    """Values of the field `object`."""

    ITEM = "realtime.item"
    RESPONSE = "realtime.response"
    SESSION = "realtime.session"
    CONVERSATION = "realtime.conversation"


class RealtimeModel(StrEnum):
    """Models for conversations."""

    GPT_REALTIME = "gpt-realtime"
    GPT_REALTIME_2025_08_28 = "gpt-realtime-2025-08-28"
    GPT_4O_REALTIME_PREVIEW = "gpt-4o-realtime-preview"
    GPT_4O_REALTIME_PREVIEW_2024_10_01 = "gpt-4o-realtime-preview-2024-10-01"
    GPT_4O_REALTIME_PREVIEW_2024_12_17 = "gpt-4o-realtime-preview-2024-12-17"
    GPT_4O_REALTIME_PREVIEW_2025_06_03 = "gpt-4o-realtime-preview-2025-06-03"
    GPT_4O_MINI_REALTIME_PREVIEW = "gpt-4o-mini-realtime-preview"
    GPT_4O_MINI_REALTIME_PREVIEW_2024_12_17 = "gpt-4o-mini-realtime-preview-2024-12-17"


class ClientSecretConfig(Model, frozen=True, kw_only=True):
    """Request of a client secret along with a session."""

    expires_after: ExpiresAfter | UnsetType = UNSET


class SessionFields(Model, frozen=True, kw_only=True):
    """Fields that are common to requested and reported sessions."""

    model: Open[RealtimeModel] | UnsetType = UNSET
    """Chosen when connecting; cannot change."""
    modalities: list[Open[Modality]] | UnsetType = UNSET
    """`["text", "audio"]` (when unset) or `["text"]`: audio always includes its text."""
    instructions: str | UnsetType = UNSET
    """System prompt. An empty string clears it."""
    voice: Open[Voice] | VoiceId | UnsetType = UNSET
    """Cannot change after the first output audio of the session. Custom voices are GA's."""
    input_audio_format: Open[AudioFormat] | UnsetType = UNSET
    """`pcm16` when unset."""
    output_audio_format: Open[AudioFormat] | UnsetType = UNSET
    """`pcm16` when unset."""
    input_audio_transcription: InputAudioTranscription | None | UnsetType = UNSET
    """`None` switches transcription off."""
    input_audio_noise_reduction: NoiseReduction | None | UnsetType = UNSET
    """`None` switches noise reduction off."""
    turn_detection: TurnDetection | None | UnsetType = UNSET
    """Turn detection. `None` switches it off, for push to talk."""
    tools: list[Tool] | UnsetType = UNSET
    """Complete list of tools, which replaces the previous one."""
    tool_choice: ToolChoice | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    """0.6 to 1.2; 0.8 when unset. GA has no temperature."""
    max_response_output_tokens: MaxOutputTokens | UnsetType = UNSET
    """Limit of a response, tool calls included; `inf` when unset."""
    speed: float | UnsetType = UNSET
    """0.25 to 1.5; 1 when unset. Changes take effect between turns."""
    tracing: Tracing | None | UnsetType = UNSET
    """`None` switches tracing off. Cannot change once set."""
    include: list[Open[Include]] | None | UnsetType = UNSET
    """Late beta servers only, as are `prompt` and `truncation`."""
    prompt: Prompt | None | UnsetType = UNSET
    truncation: Truncation | UnsetType = UNSET


class SessionConfig(SessionFields, frozen=True, kw_only=True):
    """A requested configuration of a session. Unset fields stay unchanged."""

    client_secret: ClientSecretConfig | UnsetType = UNSET
    """Used by REST only."""


class Session(SessionFields, frozen=True, kw_only=True):
    """The reported configuration of a session."""

    id: str | UnsetType = UNSET
    """`sess_…`"""
    object: str | UnsetType = UNSET
    """`realtime.session`"""
    expires_at: int | UnsetType = UNSET
    """Unix seconds."""
    client_secret: ClientSecret | None | UnsetType = UNSET
    """Null or absent on a WebSocket."""

"""Configuration of a session, as requested and as reported.

Source: Realtime API reference, session object (GA).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from duologue.protocol.ga.audio import AudioConfig, AudioInput, AudioOutput
from duologue.protocol.ga.content import ContentDetail
from duologue.protocol.ga.tools import Tool, ToolChoice
from duologue.protocol.model import UNSET, Model, Open, TaggedModel, Unknown, UnsetType

__all__ = [
    "Include",
    "OutputModality",
    "Prompt",
    "PromptCacheBreakpoint",
    "PromptCacheTtl",
    "PromptFile",
    "PromptImage",
    "PromptImageDetail",
    "PromptText",
    "PromptVariable",
    "RealtimeModel",
    "RealtimeSession",
    "Reasoning",
    "ReasoningEffort",
    "RetentionRatio",
    "Session",
    "TokenLimits",
    "Tracing",
    "TracingConfig",
    "TranscriptionSession",
    "Truncation",
    "TruncationStrategy",
    "UnknownPromptVariable",
    "UnknownSession",
    "UnknownTruncation",
    "merge_session",
]

MergeableT = TypeVar("MergeableT", bound="RealtimeSession | AudioConfig | AudioInput | AudioOutput")


class OutputModality(StrEnum):
    """Modality of the output. GA allows one at a time; audio includes its transcript."""

    TEXT = "text"
    AUDIO = "audio"


class Include(StrEnum):
    """Optional content of server events."""

    INPUT_AUDIO_TRANSCRIPTION_LOGPROBS = "item.input_audio_transcription.logprobs"


class RealtimeModel(StrEnum):
    """Models for conversations. Other snapshots are plain strings."""

    GPT_REALTIME = "gpt-realtime"
    GPT_REALTIME_1_5 = "gpt-realtime-1.5"
    GPT_REALTIME_2 = "gpt-realtime-2"
    GPT_REALTIME_2_1 = "gpt-realtime-2.1"
    GPT_REALTIME_2_1_MINI = "gpt-realtime-2.1-mini"
    GPT_REALTIME_2025_08_28 = "gpt-realtime-2025-08-28"
    GPT_4O_REALTIME_PREVIEW = "gpt-4o-realtime-preview"
    GPT_4O_REALTIME_PREVIEW_2024_10_01 = "gpt-4o-realtime-preview-2024-10-01"
    GPT_4O_REALTIME_PREVIEW_2024_12_17 = "gpt-4o-realtime-preview-2024-12-17"
    GPT_4O_REALTIME_PREVIEW_2025_06_03 = "gpt-4o-realtime-preview-2025-06-03"
    GPT_4O_MINI_REALTIME_PREVIEW = "gpt-4o-mini-realtime-preview"
    GPT_4O_MINI_REALTIME_PREVIEW_2024_12_17 = "gpt-4o-mini-realtime-preview-2024-12-17"
    GPT_REALTIME_MINI = "gpt-realtime-mini"
    GPT_REALTIME_MINI_2025_10_06 = "gpt-realtime-mini-2025-10-06"
    GPT_REALTIME_MINI_2025_12_15 = "gpt-realtime-mini-2025-12-15"
    GPT_AUDIO_1_5 = "gpt-audio-1.5"
    GPT_AUDIO_MINI = "gpt-audio-mini"
    GPT_AUDIO_MINI_2025_10_06 = "gpt-audio-mini-2025-10-06"
    GPT_AUDIO_MINI_2025_12_15 = "gpt-audio-mini-2025-12-15"


class ReasoningEffort(StrEnum):
    """Effort of a reasoning model."""

    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"


class TruncationStrategy(StrEnum):
    """Handling of a conversation that exceeds the context: `auto` drops its oldest items."""

    AUTO = "auto"
    DISABLED = "disabled"


class Reasoning(Model, frozen=True, kw_only=True):
    """Reasoning settings, for models that support it."""

    effort: Open[ReasoningEffort] | UnsetType = UNSET


class TracingConfig(Model, frozen=True, kw_only=True):
    """Appearance of the session in the traces dashboard."""

    workflow_name: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET
    metadata: Any | UnsetType = UNSET


Tracing = str | TracingConfig
"""`auto`, or a configuration."""


class TokenLimits(Model, frozen=True, kw_only=True):
    """Limits of the context that trigger truncation."""

    post_instructions: int | UnsetType = UNSET
    """Maximum number of tokens after the instructions."""


class RetentionRatio(TaggedModel, frozen=True, kw_only=True, tag="retention_ratio"):
    """Truncation that drops more at once and less often, which helps the prompt cache."""

    retention_ratio: float
    """Share of the tokens after the instructions to keep, 0 to 1."""
    token_limits: TokenLimits | UnsetType = UNSET


class UnknownTruncation(Unknown, frozen=True, kw_only=True):
    """An unknown truncation strategy."""


Truncation = Open[TruncationStrategy] | RetentionRatio | UnknownTruncation


class PromptCacheTtl(StrEnum):
    """Lifetime of a cached prompt prefix."""

    MINUTES_30 = "30m"
    HOURS_12 = "12h"


class PromptImageDetail(StrEnum):
    """Level of detail at which the model processes an image of a prompt."""

    LOW = "low"
    HIGH = "high"
    AUTO = "auto"
    ORIGINAL = "original"


class PromptCacheBreakpoint(Model, frozen=True, kw_only=True):
    """End of a prompt prefix to cache."""

    mode: str
    """`explicit`"""
    ttl: Open[PromptCacheTtl] | UnsetType = UNSET


class PromptText(TaggedModel, frozen=True, kw_only=True, tag="input_text"):
    """Text as the value of a prompt variable."""

    text: str
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class PromptImage(TaggedModel, frozen=True, kw_only=True, tag="input_image"):
    """An image as the value of a prompt variable."""

    detail: Open[PromptImageDetail]
    file_id: str | None | UnsetType = UNSET
    image_url: str | None | UnsetType = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class PromptFile(TaggedModel, frozen=True, kw_only=True, tag="input_file"):
    """A file as the value of a prompt variable."""

    detail: Open[ContentDetail] | UnsetType = UNSET
    file_data: str | UnsetType = UNSET
    file_id: str | None | UnsetType = UNSET
    file_url: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class UnknownPromptVariable(Unknown, frozen=True, kw_only=True):
    """An unknown kind of prompt variable."""


PromptVariable = str | PromptText | PromptImage | PromptFile | UnknownPromptVariable


class Prompt(Model, frozen=True, kw_only=True):
    """A stored prompt and its variables. The service removes stored prompts on 2026-11-30."""

    id: str
    version: str | None | UnsetType = UNSET
    variables: dict[str, PromptVariable] | None | UnsetType = UNSET


class RealtimeSession(TaggedModel, frozen=True, kw_only=True, tag="realtime"):
    """Configuration of a conversation.

    An update changes only the fields that are set. The server answers with the whole configuration.
    """

    model: Open[RealtimeModel] | UnsetType = UNSET
    """Chosen when connecting; cannot change."""
    output_modalities: list[Open[OutputModality]] | UnsetType = UNSET
    """`["audio"]` (when unset) or `["text"]`."""
    instructions: str | UnsetType = UNSET
    """System prompt. An empty string clears it."""
    audio: AudioConfig | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    """Complete list of tools, which replaces the previous one."""
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: int | str | UnsetType = UNSET
    """1 to 4096 per response, or `inf`."""
    include: list[Open[Include]] | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    tracing: Tracing | None | UnsetType = UNSET
    """`None` switches tracing off. Cannot change once set."""
    truncation: Truncation | UnsetType = UNSET
    id: str | UnsetType = UNSET
    """`sess_…`; set by the server."""
    object: str | UnsetType = UNSET
    """`realtime.session`; set by the server."""
    expires_at: int | UnsetType = UNSET
    """Unix seconds; set by the server."""


class TranscriptionSession(TaggedModel, frozen=True, kw_only=True, tag="transcription"):
    """Configuration of a transcription session, which has no responses."""

    audio: AudioConfig | UnsetType = UNSET
    """Only `input` is used."""
    include: list[Open[Include]] | None | UnsetType = UNSET
    id: str | UnsetType = UNSET
    """`sess_…`; set by the server."""
    object: str | UnsetType = UNSET
    """`realtime.transcription_session`; set by the server."""
    expires_at: int | UnsetType = UNSET
    """Unix seconds; set by the server."""


class UnknownSession(Unknown, frozen=True, kw_only=True):
    """An unknown kind of session."""


Session = RealtimeSession | TranscriptionSession | UnknownSession


def merge_session(base: MergeableT, change: MergeableT) -> MergeableT:
    """Return `base` changed as a `session.update` with `change` changes it.

    Unset fields keep their values and `None` clears them. Audio settings merge field by field, and
    so do unknown fields; everything else is replaced whole.
    """
    changes: dict[str, object] = {}
    for name in change.__struct_fields__:
        new: object = getattr(change, name)
        old: object = getattr(base, name)
        if isinstance(new, UnsetType):
            continue
        if isinstance(new, AudioConfig | AudioInput | AudioOutput) and type(old) is type(new):
            changes[name] = merge_session(old, new)
        elif name == "extra" and isinstance(old, dict) and isinstance(new, dict):
            changes[name] = old | new
        else:
            changes[name] = new
    return msgspec.structs.replace(base, **changes)

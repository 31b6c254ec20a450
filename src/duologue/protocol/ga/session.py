"""The session's configuration, as asked for and as it is.

Source: Realtime API reference, session object (GA).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from duologue.protocol.ga.audio import AudioConfig, AudioInput, AudioOutput
from duologue.protocol.ga.content import ContentDetail
from duologue.protocol.ga.tools import Tool, ToolChoice
from duologue.protocol.model import UNSET, Model, Open, Unknown, UnsetType

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
    """What the model answers with; GA allows one at a time, audio bringing its transcript."""

    TEXT = "text"
    AUDIO = "audio"


class Include(StrEnum):
    """What the server adds to its events when asked."""

    INPUT_AUDIO_TRANSCRIPTION_LOGPROBS = "item.input_audio_transcription.logprobs"


class RealtimeModel(StrEnum):
    """Models that hold a conversation; dated snapshots are plain strings."""

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
    """How much a reasoning model thinks before it speaks."""

    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"


class TruncationStrategy(StrEnum):
    """What happens to a conversation that outgrows the model: `auto` drops its beginning."""

    AUTO = "auto"
    DISABLED = "disabled"


class Reasoning(Model, frozen=True, kw_only=True):
    """Thinking before speaking, for models that can."""

    effort: Open[ReasoningEffort] | UnsetType = UNSET


class TracingConfig(Model, frozen=True, kw_only=True):
    """How the session shows in the traces dashboard."""

    workflow_name: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET
    metadata: Any | UnsetType = UNSET


Tracing = str | TracingConfig
"""`auto`, or a configuration."""


class TokenLimits(Model, frozen=True, kw_only=True):
    """Limits that trigger truncation."""

    post_instructions: int | UnsetType = UNSET
    """Tokens allowed after the instructions."""


class RetentionRatio(Model, frozen=True, kw_only=True, tag_field="type", tag="retention_ratio"):
    """Truncate more at once and less often, so that the prompt cache is of more use."""

    retention_ratio: float
    """Share of the tokens after the instructions that is kept, 0 to 1."""
    token_limits: TokenLimits | UnsetType = UNSET


class UnknownTruncation(Unknown, frozen=True, kw_only=True):
    """A truncation strategy that this version does not know."""


Truncation = Open[TruncationStrategy] | RetentionRatio | UnknownTruncation


class PromptCacheTtl(StrEnum):
    """How long a cached prompt prefix is kept."""

    MINUTES_30 = "30m"
    HOURS_12 = "12h"


class PromptImageDetail(StrEnum):
    """How closely the model looks at a prompt's picture."""

    LOW = "low"
    HIGH = "high"
    AUTO = "auto"
    ORIGINAL = "original"


class PromptCacheBreakpoint(Model, frozen=True, kw_only=True):
    """Marks where a cached prompt prefix may end."""

    mode: str
    """`explicit`"""
    ttl: Open[PromptCacheTtl] | UnsetType = UNSET


class PromptText(Model, frozen=True, kw_only=True, tag_field="type", tag="input_text"):
    """Text that fills a prompt variable."""

    text: str
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class PromptImage(Model, frozen=True, kw_only=True, tag_field="type", tag="input_image"):
    """A picture that fills a prompt variable."""

    detail: Open[PromptImageDetail]
    file_id: str | None | UnsetType = UNSET
    image_url: str | None | UnsetType = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class PromptFile(Model, frozen=True, kw_only=True, tag_field="type", tag="input_file"):
    """A file that fills a prompt variable."""

    detail: Open[ContentDetail] | UnsetType = UNSET
    file_data: str | UnsetType = UNSET
    file_id: str | None | UnsetType = UNSET
    file_url: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    prompt_cache_breakpoint: PromptCacheBreakpoint | UnsetType = UNSET


class UnknownPromptVariable(Unknown, frozen=True, kw_only=True):
    """A kind of prompt variable that this version does not know."""


PromptVariable = str | PromptText | PromptImage | PromptFile | UnknownPromptVariable


class Prompt(Model, frozen=True, kw_only=True):
    """A prompt kept on the server, with its variables; the service ends them on 2026-11-30."""

    id: str
    version: str | None | UnsetType = UNSET
    variables: dict[str, PromptVariable] | None | UnsetType = UNSET


class RealtimeSession(Model, frozen=True, kw_only=True, tag_field="type", tag="realtime"):
    """A conversation. In an update only what is set changes; the server answers with all of it."""

    model: Open[RealtimeModel] | UnsetType = UNSET
    """Chosen when connecting; never changes."""
    output_modalities: list[Open[OutputModality]] | UnsetType = UNSET
    """`["audio"]` (when unset) or `["text"]`."""
    instructions: str | UnsetType = UNSET
    """The system prompt; an empty string clears it."""
    audio: AudioConfig | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    """All of them each time; an empty list clears."""
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: int | str | UnsetType = UNSET
    """1 to 4096 per response, or `inf`."""
    include: list[Open[Include]] | None | UnsetType = UNSET
    prompt: Prompt | None | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET
    tracing: Tracing | None | UnsetType = UNSET
    """`auto`, or a configuration; `None` switches tracing off. Cannot change once set."""
    truncation: Truncation | UnsetType = UNSET
    id: str | UnsetType = UNSET
    """`sess_…`, from the server."""
    object: str | UnsetType = UNSET
    """`realtime.session`, from the server."""
    expires_at: int | UnsetType = UNSET
    """Unix seconds, from the server."""


class TranscriptionSession(Model, frozen=True, kw_only=True, tag_field="type", tag="transcription"):
    """Transcription alone: no model answers."""

    audio: AudioConfig | UnsetType = UNSET
    """Only `input` is used."""
    include: list[Open[Include]] | None | UnsetType = UNSET
    id: str | UnsetType = UNSET
    """`sess_…`, from the server."""
    object: str | UnsetType = UNSET
    """`realtime.transcription_session`, from the server."""
    expires_at: int | UnsetType = UNSET
    """Unix seconds, from the server."""


class UnknownSession(Unknown, frozen=True, kw_only=True):
    """A kind of session that this version does not know."""


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

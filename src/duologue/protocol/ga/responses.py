"""A response: how it is asked for, how it stands, what it cost.

Source: Realtime API reference, response object (GA).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.ga.audio import AudioFormat, VoiceChoice
from duologue.protocol.ga.items import Item
from duologue.protocol.ga.session import OutputModality, Prompt, Reasoning
from duologue.protocol.ga.tools import Tool, ToolChoice
from duologue.protocol.model import UNSET, Model, Open, UnsetType

__all__ = [
    "CachedTokenDetails",
    "ConversationMode",
    "InputTokenDetails",
    "Metadata",
    "OutputTokenDetails",
    "Response",
    "ResponseAudio",
    "ResponseAudioOutput",
    "ResponseCreateParams",
    "ResponseError",
    "ResponseStatus",
    "ResponseStatusDetails",
    "ResponseStatusReason",
    "ResponseStatusType",
    "Usage",
]


class ConversationMode(StrEnum):
    """Where a response goes: into the conversation, or beside it (out-of-band)."""

    AUTO = "auto"
    NONE = "none"


class ResponseStatus(StrEnum):
    """How a response stands."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class ResponseStatusType(StrEnum):
    """The ends of a response."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class ResponseStatusReason(StrEnum):
    """Why a response was cancelled (the first two) or is incomplete."""

    TURN_DETECTED = "turn_detected"
    CLIENT_CANCELLED = "client_cancelled"
    MAX_OUTPUT_TOKENS = "max_output_tokens"
    CONTENT_FILTER = "content_filter"


Metadata = dict[str, str]
"""At most 16 pairs of 64 and 512 characters, for the application's own use."""


class ResponseAudioOutput(Model, frozen=True, kw_only=True):
    """How one response speaks."""

    format: AudioFormat | UnsetType = UNSET
    voice: VoiceChoice | UnsetType = UNSET


class ResponseAudio(Model, frozen=True, kw_only=True):
    """Audio of one response."""

    output: ResponseAudioOutput | UnsetType = UNSET


class ResponseCreateParams(Model, frozen=True, kw_only=True):
    """What one response does differently from its session; what is unset is the session's."""

    conversation: Open[ConversationMode] | UnsetType = UNSET
    """`none`: out-of-band, the conversation neither sees nor keeps it."""
    input: list[Item] | UnsetType = UNSET
    """What the model reads instead of the conversation; may name items by `ItemReference`."""
    instructions: str | UnsetType = UNSET
    output_modalities: list[Open[OutputModality]] | UnsetType = UNSET
    audio: ResponseAudio | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: int | str | UnsetType = UNSET
    """1 to 4096, or `inf`."""
    metadata: Metadata | None | UnsetType = UNSET
    """Comes back in the response."""
    prompt: Prompt | None | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET


class ResponseError(Model, frozen=True, kw_only=True):
    """Why a response failed."""

    type: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class ResponseStatusDetails(Model, frozen=True, kw_only=True):
    """More on a response that did not complete."""

    type: Open[ResponseStatusType] | UnsetType = UNSET
    reason: Open[ResponseStatusReason] | UnsetType = UNSET
    error: ResponseError | None | UnsetType = UNSET


class CachedTokenDetails(Model, frozen=True, kw_only=True):
    """Cached input tokens by modality."""

    text_tokens: int | UnsetType = UNSET
    audio_tokens: int | UnsetType = UNSET
    image_tokens: int | UnsetType = UNSET


class InputTokenDetails(Model, frozen=True, kw_only=True):
    """Input tokens by modality; the cached ones are among them, not beside them."""

    text_tokens: int | UnsetType = UNSET
    audio_tokens: int | UnsetType = UNSET
    image_tokens: int | UnsetType = UNSET
    cached_tokens: int | UnsetType = UNSET
    cached_tokens_details: CachedTokenDetails | UnsetType = UNSET


class OutputTokenDetails(Model, frozen=True, kw_only=True):
    """Output tokens by modality."""

    text_tokens: int | UnsetType = UNSET
    audio_tokens: int | UnsetType = UNSET
    reasoning_tokens: int | UnsetType = UNSET


class Usage(Model, frozen=True, kw_only=True):
    """What a response cost."""

    total_tokens: int | UnsetType = UNSET
    input_tokens: int | UnsetType = UNSET
    output_tokens: int | UnsetType = UNSET
    input_token_details: InputTokenDetails | UnsetType = UNSET
    output_token_details: OutputTokenDetails | UnsetType = UNSET


class Response(Model, frozen=True, kw_only=True):
    """A response as the server tells of it in `response.created` and `response.done`."""

    id: str | UnsetType = UNSET
    """`resp_…`"""
    object: str | UnsetType = UNSET
    """`realtime.response`"""
    status: Open[ResponseStatus] | UnsetType = UNSET
    status_details: ResponseStatusDetails | None | UnsetType = UNSET
    output: list[Item] | UnsetType = UNSET
    """The items it made, without their audio."""
    conversation_id: str | None | UnsetType = UNSET
    """Null for an out-of-band response."""
    output_modalities: list[Open[OutputModality]] | UnsetType = UNSET
    max_output_tokens: int | str | UnsetType = UNSET
    audio: ResponseAudio | UnsetType = UNSET
    usage: Usage | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET

"""Responses: parameters, state and usage.

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
    """Conversation of a response: the default one, or none (out-of-band)."""

    AUTO = "auto"
    NONE = "none"


class ResponseStatus(StrEnum):
    """State of a response."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class ResponseStatusType(StrEnum):
    """Final states of a response."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


class ResponseStatusReason(StrEnum):
    """Reason for which a response was cancelled or is incomplete (the last two)."""

    TURN_DETECTED = "turn_detected"
    CLIENT_CANCELLED = "client_cancelled"
    INTERRUPTION = "interruption"
    """In beta: the user interrupted it."""
    MAX_OUTPUT_TOKENS = "max_output_tokens"
    CONTENT_FILTER = "content_filter"


Metadata = dict[str, str]
"""Data of the application: at most 16 pairs, keys of 64 and values of 512 characters."""


class ResponseAudioOutput(Model, frozen=True, kw_only=True):
    """Settings of a response's output audio."""

    format: AudioFormat | UnsetType = UNSET
    voice: VoiceChoice | UnsetType = UNSET


class ResponseAudio(Model, frozen=True, kw_only=True):
    """Audio settings of a response."""

    output: ResponseAudioOutput | UnsetType = UNSET


class ResponseCreateParams(Model, frozen=True, kw_only=True):
    """Parameters of a response. Unset fields have the values of the session."""

    conversation: Open[ConversationMode] | UnsetType = UNSET
    """`none` makes an out-of-band response, which is not added to the conversation."""
    input: list[Item] | UnsetType = UNSET
    """Input of the model in place of the conversation. May contain `ItemReference`s."""
    instructions: str | UnsetType = UNSET
    output_modalities: list[Open[OutputModality]] | UnsetType = UNSET
    audio: ResponseAudio | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType = UNSET
    max_output_tokens: int | str | UnsetType = UNSET
    """1 to 4096, or `inf`."""
    metadata: Metadata | None | UnsetType = UNSET
    """Returned in the response."""
    prompt: Prompt | None | UnsetType = UNSET
    reasoning: Reasoning | UnsetType = UNSET


class ResponseError(Model, frozen=True, kw_only=True):
    """Cause of a failed response."""

    type: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class ResponseStatusDetails(Model, frozen=True, kw_only=True):
    """Details of a response that did not complete."""

    type: Open[ResponseStatusType] | UnsetType = UNSET
    reason: Open[ResponseStatusReason] | UnsetType = UNSET
    error: ResponseError | None | UnsetType = UNSET


class CachedTokenDetails(Model, frozen=True, kw_only=True):
    """Cached input tokens by modality."""

    text_tokens: int | UnsetType = UNSET
    audio_tokens: int | UnsetType = UNSET
    image_tokens: int | UnsetType = UNSET


class InputTokenDetails(Model, frozen=True, kw_only=True):
    """Input tokens by modality, cached tokens included."""

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
    """Token usage of a response."""

    total_tokens: int | UnsetType = UNSET
    input_tokens: int | UnsetType = UNSET
    output_tokens: int | UnsetType = UNSET
    input_token_details: InputTokenDetails | UnsetType = UNSET
    output_token_details: OutputTokenDetails | UnsetType = UNSET


class Response(Model, frozen=True, kw_only=True):
    """A response, as reported by `response.created` and `response.done`."""

    id: str | UnsetType = UNSET
    """`resp_…`"""
    object: str | UnsetType = UNSET
    """`realtime.response`"""
    status: Open[ResponseStatus] | UnsetType = UNSET
    status_details: ResponseStatusDetails | None | UnsetType = UNSET
    output: list[Item] | UnsetType = UNSET
    """The output items, without their audio."""
    conversation_id: str | None | UnsetType = UNSET
    """Null if the response is out-of-band."""
    output_modalities: list[Open[OutputModality]] | UnsetType = UNSET
    max_output_tokens: int | str | UnsetType = UNSET
    audio: ResponseAudio | UnsetType = UNSET
    usage: Usage | None | UnsetType = UNSET
    metadata: Metadata | None | UnsetType = UNSET

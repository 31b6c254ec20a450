"""Responses: parameters, state and usage.

Source: Realtime API reference, response object (beta).
"""

from __future__ import annotations

from duologue.protocol.beta.items import Item
from duologue.protocol.beta.session import (
    AudioFormat,
    MaxOutputTokens,
    Modality,
    Prompt,
    Tool,
    ToolChoice,
    Voice,
    VoiceId,
)
from duologue.protocol.ga.responses import (
    CachedTokenDetails,
    ConversationMode,
    InputTokenDetails,
    Metadata,
    OutputTokenDetails,
    ResponseError,
    ResponseStatus,
    ResponseStatusDetails,
    ResponseStatusReason,
    ResponseStatusType,
    Usage,
)
from duologue.protocol.model import UNSET, Model, Open, UnsetType

__all__ = [
    "CachedTokenDetails",
    "ConversationMode",
    "InputTokenDetails",
    "Metadata",
    "OutputTokenDetails",
    "Response",
    "ResponseCreateParams",
    "ResponseError",
    "ResponseStatus",
    "ResponseStatusDetails",
    "ResponseStatusReason",
    "ResponseStatusType",
    "Usage",
]


class ResponseCreateParams(Model, frozen=True, kw_only=True):
    """Parameters of a response. Unset fields have the values of the session."""

    conversation: Open[ConversationMode] | UnsetType = UNSET
    """`none` makes an out-of-band response, which is not added to the conversation."""
    input: list[Item] | UnsetType = UNSET
    """Input of the model in place of the conversation. May contain `ItemReference`s."""
    instructions: str | UnsetType = UNSET
    modalities: list[Open[Modality]] | UnsetType = UNSET
    voice: Open[Voice] | VoiceId | UnsetType = UNSET
    output_audio_format: Open[AudioFormat] | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    """0.6 to 1.2. GA has no temperature."""
    max_response_output_tokens: MaxOutputTokens | UnsetType = UNSET
    max_output_tokens: MaxOutputTokens | UnsetType = UNSET
    """The same limit by its GA name, which late beta servers accept."""
    metadata: Metadata | None | UnsetType = UNSET
    """Returned in the response."""
    prompt: Prompt | None | UnsetType = UNSET
    """Late beta servers only."""


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
    modalities: list[Open[Modality]] | UnsetType = UNSET
    voice: Open[Voice] | VoiceId | UnsetType = UNSET
    output_audio_format: Open[AudioFormat] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    """0.6 to 1.2. GA has no temperature."""
    max_output_tokens: MaxOutputTokens | UnsetType = UNSET
    """Named differently in the session."""
    usage: Usage | None | UnsetType = UNSET
    """Null until the response is done."""
    metadata: Metadata | None | UnsetType = UNSET

"""A response: how it is asked for, how it stands, what it cost.

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
    """What one response does differently from its session; what is unset is the session's."""

    conversation: Open[ConversationMode] | UnsetType = UNSET
    """`none`: out-of-band, the conversation neither sees nor keeps it."""
    input: list[Item] | UnsetType = UNSET
    """What the model reads instead of the conversation; may name items by `ItemReference`."""
    instructions: str | UnsetType = UNSET
    modalities: list[Open[Modality]] | UnsetType = UNSET
    voice: Open[Voice] | VoiceId | UnsetType = UNSET
    output_audio_format: Open[AudioFormat] | UnsetType = UNSET
    tools: list[Tool] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    """0.6 to 1.2. GA has none."""
    max_response_output_tokens: MaxOutputTokens | UnsetType = UNSET
    max_output_tokens: MaxOutputTokens | UnsetType = UNSET
    """The same by its GA name, which the last beta servers take too."""
    metadata: Metadata | None | UnsetType = UNSET
    """Comes back in the response."""
    prompt: Prompt | None | UnsetType = UNSET
    """In the last beta servers only."""


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
    modalities: list[Open[Modality]] | UnsetType = UNSET
    voice: Open[Voice] | VoiceId | UnsetType = UNSET
    output_audio_format: Open[AudioFormat] | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    """0.6 to 1.2. GA has none."""
    max_output_tokens: MaxOutputTokens | UnsetType = UNSET
    """By this name here, unlike in the session."""
    usage: Usage | None | UnsetType = UNSET
    """Null until the response is done."""
    metadata: Metadata | None | UnsetType = UNSET

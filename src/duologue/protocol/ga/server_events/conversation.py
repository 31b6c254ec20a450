"""Server events of conversation items and of input audio transcription.

Source: Realtime API reference, server events (GA).
"""

from __future__ import annotations

from duologue.protocol.ga.items import Item
from duologue.protocol.ga.responses import OutputTokenDetails
from duologue.protocol.ga.server_events.base import ItemEvent, ServerEvent
from duologue.protocol.model import UNSET, Model, TaggedModel, Unknown, UnsetType

__all__ = [
    "ConversationItemAdded",
    "ConversationItemCreatedEvent",
    "ConversationItemDeletedEvent",
    "ConversationItemDone",
    "ConversationItemInputAudioTranscriptionCompletedEvent",
    "ConversationItemInputAudioTranscriptionDeltaEvent",
    "ConversationItemInputAudioTranscriptionFailedEvent",
    "ConversationItemInputAudioTranscriptionSegment",
    "ConversationItemRetrieved",
    "ConversationItemTruncatedEvent",
    "LogProb",
    "TranscriptionDurationUsage",
    "TranscriptionError",
    "TranscriptionLanguage",
    "TranscriptionTokenUsage",
    "TranscriptionUsage",
    "UnknownTranscriptionUsage",
]


class PlacedItemEvent(ServerEvent, frozen=True, kw_only=True):
    """Base class of events that place an item in the conversation."""

    item: Item
    previous_item_id: str | UnsetType | None = UNSET
    """The preceding item. Null or absent if the item is at the end, or its place is unknown."""


class ConversationItemAdded(
    PlacedItemEvent, frozen=True, kw_only=True, tag="conversation.item.added"
):
    """An item was added to the conversation. Items of the model are still empty and in progress."""


class ConversationItemDone(
    PlacedItemEvent, frozen=True, kw_only=True, tag="conversation.item.done"
):
    """An item is final, except that the transcript of input audio may follow."""


class ConversationItemCreatedEvent(
    PlacedItemEvent, frozen=True, kw_only=True, tag="conversation.item.created"
):
    """An item was added to the conversation; sent by servers that use the beta name."""


class ConversationItemRetrieved(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.retrieved"
):
    """The server's copy of an item, including its audio: answers `conversation.item.retrieve`."""

    item: Item


class ConversationItemTruncatedEvent(
    ItemEvent, frozen=True, kw_only=True, tag="conversation.item.truncated"
):
    """An item was truncated: answers `conversation.item.truncate`."""

    content_index: int
    audio_end_ms: int
    """Audio that was kept, in milliseconds."""


class ConversationItemDeletedEvent(
    ItemEvent, frozen=True, kw_only=True, tag="conversation.item.deleted"
):
    """An item was deleted: answers `conversation.item.delete`."""


class LogProb(Model, frozen=True, kw_only=True):
    """Log probability of a token of a transcript."""

    token: str
    logprob: float
    bytes: list[int]
    """UTF-8 of the token."""


class TranscriptionLanguage(Model, frozen=True, kw_only=True):
    """A language that was detected."""

    code: str
    """ISO 639-1."""


class TranscriptionTokenUsage(TaggedModel, frozen=True, kw_only=True, tag="tokens"):
    """Usage of a transcription that is billed by token."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: OutputTokenDetails | UnsetType = UNSET
    """Input tokens by modality: text of the prompt, and audio."""


class TranscriptionDurationUsage(TaggedModel, frozen=True, kw_only=True, tag="duration"):
    """Usage of a transcription that is billed by duration."""

    seconds: float


class UnknownTranscriptionUsage(Unknown, frozen=True, kw_only=True):
    """An unknown kind of usage."""


TranscriptionUsage = (
    TranscriptionTokenUsage | TranscriptionDurationUsage | UnknownTranscriptionUsage
)


class TranscriptionError(Model, frozen=True, kw_only=True):
    """Cause of a failed transcription."""

    type: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    param: str | None | UnsetType = UNSET


class ConversationItemInputAudioTranscriptionDeltaEvent(
    ItemEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.delta",
):
    """More of a transcript of input audio. May precede its item, and the end of the speech."""

    content_index: int | UnsetType = UNSET
    delta: str | UnsetType = UNSET
    logprobs: list[LogProb] | UnsetType | None = UNSET
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis."""


class ConversationItemInputAudioTranscriptionCompletedEvent(
    ItemEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.completed",
):
    """The complete transcript of input audio. May arrive at any time after the commit."""

    content_index: int
    transcript: str
    usage: TranscriptionUsage | UnsetType = UNSET
    """Absent from old recordings, although the official types require it."""
    languages: list[TranscriptionLanguage] | UnsetType = UNSET
    """Empty if no language was detected reliably."""
    logprobs: list[LogProb] | UnsetType | None = UNSET


class ConversationItemInputAudioTranscriptionFailedEvent(
    ItemEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.failed",
):
    """A transcription failed. The conversation continues."""

    content_index: int
    error: TranscriptionError


class ConversationItemInputAudioTranscriptionSegment(
    ItemEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.segment",
):
    """A segment of a transcript with its speaker and time, from diarizing models."""

    content_index: int
    id: str
    speaker: str
    start: float
    """Seconds."""
    end: float
    """Seconds."""
    text: str

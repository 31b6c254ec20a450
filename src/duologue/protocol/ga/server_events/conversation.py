"""Server events of the conversation's items and of the transcription of the user's audio.

Source: Realtime API reference, server events (GA).
"""

from __future__ import annotations

from duologue.protocol.ga.items import Item
from duologue.protocol.ga.responses import OutputTokenDetails
from duologue.protocol.ga.server_events.base import ItemEvent, ServerEvent
from duologue.protocol.model import UNSET, Model, Unknown, UnsetType

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
    """An item and its place."""

    item: Item
    previous_item_id: str | UnsetType | None = UNSET
    """The item before it; null or absent: at the end, or unknown."""


class ConversationItemAdded(
    PlacedItemEvent, frozen=True, kw_only=True, tag="conversation.item.added"
):
    """An item entered the conversation; the model's are still empty and in progress."""


class ConversationItemDone(
    PlacedItemEvent, frozen=True, kw_only=True, tag="conversation.item.done"
):
    """An item is final, except that a transcript of the user's audio may follow."""


class ConversationItemCreatedEvent(
    PlacedItemEvent, frozen=True, kw_only=True, tag="conversation.item.created"
):
    """An item entered the conversation, from servers that still say it as in beta."""


class ConversationItemRetrieved(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.retrieved"
):
    """The server's copy of an item, with its audio: the answer to `conversation.item.retrieve`."""

    item: Item


class ConversationItemTruncatedEvent(
    ItemEvent, frozen=True, kw_only=True, tag="conversation.item.truncated"
):
    """The item was cut as asked."""

    content_index: int
    audio_end_ms: int
    """Milliseconds of audio that were kept."""


class ConversationItemDeletedEvent(
    ItemEvent, frozen=True, kw_only=True, tag="conversation.item.deleted"
):
    """The item was taken out as asked."""


class LogProb(Model, frozen=True, kw_only=True):
    """How likely a token of a transcript was."""

    token: str
    logprob: float
    bytes: list[int]
    """The token in UTF-8."""


class TranscriptionLanguage(Model, frozen=True, kw_only=True):
    """A language that was heard."""

    code: str
    """ISO 639-1."""


class TranscriptionTokenUsage(Model, frozen=True, kw_only=True, tag_field="type", tag="tokens"):
    """A transcription billed by token."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_token_details: OutputTokenDetails | UnsetType = UNSET
    """By modality: text of the prompt, audio."""


class TranscriptionDurationUsage(
    Model, frozen=True, kw_only=True, tag_field="type", tag="duration"
):
    """A transcription billed by duration."""

    seconds: float


class UnknownTranscriptionUsage(Unknown, frozen=True, kw_only=True):
    """A way of billing that this version does not know."""


TranscriptionUsage = (
    TranscriptionTokenUsage | TranscriptionDurationUsage | UnknownTranscriptionUsage
)


class TranscriptionError(Model, frozen=True, kw_only=True):
    """Why a transcription failed."""

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
    """More words of the user; may come before the item and before the speech ends."""

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
    """The words of the user, whole; may come any time after the commit."""

    content_index: int
    transcript: str
    usage: TranscriptionUsage | UnsetType = UNSET
    """Official types demand it; old recordings lack it."""
    languages: list[TranscriptionLanguage] | UnsetType = UNSET
    """Empty when none was surely heard."""
    logprobs: list[LogProb] | UnsetType | None = UNSET


class ConversationItemInputAudioTranscriptionFailedEvent(
    ItemEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.failed",
):
    """The user's audio could not be transcribed; the conversation goes on."""

    content_index: int
    error: TranscriptionError


class ConversationItemInputAudioTranscriptionSegment(
    ItemEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.segment",
):
    """A stretch of the transcript with its speaker and time, from diarizing models."""

    content_index: int
    id: str
    speaker: str
    start: float
    """Seconds."""
    end: float
    """Seconds."""
    text: str

"""Server events of the conversation's items and of the transcription of the user's audio.

Source: Realtime API reference, server events (beta).
"""

from __future__ import annotations

from duologue.protocol.beta.items import Item
from duologue.protocol.ga.server_events.base import ServerEvent
from duologue.protocol.ga.server_events.conversation import (
    ConversationItemDeletedEvent,
    ConversationItemInputAudioTranscriptionCompletedEvent,
    ConversationItemInputAudioTranscriptionDeltaEvent,
    ConversationItemInputAudioTranscriptionFailedEvent,
    ConversationItemInputAudioTranscriptionSegment,
    ConversationItemTruncatedEvent,
    LogProb,
    TranscriptionDurationUsage,
    TranscriptionError,
    TranscriptionLanguage,
    TranscriptionTokenUsage,
    TranscriptionUsage,
    UnknownTranscriptionUsage,
)
from duologue.protocol.model import UNSET, UnsetType

__all__ = [
    "ConversationItemCreatedEvent",
    "ConversationItemDeletedEvent",
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


class ConversationItemCreatedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.created"
):
    """An item entered the conversation; the model's are still empty and in progress.

    The only event of an item's life outside a response: nothing says when it is final.
    """

    item: Item
    previous_item_id: str | None | UnsetType = UNSET
    """The item before it; null or absent: at the end, or unknown."""


class ConversationItemRetrieved(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.retrieved"
):
    """The server's copy of an item, with its audio: the answer to `conversation.item.retrieve`."""

    item: Item

"""Events that a client sends.

Source: Realtime API reference, client events (beta). The other events are GA's.
"""

from __future__ import annotations

from duologue.protocol.beta.items import Item
from duologue.protocol.beta.responses import ResponseCreateParams
from duologue.protocol.beta.session import SessionConfig
from duologue.protocol.ga.client_events import (
    ClientEvent,
    ConversationItemDeleteEvent,
    ConversationItemRetrieveEvent,
    ConversationItemTruncateEvent,
    InputAudioBufferAppendEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    OutputAudioBufferClearEvent,
    ResponseCancelEvent,
)
from duologue.protocol.ga.transcription_session import TranscriptionSessionUpdate
from duologue.protocol.model import UNSET, UnknownEvent, UnsetType

__all__ = [
    "AnyClientEvent",
    "ClientEvent",
    "ConversationItemCreateEvent",
    "ConversationItemDeleteEvent",
    "ConversationItemRetrieveEvent",
    "ConversationItemTruncateEvent",
    "InputAudioBufferAppendEvent",
    "InputAudioBufferClearEvent",
    "InputAudioBufferCommitEvent",
    "KnownClientEvent",
    "OutputAudioBufferClearEvent",
    "ResponseCancelEvent",
    "ResponseCreateEvent",
    "SessionUpdateEvent",
    "TranscriptionSessionUpdate",
]


class SessionUpdateEvent(ClientEvent, frozen=True, kw_only=True, tag="session.update"):
    """Change the fields that are set in `session`. The answer is `session.updated`."""

    session: SessionConfig


class ConversationItemCreateEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.create"
):
    """Add an item to the conversation. Audio of the assistant cannot be added."""

    item: Item
    previous_item_id: str | None | UnsetType = UNSET
    """Item after which to insert; `root` for the beginning, absent for the end."""


class ResponseCreateEvent(ClientEvent, frozen=True, kw_only=True, tag="response.create"):
    """Request a response."""

    response: ResponseCreateParams | None | UnsetType = UNSET


KnownClientEvent = (
    SessionUpdateEvent
    | TranscriptionSessionUpdate
    | InputAudioBufferAppendEvent
    | InputAudioBufferCommitEvent
    | InputAudioBufferClearEvent
    | ConversationItemCreateEvent
    | ConversationItemRetrieveEvent
    | ConversationItemTruncateEvent
    | ConversationItemDeleteEvent
    | ResponseCreateEvent
    | ResponseCancelEvent
    | OutputAudioBufferClearEvent
)
"""All known client events."""

AnyClientEvent = KnownClientEvent | UnknownEvent

"""Events that a client sends.

Source: Realtime API reference, client events (beta). What is not defined here is as in GA.
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
    """Change what is set in `session`; answered by `session.updated`."""

    session: SessionConfig


class ConversationItemCreateEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.create"
):
    """Put an item into the conversation; the assistant's audio cannot be put back."""

    item: Item
    previous_item_id: str | None | UnsetType = UNSET
    """Insert after this one; `root`: at the front; absent: at the end."""


class ResponseCreateEvent(ClientEvent, frozen=True, kw_only=True, tag="response.create"):
    """Ask the model to answer."""

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
"""Every client event of the dialect."""

AnyClientEvent = KnownClientEvent | UnknownEvent

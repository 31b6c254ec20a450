"""Events that a client sends.

Source: Realtime API reference, client events (GA).
"""

from __future__ import annotations

from duologue.protocol.ga.items import Item
from duologue.protocol.ga.responses import ResponseCreateParams
from duologue.protocol.ga.session import Session
from duologue.protocol.ga.transcription_session import TranscriptionSessionUpdate
from duologue.protocol.model import (
    UNSET,
    Event,
    Raw,
    UnknownEvent,
    UnsetType,
    audio_field,
    audio_of,
)

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


class ClientEvent(Event, frozen=True, kw_only=True):
    """An event from the client."""

    event_id: str | UnsetType = UNSET
    """The client's own choice, at most 512 characters; an `error` that it causes names it."""


class SessionUpdateEvent(ClientEvent, frozen=True, kw_only=True, tag="session.update"):
    """Change what is set in `session`; answered by `session.updated`."""

    session: Session


class InputAudioBufferAppendEvent(
    ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.append"
):
    """Add audio to the input buffer: the one event that is never acknowledged."""

    audio: Raw
    """Base64 in the session's input format, still a JSON string; at most 15 MiB."""

    @classmethod
    def of(cls, audio: bytes | bytearray | memoryview) -> InputAudioBufferAppendEvent:
        """Return the event for audio bytes."""
        return cls(audio=audio_field(audio))

    @property
    def audio_data(self) -> bytes:
        """The audio, decoded.

        Raises:
            DecodeError: If it is not base64.
        """
        return audio_of(self, self.audio)


class InputAudioBufferCommitEvent(
    ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.commit"
):
    """Make the buffer a user message; it must hold 100 ms. Asks for no response."""


class InputAudioBufferClearEvent(
    ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.clear"
):
    """Forget the uncommitted input audio."""


class ConversationItemCreateEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.create"
):
    """Put an item into the conversation; the assistant's audio cannot be put back."""

    item: Item
    previous_item_id: str | None | UnsetType = UNSET
    """Insert after this one; `root`: at the front; absent: at the end."""


class ConversationItemRetrieveEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.retrieve"
):
    """Ask for the server's copy of an item, its audio included."""

    item_id: str


class ConversationItemTruncateEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.truncate"
):
    """Cut an assistant message to what was heard; its transcript goes."""

    item_id: str
    content_index: int
    audio_end_ms: int
    """What was heard, in milliseconds from the start of the item's audio."""


class ConversationItemDeleteEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.delete"
):
    """Take an item out of the conversation."""

    item_id: str


class ResponseCreateEvent(ClientEvent, frozen=True, kw_only=True, tag="response.create"):
    """Ask the model to answer."""

    response: ResponseCreateParams | None | UnsetType = UNSET


class ResponseCancelEvent(ClientEvent, frozen=True, kw_only=True, tag="response.cancel"):
    """Stop a response; an error that does no harm when none is in progress."""

    response_id: str | UnsetType = UNSET
    """The default conversation's response when unset."""


class OutputAudioBufferClearEvent(
    ClientEvent, frozen=True, kw_only=True, tag="output_audio_buffer.clear"
):
    """WebRTC and SIP: stop what is being played; send `response.cancel` first."""


KnownClientEvent = (
    SessionUpdateEvent
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
    | TranscriptionSessionUpdate
)
"""Every client event of the dialect."""

AnyClientEvent = KnownClientEvent | UnknownEvent

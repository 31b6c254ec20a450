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
    """Base class of client events."""

    event_id: str | UnsetType = UNSET
    """Chosen by the client, at most 512 characters. The `error` that an event causes names it."""


class SessionUpdateEvent(ClientEvent, frozen=True, kw_only=True, tag="session.update"):
    """Change the fields that are set in `session`. The answer is `session.updated`."""

    session: Session


class InputAudioBufferAppendEvent(
    ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.append"
):
    """Append audio to the input audio buffer. The only client event without an answer."""

    audio: Raw
    """Base64 in the session's input format, as a JSON string; at most 15 MiB."""

    @classmethod
    def of(cls, audio: bytes | bytearray | memoryview) -> InputAudioBufferAppendEvent:
        """Return an event that appends `audio`."""
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
    """Commit the input audio buffer as a user message. Creates no response.

    The buffer must hold at least 100 ms.
    """


class InputAudioBufferClearEvent(
    ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.clear"
):
    """Discard the input audio that is not committed."""


class ConversationItemCreateEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.create"
):
    """Add an item to the conversation. Audio of the assistant cannot be added."""

    item: Item
    previous_item_id: str | None | UnsetType = UNSET
    """Item after which to insert; `root` for the beginning, absent for the end."""


class ConversationItemRetrieveEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.retrieve"
):
    """Request the server's copy of an item, including its audio."""

    item_id: str


class ConversationItemTruncateEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.truncate"
):
    """Truncate an assistant message to the audio that was played. Removes its transcript."""

    item_id: str
    content_index: int
    audio_end_ms: int
    """Audio to keep, in milliseconds from the start of the item's audio."""


class ConversationItemDeleteEvent(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.delete"
):
    """Delete an item from the conversation."""

    item_id: str


class ResponseCreateEvent(ClientEvent, frozen=True, kw_only=True, tag="response.create"):
    """Request a response."""

    response: ResponseCreateParams | None | UnsetType = UNSET


class ResponseCancelEvent(ClientEvent, frozen=True, kw_only=True, tag="response.cancel"):
    """Cancel a response. If none is in progress, the answer is a harmless error."""

    response_id: str | UnsetType = UNSET
    """The response in progress of the default conversation when unset."""


class OutputAudioBufferClearEvent(
    ClientEvent, frozen=True, kw_only=True, tag="output_audio_buffer.clear"
):
    """Stop the playback of output audio (WebRTC and SIP). Send `response.cancel` first."""


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
"""All known client events."""

AnyClientEvent = KnownClientEvent | UnknownEvent

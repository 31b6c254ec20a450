"""Events that a server sends.

Events that are the same in GA are GA's classes. The reference of 2026 lists the MCP events for
beta, although no beta package has them.

Source: Realtime API reference, server events (beta).
"""

from __future__ import annotations

from duologue.protocol.beta.items import Item
from duologue.protocol.beta.responses import Response
from duologue.protocol.beta.session import Session, TranscriptionSession
from duologue.protocol.ga.server_events import (
    Conversation,
    ConversationCreatedEvent,
    ConversationItemDeletedEvent,
    ConversationItemInputAudioTranscriptionCompletedEvent,
    ConversationItemInputAudioTranscriptionDeltaEvent,
    ConversationItemInputAudioTranscriptionFailedEvent,
    ConversationItemInputAudioTranscriptionSegment,
    ConversationItemTruncatedEvent,
    InputAudioBufferClearedEvent,
    InputAudioBufferCommittedEvent,
    InputAudioBufferSpeechStartedEvent,
    InputAudioBufferSpeechStoppedEvent,
    LogProb,
    McpListToolsCompleted,
    McpListToolsFailed,
    McpListToolsInProgress,
    OutputAudioBufferCleared,
    OutputAudioBufferStarted,
    OutputAudioBufferStopped,
    Part,
    PartType,
    RateLimit,
    RateLimitName,
    RateLimitsUpdatedEvent,
    RealtimeError,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
    ResponseMcpCallArgumentsDelta,
    ResponseMcpCallArgumentsDone,
    ResponseMcpCallCompleted,
    ResponseMcpCallFailed,
    ResponseMcpCallInProgress,
    TranscriptionDurationUsage,
    TranscriptionError,
    TranscriptionLanguage,
    TranscriptionSessionUpdatedEvent,
    TranscriptionTokenUsage,
    TranscriptionUsage,
    UnknownTranscriptionUsage,
)
from duologue.protocol.ga.server_events import RealtimeErrorEvent as ErrorEvent
from duologue.protocol.ga.server_events.base import OutputEvent, PartEvent, ServerEvent
from duologue.protocol.model import UNSET, Raw, UnknownEvent, UnsetType, audio_of

__all__ = [
    "AnyServerEvent",
    "Conversation",
    "ConversationCreatedEvent",
    "ConversationItemCreatedEvent",
    "ConversationItemDeletedEvent",
    "ConversationItemInputAudioTranscriptionCompletedEvent",
    "ConversationItemInputAudioTranscriptionDeltaEvent",
    "ConversationItemInputAudioTranscriptionFailedEvent",
    "ConversationItemInputAudioTranscriptionSegment",
    "ConversationItemRetrieved",
    "ConversationItemTruncatedEvent",
    "ErrorEvent",
    "InputAudioBufferClearedEvent",
    "InputAudioBufferCommittedEvent",
    "InputAudioBufferSpeechStartedEvent",
    "InputAudioBufferSpeechStoppedEvent",
    "KnownServerEvent",
    "LogProb",
    "McpListToolsCompleted",
    "McpListToolsFailed",
    "McpListToolsInProgress",
    "OutputAudioBufferCleared",
    "OutputAudioBufferStarted",
    "OutputAudioBufferStopped",
    "Part",
    "PartType",
    "RateLimit",
    "RateLimitName",
    "RateLimitsUpdatedEvent",
    "RealtimeError",
    "ResponseAudioDeltaEvent",
    "ResponseAudioDoneEvent",
    "ResponseAudioTranscriptDeltaEvent",
    "ResponseAudioTranscriptDoneEvent",
    "ResponseContentPartAddedEvent",
    "ResponseContentPartDoneEvent",
    "ResponseCreatedEvent",
    "ResponseDoneEvent",
    "ResponseFunctionCallArgumentsDeltaEvent",
    "ResponseFunctionCallArgumentsDoneEvent",
    "ResponseMcpCallArgumentsDelta",
    "ResponseMcpCallArgumentsDone",
    "ResponseMcpCallCompleted",
    "ResponseMcpCallFailed",
    "ResponseMcpCallInProgress",
    "ResponseOutputItemAddedEvent",
    "ResponseOutputItemDoneEvent",
    "ResponseTextDeltaEvent",
    "ResponseTextDoneEvent",
    "SessionCreatedEvent",
    "SessionUpdatedEvent",
    "TranscriptionDurationUsage",
    "TranscriptionError",
    "TranscriptionLanguage",
    "TranscriptionSessionCreatedEvent",
    "TranscriptionSessionUpdatedEvent",
    "TranscriptionTokenUsage",
    "TranscriptionUsage",
    "UnknownTranscriptionUsage",
]


class SessionCreatedEvent(ServerEvent, frozen=True, kw_only=True, tag="session.created"):
    """The first event of a connection, with the configuration that holds when none is sent."""

    session: Session


class SessionUpdatedEvent(ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """The whole configuration after a `session.update`."""

    session: Session


class TranscriptionSessionCreatedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="transcription_session.created"
):
    """The first event of a transcription connection; no official type knows it."""

    session: TranscriptionSession


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


class ResponseCreatedEvent(ServerEvent, frozen=True, kw_only=True, tag="response.created"):
    """A response began."""

    response: Response


class ResponseDoneEvent(ServerEvent, frozen=True, kw_only=True, tag="response.done"):
    """A response ended, well or not; always the last event of it."""

    response: Response


class ResponseOutputItemAddedEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.added"
):
    """A response began an item."""

    item: Item


class ResponseOutputItemDoneEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.done"
):
    """An item is whole, or was cut: see its status."""

    item: Item


class ResponseTextDeltaEvent(PartEvent, frozen=True, kw_only=True, tag="response.text.delta"):
    """More text."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis, from GA servers."""


class ResponseTextDoneEvent(PartEvent, frozen=True, kw_only=True, tag="response.text.done"):
    """The text, whole."""

    text: str


class ResponseAudioTranscriptDeltaEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.audio_transcript.delta"
):
    """More words of what is being said; they run ahead of the audio."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis, from GA servers."""


class ResponseAudioTranscriptDoneEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.audio_transcript.done"
):
    """The words of what was said, whole."""

    transcript: str


class ResponseAudioDeltaEvent(PartEvent, frozen=True, kw_only=True, tag="response.audio.delta"):
    """More speech, faster than it can be heard."""

    delta: Raw
    """Base64 in the session's output format, still a JSON string; `audio_data` decodes it."""

    @property
    def audio_data(self) -> bytes:
        """The audio, decoded.

        Raises:
            DecodeError: If it is not base64.
        """
        return audio_of(self, self.delta)


class ResponseAudioDoneEvent(PartEvent, frozen=True, kw_only=True, tag="response.audio.done"):
    """The speech is whole; it is not repeated here."""


KnownServerEvent = (
    ConversationCreatedEvent
    | ErrorEvent
    | RateLimitsUpdatedEvent
    | SessionCreatedEvent
    | SessionUpdatedEvent
    | TranscriptionSessionCreatedEvent
    | TranscriptionSessionUpdatedEvent
    | ConversationItemCreatedEvent
    | ConversationItemDeletedEvent
    | ConversationItemInputAudioTranscriptionCompletedEvent
    | ConversationItemInputAudioTranscriptionDeltaEvent
    | ConversationItemInputAudioTranscriptionFailedEvent
    | ConversationItemInputAudioTranscriptionSegment
    | ConversationItemRetrieved
    | ConversationItemTruncatedEvent
    | InputAudioBufferClearedEvent
    | InputAudioBufferCommittedEvent
    | InputAudioBufferSpeechStartedEvent
    | InputAudioBufferSpeechStoppedEvent
    | OutputAudioBufferCleared
    | OutputAudioBufferStarted
    | OutputAudioBufferStopped
    | ResponseAudioDeltaEvent
    | ResponseAudioDoneEvent
    | ResponseAudioTranscriptDeltaEvent
    | ResponseAudioTranscriptDoneEvent
    | ResponseContentPartAddedEvent
    | ResponseContentPartDoneEvent
    | ResponseCreatedEvent
    | ResponseDoneEvent
    | ResponseFunctionCallArgumentsDeltaEvent
    | ResponseFunctionCallArgumentsDoneEvent
    | ResponseOutputItemAddedEvent
    | ResponseOutputItemDoneEvent
    | ResponseTextDeltaEvent
    | ResponseTextDoneEvent
    | McpListToolsCompleted
    | McpListToolsFailed
    | McpListToolsInProgress
    | ResponseMcpCallArgumentsDelta
    | ResponseMcpCallArgumentsDone
    | ResponseMcpCallCompleted
    | ResponseMcpCallFailed
    | ResponseMcpCallInProgress
)
"""Every server event of the dialect."""

AnyServerEvent = KnownServerEvent | UnknownEvent

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
    """The first event of a connection, with the default configuration."""

    session: Session


class SessionUpdatedEvent(ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """The configuration after a `session.update`."""

    session: Session


class TranscriptionSessionCreatedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="transcription_session.created"
):
    """The first event of a transcription session. The official types lack it."""

    session: TranscriptionSession


class ConversationItemCreatedEvent(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.created"
):
    """An item was added to the conversation. Items of the model are still empty and in progress.

    Outside a response there is no other event of an item, so nothing reports when it is final.
    """

    item: Item
    previous_item_id: str | None | UnsetType = UNSET
    """The preceding item. Null or absent if the item is at the end, or its place is unknown."""


class ConversationItemRetrieved(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.retrieved"
):
    """The server's copy of an item, including its audio: answers `conversation.item.retrieve`."""

    item: Item


class ResponseCreatedEvent(ServerEvent, frozen=True, kw_only=True, tag="response.created"):
    """A response was created."""

    response: Response


class ResponseDoneEvent(ServerEvent, frozen=True, kw_only=True, tag="response.done"):
    """A response ended, successfully or not: its last event."""

    response: Response


class ResponseOutputItemAddedEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.added"
):
    """A response started an output item."""

    item: Item


class ResponseOutputItemDoneEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.done"
):
    """An output item is complete or was interrupted; see its status."""

    item: Item


class ResponseTextDeltaEvent(PartEvent, frozen=True, kw_only=True, tag="response.text.delta"):
    """More of the output text."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis, from GA servers."""


class ResponseTextDoneEvent(PartEvent, frozen=True, kw_only=True, tag="response.text.done"):
    """The complete output text."""

    text: str


class ResponseAudioTranscriptDeltaEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.audio_transcript.delta"
):
    """More of the transcript of output audio. It runs ahead of the audio."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis, from GA servers."""


class ResponseAudioTranscriptDoneEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.audio_transcript.done"
):
    """The complete transcript of output audio."""

    transcript: str


class ResponseAudioDeltaEvent(PartEvent, frozen=True, kw_only=True, tag="response.audio.delta"):
    """More output audio, faster than real time."""

    delta: Raw
    """Base64 in the session's output format, as a JSON string; `audio_data` decodes it."""

    @property
    def audio_data(self) -> bytes:
        """The audio, decoded.

        Raises:
            DecodeError: If it is not base64.
        """
        return audio_of(self, self.delta)


class ResponseAudioDoneEvent(PartEvent, frozen=True, kw_only=True, tag="response.audio.done"):
    """The output audio is complete. It is not repeated here."""


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
"""All known server events."""

AnyServerEvent = KnownServerEvent | UnknownEvent

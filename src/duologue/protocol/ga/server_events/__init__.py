"""Events that a server sends.

Source: Realtime API reference, server events (GA).
"""

from __future__ import annotations

from duologue.protocol.ga.server_events import (
    conversation,
    input_audio,
    mcp,
    response,
    session,
)
from duologue.protocol.ga.server_events.conversation import *
from duologue.protocol.ga.server_events.input_audio import *
from duologue.protocol.ga.server_events.mcp import *
from duologue.protocol.ga.server_events.response import *
from duologue.protocol.ga.server_events.session import *
from duologue.protocol.ga.transcription_session import TranscriptionSessionUpdatedEvent
from duologue.protocol.model import UnknownEvent

__all__: list[str] = ["AnyServerEvent", "KnownServerEvent", "TranscriptionSessionUpdatedEvent"]
__all__ += conversation.__all__
__all__ += input_audio.__all__
__all__ += mcp.__all__
__all__ += response.__all__
__all__ += session.__all__

KnownServerEvent = (
    SessionCreatedEvent
    | SessionUpdatedEvent
    | ConversationCreatedEvent
    | RealtimeErrorEvent
    | RateLimitsUpdatedEvent
    | ConversationItemAdded
    | ConversationItemDone
    | ConversationItemCreatedEvent
    | ConversationItemRetrieved
    | ConversationItemTruncatedEvent
    | ConversationItemDeletedEvent
    | ConversationItemInputAudioTranscriptionDeltaEvent
    | ConversationItemInputAudioTranscriptionCompletedEvent
    | ConversationItemInputAudioTranscriptionFailedEvent
    | ConversationItemInputAudioTranscriptionSegment
    | InputAudioBufferSpeechStartedEvent
    | InputAudioBufferSpeechStoppedEvent
    | InputAudioBufferCommittedEvent
    | InputAudioBufferClearedEvent
    | InputAudioBufferTimeoutTriggered
    | InputAudioBufferDtmfEventReceivedEvent
    | OutputAudioBufferStarted
    | OutputAudioBufferStopped
    | OutputAudioBufferCleared
    | ResponseCreatedEvent
    | ResponseDoneEvent
    | ResponseOutputItemAddedEvent
    | ResponseOutputItemDoneEvent
    | ResponseContentPartAddedEvent
    | ResponseContentPartDoneEvent
    | ResponseTextDeltaEvent
    | ResponseTextDoneEvent
    | ResponseAudioTranscriptDeltaEvent
    | ResponseAudioTranscriptDoneEvent
    | ResponseAudioDeltaEvent
    | ResponseAudioDoneEvent
    | ResponseFunctionCallArgumentsDeltaEvent
    | ResponseFunctionCallArgumentsDoneEvent
    | McpListToolsInProgress
    | McpListToolsCompleted
    | McpListToolsFailed
    | ResponseMcpCallInProgress
    | ResponseMcpCallCompleted
    | ResponseMcpCallFailed
    | ResponseMcpCallArgumentsDelta
    | ResponseMcpCallArgumentsDone
    | TranscriptionSessionUpdatedEvent
)
"""All known server events."""

AnyServerEvent = KnownServerEvent | UnknownEvent

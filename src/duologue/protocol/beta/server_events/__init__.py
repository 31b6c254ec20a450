"""Events that a server sends.

Source: Realtime API reference, server events (beta).
"""

from __future__ import annotations

from duologue.protocol.beta.server_events import (
    conversation,
    input_audio,
    mcp,
    response,
    session,
)
from duologue.protocol.beta.server_events.conversation import *
from duologue.protocol.beta.server_events.input_audio import *
from duologue.protocol.beta.server_events.mcp import *
from duologue.protocol.beta.server_events.response import *
from duologue.protocol.beta.server_events.session import *
from duologue.protocol.model import UnknownEvent

__all__: list[str] = ["AnyServerEvent", "KnownServerEvent"]
__all__ += conversation.__all__
__all__ += input_audio.__all__
__all__ += mcp.__all__
__all__ += response.__all__
__all__ += session.__all__

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

"""The parts of a conversation or transcription session, as its steps use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.protocol import ga
    from duologue.server.session.audio_input import InputAudioProcessor
    from duologue.server.session.config import SessionType
    from duologue.server.session.context import ConversationContext
    from duologue.server.session.conversation import ServerConversation
    from duologue.server.session.deferred import DeferredToolOutputs
    from duologue.server.session.idle_timeout import IdleTimer
    from duologue.server.session.item_events import ItemEvents
    from duologue.server.session.responses import ResponseScheduler
    from duologue.server.session.transcription import InputTranscription
    from duologue.server.session.turn_detection import TurnChange

__all__ = ["SessionParts"]


@dataclass(slots=True, kw_only=True)
class SessionParts:
    """The parts of a session, and the little state that belongs to none of them."""

    session_type: SessionType
    context: ConversationContext
    config: ga.RealtimeSession
    """The configuration; a transcription session's is kept in the same shape."""
    conversation: ServerConversation
    input_audio: InputAudioProcessor
    transcription: InputTranscription
    items: ItemEvents
    idle: IdleTimer
    responses: ResponseScheduler
    deferred: DeferredToolOutputs
    receive: Callable[[ga.KnownClientEvent], None]
    """Processes a client event that was deferred."""
    react: Callable[[TurnChange], None]
    """Takes the steps of a change in the user's speech, before the present step continues."""
    open_turn_id: str | None = None
    """The item that the user's speech will become, while the user speaks."""
    owes_response: bool = False
    """Whether a turn ended during a response that it could not interrupt."""

"""Server events of the session itself: configuration, errors, limits.

Source: Realtime API reference, server events (beta).
"""

from __future__ import annotations

from duologue.protocol.beta.session import Session, TranscriptionSession
from duologue.protocol.ga.server_events.base import ServerEvent
from duologue.protocol.ga.server_events.session import (
    Conversation,
    ConversationCreatedEvent,
    RateLimit,
    RateLimitName,
    RateLimitsUpdatedEvent,
    RealtimeError,
)
from duologue.protocol.ga.server_events.session import RealtimeErrorEvent as ErrorEvent
from duologue.protocol.ga.transcription_session import TranscriptionSessionUpdatedEvent

__all__ = [
    "Conversation",
    "ConversationCreatedEvent",
    "ErrorEvent",
    "RateLimit",
    "RateLimitName",
    "RateLimitsUpdatedEvent",
    "RealtimeError",
    "SessionCreatedEvent",
    "SessionUpdatedEvent",
    "TranscriptionSessionCreatedEvent",
    "TranscriptionSessionUpdatedEvent",
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

"""Server events of the session itself: configuration, errors, limits.

Source: Realtime API reference, server events (GA).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.ga.server_events.base import ServerEvent
from duologue.protocol.ga.session import Session
from duologue.protocol.model import UNSET, Model, Open, UnsetType

__all__ = [
    "Conversation",
    "ConversationCreatedEvent",
    "RateLimit",
    "RateLimitName",
    "RateLimitsUpdatedEvent",
    "RealtimeError",
    "RealtimeErrorEvent",
    "SessionCreatedEvent",
    "SessionUpdatedEvent",
]


class SessionCreatedEvent(ServerEvent, frozen=True, kw_only=True, tag="session.created"):
    """The first event of a connection, with the configuration that holds when none is sent."""

    session: Session


class SessionUpdatedEvent(ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """The whole configuration after a `session.update`."""

    session: Session


class Conversation(Model, frozen=True, kw_only=True):
    """The conversation of a session."""

    id: str | UnsetType = UNSET
    """`conv_…`"""
    object: str | UnsetType = UNSET
    """`realtime.conversation`"""


class ConversationCreatedEvent(ServerEvent, frozen=True, kw_only=True, tag="conversation.created"):
    """A conversation exists; typed, but not seen in recorded GA traffic."""

    conversation: Conversation


class RealtimeError(Model, frozen=True, kw_only=True):
    """What went wrong."""

    type: str
    """`invalid_request_error`, `server_error`, ..."""
    message: str
    code: str | None | UnsetType = UNSET
    """The machine-readable reason; match on it before the message."""
    param: str | None | UnsetType = UNSET
    """Path of the field at fault."""
    event_id: str | None | UnsetType = UNSET
    """The client event that caused it."""


class RealtimeErrorEvent(ServerEvent, frozen=True, kw_only=True, tag="error"):
    """Something went wrong; the session goes on, unless it is closed next."""

    error: RealtimeError


class RateLimitName(StrEnum):
    """What is limited."""

    REQUESTS = "requests"
    TOKENS = "tokens"


class RateLimit(Model, frozen=True, kw_only=True):
    """One limit and what is left of it."""

    name: Open[RateLimitName] | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    remaining: int | UnsetType = UNSET
    reset_seconds: float | UnsetType = UNSET
    """Seconds until it is whole again."""


class RateLimitsUpdatedEvent(ServerEvent, frozen=True, kw_only=True, tag="rate_limits.updated"):
    """What is left of the limits, with a response's estimate taken off; often after its end."""

    rate_limits: list[RateLimit]

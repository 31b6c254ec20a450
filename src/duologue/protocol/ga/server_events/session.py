"""Server events of the session: configuration, errors, rate limits.

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
    """The first event of a connection, with the default configuration."""

    session: Session


class SessionUpdatedEvent(ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """The configuration after a `session.update`."""

    session: Session


class Conversation(Model, frozen=True, kw_only=True):
    """The conversation of a session."""

    id: str | UnsetType = UNSET
    """`conv_…`"""
    object: str | UnsetType = UNSET
    """`realtime.conversation`"""


class ConversationCreatedEvent(ServerEvent, frozen=True, kw_only=True, tag="conversation.created"):
    """A conversation was created. Not seen in recorded GA traffic."""

    conversation: Conversation


class RealtimeError(Model, frozen=True, kw_only=True):
    """Description of an error."""

    type: str
    """Such as `invalid_request_error` or `server_error`."""
    message: str
    code: str | None | UnsetType = UNSET
    """Machine-readable cause."""
    param: str | None | UnsetType = UNSET
    """Path of the invalid field."""
    event_id: str | None | UnsetType = UNSET
    """Id of the client event that caused it."""


class RealtimeErrorEvent(ServerEvent, frozen=True, kw_only=True, tag="error"):
    """An error. The session continues, unless the server closes it next."""

    error: RealtimeError


class RateLimitName(StrEnum):
    """Names of rate limits."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    INPUT_TOKENS = "input_tokens"
    """In beta."""
    OUTPUT_TOKENS = "output_tokens"
    """In beta."""


class RateLimit(Model, frozen=True, kw_only=True):
    """A rate limit and its remaining quota."""

    name: Open[RateLimitName] | UnsetType = UNSET
    limit: int | UnsetType = UNSET
    remaining: int | UnsetType = UNSET
    reset_seconds: float | UnsetType = UNSET
    """Seconds until the quota is restored."""


class RateLimitsUpdatedEvent(ServerEvent, frozen=True, kw_only=True, tag="rate_limits.updated"):
    """The rate limits, reduced by the estimate of a response. Often sent after its end."""

    rate_limits: list[RateLimit]

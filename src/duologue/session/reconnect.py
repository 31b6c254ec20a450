"""Rules for connecting again: which endings allow it, when, and what the new session gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from duologue.errors import (
    Closed,
    ConfigurationError,
    ConnectionLost,
    HandshakeRefused,
    LocalProtocolError,
    ServerError,
    SessionRefused,
)

if TYPE_CHECKING:
    from duologue.session.formatted import FormattedItem

__all__ = ["NEVER", "GiveUp", "ReconnectPolicy", "Retry", "Summarize", "next_attempt"]

Summarize: TypeAlias = "Callable[[tuple[FormattedItem, ...]], str | Awaitable[str]]"
"""Function that returns a summary of items, which a new session gets instead of them."""

MAX_CREDENTIAL_REFUSALS: Final = 2
"""Handshakes refused as unauthorized: a key may have expired, and the next one is new."""

_FINAL_CLOSES: Final = frozenset({1000, 1002, 1003, 1007, 1008, 1010})
"""Close codes after which the server would do the same again.

1000 ends a session as intended. The others refuse what we sent.
Source: RFC 6455 section 7.4.1.
"""

_CREDENTIALS: Final = frozenset({401, 403})
_TRANSIENT: Final = frozenset({408, 425, 429})

_FINAL: Final = (SessionRefused, ServerError, ConfigurationError, LocalProtocolError, Closed)
_NO_USE: Final = "connecting again would not change that"


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """Rules for connecting again after a loss, and for what the new session gets."""

    budget: float = 60.0
    """Seconds after the loss in which it tries; then the session ends. 0: never."""
    first_delay: float = 0.5
    """Seconds before the second attempt; the first follows at once. Each delay is twice the last,
    and up to a half shorter by chance, so that many clients do not come back together."""
    max_delay: float = 10.0
    """Longest delay in seconds, unless the server asks for more with `Retry-After`."""
    asks_again: bool = True
    """Whether responses that were cut are requested again, as is the response to a turn of the user
    that turn detection has not begun. Otherwise their handles fail with the loss."""
    resend_seconds: float = 30.0
    """Seconds of input audio that are sent again, of what the server had not made a message. A turn
    that is longer loses its beginning, and `Reconnected` says how much."""
    history_bytes: int = 5_000_000
    """Limit of what precedes the newest item, as JSON: any conversation in words, or a minute of
    speech without a transcript, which is restored as audio. Beyond it the oldest items are left out
    or summarized."""
    summarize: Summarize | None = None
    """Returns a text that stands for the oldest items where they are too large, as a system
    message. It may be a coroutine function."""

    session_seconds: float | None = None
    """Longest life of a session; `None`: as the server says in `expires_at`."""
    rollover_seconds: float = 120.0
    """Seconds before that end at which the next session is prepared, to take over when nothing is
    under way, or at the latest 10 seconds before the end. 0: the end is treated as a loss."""
    failback_seconds: float = 300.0
    """Seconds with a server that is not the first of `endpoint`, after which the first is tried
    again; the session moves when nothing is under way."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if name in {"asks_again", "summarize"} or (name == "session_seconds" and value is None):
                continue
            if not (is_number and 0 <= value < 1e9):
                raise ConfigurationError(f"{name} must be a number from 0 on, not {value!r}")
        if self.summarize is not None and not callable(self.summarize):
            raise ConfigurationError("summarize must be a function that takes items")

    def delay(self, attempt: int, chance: float) -> float:
        """Return the seconds before an attempt.

        Args:
            attempt: Its number, from 0.
            chance: A random number from 0 to 1.
        """
        if attempt == 0:
            return 0.0
        longest = min(self.max_delay, self.first_delay * 2.0 ** min(attempt - 1, 30))
        return longest * (1.0 - chance / 2.0)


NEVER: Final = ReconnectPolicy(budget=0)
"""The policy of a client that does not connect again."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Connect again."""

    after: float | None = None
    """Seconds that the server asks to wait; `None`: as the policy says."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not connect again."""

    reason: str
    """Why, as a sentence without its full stop."""


def next_attempt(error: BaseException, credential_refusals: int = 0) -> Retry | GiveUp:
    """Return whether connecting again may help after a loss, or a failed attempt.

    Args:
        error: How the connection ended, or why the attempt failed.
        credential_refusals: Attempts so far that were refused as unauthorized, with this one.
    """
    status = error.status if isinstance(error, HandshakeRefused) else None
    code = error.code if isinstance(error, ConnectionLost) else None
    advice: Retry | GiveUp = Retry(getattr(error, "retry_after", None))
    if isinstance(error, _FINAL) or code in _FINAL_CLOSES:
        advice = GiveUp("the server ended the session" if code == 1000 else _NO_USE)
    elif status in _CREDENTIALS and credential_refusals >= MAX_CREDENTIAL_REFUSALS:
        advice = GiveUp("the credentials were refused again")
    elif status is not None and status < 500 and status not in _CREDENTIALS | _TRANSIENT:
        advice = GiveUp("the server refused the connection")
    return advice

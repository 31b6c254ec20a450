"""What one server takes: a number for everything that a client could ask too much of."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of a server; a client that meets one is told so in the protocol's words.

    Source: DIALECTS.md §4 for the length of a session; the others are choices.
    """

    sessions: int = 500
    """Sessions at once; one more is refused with HTTP 503, `server_full`."""
    session_seconds: float = 60 * 60
    """How long a session may last; then `session_expired`, and close code 1001."""
    idle_seconds: float | None = None
    """How long neither side may say anything; then `session_expired`, and close code 1001.

    `None` is for as long as the session may last, as with OpenAI: who pushes to talk may be silent.
    """
    events_per_second: float = 2000
    """Events of one client on average; what comes faster is refused with `rate_limit_exceeded`.

    Ten seconds' worth may come at once. Speech in pieces of 20 ms is 50 events a second.
    """
    bytes_per_second: float = 8 << 20
    """The same for the bytes of its events: 125 times as fast as speech in PCM16 is spoken."""

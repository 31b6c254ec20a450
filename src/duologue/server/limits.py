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

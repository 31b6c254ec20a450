"""Limits of a server, and the rate limiter that enforces those on one client's frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BURST_SECONDS", "Limits", "RateLimiter"]

BURST_SECONDS: Final = 10.0
"""Size of a burst, in seconds of the client's rate: a recording is sent all at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a server; a client that exceeds one gets an error of the protocol.

    Source: Realtime API reference for the length of a session; the others are our choices.
    """

    sessions: int = 500
    """Sessions at once. A client beyond that is refused with HTTP 503, `server_full`."""
    session_seconds: float = 60 * 60
    """Length of a session. It ends with `session_expired` and close code 1001."""
    idle_seconds: float | None = None
    """Time without an event in either direction. It ends with `session_expired` and code 1001.

    `None` sets no limit, as with OpenAI: a push-to-talk client may be silent for a long time.
    """
    events_per_second: float = 2000
    """Average rate of one client; events beyond it are refused with `rate_limit_exceeded`.

    Ten seconds' worth may come at once. Speech in pieces of 20 ms is 50 events a second.
    """
    bytes_per_second: float = 8 << 20
    """The same for the bytes of its events: 125 times real-time speech in PCM16."""


class RateLimiter:
    """Limits one client's frames by number and size, with two token buckets."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._events: Final = _Bucket(limits.events_per_second, now)
        self._bytes: Final = _Bucket(limits.bytes_per_second, now)

    def admits(self, size_bytes: int, now: float) -> bool:
        """Return whether a frame is within the limits. One that is not is not counted."""
        if not (self._events.holds(1, now) and self._bytes.holds(size_bytes, now)):
            return False
        self._events.left -= 1
        self._bytes.left -= size_bytes
        return True


class _Bucket:
    """Fills with time, up to `BURST_SECONDS` of its rate."""

    __slots__ = ("_filled_at", "_rate", "left")

    def __init__(self, rate: float, now: float) -> None:
        self._rate: Final = rate
        self._filled_at = now
        self.left = rate * BURST_SECONDS

    def holds(self, amount: float, now: float) -> bool:
        more = self._rate * (now - self._filled_at)
        self.left = min(self._rate * BURST_SECONDS, self.left + more)
        self._filled_at = now
        return amount <= self.left

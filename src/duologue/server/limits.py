"""Limits of a server, and the rate limiter that enforces those on one client's frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from duologue.errors import ConfigurationError

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
    """Events of one client on average; the server reads no faster than this.

    Ten seconds' worth may come at once. Speech in pieces of 20 ms is 50 events a second.
    """
    bytes_per_second: float = 8 << 20
    """The same for the bytes of its events: 125 times real-time speech in PCM16.

    An event of more than ten seconds' worth is refused with `rate_limit_exceeded`.
    """

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ConfigurationError: If one is not positive and finite: no timer can wait for it.
        """
        for name in self.__slots__:
            value: float | None = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigurationError(f"Limits.{name} is {value}: use a positive, finite number")


PAUSE_SECONDS: Final = 0.05
"""Seconds of the client's rate that a pause makes room for, so that not every event has a pause."""


class RateLimiter:
    """Limits the rate of one client's frames by number and size, with two token buckets.

    A frame that has been read is never dropped: it may overdraw a bucket. Instead the connection
    reads nothing more until the bucket has refilled, so the client's own socket slows it down.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._events: Final = _Bucket(limits.events_per_second, now)
        self._bytes: Final = _Bucket(limits.bytes_per_second, now)
        self.max_frame_bytes: Final = self._bytes.capacity
        """Size of the largest frame that can be read at all."""

    def count(self, size_bytes: int, now: float) -> float:
        """Count a frame; return for how many seconds nothing more may be read."""
        pause = max(self._events.take(1, now), self._bytes.take(size_bytes, now))
        return pause + PAUSE_SECONDS if pause else 0.0


class _Bucket:
    """Fills with time, up to `BURST_SECONDS` of its rate."""

    __slots__ = ("_filled_at", "_left", "_rate", "capacity")

    def __init__(self, rate: float, now: float) -> None:
        self._rate: Final = rate
        self._filled_at = now
        self.capacity: Final = rate * BURST_SECONDS
        self._left = self.capacity

    def take(self, amount: float, now: float) -> float:
        """Take an amount; return the seconds until the bucket is no longer overdrawn."""
        more = self._rate * (now - self._filled_at)
        self._filled_at = now
        self._left = min(self.capacity, self._left + more) - min(amount, self.capacity)
        return max(0.0, -self._left / self._rate)

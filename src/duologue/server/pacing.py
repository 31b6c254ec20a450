"""How fast one client may send: what it did not use, it may catch up on, up to a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from duologue.server.limits import Limits

__all__ = ["BURST_SECONDS", "RateLimiter"]

BURST_SECONDS: Final = 10.0
"""So many seconds' worth may come at once: a recording is sent faster than it was spoken."""


class RateLimiter:
    """Judges the frames of one client by their number and size (two token buckets)."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._events = _Bucket(limits.events_per_second, now)
        self._bytes = _Bucket(limits.bytes_per_second, now)

    def admits(self, size_bytes: int, now: float) -> bool:
        """Return whether a frame keeps within the pace; one that does not costs nothing."""
        if not (self._events.holds(1, now) and self._bytes.holds(size_bytes, now)):
            return False
        self._events.left -= 1
        self._bytes.left -= size_bytes
        return True


class _Bucket:
    """Fills with time, up to `BURST_SECONDS`' worth."""

    __slots__ = ("_filled_at", "_rate", "left")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._filled_at = now
        self.left = rate * BURST_SECONDS

    def holds(self, amount: float, now: float) -> bool:
        more = self._rate * (now - self._filled_at)
        self.left = min(self._rate * BURST_SECONDS, self.left + more)
        self._filled_at = now
        return amount <= self.left

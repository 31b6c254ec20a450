"""What `rate_limits.updated` tells after a response: how much more may be asked for.

Requests and tokens fill up again evenly, a minute's worth in a minute. The limits are told, so that
clients can be tried with them, and not enforced: the machine's own speed is the limit here.

Source: `rate_limits.updated` in the reference; DIALECTS.md §6 for its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.protocol.model import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RateLimits"]

REQUESTS_PER_MINUTE: Final = 1000
TOKENS_PER_MINUTE: Final = 100_000


class RateLimits:
    """Follows what a session's responses cost."""

    def __init__(self) -> None:
        self._limits = {
            "requests": _Limit(REQUESTS_PER_MINUTE),
            "tokens": _Limit(TOKENS_PER_MINUTE),
        }

    def filled_in(
        self, events: Iterable[ga.KnownServerEvent], now: float
    ) -> list[ga.KnownServerEvent]:
        """Return the events that are sent at `now`, with the limits where they are told."""
        return [self._follow(event, now) for event in events]

    def _follow(self, event: ga.KnownServerEvent, now: float) -> ga.KnownServerEvent:
        if isinstance(event, ga.ResponseDoneEvent):
            usage = event.response.usage
            tokens = usage.total_tokens if isinstance(usage, ga.Usage) else 0
            self._limits["requests"].spend(1, now)
            self._limits["tokens"].spend(tokens if isinstance(tokens, int) else 0, now)
        elif isinstance(event, ga.RateLimitsUpdatedEvent):
            told = [limit.told(name) for name, limit in self._limits.items()]
            return replace(event, rate_limits=told)
        return event


class _Limit:
    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left = float(per_minute)
        self._at = 0.0

    def spend(self, amount: int, now: float) -> None:
        refilled = self._left + (now - self._at) / 60 * self._per_minute
        self._left = max(0.0, min(refilled, self._per_minute) - amount)
        self._at = now

    def told(self, name: str) -> ga.RateLimit:
        missing = self._per_minute - self._left
        return ga.RateLimit(
            name=name,
            limit=self._per_minute,
            remaining=int(self._left),
            reset_seconds=round(missing / self._per_minute * 60, 3),
        )

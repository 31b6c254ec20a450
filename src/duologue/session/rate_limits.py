"""Rate limits: what the server reports of them, and how long the next request waits for them.

A request waits if the server said that nothing is left (`rate_limits.updated`), or refused one. The
words of a refusal often name the time: "Please try again in 1.2s". After a refusal, requests go one
at a time until a response has succeeded, also those that are out-of-band: many that waited would
be refused together.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.errors import ConfigurationError, ResponseFailed, ServerError
from duologue.session.retention import remember
from duologue.session.updates import RateLimited

if TYPE_CHECKING:
    from collections.abc import Collection

    from duologue.protocol.ga import RateLimit, Response

__all__ = ["RateLimitPolicy", "RequestLimiter", "advised_seconds"]

MAX_LIMITS: Final = 16
"""Limits that are remembered; the API has four."""

_REACHED: Final = frozenset({"rate_limit_exceeded", "rate_limit_error"})
_FOR_GOOD: Final = frozenset({"insufficient_quota"})
"""Codes or types of refusals that no waiting ends."""
_TOO_LARGE: Final = re.compile(r"\btoo large\b", re.IGNORECASE)
"""Words of a refusal that no waiting ends: the request alone exceeds the limit.

"Request too large for gpt-realtime on tokens per min (TPM): Limit 40000, Requested 45321."
"""

_ADVICE: Final = re.compile(
    r"(?:try again|retry) (?:in|after) ((?:\d+(?:\.\d+)? ?[a-z]* ?)+)", re.IGNORECASE
)
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?) ?([a-z]*)")
_UNITS: Final = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
}


@dataclass(frozen=True, slots=True)
class RateLimitPolicy:
    """Rules for requests of responses where a rate limit of the server is reached."""

    retries: int = 1
    """How often a request that was refused, or whose response failed, is repeated before its handle
    fails, if the server says when to try again. So is the response to a turn of the user."""
    max_delay: float = 30.0
    """Longest delay in seconds. If the server asks for more, a refused request fails at once."""
    first_delay: float = 1.0
    """Seconds where the server does not name a time; twice as many after each further refusal."""

    def __post_init__(self) -> None:
        if type(self.retries) is not int or not 0 <= self.retries <= 100:
            raise ConfigurationError(f"retries must be from 0 to 100, not {self.retries!r}")
        for name in ("max_delay", "first_delay"):
            value = getattr(self, name)
            if _number(value) is None or value <= 0:
                raise ConfigurationError(f"{name} must be a number above 0, not {value!r}")


class RequestLimiter:
    """Decides when the next response may be requested.

    Args:
        policy: The rules; `None`: requests never wait, limits are only remembered.
    """

    __slots__ = (
        "_announced_until", "_error", "_is_reported", "_is_timed", "_policy", "_refusals",
        "_refused_until", "_tokens", "latest",
    )  # fmt: skip

    def __init__(self, policy: RateLimitPolicy | None = None) -> None:
        self.latest: Final[dict[str, RateLimit]] = {}
        """The limits by name, as the server last reported them."""
        self._policy: Final = policy
        self._announced_until: float | None = None
        self._refused_until: float | None = None
        self._refusals = 0  # in a row
        self._is_timed = False  # whether the server named a time that the policy allows
        self._tokens = 0  # of the last response
        self._error: ServerError | ResponseFailed | None = None
        self._is_reported = False

    @property
    def held_until(self) -> float | None:
        """Time from which the next request may be sent; `None`: at once."""
        times = [t for t in (self._announced_until, self._refused_until) if t is not None]
        return max(times, default=None)

    @property
    def is_strained(self) -> bool:
        """Whether the last request was refused: then only one is sent at a time."""
        return self._refusals > 0

    def holds(self, now: float) -> bool:
        """Return whether requests must wait."""
        until = self.held_until
        return until is not None and now < until

    def expire(self, now: float) -> None:
        """Forget the delay when it is over."""
        if not self.holds(now):
            self._announced_until = self._refused_until = None
            self._is_reported = False

    def on_updated(self, limits: Collection[RateLimit], now: float) -> None:
        """Remember the limits, and wait if nothing is left of one."""
        for limit in limits:
            if isinstance(limit.name, str):
                remember(self.latest, str(limit.name), limit, MAX_LIMITS)
        if self._policy is None:
            return
        seconds = max(map(self._announced_seconds, limits), default=0.0)
        self.expire(now)
        self._announced_until = now + min(seconds, self._policy.max_delay) if seconds else None

    def on_done(self, response: Response) -> None:
        """Process the end of a response that no limit has stopped."""
        self._refusals = 0
        tokens = _number(response.usage.total_tokens) if response.usage else None
        if tokens is not None:
            self._tokens = int(tokens)

    def on_refused(self, error: ServerError | ResponseFailed, now: float) -> bool:
        """Wait after a refusal; return whether it was for a rate limit, and a policy exists."""
        policy = self._policy
        if policy is None or not _is_reached(error):
            return False
        self._refusals += 1
        seconds = advised_seconds(error.message)
        self._is_timed = seconds is not None and seconds <= policy.max_delay
        if seconds is None:
            seconds = policy.first_delay * 2.0 ** min(self._refusals - 1, 30)
        self._refused_until = now + min(seconds, policy.max_delay)
        self._error, self._is_reported = error, False
        return True

    def repeats(self, error: ServerError | ResponseFailed, times: int) -> bool:
        """Return whether a request that was refused is repeated after the delay.

        Args:
            error: The refusal, which `on_refused` has processed.
            times: How often it was repeated already.
        """
        policy = self._policy
        is_allowed = policy is not None and times < policy.retries and self._is_timed
        return is_allowed and _is_reached(error)

    def take_report(self, now: float) -> RateLimited | None:
        """Return the update about the delay, once for each; called when a request waits."""
        until = self.held_until
        if until is None or now >= until or self._is_reported:
            return None
        self._is_reported = True
        error = self._error if self._refused_until is not None else None
        return RateLimited(seconds=until - now, error=error)

    def _announced_seconds(self, limit: RateLimit) -> float:
        """Return the seconds until a limit allows another response: it refills evenly."""
        remaining, total = _number(limit.remaining), _number(limit.limit)
        reset = _number(limit.reset_seconds) or 0.0
        if remaining is None or remaining > 0 or reset <= 0:
            return 0.0
        needed = 1 if limit.name == "requests" else self._tokens
        if total is None or total <= remaining or needed <= 0:
            return reset
        return reset * min(1.0, (needed - remaining) / (total - remaining))


def advised_seconds(message: str) -> float | None:
    """Return the delay that an error's words ask for: "try again in 1m2.5s", "retry after 6"."""
    advice = _ADVICE.search(message)
    if advice is None:
        return None
    seconds = 0.0
    for count, unit in _TIME.findall(advice[1].lower()):
        if unit not in _UNITS:
            break
        seconds += float(count) * _UNITS[unit]
    return seconds or None


def _is_reached(error: ServerError | ResponseFailed) -> bool:
    if _TOO_LARGE.search(error.message):
        return False
    names = {error.code, error.type if isinstance(error, ServerError) else None}
    return not names.isdisjoint(_REACHED) and names.isdisjoint(_FOR_GOOD)


def _number(value: object) -> float | None:
    """Return a number that can be computed with; servers send anything."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isinstance(value, int | float) or abs(value) > 1e12:
        return None
    return None if math.isnan(value) else float(value)

"""Dead air: a server that keeps the connection, but does not answer.

A response may be awaited, requested or by turn detection, and not begin; or begin and not go on.
The remedies are graded: first the response is requested once more, then the connection is given up,
and the next session goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from duologue.errors import ConfigurationError
from duologue.session.response_state import ResponseRequest, ResponseState

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_DEAD_AIR", "DeadAirPolicy", "DeadAirWatch", "Finding", "OwedTurn"]


class OwedTurn(Enum):
    """The response to a turn of the user, which turn detection has not begun."""

    OWED = auto()


Awaited: TypeAlias = ResponseState | ResponseRequest | OwedTurn
"""A response that goes on, or that is to begin."""


@dataclass(frozen=True, slots=True)
class DeadAirPolicy:
    """Limits on the silence of a server that owes a response; see `DeadAir`."""

    begin_seconds: float | None = 15.0
    """Seconds to begin a response; `None`: no limit."""
    go_on_seconds: float | None = 20.0
    """Seconds between two parts of a response; `None`: no limit. A model that reasons may pause."""

    def __post_init__(self) -> None:
        for name in ("begin_seconds", "go_on_seconds"):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if value is not None and not (is_number and 0 < value < 1e9):
                raise ConfigurationError(f"{name} must be a number above 0, or None, not {value!r}")


DEFAULT_DEAD_AIR: Final = DeadAirPolicy()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the server did not do in time."""

    awaited: Awaited
    kind: Literal["response_not_begun", "response_stalled", "turn_not_answered"]
    seconds: float
    """Seconds without it."""
    is_repeated: bool
    """Whether the first remedy has not helped."""


class DeadAirWatch:
    """Watches what is awaited from the server.

    Args:
        awaited: Returns the response that is awaited, if any.
        policy: The limits.
    """

    __slots__ = ("_awaited", "_findings", "_key", "_policy", "_seen_size", "_since", "deadline")

    def __init__(self, awaited: Callable[[], Awaited | None], policy: DeadAirPolicy) -> None:
        self.deadline: float | None = None
        """When `expire` is due."""
        self._awaited: Final = awaited
        self._policy: Final = policy
        self._key: Awaited | None = None
        self._since = 0.0
        self._findings = 0
        self._seen_size = 0

    def look(self, now: float) -> None:
        """Follow what is awaited; called whenever that may have changed."""
        awaited = self._awaited()
        if awaited is not self._key:
            self._key, self._findings = awaited, 0
            self._begin(now)

    def expire(self, now: float) -> Finding | None:
        """Return what is overdue; nothing if the response has gone on meanwhile."""
        key = self._key
        if key is None:
            self.deadline = None
            return None
        if isinstance(key, ResponseState) and key.size > self._seen_size:
            self._findings = 0
            self._begin(now)
            return None
        since, is_repeated = self._since, self._findings > 0
        self._findings += 1
        self._arm(now)
        return Finding(key, _kind_of(key), now - since, is_repeated)

    def _begin(self, now: float) -> None:
        self._since = now
        self._seen_size = self._key.size if isinstance(self._key, ResponseState) else 0
        self._arm(now)

    def _arm(self, now: float) -> None:
        policy = self._policy
        is_begun = isinstance(self._key, ResponseState)
        limit = policy.go_on_seconds if is_begun else policy.begin_seconds
        self.deadline = None if limit is None or self._key is None else now + limit


def _kind_of(
    awaited: Awaited,
) -> Literal["response_not_begun", "response_stalled", "turn_not_answered"]:
    if isinstance(awaited, ResponseState):
        return "response_stalled"
    return "turn_not_answered" if isinstance(awaited, OwedTurn) else "response_not_begun"

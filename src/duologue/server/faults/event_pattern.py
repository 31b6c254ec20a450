"""Patterns of events that a fault applies to: a direction, and a pattern of event types."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Final, get_args

from duologue.errors import ConfigurationError
from duologue.protocol import ga
from duologue.protocol.ga import translation

if TYPE_CHECKING:
    from duologue.protocol.codec import Direction

__all__ = ["EventPattern", "event_pattern"]


def _types(*unions: object) -> frozenset[str]:
    members = [member for union in unions for member in get_args(union)]
    return frozenset(str(member.__struct_config__.tag) for member in members)


_TYPES: Final[dict[Direction, frozenset[str]]] = {
    "server": _types(ga.KnownServerEvent, translation.KnownTranslationServerEvent),
    "client": _types(ga.KnownClientEvent, translation.KnownTranslationClientEvent),
}


@dataclass(frozen=True, slots=True)
class EventPattern:
    """Events of one direction whose type matches a pattern."""

    direction: Direction
    pattern: str

    def includes(self, direction: Direction, kind: str) -> bool:
        """Return whether an event matches."""
        return direction == self.direction and fnmatchcase(kind, self.pattern)


@lru_cache
def event_pattern(at: str) -> EventPattern:
    """Parse `server.response.done`, `client.*`, or a type without its sender.

    Without a sender, the pattern applies to the server's events if any match, and to the client's
    otherwise.

    Raises:
        ConfigurationError: If no event matches.
    """
    sender, _, rest = at.partition(".")
    if sender in _TYPES and rest:
        candidates = [EventPattern("server" if sender == "server" else "client", rest)]
    else:
        candidates = [EventPattern("server", at), EventPattern("client", at)]
    for candidate in candidates:
        if any(fnmatchcase(kind, candidate.pattern) for kind in _TYPES[candidate.direction]):
            return candidate
    known = [kind for types in _TYPES.values() for kind in sorted(types)]
    near = get_close_matches(rest if sender in _TYPES else at, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "use its GA name, or a pattern: 'response.*'"
    raise ConfigurationError(f"no event matches {at!r}; {hint}")

"""Which events a fault is about: a direction, and a pattern of event types."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final, Literal, get_args

from duologue.errors import ConfigurationError
from duologue.protocol import ga
from duologue.protocol.ga import translation

__all__ = ["Direction", "Target", "target"]

Direction = Literal["server", "client"]
"""Who sends: `server` events go to the client, `client` events come from it."""


def _types(*unions: object) -> frozenset[str]:
    members = [member for union in unions for member in get_args(union)]
    return frozenset(str(member.__struct_config__.tag) for member in members)


_TYPES: Final[dict[Direction, frozenset[str]]] = {
    "server": _types(ga.KnownServerEvent, translation.KnownTranslationServerEvent),
    "client": _types(ga.KnownClientEvent, translation.KnownTranslationClientEvent),
}


@dataclass(frozen=True, slots=True)
class Target:
    """Events of one direction whose type fits a pattern."""

    direction: Direction
    pattern: str

    def includes(self, direction: Direction, kind: str) -> bool:
        """Return whether an event is meant."""
        return direction == self.direction and fnmatchcase(kind, self.pattern)


@lru_cache
def target(at: str) -> Target:
    """Return what `server.response.done`, `client.*`, or a type without its sender means.

    Raises:
        ConfigurationError: If there are no such events.
    """
    sender, _, rest = at.partition(".")
    found: list[Target]
    if sender in _TYPES and rest:
        found = [Target("server" if sender == "server" else "client", rest)]
    else:
        found = [Target("server", at), Target("client", at)]
    for candidate in found:
        if any(fnmatchcase(kind, candidate.pattern) for kind in _TYPES[candidate.direction]):
            return candidate
    known = [kind for types in _TYPES.values() for kind in sorted(types)]
    near = get_close_matches(rest if sender in _TYPES else at, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "use its GA name, or a pattern: 'response.*'"
    raise ConfigurationError(f"no event is called {at!r}; {hint}")

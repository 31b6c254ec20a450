"""Results of translations, and their losses."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from duologue.protocol.model import UNSET, Event, UnknownEvent

__all__ = ["Loss", "LossRule", "Losses", "Translation"]

E = TypeVar("E", bound="Event | UnknownEvent")


class LossRule(StrEnum):
    """Reason of a loss."""

    TEMPERATURE = "temperature"
    """GA has no temperature and rejects it as an unknown parameter."""
    CLIENT_SECRET = "client_secret"  # noqa: S105  # a field's name
    """GA issues client secrets by REST only."""
    TRANSCRIPTION_MODALITIES = "transcription_modalities"
    """GA's transcription sessions have no modalities; in beta they have no effect."""
    REASONING = "reasoning"
    """Beta has no reasoning settings."""
    PARALLEL_TOOL_CALLS = "parallel_tool_calls"
    """Beta has no such setting."""
    EVENT = "event"
    """Beta has no such event."""
    AUDIO_FORMAT = "audio_format"
    """Beta's format is a name, which has no room for another rate or for unknown fields."""
    TWO_LIMITS = "two_limits"
    """Beta accepts two names of a response's token limit; the first one counts."""
    TAKEN = "taken"
    """An unknown field has the name that the target dialect uses for another value of the event."""
    NULL_OBJECT = "null_object"
    """Beta is flat and lacks the object, so it cannot be null."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A value that the other dialect cannot express."""

    path: str
    """Path of the value, such as `session.temperature`; empty for the event itself."""
    rule: LossRule
    value: object
    """The value."""


@dataclass(frozen=True, slots=True)
class Translation(Generic[E]):
    """An event in the other dialect."""

    events: list[E]
    """None, one or two events, in the order in which to send them."""
    losses: list[Loss]


@dataclass(frozen=True, slots=True)
class Losses:
    """Losses of a translation, collected relative to one object of the event."""

    path: str = ""
    found: list[Loss] = field(default_factory=list[Loss])

    def under(self, name: str) -> Losses:
        """Return the same losses, relative to a field."""
        return Losses(self._path(name), self.found)

    def drop(self, name: str, value: object, rule: LossRule) -> None:
        """Record the loss of a field, if it is set."""
        if value is not UNSET:
            self.found.append(Loss(self._path(name), rule, value))

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

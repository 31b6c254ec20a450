"""What a translation gives, and what it could not copy_as."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from duologue.protocol.model import UNSET, Event, UnknownEvent

__all__ = ["Loss", "LossRule", "Losses", "Translation"]

E = TypeVar("E", bound="Event | UnknownEvent")


class LossRule(StrEnum):
    """Why something is left out."""

    TEMPERATURE = "temperature"
    """GA refuses it (`unknown_parameter`)."""
    CLIENT_SECRET = "client_secret"  # noqa: S105  # a field's name
    """GA hands keys out by REST only."""
    TRANSCRIPTION_MODALITIES = "transcription_modalities"
    """GA's transcription session has none; beta's mean nothing."""
    REASONING = "reasoning"
    """Beta models do not think aloud."""
    PARALLEL_TOOL_CALLS = "parallel_tool_calls"
    """Beta cannot forbid them."""
    EVENT = "event"
    """Beta has no such event."""
    AUDIO_FORMAT = "audio_format"
    """Beta's format is one word: it says no other rate, and keeps no fields."""
    TWO_LIMITS = "two_limits"
    """Beta lets a response say its token limit by two names; GA takes the first."""
    TAKEN = "taken"
    """It stood in the other dialect's place, where the dialect's own word says something else."""
    NULL_OBJECT = "null_object"
    """Beta is flat: it has no object that could be null."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that the other dialect has no place for."""

    path: str
    """Where it stood: `session.temperature`; empty for the event itself."""
    rule: LossRule
    value: object
    """What it was."""


@dataclass(frozen=True, slots=True)
class Translation(Generic[E]):
    """An event in the other dialect."""

    events: list[E]
    """None, one, or two of them, to be sent in this order."""
    losses: list[Loss]


@dataclass(frozen=True, slots=True)
class Losses:
    """The losses so far, seen from one object of the event."""

    path: str = ""
    found: list[Loss] = field(default_factory=list[Loss])

    def under(self, name: str) -> Losses:
        """Return the same list seen from a field."""
        return Losses(self._path(name), self.found)

    def drop(self, name: str, value: object, rule: LossRule) -> None:
        """Note that a field is left out, if it is there."""
        if value is not UNSET:
            self.found.append(Loss(self._path(name), rule, value))

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

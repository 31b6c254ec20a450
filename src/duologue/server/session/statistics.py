"""Statistics of one session: audio lengths, responses, errors, and the delay of the first audio.

The core counts what only it knows. The edge reads the record at any time and adds it to the
server's metrics; it never contains what was said.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

__all__ = ["MAX_CODES", "Histogram", "SessionStatistics"]

MAX_CODES: Final = 100
"""Error codes that are counted separately: a custom engine may invent any number of them."""

_FIRST_AUDIO_BOUNDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""A reply within 0.3 s feels immediate; after 1.5 s people begin to speak again."""


class Histogram:
    """Counts of values by size."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds: Final = bounds
        """Upper bounds of the buckets, ascending; one more bucket is above all of them."""
        self.counts: Final[list[int]] = [0] * (len(bounds) + 1)
        self.sum: float = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: Histogram) -> None:
        """Add the counts of a histogram with the same bounds."""
        for index, count in enumerate(other.counts):
            self.counts[index] += count
        self.sum += other.sum


def _first_audio() -> Histogram:
    return Histogram(_FIRST_AUDIO_BOUNDS)


@dataclass(slots=True, eq=False)
class SessionStatistics:
    """Counts of one session so far, or of all sessions of a server."""

    audio_in_ms: int = 0
    """Audio received."""
    audio_out_ms: int = 0
    """Audio sent."""
    responses: Counter[str] = field(default_factory=Counter[str])
    """Responses that ended, by status."""
    errors: Counter[str] = field(default_factory=Counter[str])
    """`error` events, by code; beyond `MAX_CODES` codes they are counted as `other`."""
    first_audio: Histogram = field(default_factory=_first_audio)
    """Seconds from the end of the user's speech, or `response.create`, to the first audio."""
    _requested_at: float | None = None

    def audio_received(self, ms: int) -> None:
        """Count audio of the user."""
        self.audio_in_ms += ms

    def response_requested(self, now: float) -> None:
        """Start measuring how long the user waits for the first audio."""
        self._requested_at = now

    def audio_sent(self, ms: int, now: float) -> None:
        """Count audio of a response."""
        self.audio_out_ms += ms
        if self._requested_at is not None:
            self.first_audio.observe(now - self._requested_at)
            self._requested_at = None

    def response_ended(self, status: str) -> None:
        """Count a response; one without audio has no delay to measure."""
        self._requested_at = None
        self.responses[status] += 1

    def error_sent(self, code: str | None) -> None:
        """Count an `error` event."""
        self._count_error(code or "none", 1)

    def add(self, other: SessionStatistics) -> None:
        """Add the counts of another session."""
        self.audio_in_ms += other.audio_in_ms
        self.audio_out_ms += other.audio_out_ms
        self.responses += other.responses
        self.first_audio.add(other.first_audio)
        for code, count in other.errors.items():
            self._count_error(code, count)

    def _count_error(self, code: str, count: int) -> None:
        is_counted_apart = code in self.errors or len(self.errors) < MAX_CODES
        self.errors[code if is_counted_apart else "other"] += count

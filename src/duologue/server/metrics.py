"""What a server counts, and how Prometheus reads it.

Source: Prometheus, exposition formats, the text format 0.0.4.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["CONTENT_TYPE", "Histogram", "Metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

MAX_CODES: Final = 100
"""Codes of errors that are counted apart; an engine of the user's may make up any number."""

_FIRST_AUDIO_BOUNDS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""A reply within 0.3 s feels immediate, after 1.5 s people begin to speak again."""


class Histogram:
    """Counts values by their size."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        """Upper ends of the classes, rising; one more class is above all."""
        self.counts: list[int] = [0] * (len(bounds) + 1)
        self.sum: float = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Metrics:
    """The counts of a server since it started."""

    def __init__(self) -> None:
        self.sessions: Counter[str] = Counter()
        """Opened, by dialect."""
        self.closes: Counter[str] = Counter()
        """Sessions that ended, by close code; those of an application's own are `other`."""
        self.refusals: Counter[str] = Counter()
        """Clients that were not let in, by HTTP status."""
        self.events: dict[str, Counter[str]] = {"in": Counter(), "out": Counter()}
        """By direction and type; types that nobody knows are `unknown`."""
        self.errors: Counter[str] = Counter()
        """`error` events, by code."""
        self.responses: Counter[str] = Counter()
        """That ended, by status."""
        self.audio_ms: Counter[str] = Counter()
        """By direction."""
        self.first_audio: Histogram = Histogram(_FIRST_AUDIO_BOUNDS)
        """Seconds from the end of the user's speech, or `response.create`, to the first audio."""

    def count_close(self, code: int) -> None:
        """Count the end of a session; clients may make up any code from 3000 on."""
        self.closes[str(code) if code < 3000 else "other"] += 1

    def count_error(self, code: str | None) -> None:
        """Count an `error` event."""
        name = code or "none"
        is_known = name in self.errors or len(self.errors) < MAX_CODES
        self.errors[name if is_known else "other"] += 1

    def exposition(self, *, active: int) -> str:
        """Return all counts as Prometheus reads them.

        Args:
            active: Sessions that are open now.
        """
        return "\n".join(self._lines(active)) + "\n"

    def _lines(self, active: int) -> Iterator[str]:
        yield from _family("sessions_active", "gauge", "Sessions that are open.", {"": active})
        yield from _counter("sessions", "Sessions opened.", "dialect", self.sessions)
        yield from _counter("closes", "Sessions that ended.", "code", self.closes)
        yield from _counter("refusals", "Clients that were not let in.", "status", self.refusals)
        events = {
            f'{{direction="{direction}",type="{kind}"}}': count
            for direction, counts in self.events.items()
            for kind, count in sorted(counts.items())
        }
        yield from _family("events_total", "counter", "Events by direction and type.", events)
        yield from _counter("errors", "Error events sent.", "code", self.errors)
        yield from _counter("responses", "Responses that ended.", "status", self.responses)
        seconds = {direction: ms / 1000 for direction, ms in self.audio_ms.items()}
        yield from _counter("audio_seconds", "Audio on the wire.", "direction", seconds)
        yield from self._first_audio()

    def _first_audio(self) -> Iterator[str]:
        values: dict[str, float] = {}
        below = 0
        bounds = [f"{bound:g}" for bound in self.first_audio.bounds] + ["+Inf"]
        for bound, count in zip(bounds, self.first_audio.counts, strict=True):
            below += count
            values[f'_bucket{{le="{bound}"}}'] = below
        values |= {"_sum": self.first_audio.sum, "_count": below}
        says = "Seconds from the end of speech, or response.create, to the first audio."
        yield from _family("first_audio_seconds", "histogram", says, values)


def _counter(name: str, says: str, label: str, counts: Mapping[str, float]) -> Iterator[str]:
    values = {f'{{{label}="{_escaped(key)}"}}': count for key, count in sorted(counts.items())}
    return _family(f"{name}_total", "counter", says, values)


def _family(name: str, kind: str, says: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP duologue_{name} {says}"
    yield f"# TYPE duologue_{name} {kind}"
    for suffix, value in values.items():
        yield f"duologue_{name}{suffix} {value:.10g}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

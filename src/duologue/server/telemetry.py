"""Telemetry of the server: metrics for Prometheus, and a log line per session opened and closed.

It never contains what was said: events are counted by type, audio by length, errors by code. The
connection counts the events; what only a session's core knows is read from its statistics.

Source: Prometheus, exposition formats, the text format 0.0.4.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Self, get_args

from duologue.protocol import ga
from duologue.protocol.ga import translation
from duologue.protocol.model import UnknownEvent
from duologue.server.session.statistics import Histogram, SessionStatistics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duologue.server.connection import AnyReceived, AnySent

__all__ = ["CONTENT_TYPE", "Metrics", "SessionTelemetry"]

logger: logging.Logger = logging.getLogger("duologue.server")

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

INTERNAL_ERROR: Final = 1011
"""Close code of a session that ends by an error of the server."""

_FROM_CLIENTS: Final = frozenset(
    get_args(ga.KnownClientEvent) + get_args(translation.KnownTranslationClientEvent)
) | {UnknownEvent}


class Metrics:
    """Counts of a server since it started."""

    def __init__(self) -> None:
        self.sessions: Final[Counter[str]] = Counter()
        """Sessions opened, by dialect."""
        self.closes: Final[Counter[str]] = Counter()
        """Sessions that ended, by close code; codes that an application chooses are `other`."""
        self.refusals: Final[Counter[str]] = Counter()
        """Clients that were refused, by HTTP status."""
        self.events: Final[dict[str, Counter[type[AnyReceived | AnySent]]]] = {
            "in": Counter(),
            "out": Counter(),
        }
        """Events by direction and class: the name of its type is needed only when they are read."""
        self._open: Final[set[SessionStatistics]] = set()
        self._closed: Final = SessionStatistics()

    def session_opened(self, dialect: str, statistics: SessionStatistics) -> None:
        """Count a session, and include its statistics from now on."""
        self.sessions[dialect] += 1
        self._open.add(statistics)

    def session_closed(self, code: int, statistics: SessionStatistics) -> None:
        """Count the end of a session; clients may invent any code from 3000 on."""
        self.closes[str(code) if code < 3000 else "other"] += 1
        self._open.discard(statistics)
        self._closed.add(statistics)

    def total(self) -> SessionStatistics:
        """Return the sum of all sessions, open ones included."""
        total = SessionStatistics()
        for statistics in (self._closed, *self._open):
            total.add(statistics)
        return total

    def exposition(self, *, active: int) -> str:
        """Return all counts in the format that Prometheus reads.

        Args:
            active: Sessions that are open now.
        """
        return "\n".join(self._lines(active)) + "\n"

    def _lines(self, active: int) -> Iterator[str]:
        total = self.total()
        yield from _family("sessions_active", "gauge", "Sessions that are open.", {"": active})
        yield from _counter("sessions", "Sessions opened.", "dialect", self.sessions)
        yield from _counter("closes", "Sessions that ended.", "code", self.closes)
        yield from _counter("refusals", "Clients that were not let in.", "status", self.refusals)
        events = {
            f'{{direction="{direction}",type="{name}"}}': count
            for direction, counts in self.events.items()
            for name, count in sorted(_by_type(counts).items())
        }
        yield from _family("events_total", "counter", "Events by direction and type.", events)
        yield from _counter("errors", "Error events sent.", "code", total.errors)
        yield from _counter("responses", "Responses that ended.", "status", total.responses)
        audio_ms = {"in": total.audio_in_ms, "out": total.audio_out_ms}
        seconds = {direction: ms / 1000 for direction, ms in audio_ms.items() if ms}
        yield from _counter("audio_seconds", "Audio on the wire.", "direction", seconds)
        yield from _histogram(total.first_audio)


def _by_type(counts: Mapping[type[AnyReceived | AnySent], int]) -> Counter[str]:
    """Return counts by event type; translation has classes of its own for some of the types."""
    found: Counter[str] = Counter()
    for kind, count in counts.items():
        found["unknown" if kind is UnknownEvent else str(kind.__struct_config__.tag)] += count
    return found


def _histogram(first_audio: Histogram) -> Iterator[str]:
    values: dict[str, float] = {}
    below = 0
    bounds = [f"{bound:g}" for bound in first_audio.bounds] + ["+Inf"]
    for bound, count in zip(bounds, first_audio.counts, strict=True):
        below += count
        values[f'_bucket{{le="{bound}"}}'] = below
    values |= {"_sum": first_audio.sum, "_count": below}
    help_ = "Seconds from the end of speech, or response.create, to the first audio."
    yield from _family("first_audio_seconds", "histogram", help_, values)


def _counter(name: str, help_: str, label: str, counts: Mapping[str, float]) -> Iterator[str]:
    values = {f'{{{label}="{_escaped(key)}"}}': count for key, count in sorted(counts.items())}
    return _family(f"{name}_total", "counter", help_, values)


def _family(name: str, kind: str, help_: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP duologue_{name} {help_}"
    yield f"# TYPE duologue_{name} {kind}"
    for suffix, value in values.items():
        yield f"duologue_{name}{suffix} {value:.10g}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class SessionTelemetry:
    """Counts and logs one session, while its context lasts."""

    def __init__(
        self,
        metrics: Metrics,
        statistics: SessionStatistics,
        clock: Callable[[], float],
        *,
        session_id: str,
        dialect: str,
        client: str,
    ) -> None:
        """Prepare the telemetry of a session.

        Args:
            metrics: Those of the server.
            statistics: Those of the session's core.
            clock: Returns monotonic seconds.
            session_id: `sess_…`
            dialect: The client's dialect.
            client: The client's address.
        """
        self._metrics: Final = metrics
        self._statistics: Final = statistics
        self._clock: Final = clock
        self._names: Final = {"session": session_id, "dialect": dialect, "client": client}
        self._opened_at: Final = clock()
        self._events: Final[Counter[str]] = Counter()
        self._logged_errors: Final[set[str]] = set()
        self.close_code: int = INTERNAL_ERROR
        """Close code of the connection, set when it has ended."""

    def observe(self, event: AnyReceived | AnySent) -> None:
        """Count an event of either direction."""
        kind = type(event)
        direction = "in" if kind in _FROM_CLIENTS else "out"
        self._events[direction] += 1
        self._metrics.events[direction][kind] += 1
        if kind is ga.RealtimeErrorEvent:
            self._log_new_errors()

    def __enter__(self) -> Self:
        self._metrics.session_opened(self._names["dialect"], self._statistics)
        logger.info("session opened", extra=self._names)
        return self

    def __exit__(self, *_: object) -> None:
        code = self.close_code
        statistics = self._statistics
        self._metrics.session_closed(code, statistics)
        logger.info(
            "session closed",
            extra={
                **self._names,
                "code": code,
                "seconds": round(self._clock() - self._opened_at, 3),
                "events_in": self._events["in"],
                "events_out": self._events["out"],
                "audio_in_seconds": statistics.audio_in_ms / 1000,
                "audio_out_seconds": statistics.audio_out_ms / 1000,
                "responses": statistics.responses.total(),
                "errors": dict(statistics.errors),
            },
        )

    def _log_new_errors(self) -> None:
        # One line per code: a client that repeats its mistake must not flood the log.
        for code in self._statistics.errors.keys() - self._logged_errors:
            self._logged_errors.add(code)
            logger.info("error sent", extra={"session": self._names["session"], "code": code})

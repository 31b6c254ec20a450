"""What is told of a session while it lasts and when it ends: to the log, and to the metrics.

Never what was said: an event counts by its type, audio by its length, an error by its code.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, get_args

from duologue.protocol import ga
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET, UnknownEvent, UnsetType

if TYPE_CHECKING:
    from duologue.protocol.formats import Format
    from duologue.protocol.model import Raw
    from duologue.server.connection import AnyReceived, AnySent
    from duologue.server.metrics import Metrics

__all__ = ["SessionTelemetry"]

logger: logging.Logger = logging.getLogger("duologue.server")

_FROM_CLIENTS: Final = frozenset(
    get_args(ga.KnownClientEvent) + get_args(translation.KnownTranslationClientEvent)
) | {UnknownEvent}


class SessionTelemetry:
    """Counts the events of one session."""

    def __init__(
        self, metrics: Metrics, clock: Callable[[], float], *, dialect: str, client: str
    ) -> None:
        """Begin before the first event.

        Args:
            metrics: Of the server.
            clock: Monotonic seconds.
            dialect: What the client speaks.
            client: Where it connects from.
        """
        self._metrics = metrics
        self._clock = clock
        self._dialect = dialect
        self._client = client
        self._opened_at = clock()
        self._session_id = ""
        self._asked_at: float | None = None
        self._formats = {"in": PCM16, "out": PCM16}
        self._events: Counter[str] = Counter()
        self._audio_ms: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._responses = 0

    def observe(self, event: AnyReceived | AnySent) -> None:
        """Count an event, in whichever direction it goes."""
        kind = type(event)
        direction = "in" if kind in _FROM_CLIENTS else "out"
        self._events[direction] += 1
        self._metrics.events[direction][_name(event)] += 1
        if (handler := self._HANDLERS.get(kind)) is not None:
            handler(self, event)

    def closed(self, code: int) -> None:
        """Tell how the session went.

        Args:
            code: With which the connection ended.
        """
        self._metrics.count_close(code)
        logger.info(
            "session closed",
            extra={
                "session": self._session_id,
                "dialect": self._dialect,
                "client": self._client,
                "code": code,
                "seconds": round(self._clock() - self._opened_at, 3),
                "events_in": self._events["in"],
                "events_out": self._events["out"],
                "audio_in_seconds": self._audio_ms["in"] / 1000,
                "audio_out_seconds": self._audio_ms["out"] / 1000,
                "responses": self._responses,
                "errors": dict(self._errors),
            },
        )

    def _on_created(self, event: ga.SessionCreatedEvent) -> None:
        session_id = event.session.id if not isinstance(event.session, ga.UnknownSession) else UNSET
        self._opened("" if session_id is UNSET else session_id)
        self._on_configured(event)

    def _on_translation_created(
        self, event: translation.RealtimeTranslationSessionCreatedEvent
    ) -> None:
        self._opened(event.session.id)

    def _opened(self, session_id: str) -> None:
        self._session_id = session_id
        self._metrics.sessions[self._dialect] += 1
        logger.info(
            "session opened",
            extra={"session": session_id, "dialect": self._dialect, "client": self._client},
        )

    def _on_configured(self, event: ga.SessionCreatedEvent | ga.SessionUpdatedEvent) -> None:
        session = event.session
        if isinstance(session, ga.UnknownSession) or session.audio is UNSET:
            return
        audio = session.audio
        self._formats = {
            "in": PCM16 if audio.input is UNSET else _format(audio.input.format),
            "out": PCM16 if audio.output is UNSET else _format(audio.output.format),
        }

    def _on_audio_in(
        self,
        event: ga.InputAudioBufferAppendEvent
        | translation.RealtimeTranslationInputAudioBufferAppendEvent,
    ) -> None:
        self._count_audio("in", event.audio)

    def _on_audio_out(self, event: ga.ResponseAudioDeltaEvent) -> None:
        if self._asked_at is not None:
            self._metrics.first_audio.observe(self._clock() - self._asked_at)
            self._asked_at = None
        self._count_audio("out", event.delta)

    def _on_translated_audio(
        self, event: translation.RealtimeTranslationOutputAudioDeltaEvent
    ) -> None:
        self._count_audio("out", event.delta)

    def _count_audio(self, direction: str, field: Raw) -> None:
        size = (len(memoryview(field)) - 2) * 3 // 4  # of base64, in its quotes
        ms = self._formats[direction].ms(size)
        self._audio_ms[direction] += ms
        self._metrics.audio_ms[direction] += ms

    def _on_asked(self, _event: object) -> None:
        self._asked_at = self._clock()

    def _on_response_done(self, event: ga.ResponseDoneEvent) -> None:
        self._asked_at = None
        self._responses += 1
        self._metrics.responses[str(event.response.status or "unknown")] += 1

    def _on_error(self, event: ga.RealtimeErrorEvent) -> None:
        code = event.error.code or "none"
        self._metrics.count_error(code)
        self._errors[code] += 1
        if self._errors[code] == 1:  # the others are in the count when the session closes
            logger.info("error sent", extra={"session": self._session_id, "code": code})

    _HANDLERS: ClassVar[dict[type, Callable[[SessionTelemetry, Any], None]]] = {
        ga.SessionCreatedEvent: _on_created,
        ga.SessionUpdatedEvent: _on_configured,
        ga.InputAudioBufferAppendEvent: _on_audio_in,
        ga.InputAudioBufferSpeechStoppedEvent: _on_asked,
        ga.ResponseCreateEvent: _on_asked,
        ga.ResponseAudioDeltaEvent: _on_audio_out,
        ga.ResponseDoneEvent: _on_response_done,
        ga.RealtimeErrorEvent: _on_error,
        translation.RealtimeTranslationSessionCreatedEvent: _on_translation_created,
        translation.RealtimeTranslationInputAudioBufferAppendEvent: _on_audio_in,
        translation.RealtimeTranslationOutputAudioDeltaEvent: _on_translated_audio,
    }


def _format(asked: ga.AudioFormat | UnsetType) -> Format:
    """Return how long audio of a format lasts; the default's where it is not said."""
    match asked:
        case ga.AudioPcmu():
            return G711_ULAW
        case ga.AudioPcma():
            return G711_ALAW
        case _:
            return PCM16


def _name(event: AnyReceived | AnySent) -> str:
    return "unknown" if isinstance(event, UnknownEvent) else event.type

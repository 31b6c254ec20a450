"""When nobody has said anything for too long: `idle_timeout_ms` of `server_vad`.

Time counts from the end of the last answer as its listener hears it, or of the last turn that was
not answered. All that matters for that is what the client is told, so this looks at the events as
they leave.

Source: `turn_detection.idle_timeout_ms`, `input_audio_buffer.timeout_triggered`, in the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.server.session.audio_formats import format_of, input_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["IdleTimer"]


class IdleTimer:
    """Follows a session's events, and knows when its user has been silent for too long."""

    def __init__(self) -> None:
        self._timeout: float | None = None
        self._since: float | None = None
        self._is_spoken_to = False
        self._answer_id: str | None = None
        self._format = PCM16
        self._heard_until = 0.0

    @property
    def deadline(self) -> float | None:
        """When the time is over; `None`: never, as things are."""
        if self._timeout is None or self._since is None:
            return None
        return self._since + self._timeout

    def follow(self, events: Iterable[ga.KnownServerEvent], now: float) -> None:
        """Take note of the events that are sent at `now`."""
        for event in events:
            note = self._NOTES.get(type(event))
            if note is not None:
                note(self, event, now)

    def _configured(
        self, event: ga.SessionCreatedEvent | ga.SessionUpdatedEvent, now: float
    ) -> None:
        session = event.session
        self._timeout = None
        if isinstance(session, ga.RealtimeSession):
            detection = input_of(session).turn_detection
            ms = detection.idle_timeout_ms if isinstance(detection, ga.ServerVad) else None
            self._timeout = ms / 1000 if isinstance(ms, int) else None
        if self._since is not None:
            self._since = max(self._since, now)

    def _spoken_to(self, _event: object, _now: float) -> None:
        self._since = None
        self._is_spoken_to = True

    def _turn_over(self, _event: object, now: float) -> None:
        self._is_spoken_to = False
        if self._answer_id is None:
            self._since = max(now, self._heard_until)

    def _answering(self, event: ga.ResponseCreatedEvent, _now: float) -> None:
        response = event.response
        if not isinstance(response.conversation_id, str):
            return  # out-of-band: nobody hears it
        self._since = None
        self._answer_id = response.id if isinstance(response.id, str) else None
        audio = response.audio
        self._format = format_of(
            audio.output.format if audio and audio.output else ga.AudioPcm(rate=PCM16.rate_hz)
        )

    def _speaking(self, event: ga.ResponseAudioDeltaEvent, now: float) -> None:
        if event.response_id == self._answer_id:
            size = (len(memoryview(event.delta)) - 2) * 3 // 4  # base64 in quotes
            seconds = self._format.ms(size) / 1000
            self._heard_until = max(self._heard_until, now) + seconds

    def _answered(self, event: ga.ResponseDoneEvent, now: float) -> None:
        response = event.response
        if response.id != self._answer_id:
            return
        self._answer_id = None
        if response.status == ga.ResponseStatus.CANCELLED:
            self._heard_until = now
        if not self._is_spoken_to:  # else the user interrupted it, and still speaks
            self._since = max(now, self._heard_until)

    _NOTES: ClassVar[dict[type, Callable[[IdleTimer, Any, float], None]]] = {
        ga.SessionCreatedEvent: _configured,
        ga.SessionUpdatedEvent: _configured,
        ga.InputAudioBufferSpeechStartedEvent: _spoken_to,
        ga.InputAudioBufferCommittedEvent: _turn_over,
        ga.ResponseCreatedEvent: _answering,
        ga.ResponseAudioDeltaEvent: _speaking,
        ga.ResponseDoneEvent: _answered,
    }

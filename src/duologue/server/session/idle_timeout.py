"""The idle timeout of a session: `turn_detection.idle_timeout_ms` of `server_vad`.

The time runs from the end of the last response *as the user hears it*, or from the last turn if
nothing answered it. A response is generated faster than it is played, so the timer adds up the
length of its audio: playback of a chunk begins when it is sent, or when the chunk before it ends.

Source: Realtime API reference, `turn_detection.idle_timeout_ms` and
`input_audio_buffer.timeout_triggered`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from duologue.protocol import ga

if TYPE_CHECKING:
    from duologue.protocol.ga import AudioInput

__all__ = ["IdleTimedOut", "IdleTimer"]


@dataclass(frozen=True, slots=True)
class IdleTimedOut:
    """The user has been silent for longer than the idle timeout."""


class IdleTimer:
    """Computes when the user will have been silent for too long."""

    def __init__(self) -> None:
        self._timeout: float | None = None
        self._silent_since: float | None = None
        self._user_speaks = False
        self._response_id: str | None = None
        self._played_until = 0.0

    @property
    def deadline(self) -> float | None:
        """The time at which the timeout fires; `None` if the timer does not run."""
        if self._timeout is None or self._silent_since is None:
            return None
        return self._silent_since + self._timeout

    def configure(self, audio_input: AudioInput, now: float) -> None:
        """Apply the session's configuration; a running timer starts anew."""
        detection = audio_input.turn_detection
        ms = detection.idle_timeout_ms if isinstance(detection, ga.ServerVad) else None
        self._timeout = ms / 1000 if isinstance(ms, int) else None
        if self._silent_since is not None:
            # A timeout that is set now must not have fired in the past.
            self._silent_since = max(self._silent_since, now)

    def stop(self) -> None:
        """Stop the timer for good."""
        self._timeout = None

    def speech_started(self) -> None:
        """Stop the timer: the user speaks."""
        self._silent_since = None
        self._user_speaks = True

    def turn_committed(self, now: float) -> None:
        """Start the timer, unless a response to the turn is in progress."""
        self._user_speaks = False
        if self._response_id is None:
            self._silent_since = max(now, self._played_until)

    def response_started(self, response_id: str) -> None:
        """Stop the timer while the conversation's response is generated."""
        self._silent_since = None
        self._response_id = response_id

    def audio_sent(self, response_id: str, ms: int, now: float) -> None:
        """Add audio of a response to what the user has yet to hear."""
        if response_id == self._response_id:
            self._played_until = max(self._played_until, now) + ms / 1000

    def response_ended(self, response_id: str, *, is_cancelled: bool, now: float) -> None:
        """Start the timer at the end of the response's audio."""
        if response_id != self._response_id:
            return
        self._response_id = None
        if is_cancelled:
            self._played_until = now
        if not self._user_speaks:  # an interrupted response ends while the user speaks
            self._silent_since = max(now, self._played_until)

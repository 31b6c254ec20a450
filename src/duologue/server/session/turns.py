"""server_vad: where the user's turns begin and end on the session's audio clock.

Two states, fed by one likelihood of speech per frame. Speech begins with the first of
`ONSET_FRAMES` frames in a row that reach the threshold (one alone is a click). It ends when frames
have stayed under the release threshold for the silence that the client asked for; the release lies
under the threshold because the likelihood dips inside words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from duologue.protocol.model import UNSET

if TYPE_CHECKING:
    from duologue.protocol.ga import ServerVad

__all__ = [
    "SpeechPaused",
    "SpeechResumed",
    "SpeechStarted",
    "SpeechStopped",
    "TurnChange",
    "TurnDetector",
    "TurnState",
]

ONSET_FRAMES: Final = 3
RELEASE_BELOW: Final = 0.15

PAUSE_MS: Final = 96
"""Half of the shortest silence rule in use: words take as long to find as the rest of it lasts."""


class TurnState(Enum):
    """Whether the user speaks."""

    IDLE = auto()
    SPEAKING = auto()


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak."""

    onset_ms: int
    """Start of the first frame of speech, without the prefix padding."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user's turn ended."""

    end_ms: int
    """Where the silence rule was fulfilled."""


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The user fell silent; the turn may be over soon."""

    at_ms: int
    """How far the audio of the turn goes."""


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The user goes on after a `SpeechPaused`."""


TurnChange = SpeechStarted | SpeechPaused | SpeechResumed | SpeechStopped


class TurnDetector:
    """Finds turns; one per session, fed with every frame once."""

    def __init__(self, config: ServerVad, *, frame_ms: int, notices_pauses: bool = False) -> None:
        self.config = config
        """May be changed at any time."""
        self._frame_ms = frame_ms
        self._state = TurnState.IDLE
        self._run = 0  # frames in a row that speak (IDLE) or are silent (SPEAKING)
        self._notices_pauses = notices_pauses
        self._is_paused = False

    @property
    def is_speaking(self) -> bool:
        """Whether a turn is open."""
        return self._state is TurnState.SPEAKING

    def reset(self) -> None:
        """Forget the open turn, as a commit or clear in the middle of it does."""
        self._enter(TurnState.IDLE)

    def feed(self, likelihood: float, frame_end_ms: int) -> TurnChange | None:
        """Judge the next frame.

        Args:
            likelihood: Of speech in the frame, 0 to 1.
            frame_end_ms: Where the frame ends on the session's audio clock.
        """
        threshold = _or(self.config.threshold, 0.5)
        if self._state is TurnState.IDLE:
            self._run = self._run + 1 if likelihood >= threshold else 0
            if self._run < ONSET_FRAMES:
                return None
            onset_ms = max(0, frame_end_ms - self._run * self._frame_ms)
            self._enter(TurnState.SPEAKING)
            return SpeechStarted(onset_ms)
        self._run = self._run + 1 if likelihood < threshold - RELEASE_BELOW else 0
        if self._run * self._frame_ms < _or(self.config.silence_duration_ms, 200):
            return self._pause(frame_end_ms) if self._notices_pauses else None
        self._enter(TurnState.IDLE)
        return SpeechStopped(frame_end_ms)

    def _pause(self, frame_end_ms: int) -> SpeechPaused | SpeechResumed | None:
        was_paused, self._is_paused = self._is_paused, self._run * self._frame_ms >= PAUSE_MS
        if self._is_paused and not was_paused:
            return SpeechPaused(frame_end_ms)
        return SpeechResumed() if was_paused and not self._is_paused else None

    def _enter(self, state: TurnState) -> None:
        self._state = state
        self._run = 0
        self._is_paused = False


def _or(value: float | object, default: float) -> float:
    return default if value is UNSET or not isinstance(value, int | float) else value

"""Turn detection: the beginning and end of the user's turns on the session's audio clock.

A state machine with two states processes the likelihood of speech of one frame after the other.
Speech begins with the first of `ONSET_FRAMES` frames in a row that reach the threshold: one alone
is a click. It ends when the frames have stayed below the release threshold for long enough. The
release threshold is lower than the threshold because the likelihood dips within words.

The silence that ends a turn is, under `server_vad`, the one that the client configured. Under
`semantic_vad` it is at most the time-out of its eagerness, and less if the words sound finished.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeVar

from duologue.protocol.ga import Eagerness, SemanticVad
from duologue.protocol.model import UNSET, UnsetType

if TYPE_CHECKING:
    from duologue.protocol.ga import ServerVad

__all__ = [
    "SpeechPaused",
    "SpeechResumed",
    "SpeechStarted",
    "SpeechStopped",
    "TurnChange",
    "TurnRule",
    "TurnState",
    "TurnTracker",
    "rule_of",
]

ONSET_FRAMES: Final = 3
RELEASE_SHARE: Final = 0.7
"""The release threshold, as a share of the threshold."""

PAUSE_MS: Final = 96
"""Silence after which a pause is reported: half of the shortest rule in use.

Transcribing the turn then takes about as long as the other half.
"""

LONGEST_MS: Final[dict[str, int]] = {
    Eagerness.LOW: 8000,
    Eagerness.MEDIUM: 4000,
    Eagerness.AUTO: 4000,
    Eagerness.HIGH: 2000,
}
"""The time-outs of `semantic_vad`.

Source: Realtime API reference, `turn_detection.eagerness`.
"""

SHORTEST_MS: Final = 200
"""`semantic_vad` waits at least as long as `server_vad`, even if the turn is surely over."""

WORDLESS: Final = 0.7
"""Likelihood that a turn is over if there are no words: 1.2 s of silence at medium eagerness."""


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
    """Time at which the silence had lasted long enough."""


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The user fell silent; the turn may be over soon."""

    at_ms: int
    """End of the turn's audio so far."""


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The user continues after a `SpeechPaused`."""


TurnChange = SpeechStarted | SpeechPaused | SpeechResumed | SpeechStopped


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRule:
    """Thresholds and times of turn detection."""

    threshold: float
    """Likelihood at which a frame counts as speech."""
    padding_ms: int
    """Audio before the speech that belongs to the turn."""
    silence_ms: int
    """Silence that ends a turn, unless its words end it sooner."""
    shortest_ms: int
    """Silence that is required whatever the words are."""

    def silence_after(self, likelihood: float) -> int:
        """Return the silence that ends a turn which is over with this likelihood."""
        return max(self.shortest_ms, round(self.silence_ms * (1 - likelihood)))


def rule_of(detection: ServerVad | SemanticVad, *, reads_words: bool = False) -> TurnRule:
    """Return the rule for a client's configuration.

    Args:
        detection: The session's `turn_detection`.
        reads_words: Whether the words are judged; otherwise `semantic_vad` relies on silence alone.
    """
    silence_ms = shortest_ms = _or(detection.silence_duration_ms, SHORTEST_MS)
    if isinstance(detection, SemanticVad):
        silence_ms = LONGEST_MS[_or(detection.eagerness, Eagerness.AUTO)]
        if not reads_words:
            silence_ms = round(silence_ms * (1 - WORDLESS))
    return TurnRule(
        threshold=_or(detection.threshold, 0.5),
        padding_ms=_or(detection.prefix_padding_ms, 300),
        silence_ms=silence_ms,
        shortest_ms=min(shortest_ms, silence_ms),
    )


class TurnTracker:
    """State machine that finds the turns of one session; each frame is fed once."""

    def __init__(self, rule: TurnRule, *, frame_ms: int, notices_pauses: bool = False) -> None:
        self._frame_ms = frame_ms
        self._state = TurnState.IDLE
        self._run = 0  # frames in a row that speak (IDLE) or are silent (SPEAKING)
        self._end_ms = 0
        self._is_paused = False
        self.follow(rule, notices_pauses=notices_pauses)

    def follow(self, rule: TurnRule, *, notices_pauses: bool) -> None:
        """Apply another rule, and report pauses or not; an open turn stays open."""
        self._rule = rule
        self._release = rule.threshold * RELEASE_SHARE
        self._silence_ms = rule.silence_ms
        self._notices_pauses = notices_pauses

    @property
    def is_speaking(self) -> bool:
        """Whether a turn is open."""
        return self._state is TurnState.SPEAKING

    def reset(self) -> None:
        """Forget the open turn; a commit or clear in the middle of it does that."""
        self._enter(TurnState.IDLE)

    def feed(self, likelihood: float, frame_end_ms: int) -> TurnChange | None:
        """Process the next frame.

        Args:
            likelihood: Of speech in the frame, 0 to 1.
            frame_end_ms: Where the frame ends on the session's audio clock.
        """
        self._end_ms = frame_end_ms
        if self._state is TurnState.IDLE:
            if likelihood < self._rule.threshold:
                self._run = 0
                return None
            self._run += 1
            if self._run < ONSET_FRAMES:
                return None
            onset_ms = max(0, frame_end_ms - self._run * self._frame_ms)
            self._enter(TurnState.SPEAKING)
            return SpeechStarted(onset_ms)
        if likelihood >= self._release:
            return self._resume()
        self._run += 1
        return self._stop_if_over() or self._pause()

    def expect(self, likelihood: float) -> SpeechStopped | None:
        """Apply the likelihood that the turn is over to its pause, if there is one."""
        if not self._is_paused:
            return None
        self._silence_ms = self._rule.silence_after(likelihood)
        return self._stop_if_over()

    def _stop_if_over(self) -> SpeechStopped | None:
        # The frame in which speech ends counts as speech, although half of it is silent on average.
        frames_needed = max(1, -(-(self._silence_ms - self._frame_ms // 2) // self._frame_ms))
        frames_over = self._run - frames_needed
        if frames_over < 0:
            return None
        self._enter(TurnState.IDLE)
        return SpeechStopped(self._end_ms - frames_over * self._frame_ms)

    def _pause(self) -> SpeechPaused | None:
        if self._is_paused or self._run * self._frame_ms < PAUSE_MS:
            return None
        self._is_paused = True
        return SpeechPaused(self._end_ms) if self._notices_pauses else None

    def _resume(self) -> SpeechResumed | None:
        was_paused = self._is_paused
        self._enter(TurnState.SPEAKING)
        return SpeechResumed() if was_paused and self._notices_pauses else None

    def _enter(self, state: TurnState) -> None:
        self._state = state
        self._run = 0
        self._is_paused = False
        self._silence_ms = self._rule.silence_ms


T = TypeVar("T")


def _or(value: T | UnsetType, default: T) -> T:
    return default if value is UNSET else value

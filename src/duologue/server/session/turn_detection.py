"""Where the user's turns begin and end on the session's audio clock.

Two states, fed by one likelihood of speech per frame. Speech begins with the first of
`ONSET_FRAMES` frames in a row that reach the threshold (one alone is a click). It ends when frames
have stayed under the release threshold for long enough; the release lies under the threshold
because the likelihood dips inside words.

How long that is: under `server_vad` what the client asked for; under `semantic_vad` at most the
time-out of its eagerness, and less when the words heard so far sound finished.
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
"""Of the threshold: a likelihood under it is silence."""

PAUSE_MS: Final = 96
"""Half of the shortest silence rule in use: words take as long to find as the rest of it lasts."""

LONGEST_MS: Final[dict[str, int]] = {
    Eagerness.LOW: 8000,
    Eagerness.MEDIUM: 4000,
    Eagerness.AUTO: 4000,
    Eagerness.HIGH: 2000,
}
"""The time-outs of `semantic_vad`.

Source: `turn_detection.eagerness`, in the reference.
"""

SHORTEST_MS: Final = 200
"""`semantic_vad` waits as long as `server_vad` even when the turn is surely over."""

WORDLESS: Final = 0.7
"""The likelihood that a turn is over when no words tell: 1.2 s of silence at medium eagerness."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRule:
    """What counts as speech, and which silence ends a turn."""

    threshold: float
    """Likelihood from which a frame is speech."""
    padding_ms: int
    """Audio that belongs to a turn from before its speech."""
    silence_ms: int
    """Silence that ends a turn, unless the words end it sooner."""
    shortest_ms: int
    """Silence that there must be whatever the words say."""

    def silence_after(self, likelihood: float) -> int:
        """Return how much silence ends a turn that is over with this likelihood."""
        return max(self.shortest_ms, round(self.silence_ms * (1 - likelihood)))


def rule_of(detection: ServerVad | SemanticVad, *, reads_words: bool = False) -> TurnRule:
    """Return what a client's configuration means.

    Args:
        detection: The `turn_detection` of the session.
        reads_words: Whether somebody judges the words; else `semantic_vad` is silence alone.
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
    """Finds turns; one per session, fed with every frame once."""

    def __init__(self, rule: TurnRule, *, frame_ms: int, notices_pauses: bool = False) -> None:
        self._frame_ms = frame_ms
        self._state = TurnState.IDLE
        self._run = 0  # frames in a row that speak (IDLE) or are silent (SPEAKING)
        self._end_ms = 0
        self._is_paused = False
        self.follow(rule, notices_pauses=notices_pauses)

    def follow(self, rule: TurnRule, *, notices_pauses: bool) -> None:
        """Go by a rule from now on, and tell of pauses or not; an open turn goes on."""
        self._rule = rule
        self._release = rule.threshold * RELEASE_SHARE
        self._silence_ms = rule.silence_ms
        self._notices_pauses = notices_pauses

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
        """Judge the pause anew, if there is one: the turn is over with this likelihood."""
        if not self._is_paused:
            return None
        self._silence_ms = self._rule.silence_after(likelihood)
        return self._stop_if_over()

    def _stop_if_over(self) -> SpeechStopped | None:
        # The frame in which speech ends counts as speech, though half of it is silent on average.
        frames_asked = max(1, -(-(self._silence_ms - self._frame_ms // 2) // self._frame_ms))
        frames_over = self._run - frames_asked
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

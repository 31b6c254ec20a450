"""Decisions of a voice conversation, without I/O: events and frames in, actions out.

`now` is the time on the microphone's clock, in seconds. Each frame of the microphone is a method
call, so no timer is needed: what is due is decided with the next frame.

Speech over a reply is handled in one of three ways. By default turn detection has cancelled the
response, and playback stops at once. If the policy has a backchannel, the speech becomes a
candidate: playback is quieter until the candidate turns out to be an interruption (it lasts too
long, or has other words) or a backchannel (it has ended before). With `text`, speech is only
answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

from duologue.session.retention import remember

if TYPE_CHECKING:
    from duologue.devices.policy import VoicePolicy

__all__ = [
    "Action",
    "BackchannelHeard",
    "EchoHeard",
    "Gate",
    "Playback",
    "ReplyAskedAgain",
    "Request",
    "StopReply",
    "VoiceLoop",
]

WORDS_SECONDS: Final = 1.5
"""Time to wait for the words of a short stretch of speech; without them it is an interruption."""

MIN_COMMIT_MS: Final = 100
"""Least audio that can be committed (API reference, `input_audio_buffer.commit`)."""

LOUD_DB: Final = -50.0
"""Level above which the user may be speaking; quiet rooms are at -60 and below."""

LOUD_ABOVE_FLOOR_DB: Final = 10.0
FLOOR_RISE_DB: Final = 1.0
"""Rise of the noise floor per second, when a room becomes louder."""

SYLLABLE_SECONDS: Final = 0.25
"""A quiet part that is shorter does not end a stretch of speech."""

ONSET_SECONDS: Final = 1.0
"""Speech that was loud before turn detection noticed it counts from its onset, up to this long."""

MAX_TURNS: Final = 64


class Gate(Enum):
    """Treatment of the microphone's audio."""

    OPEN = auto()
    """It is sent."""
    SILENT = auto()
    """Silence is sent, so that turn detection goes on."""
    CLOSED = auto()
    """Nothing is sent; the last part is kept as pre-roll."""


class Playback(Enum):
    """Treatment of the reply while it is unclear whether it was interrupted."""

    NORMAL = auto()
    DUCKED = auto()
    PAUSED = auto()


class Request(Enum):
    """Events to send."""

    SEND_PRE_ROLL = auto()
    COMMIT = auto()
    CLEAR = auto()
    RESPONSE = auto()


@dataclass(frozen=True, slots=True)
class StopReply:
    """Stop the playback, and cut the items to what was heard."""

    cancels: bool
    """Whether to cancel the response first: turn detection does not."""


@dataclass(frozen=True, slots=True)
class BackchannelHeard:
    """The user spoke over the assistant, which goes on."""

    item_id: str
    """Id of the user's message."""
    words: str | None
    """Its transcript, if it was waited for."""


@dataclass(frozen=True, slots=True)
class EchoHeard:
    """The microphone hears the assistant."""

    is_half_duplex: bool
    """Whether the microphone is silent from now on while the assistant speaks."""


@dataclass(frozen=True, slots=True)
class ReplyAskedAgain:
    """The server cancelled a response although nobody interrupted it; the rest is requested."""


Action: TypeAlias = Playback | Request | StopReply | BackchannelHeard | EchoHeard | ReplyAskedAgain


@dataclass(slots=True)
class _Candidate:
    """Speech over the assistant that may be an interruption."""

    item_id: str
    since: float
    words: str | None = None
    words_deadline: float | None = None
    """Set once the speech has ended."""
    is_committed: bool = False


class VoiceLoop:
    """State of a voice conversation.

    Args:
        policy: The choices.
        cancels_echo: Whether the microphone's audio comes without the assistant's voice.
    """

    def __init__(self, policy: VoicePolicy, *, cancels_echo: bool = False) -> None:
        self._policy: Final = policy
        self._cancels_echo: Final = cancels_echo
        self.is_muted: bool = policy.starts_muted
        """Whether the user has muted the microphone."""
        self.is_half_duplex: bool = policy.echo == "half_duplex"
        """Whether the microphone is silent while the assistant speaks."""
        self._is_pressed = False
        self._has_reported_echo = False
        self._active: Final[dict[str, None]] = {}  # responses in progress, by id
        self._candidate: _Candidate | None = None
        self._unanswered: Final[dict[str, None]] = {}  # messages that need no response, by id
        self._was_cancelled = False  # whether a response was, while there was a candidate
        self._ignores_cancellation = False  # whether turn detection has cancelled it for an echo
        self._last_frame = 0.0
        self._floor = LOUD_DB
        self._is_loud = False
        self._loud_since: float | None = None
        self._last_loud = 0.0
        self._awaits_response = False  # whether one was requested that has not begun

    # The microphone.

    def frame(
        self, level: float, now: float, *, silent_seconds: float
    ) -> tuple[Gate, list[Action]]:
        """Process a frame of the microphone; return its treatment, and what is due.

        Args:
            level: Its level in dB.
            now: The time at its end.
            silent_seconds: Time since the assistant was last audible; 0 while it is.
        """
        self._measure(level, now)
        gate = self._gate(silent_seconds)
        candidate, backchannel = self._candidate, self._policy.backchannel
        if candidate is None or backchannel is None:
            return gate, []
        deadline = candidate.words_deadline
        if deadline is not None:
            return gate, self._interrupt() if now >= deadline else []
        lasts = now - candidate.since >= backchannel.max_ms / 1000
        return gate, self._interrupt() if lasts and self._is_loud else []

    def press(self) -> list[Action]:
        """Begin the user's turn; without push to talk only stop the reply."""
        stops = self._stop(cancels=True)
        if self._policy.interrupted_by != "push_to_talk" or self._is_pressed:
            return stops
        self._is_pressed = True
        return [*stops, Request.SEND_PRE_ROLL]

    def release(self, sent_ms: float) -> list[Action]:
        """End the user's turn.

        Args:
            sent_ms: Audio of the turn that was sent; too short a turn is discarded.
        """
        if not self._is_pressed:
            return []
        self._is_pressed = False
        if sent_ms < MIN_COMMIT_MS:
            return [Request.CLEAR]
        return [Request.COMMIT, *self._respond()]

    def interrupt(self) -> list[Action]:
        """Stop the reply: the application wants it, or the user has typed something."""
        self._candidate = None
        self._ignores_cancellation = False
        return self._stop(cancels=True)

    def echo(self) -> list[Action]:
        """Process that the microphone hears the assistant, and no user."""
        actions = self._settle_as_backchannel(reports=False) if self._candidate else []
        if self._policy.echo == "auto" and not self._cancels_echo:
            self.is_half_duplex = True
        if not self._has_reported_echo:
            self._has_reported_echo = True
            actions.append(EchoHeard(is_half_duplex=self.is_half_duplex))
        return actions

    # Turn detection.

    def echo_started(self, item_id: str) -> list[Action]:
        """Process that turn detection takes the assistant's own voice for speech."""
        remember(self._unanswered, item_id, None, MAX_TURNS)
        actions = self.echo()
        self._ignores_cancellation = True
        return [*actions, Request.CLEAR]

    def speech_started(self, item_id: str, now: float, *, is_playing: bool) -> list[Action]:
        """Process that turn detection has found speech.

        Args:
            item_id: The message that it becomes.
            now: The time.
            is_playing: Whether the assistant is audible, or will be.
        """
        self._ignores_cancellation = False
        if not self._policy.manages_responses:
            return self._stop(cancels=False)
        if self._policy.backchannel is None:
            return []
        if self._candidate is not None:  # the user goes on
            return self._interrupt()
        if is_playing:
            self._candidate = _Candidate(item_id, self._onset(now))
            self._was_cancelled = False
            return [self._meanwhile()]
        return self._stop(cancels=True) if self._active or self._awaits_response else []

    def speech_stopped(self, item_id: str, now: float) -> list[Action]:
        """Process the end of the speech that turn detection has found."""
        candidate, backchannel = self._candidate, self._policy.backchannel
        if candidate is None or backchannel is None or candidate.item_id != item_id:
            return []
        candidate.words_deadline = now + WORDS_SECONDS
        if backchannel.words:
            return []  # its words decide
        return self._settle_as_backchannel()

    def committed(self, item_id: str) -> list[Action]:
        """Process that the user's turn is a message: it needs a response."""
        if not self._policy.manages_responses:
            return []
        if self._candidate is not None and self._candidate.item_id == item_id:
            self._candidate.is_committed = True
            return []
        if item_id in self._unanswered:
            del self._unanswered[item_id]
            return []
        return self._respond()

    def user_words(self, item_id: str, words: str, *, is_final: bool) -> list[Action]:
        """Process the words of the user's turn so far."""
        candidate, backchannel = self._candidate, self._policy.backchannel
        if candidate is None or backchannel is None or candidate.item_id != item_id:
            return []
        if not backchannel.words:
            return []
        candidate.words = words
        found = _words(words)
        complete = found if is_final else found[:-1]  # the last may go on
        allowed = {word.casefold() for word in backchannel.words}
        if any(word not in allowed for word in complete):
            return self._interrupt()
        return self._settle_as_backchannel() if is_final else []

    # Responses.

    def response_began(self, response_id: str) -> None:
        """Process that a response of the conversation has begun."""
        self._awaits_response = False
        remember(self._active, response_id, None, MAX_TURNS)

    def response_ended(self, response_id: str, *, is_cancelled: bool) -> list[Action]:
        """Process its end."""
        self._active.pop(response_id, None)
        if is_cancelled and self._ignores_cancellation:
            return self._ask_again()
        self._was_cancelled |= is_cancelled and self._candidate is not None
        return []

    def reconnected(self) -> list[Action]:
        """Process that a new session continues the conversation."""
        self._active.clear()
        self._candidate = None
        return [Playback.NORMAL]

    # Decisions.

    def _gate(self, silent_seconds: float) -> Gate:
        policy = self._policy
        if policy.interrupted_by == "push_to_talk" and not self._is_pressed:
            return Gate.CLOSED
        is_echo = self.is_half_duplex and silent_seconds < policy.echo_tail_ms / 1000
        return Gate.SILENT if self.is_muted or is_echo else Gate.OPEN

    def _respond(self) -> list[Action]:
        self._awaits_response = True
        return [Request.RESPONSE]

    def _stop(self, *, cancels: bool) -> list[Action]:
        self._awaits_response = False
        return [StopReply(cancels), Playback.NORMAL]

    def _interrupt(self) -> list[Action]:
        """Decide that the candidate is an interruption."""
        candidate, self._candidate = self._candidate, None
        actions = self._stop(cancels=True)
        if candidate is not None and candidate.is_committed:
            actions += self._respond()
        return actions

    def _settle_as_backchannel(self, *, reports: bool = True) -> list[Action]:
        candidate, self._candidate = self._candidate, None
        if candidate is None:
            raise AssertionError("there is no candidate to settle")
        if not candidate.is_committed:
            remember(self._unanswered, candidate.item_id, None, MAX_TURNS)
        actions: list[Action] = [Playback.NORMAL]
        if reports:
            actions.append(BackchannelHeard(candidate.item_id, candidate.words))
        if self._was_cancelled:
            actions += self._ask_again()
        return actions

    def _ask_again(self) -> list[Action]:
        self._was_cancelled = self._ignores_cancellation = False
        return [ReplyAskedAgain(), *self._respond()]

    def _meanwhile(self) -> Playback:
        backchannel = self._policy.backchannel
        kinds = {"duck": Playback.DUCKED, "pause": Playback.PAUSED, "play": Playback.NORMAL}
        return Playback.NORMAL if backchannel is None else kinds[backchannel.meanwhile]

    def _measure(self, level: float, now: float) -> None:
        """Follow the noise floor, and note since when the user is loud."""
        self._floor = min(level, self._floor + FLOOR_RISE_DB * (now - self._last_frame))
        self._last_frame = now
        self._is_loud = level >= max(LOUD_DB, self._floor + LOUD_ABOVE_FLOOR_DB)
        if self._is_loud:
            self._last_loud = now
            self._loud_since = now if self._loud_since is None else self._loud_since
        elif now - self._last_loud > SYLLABLE_SECONDS:
            self._loud_since = None

    def _onset(self, now: float) -> float:
        return now if self._loud_since is None else max(self._loud_since, now - ONSET_SECONDS)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())

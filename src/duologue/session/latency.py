"""Latency of each turn: the times from the end of the user's speech to the answer's first audio.

A turn is one input of the user with the responses to it: more than one if the model calls tools. It
begins when the server reports the end of the speech, when the client commits (push to talk), or
when it requests a response (text). The server reports the end of the speech after the silence that
its turn detection waits for, `silence_duration_ms`, which is therefore not included.

All times are in monotonic seconds: when an event arrived, or was sent. The first delta of a
response, and its first audio, are noted once; the deltas after them do not come here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from duologue.session.retention import remember

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "LatencyReport",
    "LatencyTracker",
    "ResponseLatency",
    "Stage",
    "TurnLatency",
]

MAX_TURNS: Final = 256
"""Turns that are remembered."""

MAX_RESPONSES_PER_TURN: Final = 32
"""Responses of one turn; a chain of tool calls that is longer goes on as another turn."""

MAX_OPEN: Final = 64
"""Responses in progress that are watched; usually there is one."""

Stage: TypeAlias = Literal[
    "to_commit", "to_response", "to_first_delta", "to_first_audio", "to_done"
]
"""A property of `TurnLatency`: seconds from the turn's start to a moment in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseLatency:
    """Times of one response, in monotonic seconds; `None`: that did not happen, or not yet."""

    response_id: str
    requested: float | None = None
    """`response.create` was sent; `None` if the server began the response by itself."""
    created: float
    """`response.created` arrived."""
    first_delta: float | None = None
    """The first delta of text, transcript, audio or arguments arrived."""
    first_audio: float | None = None
    """The first audio arrived; with WebRTC or a telephone: its playback started."""
    done: float | None = None
    """`response.done` arrived."""
    status: str | None = None
    """Status of the response when it was done, such as `completed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnLatency:
    """Times of one turn, in monotonic seconds, and the seconds between them."""

    speech_stopped: float | None = None
    """The server reported the end of the speech; `None` without turn detection."""
    commit_sent: float | None = None
    """`input_audio_buffer.commit` was sent; `None` if turn detection committed."""
    committed: float | None = None
    """`input_audio_buffer.committed` arrived; `None` for text."""
    responses: tuple[ResponseLatency, ...] = ()
    """The responses, in order: the second and further ones follow the calls of tools."""

    @property
    def start(self) -> float:
        """Start of the turn: end of the speech, the commit, or the request."""
        first = self.responses[0] if self.responses else None
        times = [self.speech_stopped, self.commit_sent, self.committed]
        times += [] if first is None else [first.requested, first.created]
        return next((time for time in times if time is not None), math.nan)

    @property
    def to_commit(self) -> float | None:
        """Seconds to `input_audio_buffer.committed`."""
        return self._since_start([self.committed])

    @property
    def to_response(self) -> float | None:
        """Seconds to the first `response.created`."""
        return self._since_start(response.created for response in self.responses)

    @property
    def to_first_delta(self) -> float | None:
        """Seconds to the first delta of any response."""
        return self._since_start(response.first_delta for response in self.responses)

    @property
    def to_first_audio(self) -> float | None:
        """Seconds to the first audio of any response."""
        return self._since_start(response.first_audio for response in self.responses)

    @property
    def to_done(self) -> float | None:
        """Seconds to the end of the last response so far."""
        return self._since_start(response.done for response in self.responses[-1:])

    def _since_start(self, times: Iterable[float | None]) -> float | None:
        time = next((time for time in times if time is not None), None)
        return None if time is None else time - self.start


@dataclass(frozen=True, slots=True)
class LatencyReport:
    """Latency of a client's turns, over all its connections."""

    turns: tuple[TurnLatency, ...]
    """The last 256 turns that a response has begun for, oldest first. Those in progress are as they
    were when the report was made."""

    def values(self, stage: Stage = "to_first_audio") -> list[float]:
        """Return the seconds to a stage, of the turns that have reached it."""
        found = (getattr(turn, stage) for turn in self.turns)
        return [seconds for seconds in found if seconds is not None]

    def percentile(self, percent: float, stage: Stage = "to_first_audio") -> float | None:
        """Return the seconds that this percentage of the turns does not exceed.

        Args:
            percent: From 0 to 100; 50 is the median.
            stage: The property of `TurnLatency` to read.

        Returns:
            The value of a turn (the nearest rank); `None` if no turn has reached the stage.
        """
        ordered = sorted(self.values(stage))
        rank = max(1, math.ceil(percent / 100 * len(ordered)))
        return ordered[min(rank, len(ordered)) - 1] if ordered else None


class LatencyTracker:
    """Notes the times of a client's turns."""

    def __init__(self) -> None:
        self._turns: Final[dict[int, TurnLatency]] = {}
        self._open: Final[dict[str, int]] = {}
        """Turns of the responses in progress, by response id."""
        self._input: TurnLatency | None = None
        """The user's input that no response has begun for."""
        self._count = 0
        self._last: int | None = None
        """The latest turn of the conversation, which the response after a tool belongs to."""

    def report(self) -> LatencyReport:
        """Return the turns so far."""
        return LatencyReport(tuple(self._turns.values()))

    def turn_of(self, response_id: str) -> tuple[int, TurnLatency] | None:
        """Return the number and the times of the turn of a response in progress."""
        number = self._open.get(response_id)
        turn = None if number is None else self._turns.get(number)
        return None if number is None or turn is None else (number, turn)

    def turn(self, number: int) -> TurnLatency | None:
        """Return the times of a turn by its number."""
        return self._turns.get(number)

    def on_speech_stopped(self, now: float) -> None:
        """Note the end of the user's speech."""
        self._input = TurnLatency(speech_stopped=now)

    def on_commit_sent(self, now: float) -> None:
        """Note that the client commits the user's audio."""
        before = self._input
        if before is None or before.committed is not None:
            before = TurnLatency()
        self._input = replace(before, commit_sent=now)

    def on_committed(self, now: float) -> None:
        """Note that the server has committed the user's audio."""
        before = self._input
        if before is None or before.committed is not None:
            before = TurnLatency()
        self._input = replace(before, committed=now)

    def on_created(
        self,
        response_id: str,
        now: float,
        *,
        requested: float | None,
        is_follow_up: bool = False,
        is_out_of_band: bool = False,
    ) -> None:
        """Begin a response.

        Args:
            response_id: The response.
            now: Monotonic seconds.
            requested: When it was requested; `None`: it was not.
            is_follow_up: Whether it follows the calls of the response before.
            is_out_of_band: Whether it is outside the conversation, and so not to the user's input.
        """
        if response_id in self._open:  # announced twice
            return
        response = ResponseLatency(response_id=response_id, requested=requested, created=now)
        number = None if is_out_of_band else self._continued(is_follow_up=is_follow_up)
        turn = TurnLatency() if number is None else self._turns[number]
        if number is None:
            self._count += 1
            number = self._count
        if not is_out_of_band:
            self._last = number
            if self._input is not None and self._has_input():
                turn, self._input = self._input, None
        turn = replace(turn, responses=(*turn.responses, response))
        remember(self._turns, number, turn, MAX_TURNS)
        remember(self._open, response_id, number, MAX_OPEN)

    def on_delta(self, response_id: str, now: float, *, is_audio: bool) -> None:
        """Note the first delta of a response, and its first audio."""
        response = self._find(response_id)
        if response is None:
            return
        if response.first_delta is None:
            response = replace(response, first_delta=now)
        if is_audio and response.first_audio is None:
            response = replace(response, first_audio=now)
        self._put(response)

    def on_playback_started(self, response_id: str, now: float) -> None:
        """Note that the audio of a response, which travels another way, is being played."""
        self.on_delta(response_id, now, is_audio=True)

    def on_done(self, response_id: str, status: str | None, now: float) -> None:
        """End a response."""
        response = self._find(response_id)
        if response is not None:
            self._put(replace(response, done=now, status=status))
            del self._open[response_id]

    def on_suspended(self) -> None:
        """Process the loss of a connection: its responses do not go on, but the turn may."""
        self._open.clear()

    def on_end(self) -> None:
        """Process the end of a session: nothing of it goes on in the next."""
        self._open.clear()
        self._input = self._last = None

    def awaits(self, *, is_audio: bool) -> bool:
        """Return whether a response in progress still lacks its first delta, or its first audio."""
        found = (self._find(response_id) for response_id in self._open)
        times = (r.first_audio if is_audio else r.first_delta for r in found if r is not None)
        return any(time is None for time in times)

    def _has_input(self) -> bool:
        """Return whether there is input that has reached the server."""
        user = self._input
        if user is None:
            return False
        return user.speech_stopped is not None or user.committed is not None

    def _continued(self, *, is_follow_up: bool) -> int | None:
        """Return the turn that a response continues, if it is not the first one of its turn."""
        last = self._last
        if not is_follow_up or self._has_input() or last is None or last not in self._turns:
            return None
        return last if len(self._turns[last].responses) < MAX_RESPONSES_PER_TURN else None

    def _find(self, response_id: str) -> ResponseLatency | None:
        found = self.turn_of(response_id)
        responses = () if found is None else found[1].responses
        return next((r for r in reversed(responses) if r.response_id == response_id), None)

    def _put(self, response: ResponseLatency) -> None:
        number = self._open[response.response_id]
        turn = self._turns[number]
        changed = (
            response if each.response_id == response.response_id else each
            for each in turn.responses
        )
        self._turns[number] = replace(turn, responses=tuple(changed))

"""Calls of the application's tools: each runs once and is answered once; one response follows.

A call is complete when its output item is done, at the latest when its response is done (some
servers announce it only there). It may be answered before its response has ended. The next response
is due when the response has ended and every call that it made is answered: one response per answer
would be refused, because the first would still be in progress. It is not requested while the user
speaks: the response to the user's turn uses the outputs, too.

A call of a background tool is answered at once, so that the conversation goes on; its result
becomes a message of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Literal

from duologue.protocol.ga import (
    FunctionCall,
    FunctionCallOutput,
    InputText,
    Item,
    Message,
    RealtimeSession,
    ResponseCreateEvent,
    ResponseCreateParams,
    ToolChoiceMode,
)
from duologue.protocol.model import UNSET
from duologue.session.retention import remember

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.protocol.ga import Response, Session

__all__ = ["OnInterrupt", "ToolCall", "ToolCalls", "ToolPolicy", "next_response"]

MAX_CALLS: Final = 1024
"""Calls that are remembered, so that none runs twice: hours of conversation."""

MAX_ROUNDS: Final = 64
"""Responses with unanswered calls that are remembered: usually there is one."""

SPEECH_TIMEOUT: Final = 5.0
"""Seconds without input audio after which the user's turn is over, whatever the server says.

A user who mutes in the middle of speech leaves the server's turn detection waiting for ever.
"""

UNHEARD_SPEECH_TIMEOUT: Final = 60.0
"""The same where the audio does not come through us (WebRTC, telephone): no turn lasts longer."""

PATIENCE: Final = 3.0
"""Seconds after the user's turn within which the server begins its response, if it does at all."""

STARTED: Final = '{"status":"started"}'
"""Output of a call whose result follows later."""

INTERRUPTED: Final = '{"error":"cancelled: the user interrupted"}'
"""Output of a call that was cancelled."""

_CUT: Final = frozenset({"cancelled", "failed"})
"""Statuses of a response after which no further response is requested: the user interrupted."""

_FREE: Final = (UNSET, ToolChoiceMode.AUTO, ToolChoiceMode.NONE)
"""Tool choices that do not force a call."""

OnInterrupt = Literal["finish", "cancel"]
"""Fate of a call that runs when the user interrupts: it finishes, or is cancelled."""


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Rules for answering the calls of a tool."""

    responds: bool = True
    """Whether a response is requested once the calls are answered."""
    on_interrupt: OnInterrupt = "finish"
    is_background: bool = False
    """Whether the output is `STARTED`, and the result follows as a message."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call for the application to run."""

    call_id: str
    name: str
    arguments: str
    """JSON, unless the model made a mistake."""
    response_id: str
    item: FunctionCall
    """The call as the server sent it."""


class _State(Enum):
    RUNNING = auto()
    STARTED = auto()
    """Answered; its result is still to come."""
    OVER = auto()


@dataclass(slots=True)
class _Call:
    name: str
    response_id: str
    policy: ToolPolicy
    state: _State = _State.RUNNING


@dataclass(slots=True)
class _Round:
    """The calls of one response."""

    unanswered: set[str] = field(default_factory=set[str])
    wants_response: bool = False
    ended_as: str | None = None


class ToolCalls:
    """The calls of a session.

    Args:
        is_ours: Returns whether the calls of a tool, by its name, are ours to run.
        policy_of: Returns the policy of a tool by its name.
        run: Called with each call to run, once.
        cancel: Called with the id of each call whose handler is to be stopped.
        send_item: Called with each item to add to the conversation.
        respond: Called when the next response is due, with the ids of those that it continues.
    """

    def __init__(
        self,
        *,
        is_ours: Callable[[str], bool],
        policy_of: Callable[[str], ToolPolicy],
        run: Callable[[ToolCall], None],
        cancel: Callable[[str], None],
        send_item: Callable[[Item], None],
        respond: Callable[[list[str]], None],
    ) -> None:
        self.deadline: float | None = None
        """When `expire` is due."""
        self._is_ours: Final = is_ours
        self._policy_of: Final = policy_of
        self._run: Final = run
        self._cancel: Final = cancel
        self._send_item: Final = send_item
        self._respond: Final = respond
        self._calls: Final[dict[str, _Call]] = {}
        self._rounds: Final[dict[str, _Round]] = {}
        self._unconfirmed: Final[dict[str, None]] = {}
        """Calls whose output the server has not added yet: a response may begin without it."""
        self._continues: list[str] = []
        """The responses that the next one continues, if it is due."""
        self._is_due = False
        self._is_users_turn = False
        self._speaks_since: float | None = None

    def is_continued(self, response_id: str) -> bool:
        """Return whether another response is to continue this one, after its calls' answers."""
        return response_id in self._rounds or response_id in self._continues

    def add(self, item: FunctionCall, response_id: str) -> None:
        """Run a call that a response made, if it is ours, complete, and has not been run."""
        call_id = item.call_id
        if not isinstance(call_id, str) or call_id in self._calls or not self._is_ours(item.name):
            return
        if item.status not in {"completed", UNSET}:
            return
        call = _Call(item.name, response_id, self._policy_of(item.name))
        remember(self._calls, call_id, call, MAX_CALLS)
        round_ = self._rounds.get(response_id)
        if round_ is None:
            round_ = remember(self._rounds, response_id, _Round(), MAX_ROUNDS)
        round_.unanswered.add(call_id)
        self._run(ToolCall(call_id, item.name, item.arguments, response_id, item))
        if call.policy.is_background:
            call.state = _State.STARTED
            self._answer(call_id, call, STARTED)
            self._respond_if_due()

    def answer(self, call_id: str, output: str) -> None:
        """Record a call's result; ignored if the call is already finished."""
        call = self._calls.get(call_id)
        if call is None or call.state is _State.OVER:
            return
        if call.state is _State.RUNNING:
            self._answer(call_id, call, output)
        else:
            self._deliver(call_id, call, output)
        call.state = _State.OVER
        self._respond_if_due()

    def end_turn(self) -> None:
        """Count the user's turn as over and answered: request the next response if it is due."""
        self._is_users_turn, self._speaks_since, self.deadline = False, None, None
        self._respond_if_due()

    def expire(self, now: float, *, audio_at: float | None) -> None:
        """Stop waiting for the end of the user's speech, or for the response to it.

        Args:
            now: Monotonic seconds.
            audio_at: When input audio was last appended; `None`: never.
        """
        if self._speaks_since is not None:
            until = self._speaks_since + UNHEARD_SPEECH_TIMEOUT
            if audio_at is not None:
                until = audio_at + SPEECH_TIMEOUT
            if now < until:
                self.deadline = until
                return
        self.end_turn()

    def on_speech_started(self, now: float) -> None:
        """Hold the next response back while the user speaks; cancel calls whose policy says so."""
        self._is_users_turn, self._speaks_since = True, now
        self.deadline = now + SPEECH_TIMEOUT
        for call_id in [i for i, c in self._calls.items() if c.state is _State.RUNNING]:
            self._interrupt(call_id)

    def on_turn_ended(self, now: float, *, is_answered: bool) -> None:
        """Go on after the user's turn.

        Args:
            now: Monotonic seconds.
            is_answered: Whether the server begins a response to the turn by itself. That response
                uses the outputs, so it is given `PATIENCE` seconds to begin.
        """
        self._speaks_since = None
        if is_answered and self._is_users_turn:
            self.deadline = now + PATIENCE
        else:
            self.end_turn()

    def on_output_added(self, output: FunctionCallOutput) -> None:
        """Record that the server has added the output of a call."""
        self._unconfirmed.pop(output.call_id, None)

    def on_response_created(self) -> None:
        """Count the response to the user's turn as the one that uses the outputs."""
        if self._is_users_turn:
            # An output that the server had not added when it began came too late for it.
            self._is_due = self._is_due and bool(self._unconfirmed)
            if not self._is_due:
                self._continues.clear()
            self.end_turn()

    def on_response_done(self, response: Response) -> None:
        """Request the next response if all calls of this one are answered."""
        response_id = response.id or ""
        round_ = self._rounds.get(response_id)
        if round_ is None:
            return
        round_.ended_as = response.status or "completed"
        if round_.ended_as == "cancelled":
            for call_id in list(round_.unanswered):
                self._interrupt(call_id)
        self._close(response_id, round_)
        self._respond_if_due()

    def on_response_lost(self, response_id: str) -> None:
        """Go on without the end of a response, which the server does not send."""
        round_ = self._rounds.get(response_id)
        if round_ is not None:
            round_.ended_as = "incomplete"
            self._close(response_id, round_)
            self._respond_if_due()

    def _interrupt(self, call_id: str) -> None:
        """Cancel a running call, if that is its tool's policy."""
        call = self._calls.get(call_id)
        if call is None or call.policy.on_interrupt != "cancel":
            return
        self._cancel(call_id)
        self.answer(call_id, INTERRUPTED)

    def _answer(self, call_id: str, call: _Call, output: str) -> None:
        self._send_item(FunctionCallOutput(call_id=call_id, output=output))
        remember(self._unconfirmed, call_id, None, MAX_CALLS)
        round_ = self._rounds.get(call.response_id)
        if round_ is not None:
            round_.unanswered.discard(call_id)
            round_.wants_response = round_.wants_response or call.policy.responds
            self._close(call.response_id, round_)

    def _deliver(self, call_id: str, call: _Call, output: str) -> None:
        """Send the result of a background call, whose output item exists already."""
        text = f"The tool {call.name}, called as {call_id}, has finished: {output}"
        self._send_item(Message(role="system", content=[InputText(text=text)]))
        self._is_due = self._is_due or call.policy.responds

    def _close(self, response_id: str, round_: _Round) -> None:
        """Forget the calls of a response once it has ended and all are answered."""
        if round_.unanswered or round_.ended_as is None:
            return
        self._rounds.pop(response_id, None)  # closed already if its last call was interrupted
        if round_.wants_response and round_.ended_as not in _CUT:
            self._is_due = True
            self._continues.append(response_id)

    def _respond_if_due(self) -> None:
        if self._is_due and not self._is_users_turn:
            self._is_due = False
            continued, self._continues = self._continues, []
            self._respond(continued)


def next_response(session: Session | None) -> ResponseCreateEvent:
    """Return the `response.create` that follows the outputs of tools.

    Where the session forces a call, this response may answer in words: otherwise calls would follow
    calls for ever.
    """
    choice = session.tool_choice if isinstance(session, RealtimeSession) else UNSET
    if any(choice == free for free in _FREE):  # the server's value may not be hashable
        return ResponseCreateEvent()
    return ResponseCreateEvent(response=ResponseCreateParams(tool_choice=ToolChoiceMode.AUTO))

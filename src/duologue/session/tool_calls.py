"""Calls of the application's tools: each is run once and answered once, then one response follows.

A call is whole when its output item is done, or by its response's end at the latest (some servers
tell of it there alone); it may be answered before its response ends. The next
response is due when the response has ended and every call that it made is answered: a response for
each answer would be refused, for the first would still be in progress. It is not asked for while
the user speaks: the response to the user's turn takes the answers up, too.

A call of a background tool is answered at once, so that the conversation goes on; what it brings
becomes a message of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from duologue.protocol.ga import (
    ConversationItemAdded,
    FunctionCall,
    FunctionCallOutput,
    InputAudioBufferClearedEvent,
    InputAudioBufferCommittedEvent,
    InputAudioBufferSpeechStartedEvent,
    InputText,
    Item,
    Message,
    RealtimeSession,
    ResponseCreatedEvent,
    ResponseCreateEvent,
    ResponseCreateParams,
    ResponseDoneEvent,
    ToolChoiceMode,
)
from duologue.protocol.model import UNSET
from duologue.session.bounded import remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.protocol.ga import KnownServerEvent, Session

__all__ = ["OnInterrupt", "ToolCall", "ToolCalls", "ToolPolicy", "next_response"]

MAX_CALLS: Final = 1024
"""Calls that are known to have been run: hours of conversation."""

MAX_ROUNDS: Final = 64
"""Responses whose calls are not all answered: usually one."""

PATIENCE: Final = 3.0
"""Seconds after the user's turn in which the server begins its response, if it ever does."""

STARTED: Final = '{"status":"started"}'
"""What the model is told of a call whose result comes later."""

INTERRUPTED: Final = '{"error":"cancelled: the user interrupted"}'
"""What the model is told of a call that was given up."""

_CUT: Final = frozenset({"cancelled", "failed"})
"""How a response ends whose calls are answered, but not taken up again: the user interrupted."""

_FREE: Final = (UNSET, ToolChoiceMode.AUTO, ToolChoiceMode.NONE)
"""Choices that force no call."""

OnInterrupt = Literal["finish", "cancel"]
"""What becomes of a call that still runs when the user speaks over it, or its response is cut."""


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """How the calls of a tool are answered."""

    responds: bool = True
    """Whether the model is asked to go on when it has the answer."""
    on_interrupt: OnInterrupt = "finish"
    is_background: bool = False
    """Whether the answer is `STARTED`, and the result follows when there is one."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that is to be run now."""

    call_id: str
    name: str
    arguments: str
    """JSON, if the model kept to it."""
    response_id: str
    item: FunctionCall
    """The call as the server sent it."""


class _State(Enum):
    RUNNING = auto()
    STARTED = auto()
    """Answered, but its result is still to come."""
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

    After each call of `receive`, `add` and `answer` the owner takes what follows from it:
    `take_new`, `take_given_up`, `take_items` and `take_response`.
    """

    def __init__(self, policy_of: Callable[[str], ToolPolicy] = lambda _: ToolPolicy()) -> None:
        self.deadline: float | None = None
        """When `expire` wants to be called."""
        self._policy_of: Final = policy_of
        self._calls: dict[str, _Call] = {}
        self._rounds: dict[str, _Round] = {}
        self._new: list[ToolCall] = []
        self._given_up: list[str] = []
        self._items: list[Item] = []
        self._unseen: dict[str, None] = {}
        """The answers that the server has not confirmed: a response may begin without them."""
        self._is_due = False
        self._is_users_turn = False

    def take_new(self) -> list[ToolCall]:
        """Return the calls that are to be run, once."""
        new, self._new = self._new, []
        return new

    def take_given_up(self) -> list[str]:
        """Return the ids of the calls whose handlers are to be stopped, once."""
        given_up, self._given_up = self._given_up, []
        return given_up

    def take_items(self) -> list[Item]:
        """Return what is to be put into the conversation, once."""
        items, self._items = self._items, []
        return items

    def take_response(self) -> bool:
        """Return whether the next response is to be asked for now, once."""
        is_due = self._is_due and not self._is_users_turn
        if is_due:
            self._is_due = False
        return is_due

    def add(self, item: FunctionCall, response_id: str) -> None:
        """Take a call that a response made, and run it if it is whole, unless it was."""
        call_id = item.call_id
        if not isinstance(call_id, str) or call_id in self._calls:
            return
        if item.status not in {"completed", UNSET}:
            return
        call = _Call(item.name, response_id, self._policy_of(item.name))
        remember(self._calls, call_id, call, MAX_CALLS)
        round_ = self._rounds.get(response_id)
        if round_ is None:
            round_ = remember(self._rounds, response_id, _Round(), MAX_ROUNDS)
        round_.unanswered.add(call_id)
        self._new.append(ToolCall(call_id, item.name, item.arguments, response_id, item))
        if call.policy.is_background:
            call.state = _State.STARTED
            self._answer(call_id, call, STARTED)

    def answer(self, call_id: str, output: str) -> None:
        """Take what a call returned; of one that is over nothing is told twice."""
        call = self._calls.get(call_id)
        if call is None or call.state is _State.OVER:
            return
        if call.state is _State.RUNNING:
            self._answer(call_id, call, output)
        else:
            self._deliver(call_id, call, output)
        call.state = _State.OVER

    def receive(self, event: KnownServerEvent, now: float, *, answers_turns: bool) -> None:
        """Learn whose turn it is, and what has ended.

        Args:
            event: An event of the server.
            now: Monotonic seconds.
            answers_turns: Whether the server itself begins a response when the user has spoken.
        """
        if answers_turns and self._is_users_turn and type(event) is InputAudioBufferCommittedEvent:
            self.deadline = now + PATIENCE
            return
        handler = self.HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def expire(self) -> None:
        """Wait no more for the server's response to the user."""
        self._is_users_turn, self.deadline = False, None

    def _on_speech_started(self, _: InputAudioBufferSpeechStartedEvent) -> None:
        self._is_users_turn, self.deadline = True, None
        for call_id in [i for i, c in self._calls.items() if c.state is _State.RUNNING]:
            self._give_up(call_id)

    def _on_turn_ended(
        self, _: InputAudioBufferCommittedEvent | InputAudioBufferClearedEvent
    ) -> None:
        self.expire()

    def _on_item_added(self, event: ConversationItemAdded) -> None:
        if isinstance(event.item, FunctionCallOutput):
            self._unseen.pop(event.item.call_id, None)

    def _on_response_created(self, _: ResponseCreatedEvent) -> None:
        if self._is_users_turn:
            self._is_due = self._is_due and bool(self._unseen)
            self.expire()

    def _on_response_done(self, event: ResponseDoneEvent) -> None:
        response_id = event.response.id or ""
        round_ = self._rounds.get(response_id)
        if round_ is None:
            return
        round_.ended_as = event.response.status or "completed"
        if round_.ended_as == "cancelled":
            for call_id in list(round_.unanswered):
                self._give_up(call_id)
        self._close(response_id, round_)

    def _give_up(self, call_id: str) -> None:
        """Stop a call that runs, if that is its tool's policy."""
        call = self._calls.get(call_id)
        if call is None or call.policy.on_interrupt != "cancel":
            return
        self._given_up.append(call_id)
        self.answer(call_id, INTERRUPTED)

    def _answer(self, call_id: str, call: _Call, output: str) -> None:
        self._items.append(FunctionCallOutput(call_id=call_id, output=output))
        remember(self._unseen, call_id, None, MAX_CALLS)
        round_ = self._rounds.get(call.response_id)
        if round_ is not None:
            round_.unanswered.discard(call_id)
            round_.wants_response = round_.wants_response or call.policy.responds
            self._close(call.response_id, round_)

    def _deliver(self, call_id: str, call: _Call, output: str) -> None:
        """Tell what a background call brought; its output item is there already."""
        text = f"The tool {call.name}, called as {call_id}, has finished: {output}"
        self._items.append(Message(role="system", content=[InputText(text=text)]))
        self._is_due = self._is_due or call.policy.responds

    def _close(self, response_id: str, round_: _Round) -> None:
        """Forget a round that is over, and go on."""
        if round_.unanswered or round_.ended_as is None:
            return
        del self._rounds[response_id]
        if round_.wants_response and round_.ended_as not in _CUT:
            self._is_due = True

    HANDLERS: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        InputAudioBufferSpeechStartedEvent: _on_speech_started,
        InputAudioBufferCommittedEvent: _on_turn_ended,
        InputAudioBufferClearedEvent: _on_turn_ended,
        ConversationItemAdded: _on_item_added,
        ResponseCreatedEvent: _on_response_created,
        ResponseDoneEvent: _on_response_done,
    }
    """What is done with the events that `receive` heeds."""


def next_response(session: Session | None) -> ResponseCreateEvent:
    """Return what asks for the response that takes up a tool's answer.

    Where the session forces a call, this one may answer in words: else calls would follow calls
    without end.
    """
    choice = session.tool_choice if isinstance(session, RealtimeSession) else UNSET
    if any(choice == free for free in _FREE):  # not by hash: the server's may hold what has none
        return ResponseCreateEvent()
    return ResponseCreateEvent(response=ResponseCreateParams(tool_choice=ToolChoiceMode.AUTO))

"""Calls of the application's tools: each is run once and answered once, then one response follows.

A call is whole when its output item is done; it may be answered before its response ends. The next
response is due when the response has ended and every call that it made is answered: a response for
each answer would be refused, for the first would still be in progress.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from duologue.protocol.ga import FunctionCall
from duologue.protocol.model import UNSET
from duologue.session.bounded import remember

if TYPE_CHECKING:
    from duologue.protocol.ga import Response, ResponseOutputItemDoneEvent

__all__ = ["ToolCall", "ToolCalls"]

MAX_CALLS: Final = 1024
"""Calls that are known to have been run: hours of conversation."""

MAX_ROUNDS: Final = 64
"""Responses whose calls are not all answered: usually one."""

_CUT: Final = frozenset({"cancelled", "failed"})
"""How a response ends whose calls are answered, but not taken up again: the user interrupted."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that is to be run now."""

    call_id: str
    name: str
    arguments: str
    """JSON, if the model kept to it."""
    response_id: str


@dataclass(slots=True)
class _Round:
    """The calls of one response."""

    unanswered: set[str] = field(default_factory=set[str])
    ended_as: str | None = None


class ToolCalls:
    """The calls of a session."""

    def __init__(self) -> None:
        self._rounds: dict[str, _Round] = {}
        self._responses: dict[str, str] = {}
        self._new: list[ToolCall] = []

    def take_new(self) -> list[ToolCall]:
        """Return the calls that are to be run, once."""
        new, self._new = self._new, []
        return new

    def add(self, event: ResponseOutputItemDoneEvent) -> None:
        """Take an output item that ended, and run it if it is a whole call, unless it was."""
        item = event.item
        if not isinstance(item, FunctionCall) or not isinstance(item.call_id, str):
            return
        if item.status not in {"completed", UNSET} or item.call_id in self._responses:
            return
        remember(self._responses, item.call_id, event.response_id, MAX_CALLS)
        round_ = self._rounds.get(event.response_id)
        if round_ is None:
            round_ = remember(self._rounds, event.response_id, _Round(), MAX_ROUNDS)
        round_.unanswered.add(item.call_id)
        self._new.append(ToolCall(item.call_id, item.name, item.arguments, event.response_id))

    def answer(self, call_id: str) -> bool:
        """Note that a call is answered; return whether the next response is due."""
        response_id = self._responses.get(call_id, "")
        round_ = self._rounds.get(response_id)
        if round_ is None:
            return False
        round_.unanswered.discard(call_id)
        return self._is_due(response_id, round_)

    def end(self, response: Response) -> bool:
        """Note that a response ended; return whether the next one is due."""
        round_ = self._rounds.get(response.id or "")
        if round_ is None:
            return False
        round_.ended_as = response.status or "completed"
        return self._is_due(response.id or "", round_)

    def _is_due(self, response_id: str, round_: _Round) -> bool:
        if round_.unanswered or round_.ended_as is None:
            return False
        del self._rounds[response_id]
        return round_.ended_as not in _CUT

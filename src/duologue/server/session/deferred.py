"""Outputs of calls that come while the response that called is still being made.

A client may answer a call as soon as it has the arguments. Its item joins the conversation when the
response is done, so that nothing which the response still says comes after the output. What the
client says of items in between waits in line, so that it finds them.

Source: DIALECTS.md §6 (tool), recorded GA traffic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from duologue.protocol import ga
from duologue.protocol.model import UNSET
from duologue.server.session.validation import InvalidRequest

__all__ = ["DeferredToolOutputs"]

MAX_WAITING: Final = 256
"""More calls than any response makes."""

_NAMES_ITEM = (
    ga.ConversationItemRetrieveEvent,
    ga.ConversationItemTruncateEvent,
    ga.ConversationItemDeleteEvent,
)


class DeferredToolOutputs:
    """Client events that wait for the end of the conversation's response."""

    def __init__(self, is_making_call: Callable[[str], bool]) -> None:
        """Ask `is_making_call` whether a call belongs to the response in progress."""
        self._is_making_call = is_making_call
        self._waiting: deque[ga.KnownClientEvent] = deque()
        self._item_ids: set[str] = set()

    def keep(self, event: ga.KnownClientEvent) -> bool:
        """Keep an event for `release` if it must wait, and say whether it must.

        Raises:
            InvalidRequest: If too many wait already.
        """
        if not self._must_wait(event):
            return False
        if len(self._waiting) >= MAX_WAITING:
            message = f"{MAX_WAITING} events wait for the response to be done; wait for it, too."
            raise InvalidRequest("too_many_waiting", message)
        self._waiting.append(event)
        if isinstance(event, ga.ConversationItemCreateEvent) and event.item.id is not UNSET:
            self._item_ids.add(event.item.id)
        return True

    def release(self) -> list[ga.KnownClientEvent]:
        """Return what waited, in order, once."""
        events = list(self._waiting)
        self._waiting.clear()
        self._item_ids.clear()
        return events

    def _must_wait(self, event: ga.KnownClientEvent) -> bool:
        if isinstance(event, ga.ConversationItemCreateEvent):
            item = event.item
            is_early = isinstance(item, ga.FunctionCallOutput) and self._is_making_call(
                item.call_id
            )
            return is_early or bool(self._waiting)
        return isinstance(event, _NAMES_ITEM) and event.item_id in self._item_ids

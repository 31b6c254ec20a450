"""Outputs of function calls that arrive while the response that made the call is in progress.

A client may answer a call as soon as it has the arguments, before `response.done`. If the output
joined the conversation at once, the rest of the response would follow it, although the model has
not read it. So the output waits for the end of the response. Events that follow it and name the
same item, or create items, wait behind it: otherwise they would be refused, or overtake it.

Source: recorded GA traffic.
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

_NAMES_ITEM: Final = (
    ga.ConversationItemRetrieveEvent,
    ga.ConversationItemTruncateEvent,
    ga.ConversationItemDeleteEvent,
)


class DeferredToolOutputs:
    """Client events that wait for the end of the conversation's response."""

    def __init__(self, is_making_call: Callable[[str], bool]) -> None:
        """Create an empty queue.

        Args:
            is_making_call: Returns whether the response in progress has made a call of this id.
        """
        self._is_making_call: Final = is_making_call
        self._waiting: Final[deque[ga.KnownClientEvent]] = deque()
        self._item_ids: Final[set[str]] = set()

    def defer(self, event: ga.KnownClientEvent) -> bool:
        """Keep an event for `release` if it must wait; return whether it must.

        Raises:
            InvalidRequest: If too many events wait already.
        """
        if isinstance(event, ga.ConversationItemCreateEvent):
            must_wait = bool(self._waiting) or self._is_early_output(event.item)
        else:
            must_wait = isinstance(event, _NAMES_ITEM) and event.item_id in self._item_ids
        if not must_wait:
            return False
        if len(self._waiting) >= MAX_WAITING:
            message = f"{MAX_WAITING} events wait for the response to be done; wait for it, too."
            raise InvalidRequest("too_many_waiting", message)
        self._waiting.append(event)
        if isinstance(event, ga.ConversationItemCreateEvent) and event.item.id is not UNSET:
            self._item_ids.add(event.item.id)
        return True

    def release(self) -> list[ga.KnownClientEvent]:
        """Return the waiting events in order, and forget them."""
        events = list(self._waiting)
        self._waiting.clear()
        self._item_ids.clear()
        return events

    def _is_early_output(self, item: ga.Item) -> bool:
        return isinstance(item, ga.FunctionCallOutput) and self._is_making_call(item.call_id)

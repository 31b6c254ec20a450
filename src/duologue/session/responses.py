"""Responses: those that were asked for, those that the server began, and which belongs to which.

The protocol does not say which request a `response.created` answers. Ours is the oldest open
request that fits: same metadata, and out-of-band exactly if the response belongs to no
conversation. The guess can be wrong once, when turn detection begins a response while a request is
under way; then the server refuses that request with an `error` that names its `event_id`, and it is
set right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.protocol.ga import (
    ResponseCreatedEvent,
    ResponseDoneEvent,
    ResponseOutputItemAddedEvent,
)
from duologue.session.bounded import remember
from duologue.session.requests import RequestInput, RequestState, ResponseRequest, ResponseState
from duologue.session.wire import id_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from duologue.errors import Closed, ConnectionLost, ServerError
    from duologue.protocol.ga import Response, ResponseCreateEvent
    from duologue.protocol.model import Event
    from duologue.session.items import ItemState

__all__ = ["Responses"]

MAX_RESPONSES: Final = 1000
"""Responses that are remembered: hours of conversation."""


_BY_STATUS: Final[Mapping[object, RequestInput]] = {
    "cancelled": RequestInput.CANCELLED,
    "incomplete": RequestInput.INCOMPLETE,
    "failed": RequestInput.FAILED,
}


class Responses:
    """All responses of a session."""

    def __init__(self) -> None:
        self.active: ResponseState | None = None
        """The conversation's response that is in progress: there is at most one."""
        self._known: dict[str, ResponseState] = {}
        self._open: dict[str, ResponseRequest] = {}
        self._settled: list[ResponseRequest] = []

    def __iter__(self) -> Iterator[ResponseState]:
        return iter(list(self._known.values()))

    def get(self, response_id: str) -> ResponseState | None:
        """Return a response by its id."""
        return self._known.get(response_id)

    def request(self, event_id: str) -> ResponseRequest | None:
        """Return an open request by the id of its event."""
        return self._open.get(event_id)

    def take_settled(self) -> list[ResponseRequest]:
        """Return the requests that ended since the last call."""
        settled, self._settled = self._settled, []
        return settled

    def is_unasked_failure(self, told: Response) -> bool:
        """Tell whether a response failed that no request of ours awaits."""
        if told.status != "failed":
            return False
        return not any(r.response and r.response.id == told.id for r in self._settled)

    def ask(self, event_id: str, event: ResponseCreateEvent) -> None:
        """Note that a `response.create` is being sent."""
        self._open[event_id] = ResponseRequest(event_id, event)

    def refuse(self, event_id: str, error: ServerError) -> bool:
        """Take an error that names a request; return whether one is open under that id."""
        request = self._open.get(event_id)
        if request is None:
            return False
        request.response = None
        request.error = error
        self._advance(request, RequestInput.REFUSED)
        return True

    def oldest_waiting(self) -> str | None:
        """Return the id of the oldest request that the server has not taken up."""
        waiting = (r.event_id for r in self._open.values() if r.state is RequestState.REQUESTED)
        return next(waiting, None)

    def lose(self, error: ConnectionLost | Closed) -> None:
        """End everything that is open: the connection is gone."""
        self.active = None
        for request in list(self._open.values()):
            request.error = error
            self._advance(request, RequestInput.LOST)

    def receive(self, event: Event) -> None:
        """Take a server event, before the conversation does."""
        if isinstance(event, ResponseCreatedEvent):
            self._begin(event.response)
        elif isinstance(event, ResponseDoneEvent):
            self._end(event.response)

    def take_item(self, event: ResponseOutputItemAddedEvent, state: ItemState) -> None:
        """Note an item that a response began."""
        response = self._known.get(event.response_id)
        item_id = id_of(event.item)
        if response is None or item_id is None or item_id in response.output:
            return
        response.output.append(item_id)
        response.items.append(state)

    def _begin(self, told: Response) -> ResponseState | None:
        if not isinstance(told.id, str):
            return None
        known = self._known.get(told.id)
        if known is not None and not known.is_done:
            return known  # announced twice; simple servers give the id of a done one again
        request = self._match(told)
        is_out_of_band = request is not None and request.is_out_of_band
        state = ResponseState(told.id, told, is_out_of_band=is_out_of_band)
        remember(self._known, told.id, state, MAX_RESPONSES)
        if not is_out_of_band:
            self.active = state
        if request is not None:
            request.response = state
            self._advance(request, RequestInput.CREATED)
        return state

    def _match(self, told: Response) -> ResponseRequest | None:
        waiting = [r for r in self._open.values() if r.state is RequestState.REQUESTED]
        same = [r for r in waiting if r.metadata == (told.metadata or {})]
        is_apart = told.conversation_id is None
        exact = (r for r in same if r.is_out_of_band is is_apart)
        return next(exact, same[0] if same else None)

    def _end(self, told: Response) -> None:
        state = self._known.get(told.id or "") or self._begin(told)
        if state is None:
            return
        state.response = told
        state.is_done = True
        if self.active is state:
            self.active = None
        cause = _BY_STATUS.get(told.status, RequestInput.COMPLETED)
        for request in [r for r in self._open.values() if r.response is state]:
            self._advance(request, cause)

    def _advance(self, request: ResponseRequest, cause: RequestInput) -> None:
        if request.advance(cause):
            del self._open[request.event_id]
            self._settled.append(request)

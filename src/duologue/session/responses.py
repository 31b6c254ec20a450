"""Responses: those that were asked for, those that the server began, and which belongs to which.

The conversation has one response at a time. A request of ours waits its turn while another is
active, whoever began that; one beside the conversation need not wait. When turn detection begins a
response while our request is under way, the server refuses ours: it takes its turn again.

The protocol does not say which request a `response.created` answers. Ours is the oldest open
request that fits: same metadata, and out-of-band exactly if the response belongs to no
conversation. The guess can be wrong once, in the race above; the refusal names the request's
`event_id`, and it is set right.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final

from duologue.errors import LocalProtocolError
from duologue.protocol.ga import (
    ResponseCreatedEvent,
    ResponseDoneEvent,
    ResponseOutputItemAddedEvent,
)
from duologue.protocol.model import UnsetType
from duologue.session.bounded import remember
from duologue.session.response_state import (
    RequestInput,
    RequestState,
    ResponseRequest,
    ResponseState,
)
from duologue.session.wire import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from duologue.errors import Closed, ConnectionLost, ServerError
    from duologue.protocol.ga import Response, ResponseCreateEvent
    from duologue.protocol.model import Event
    from duologue.session.items import ItemState

__all__ = ["Responses"]

MAX_RESPONSES: Final = 1000
"""Responses that are remembered: hours of conversation."""

MAX_QUEUED: Final = 64
"""Requests that may wait their turn: more means that nobody listens to what they bring."""

BUSY: Final = "conversation_already_has_active_response"
"""The code, or type, of the server's refusal in the race that the module tells of."""

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
        self._queue: deque[ResponseRequest] = deque()
        self._due: list[ResponseRequest] = []
        self._settled: list[ResponseRequest] = []

    def __iter__(self) -> Iterator[ResponseState]:
        return iter(list(self._known.values()))

    @property
    def waiting(self) -> int:
        """How many requests wait their turn."""
        return len(self._queue)

    @property
    def is_full(self) -> bool:
        """Whether no further request may wait."""
        return len(self._queue) >= MAX_QUEUED

    def get(self, response_id: str) -> ResponseState | None:
        """Return a response by its id."""
        return self._known.get(response_id)

    def is_apart(self, response_id: str) -> bool:
        """Tell whether a response is known to be beside the conversation."""
        response = self._known.get(response_id)
        return response is not None and response.is_out_of_band

    def begins_apart(self, event: Event) -> bool:
        """Tell whether an event begins a response beside the conversation."""
        return isinstance(event, ResponseCreatedEvent) and self.is_apart(event.response.id or "")

    def is_of_conversation(self, response_id: str) -> bool:
        """Tell whether a response is known to be the conversation's, announced there or not.

        It is if the server says so, or if it says nothing and we asked for such a response: a
        server that says nothing of one that it began by itself announces what belongs there.
        """
        known = self._known.get(response_id)
        if known is None or known.is_out_of_band:
            return False
        told = known.response.conversation_id
        return known.is_asked if isinstance(told, UnsetType) else told is not None

    def request(self, event_id: str) -> ResponseRequest | None:
        """Return an open request by the id of its event."""
        return self._open.get(event_id)

    def take_due(self) -> list[ResponseRequest]:
        """Return the requests that are to be sent now."""
        due, self._due = self._due, []
        return due

    def take_settled(self) -> list[ResponseRequest]:
        """Return the requests that ended since the last call."""
        settled, self._settled = self._settled, []
        return settled

    def is_unasked_failure(self, told: Response) -> bool:
        """Tell whether a response failed that no request of ours awaits."""
        if told.status != "failed":
            return False
        return not any(r.response and r.response.id == told.id for r in self._settled)

    def note(self, event_id: str, event: ResponseCreateEvent) -> None:
        """Note that a `response.create` is being sent, whether or not it is its turn."""
        request = ResponseRequest(event_id, event)
        request.advance(RequestInput.SENT)
        self._open[event_id] = request

    def ask(self, event_id: str, event: ResponseCreateEvent) -> ResponseRequest:
        """Take a request; it is due now, or when the responses before it have ended.

        Raises:
            LocalProtocolError: If too many wait already.
        """
        request = ResponseRequest(event_id, event, is_scheduled=True)
        if request.is_out_of_band or not (self.active or self._queue):
            self._send(request)
        elif self.is_full:
            raise LocalProtocolError(
                f"{MAX_QUEUED} responses wait for their turn already: await some of them first"
            )
        else:
            self._queue.append(request)
        self._open[event_id] = request
        return request

    def cancel(self, request: ResponseRequest) -> bool:
        """Take back a request; return whether the server has to be told."""
        if request.state is RequestState.QUEUED:
            self._queue.remove(request)
            self._advance(request, RequestInput.CANCELLED)
        elif request.state is RequestState.REQUESTED:
            request.is_unwanted = True  # its response has no id yet
        return request.state is RequestState.IN_PROGRESS

    def refuse(self, event_id: str, error: ServerError) -> bool:
        """Take an error that names a request; return whether one is open under that id."""
        request = self._open.get(event_id)
        if request is None:
            return False
        request.response = None
        is_busy = BUSY in {error.code, error.type}
        if is_busy and request.is_scheduled and self._is_busy(request):
            request.advance(RequestInput.BUSY)
            waiting = (r for r in self._open.values() if r.state is RequestState.QUEUED)
            self._queue = deque(waiting)  # in the order in which they were asked for
            if request.is_unwanted:
                self.cancel(request)
        else:
            request.error = error
            self._advance(request, RequestInput.REFUSED)
        self._next()
        return True

    def oldest_waiting(self) -> str | None:
        """Return the id of the oldest request that the server has not taken up."""
        waiting = (r.event_id for r in self._open.values() if r.state is RequestState.REQUESTED)
        return next(waiting, None)

    def lose(self, error: ConnectionLost | Closed) -> None:
        """End everything that is open: the connection is gone."""
        self.active = None
        self._queue.clear()
        self._due.clear()
        for request in list(self._open.values()):
            request.error = error
            self._advance(request, RequestInput.LOST)

    def receive(self, event: Event) -> ResponseRequest | None:
        """Take a server event; return the request that it began although nobody wants it."""
        handler = self.HANDLERS.get(type(event))
        return None if handler is None else handler(self, event)

    def take_item(self, event: ResponseOutputItemAddedEvent, state: ItemState) -> None:
        """Note an item that a response began."""
        response = self._known.get(event.response_id)
        item_id = id_of(event.item)
        if response is None or item_id is None or item_id in response.output:
            return
        response.output.append(item_id)
        response.items.append(state)

    def _is_busy(self, besides: ResponseRequest | None = None) -> bool:
        """Tell whether a response of the conversation is in progress, or asked for."""
        asked = (r for r in self._open.values() if r.state is RequestState.REQUESTED)
        return self.active is not None or any(
            r is not besides and not r.is_out_of_band for r in asked
        )

    def _send(self, request: ResponseRequest) -> None:
        request.advance(RequestInput.SENT)
        self._due.append(request)

    def _next(self) -> None:
        """Let the next one go whose turn it is."""
        if self._queue and not self._is_busy():
            self._send(self._queue.popleft())

    def _on_created(self, event: ResponseCreatedEvent) -> ResponseRequest | None:
        state = self._begin(event.response)
        begun = (r for r in self._open.values() if r.response is state and state is not None)
        request = next(begun, None)
        if request is None or not request.is_unwanted:
            return None
        request.is_unwanted = False
        return request

    def _begin(self, told: Response) -> ResponseState | None:
        if not isinstance(told.id, str):
            return None
        known = self._known.get(told.id)
        if known is not None and not known.is_done:
            return known  # announced twice; simple servers give the id of a done one again
        request = self._match(told)
        is_out_of_band = request is not None and request.is_out_of_band
        state = ResponseState(
            told.id, told, is_out_of_band=is_out_of_band, is_asked=request is not None
        )
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
        if not same and isinstance(told.metadata, UnsetType):
            same = waiting  # the server repeats no metadata
        is_apart = told.conversation_id is None
        exact = (r for r in same if r.is_out_of_band is is_apart)
        return next(exact, same[0] if same else None)

    def _on_done(self, event: ResponseDoneEvent) -> None:
        told = event.response
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
        self._next()

    def _advance(self, request: ResponseRequest, cause: RequestInput) -> None:
        if request.advance(cause):
            del self._open[request.event_id]
            self._settled.append(request)

    HANDLERS: ClassVar[Mapping[type, Callable[[Any, Any], ResponseRequest | None]]] = {
        ResponseCreatedEvent: _on_created,
        ResponseDoneEvent: _on_done,
    }
    """What is done with the events that `receive` heeds."""

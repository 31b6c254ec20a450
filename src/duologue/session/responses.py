"""Responses: those that were requested, those that the server began, and which belongs to which.

The conversation has one response at a time. A request of ours waits its turn while any other
response is active; an out-of-band request does not wait. When turn detection begins a response
while our request is under way, the server refuses ours with the code
`conversation_already_has_active_response`, and the request takes its turn again.

The protocol does not say which request a `response.created` answers. We take the oldest open
request that fits: same metadata, and out-of-band exactly if the response belongs to no
conversation. That guess can be wrong in the race above; the refusal that follows names the
`event_id` of our request, and `refuse` corrects it. Until the refusal can no longer come, such a
request does not end with its response.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from duologue.errors import LocalProtocolError
from duologue.protocol.ga import FunctionCall
from duologue.protocol.model import UnsetType
from duologue.session._item_fields import id_of
from duologue.session.commands import DEFAULT_TIMEOUT, no_answer
from duologue.session.dead_air import OwedTurn
from duologue.session.rate_limits import RequestLimiter
from duologue.session.response_state import (
    RequestInput,
    RequestState,
    ResponseRequest,
    ResponseState,
)
from duologue.session.retention import remember

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from duologue.errors import BudgetExceeded, ServerError, SessionEnd
    from duologue.protocol.ga import (
        Response,
        ResponseCreatedEvent,
        ResponseCreateEvent,
        ResponseDoneEvent,
        ResponseOutputItemAddedEvent,
        ResponseOutputItemDoneEvent,
    )
    from duologue.session.commands import CommandError
    from duologue.session.items import ItemState

__all__ = ["Interruption", "Responses"]

MAX_RESPONSES: Final = 1000
"""Responses that are remembered: hours of conversation."""

MAX_QUEUED: Final = 64
"""Requests that may wait their turn; more means that nobody reads the responses."""

BUSY: Final = "conversation_already_has_active_response"
"""Code or type of the server's refusal in the race described above."""

MAX_CUTS: Final = 3
"""Losses after which a response is not requested again: each request costs money."""

RACE_SECONDS: Final = 1.0
"""Time for a refusal to arrive, after the end of the response that its request was matched to."""

_BY_STATUS: Final[Mapping[object, RequestInput]] = {
    "cancelled": RequestInput.CANCELLED,
    "incomplete": RequestInput.INCOMPLETE,
    "failed": RequestInput.FAILED,
}


@dataclass(frozen=True, slots=True)
class Interruption:
    """The responses that were cut by the loss of a connection."""

    items: frozenset[str] = frozenset()
    """Items of those that are requested again: the new session does not get them."""
    called: tuple[str, ...] = ()
    """Ids of those that have called tools."""
    requests: Mapping[str, ResponseRequest] = field(default_factory=dict[str, ResponseRequest])
    """Our requests that are sent again, by the ids of their responses, which were cut."""
    owes_turn: bool = False
    """Whether turn detection owes the user a response, which it did not begin or finish."""


class Responses:
    """All responses of a session.

    Args:
        send: Called with each `response.create` when it is to be sent.
        settle: Called with each request that has ended.
        changed: Called when `awaited` may be another one.
        timeout: Seconds for the server to begin a response, and to go on with it.
        exceeded: Returns an error if the budget allows no further response.
        limiter: Decides when the rate limits allow the next request.
    """

    def __init__(
        self,
        *,
        send: Callable[[ResponseCreateEvent], None],
        settle: Callable[[ResponseRequest], None],
        changed: Callable[[], None] = lambda: None,
        timeout: float | None = DEFAULT_TIMEOUT,
        exceeded: Callable[[], BudgetExceeded | None] = lambda: None,
        limiter: RequestLimiter | None = None,
    ) -> None:
        self.active: ResponseState | None = None
        """The response of the conversation that is in progress: at most one."""
        self.deadline: float | None = None
        """When `expire` is due."""
        self._send_event: Final = send
        self._settle: Final = settle
        self._changed: Final = changed
        self._exceeded: Final = exceeded
        self._limiter: Final = limiter or RequestLimiter()
        self._timeout: Final = timeout
        self._known: Final[dict[str, ResponseState]] = {}
        self._running: Final[dict[str, ResponseState]] = {}
        self._open: Final[dict[str, ResponseRequest]] = {}
        self._owes_turn = False  # whether turn detection is about to begin a response
        self._turn_losses = 0  # connections lost in a row with a turn that has no response yet
        self._is_suspended = False  # whether there is no connection to send on
        self._queue: list[ResponseRequest] = []  # short, and an empty deque takes 760 bytes

    def __iter__(self) -> Iterator[ResponseState]:
        return iter(list(self._known.values()))

    @property
    def waiting(self) -> int:
        """Number of requests that wait their turn."""
        return len(self._queue)

    @property
    def is_busy(self) -> bool:
        """Whether a response of the conversation is in progress, requested or waiting."""
        return self._is_busy() or bool(self._queue)

    @property
    def is_full(self) -> bool:
        """Whether no further request may wait."""
        return len(self._queue) >= MAX_QUEUED

    def get(self, response_id: str) -> ResponseState | None:
        """Return a response by its id."""
        return self._known.get(response_id)

    def is_out_of_band(self, response_id: str) -> bool:
        """Return whether a response is known to be outside the conversation."""
        response = self._known.get(response_id)
        return response is not None and response.is_out_of_band

    def is_of_conversation(self, response_id: str) -> bool:
        """Return whether the items of a response belong to the conversation, announced or not.

        They do if the server says so, or if it says nothing and the response is one that we
        requested: a server that says nothing about a response that it began by itself announces
        each item that belongs to the conversation.
        """
        known = self._known.get(response_id)
        if known is None or known.is_out_of_band:
            return False
        conversation_id = known.response.conversation_id
        if isinstance(conversation_id, UnsetType):
            return known.is_asked
        return conversation_id is not None

    def request(self, event_id: str) -> ResponseRequest | None:
        """Return an open request by the id of its event."""
        return self._open.get(event_id)

    def record(self, event_id: str, event: ResponseCreateEvent, now: float) -> None:
        """Record a `response.create` that is sent out of turn.

        Raises:
            LocalProtocolError: If there is no connection, and too many wait for one already.
        """
        if self._is_suspended:
            self._check_room()
        request = ResponseRequest(event_id, event, timeout=self._timeout)
        self._open[event_id] = request
        if self._is_suspended:
            self._queue.append(request)
            return
        request.advance(RequestInput.SENT)
        request.sent_at = now
        request.deadline = _later(now, request.timeout)
        self._reschedule()

    def create(self, event_id: str, event: ResponseCreateEvent, now: float) -> ResponseRequest:
        """Send a request now, or when the responses before it have ended.

        Raises:
            LocalProtocolError: If too many wait already.
        """
        request = ResponseRequest(event_id, event, timeout=self._timeout, is_scheduled=True)
        waits = not request.is_out_of_band and (self.active is not None or bool(self._queue))
        waits = waits or self._is_held(now)
        if waits:
            self._check_room()
        self._open[event_id] = request
        if waits:
            self._queue.append(request)
            self._reschedule()
        else:
            self._send(request, now)
        return request

    def _check_room(self) -> None:
        if self.is_full:
            raise LocalProtocolError(
                f"{MAX_QUEUED} responses wait for their turn already: await some of them first"
            )

    def limit(self, request: ResponseRequest, timeout: float | None, now: float) -> None:
        """Give the server this many seconds to begin a response, and to go on with it."""
        request.timeout = timeout
        if request.state is RequestState.REQUESTED:
            request.deadline = _later(now, timeout)
        elif request.response is not None and not request.response.is_done:
            self._watch(request.response, now)
        self._reschedule()

    def cancel(self, request: ResponseRequest) -> bool:
        """Cancel a request; return whether a `response.cancel` must be sent."""
        if request.state is RequestState.QUEUED:
            if request in self._queue:
                self._queue.remove(request)
            self._advance(request, RequestInput.CANCELLED)
            self._reschedule()
        elif request.state is RequestState.REQUESTED:
            request.is_unwanted = True  # its response has no id yet
        return request.state is RequestState.IN_PROGRESS

    def refuse(self, event_id: str, error: ServerError, now: float) -> bool:
        """Refuse the request of this event id; return whether one is open."""
        request = self._open.get(event_id)
        if request is None:
            return False
        # If it was matched to a response, that match was wrong: the response was turn detection's.
        was_matched = request.response is not None
        if request.response is not None:
            request.response.request = None
            request.response = request.ending = None
        is_busy = BUSY in {error.code, error.type} and (was_matched or self._is_busy(request))
        is_limited = self._limiter.repeats(error, request.times_limited)
        if (is_busy or is_limited) and request.is_scheduled:
            request.deadline = None
            request.times_limited += is_limited
            request.advance(RequestInput.BUSY)
            # In the order of their creation.
            self._queue = self._queued()
            if request.is_unwanted:
                self.cancel(request)
        else:
            request.error = error
            self._advance(request, RequestInput.REFUSED)
        self._reschedule()
        self.send_next(now)
        return True

    def unanswered(self) -> list[ResponseRequest]:
        """Return the requests that the server has not answered, oldest first."""
        return [r for r in self._open.values() if r.state is RequestState.REQUESTED]

    def refused_as_busy(self) -> str | None:
        """Return the event id of the request that a refusal as busy without an id concerns.

        That is the oldest one that the server has not answered. If there is none, turn detection
        was faster, and its response was taken for ours.
        """
        unanswered = self.unanswered()
        if unanswered:
            return unanswered[0].event_id
        for request in self._open.values():
            is_latest = request.response is not None and request.response is self.active
            if request.is_scheduled and not request.metadata and (is_latest or request.ending):
                return request.event_id
        return None

    def expire(self, now: float) -> list[str]:
        """Give up the requests and responses on which the server has not gone on in time.

        Returns:
            The ids of the responses. The next request in line is not sent yet: see `send_next`.
        """
        lost: list[str] = []
        self._limiter.expire(now)
        for request in list(self._open.values()):
            if request.deadline is not None and request.deadline <= now:
                self._give_up(request, no_answer("response.create"))
        for state in list(self._running.values()):
            if state.deadline is None or state.deadline > now:
                continue
            if state.size > state.seen_size:
                self._watch(state, now)
                continue
            lost.append(state.id)
            del self._running[state.id]
            if self.active is state:
                self.active = None
            text = f"the server did not go on with the response {state.id} in time"
            for request in [r for r in self._open.values() if r.response is state]:
                self._give_up(request, TimeoutError(text))
        self._reschedule()
        return lost

    @property
    def awaited(self) -> ResponseState | ResponseRequest | OwedTurn | None:
        """The response of the conversation that the server owes, begun or not."""
        if self._is_suspended:
            return None
        requested = (r for r in self.unanswered() if not r.is_out_of_band)
        owed = OwedTurn.OWED if self._owes_turn else None
        return self.active or next(requested, None) or owed

    def ask_again(self, state: ResponseState) -> bool:
        """Request a response again when it has ended; return whether a request of ours did."""
        answered = [r for r in self._open.values() if r.response is state]
        for request in answered:
            request.advance(RequestInput.BUSY)
            request.response = request.deadline = None
        state.request = None
        self._queue = self._queued()
        return bool(answered)

    def suspend(
        self, error: SessionEnd, *, asks_again: bool, has_calls: Callable[[str], bool]
    ) -> Interruption:
        """Keep the requests for the next connection: this one is lost.

        Those that the server has not begun wait for it. One whose response was cut waits, too, to
        be requested again, unless tools were called: then their answers continue it.

        Args:
            error: The loss.
            asks_again: Whether responses that were cut are requested again, or fail with the loss.
            has_calls: Returns whether a response, by its id, has called tools.
        """
        running = list(self._running.values())
        called = {s.id for s in running if has_calls(s.id) or _has_call(s)}
        is_owed = self._owes_turn or any(
            not (s.is_asked or s.is_out_of_band or s.id in called) for s in running
        )
        self._turn_losses = self._turn_losses + 1 if is_owed else 0
        is_owed = is_owed and asks_again and self._turn_losses <= MAX_CUTS
        self.active, self._is_suspended, self._owes_turn = None, True, False
        self._running.clear()
        cut = {s.id: s for s in running if asks_again and s.id not in called}
        responses = {r.event_id: r.response for r in self._open.values() if r.response is not None}
        for request in list(self._open.values()):
            self._suspend(request, error, cut, called)
        waiting = self._queue = self._queued()
        self._reschedule()
        again = {responses[r.event_id].id: r for r in waiting if r.event_id in responses}
        items = frozenset(
            item
            for state in cut.values()
            if (is_owed and not state.is_asked) or state.id in again
            for item in state.output
        )
        return Interruption(items, tuple(called), again, is_owed)

    def _suspend(
        self,
        request: ResponseRequest,
        error: SessionEnd,
        cut: Mapping[str, ResponseState],
        called: Collection[str],
    ) -> None:
        response = request.response
        if request.ending is not None:
            self._advance(request, request.ending)
        elif request.is_unwanted:
            self._advance(request, RequestInput.CANCELLED)
        elif request.state is RequestState.QUEUED:
            pass
        elif (response is None or response.id in cut) and request.times_cut < MAX_CUTS:
            request.advance(RequestInput.BUSY)
            request.times_cut += 1
            request.response = request.deadline = None
        elif response is not None and response.id in called:
            self._advance(request, RequestInput.INCOMPLETE)
        else:
            self._give_up(request, error)

    def resume(self, now: float) -> None:
        """Send the requests that waited for a connection, each in its turn."""
        self._is_suspended = False
        self._queue.sort(key=lambda request: not request.is_out_of_band)
        self.send_next(now)

    def lose(self, error: SessionEnd) -> None:
        """End all open requests: the connection has ended."""
        self.active = None
        self._queue.clear()
        self._running.clear()
        for request in list(self._open.values()):
            self._give_up(request, error)
        self._reschedule()

    def on_created(self, event: ResponseCreatedEvent, now: float) -> ResponseRequest | None:
        """Begin a response; return the request that it answers if that was cancelled meanwhile."""
        state = self._begin(event.response, now)
        begun = (r for r in self._open.values() if r.response is state and state is not None)
        request = next(begun, None)
        if request is None or not request.is_unwanted:
            return None
        request.is_unwanted = False
        return request

    def on_turn_committed(self) -> None:
        """Expect turn detection to begin a response: the next one may be its own, not ours."""
        self._owes_turn = True
        self._changed()

    def on_item_added(
        self, event: ResponseOutputItemAddedEvent | ResponseOutputItemDoneEvent, item: ItemState
    ) -> None:
        """Record an item that a response has begun."""
        response = self._known.get(event.response_id)
        item_id = id_of(event.item)
        if response is None or item_id is None or item_id in response.output:
            return
        response.output.append(item_id)
        response.items.append(item)

    def on_done(self, event: ResponseDoneEvent, now: float) -> bool:
        """End a response; return whether it was one that we requested.

        The next request in line is not sent yet: see `send_next`.
        """
        state = self._known.get(event.response.id or "") or self._begin(event.response, now)
        if state is None:
            return False
        state.response = event.response
        state.is_done = True
        self._running.pop(state.id, None)
        if self.active is state:
            self.active = None
        cause = _BY_STATUS.get(event.response.status, RequestInput.COMPLETED)
        answered = [r for r in self._open.values() if r.response is state]
        for request in answered:
            if not request.is_guess:
                self._advance(request, cause)
            elif request.ending is None:
                request.ending, request.deadline = cause, now + RACE_SECONDS
        self._reschedule()
        return bool(answered)

    def send_next(self, now: float) -> None:
        """Send the requests whose turn it is: of the conversation, one at a time."""
        for request in list(self._queue):
            if self._is_held(now):
                break
            if request.is_out_of_band or not self._is_busy():
                self._queue.remove(request)
                self._send(request, now)
        self._reschedule()

    def _queued(self) -> list[ResponseRequest]:
        return [r for r in self._open.values() if r.state is RequestState.QUEUED]

    def _is_held(self, now: float) -> bool:
        """Return whether nothing can be sent, or the rate limits allow no request now."""
        is_tried = self._limiter.is_strained and bool(self._running or self.unanswered())
        return self._is_suspended or is_tried or self._limiter.holds(now)

    def _is_busy(self, besides: ResponseRequest | None = None) -> bool:
        """Return whether a response of the conversation is in progress, or requested."""
        requested = (r for r in self._open.values() if r.state is RequestState.REQUESTED)
        return (
            self._is_suspended
            or self.active is not None
            or any(r is not besides and not r.is_out_of_band for r in requested)
        )

    def _send(self, request: ResponseRequest, now: float) -> None:
        request.error = self._exceeded()  # again: it may have waited its turn for long
        if request.error is not None:
            self._advance(request, RequestInput.REFUSED)
            return
        request.advance(RequestInput.SENT)
        request.sent_at = now
        request.deadline = _later(now, request.timeout)
        self._reschedule()
        self._send_event(request.event)

    def _begin(self, response: Response, now: float) -> ResponseState | None:
        if not isinstance(response.id, str):
            return None
        known = self._known.get(response.id)
        if known is not None and not known.is_done:
            return known  # announced twice; simple servers reuse the id of one that is done
        request = self._match(response)
        is_out_of_band = request is not None and request.is_out_of_band
        state = ResponseState(response.id, response, is_out_of_band=is_out_of_band, request=request)
        remember(self._known, response.id, state, MAX_RESPONSES)
        remember(self._running, response.id, state, MAX_RESPONSES)
        if not is_out_of_band:
            self.active = state
        if request is not None:
            request.response, request.deadline = state, None
            request.is_guess = self._owes_turn and not (request.metadata or is_out_of_band)
            self._advance(request, RequestInput.CREATED)
        self._owes_turn = False
        self._watch(state, now)
        self._reschedule()
        return state

    def _match(self, response: Response) -> ResponseRequest | None:
        """Return the request that a response most likely answers: see the module's docstring."""
        waiting = [r for r in self._open.values() if r.state is RequestState.REQUESTED]
        same = [r for r in waiting if r.metadata == (response.metadata or {})]
        if not same and isinstance(response.metadata, UnsetType):
            same = waiting  # the server does not repeat metadata
        is_out_of_band = response.conversation_id is None
        exact = (r for r in same if r.is_out_of_band is is_out_of_band)
        return next(exact, same[0] if same else None)

    def _watch(self, state: ResponseState, now: float) -> None:
        """Expect a response to grow, or to end, within the time limit."""
        request = next((r for r in self._open.values() if r.response is state), None)
        state.deadline = _later(now, self._timeout if request is None else request.timeout)
        state.seen_size = state.size

    def _give_up(self, request: ResponseRequest, error: CommandError) -> None:
        if request in self._queue:
            self._queue.remove(request)
        if request.ending is not None:  # no refusal has come: its response was its own
            self._advance(request, request.ending)
            return
        request.error = error
        self._advance(request, RequestInput.LOST)

    def _advance(self, request: ResponseRequest, cause: RequestInput) -> None:
        if request.advance(cause):
            request.deadline = None
            del self._open[request.event_id]
            self._settle(request)

    def _reschedule(self) -> None:
        times = [r.deadline for r in self._open.values()]
        times += [self._limiter.held_until] if self._queue else []
        times += [state.deadline for state in self._running.values()]
        self.deadline = min((time for time in times if time is not None), default=None)
        self._changed()


def _has_call(response: ResponseState) -> bool:
    """Return whether a response has made a call, which the application may have answered."""
    return any(isinstance(i.wire, FunctionCall) and i.is_completed for i in response.items)


def _later(now: float, timeout: float | None) -> float | None:
    return None if timeout is None else now + timeout

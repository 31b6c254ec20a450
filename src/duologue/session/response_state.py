"""The state of one response, and of one `response.create`.

`ResponseState` is a response as the server describes it. `ResponseRequest` is a `response.create`
of ours, with a small state machine of its own that `Responses` drives:

    QUEUED ──sent──▶ REQUESTED ──created──▶ IN_PROGRESS ──completed, incomplete, failed──▶ so
       ◀── busy (from all three: another response was active) ──┘
    cancelled, refused, lost (from all three) ──▶ CANCELLED, REFUSED, LOST
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from duologue.errors import ResponseFailed
from duologue.protocol.ga import ResponseCreateParams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.protocol.ga import Response, ResponseCreateEvent, Usage
    from duologue.session.commands import CommandError
    from duologue.session.formatted import FormattedItem
    from duologue.session.items import ItemState

__all__ = [
    "REQUEST_TRANSITIONS",
    "RequestInput",
    "RequestState",
    "ResponseRequest",
    "ResponseState",
    "response_failed",
]


class RequestState(Enum):
    """State of a `response.create`."""

    QUEUED = auto()
    """Waiting until the response before it has ended."""
    REQUESTED = auto()
    IN_PROGRESS = auto()
    COMPLETED = auto()
    INCOMPLETE = auto()
    CANCELLED = auto()
    FAILED = auto()
    REFUSED = auto()
    LOST = auto()


class RequestInput(Enum):
    """Input of the state machine of a `response.create`."""

    SENT = auto()
    BUSY = auto()
    CREATED = auto()
    COMPLETED = auto()
    INCOMPLETE = auto()
    CANCELLED = auto()
    FAILED = auto()
    REFUSED = auto()
    LOST = auto()


_SENT: Final = (RequestState.REQUESTED, RequestState.IN_PROGRESS)
_OPEN: Final = (RequestState.QUEUED, *_SENT)
_ENDINGS: Final = {
    RequestInput.COMPLETED: RequestState.COMPLETED,
    RequestInput.INCOMPLETE: RequestState.INCOMPLETE,
    RequestInput.CANCELLED: RequestState.CANCELLED,
    RequestInput.FAILED: RequestState.FAILED,
    RequestInput.REFUSED: RequestState.REFUSED,
    RequestInput.LOST: RequestState.LOST,
}

REQUEST_TRANSITIONS: Final[Mapping[tuple[RequestState, RequestInput], RequestState]] = {
    (RequestState.QUEUED, RequestInput.SENT): RequestState.REQUESTED,
    **{(state, RequestInput.CREATED): RequestState.IN_PROGRESS for state in _SENT},
    **{(state, RequestInput.BUSY): RequestState.QUEUED for state in _OPEN},
    **{(state, cause): end for state in _OPEN for cause, end in _ENDINGS.items()},
    # A final state is final: a server may repeat itself.
    **{(end, cause): end for end in _ENDINGS.values() for cause in RequestInput},
}


class ResponseState:
    """A response as the server describes it."""

    __slots__ = (
        "deadline", "id", "is_asked", "is_done", "is_out_of_band", "items", "output", "request",
        "response", "seen_size",
    )  # fmt: skip

    def __init__(
        self,
        response_id: str,
        response: Response,
        *,
        is_out_of_band: bool,
        request: ResponseRequest | None,
    ) -> None:
        self.id: Final = response_id
        self.response: Response = response
        """The response as the server last sent it."""
        self.is_out_of_band: Final = is_out_of_band
        """Whether it is outside the conversation (`conversation: "none"`)."""
        self.request: ResponseRequest | None = request
        """The request of ours that it answers."""
        self.is_asked: Final = request is not None
        """Whether we requested it; turn detection begins others."""
        self.is_done: bool = False
        self.output: list[str] = []
        """Ids of its items, in order."""
        self.items: list[ItemState] = []
        """Those of its items that the core knows."""
        self.deadline: float | None = None
        """When it is given up, unless it has grown by then."""
        self.seen_size: int = 0
        """Its size when the deadline was set; see `size`."""

    @property
    def size(self) -> int:
        """Number of its items and deltas so far."""
        return len(self.items) + sum(len(item.journal.entries) for item in self.items)

    @property
    def status(self) -> str | None:
        """`in_progress`, `completed`, `cancelled`, `incomplete` or `failed`."""
        status = self.response.status
        return status if isinstance(status, str) else None

    @property
    def usage(self) -> Usage | None:
        """Token usage, once the response is done."""
        return self.response.usage or None

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of its request."""
        return self.response.metadata or {}


class ResponseRequest:
    """One `response.create`, from its creation to the end of its response."""

    __slots__ = (
        "deadline", "ending", "error", "event", "event_id", "follow_up", "is_guess", "is_scheduled",
        "is_unwanted", "response", "sent_at", "state", "timeout", "times_cut",
        "times_limited", "waiters",
    )  # fmt: skip

    def __init__(
        self,
        event_id: str,
        event: ResponseCreateEvent,
        *,
        timeout: float | None = None,
        is_scheduled: bool = False,
    ) -> None:
        self.event_id: Final = event_id
        self.event: Final = event
        self.is_scheduled: Final = is_scheduled
        """Whether it waits its turn, and is sent again if the server was busy."""
        self.is_unwanted: bool = False
        """Whether it was cancelled before its response had an id."""
        self.state: RequestState = RequestState.QUEUED
        self.response: ResponseState | None = None
        """The server's response, once it has begun."""
        self.is_guess: bool = False
        """Whether its response may be turn detection's: a refusal of the request may follow."""
        self.ending: RequestInput | None = None
        """How its response has ended, while such a refusal may still come."""
        self.error: CommandError | None = None
        """Why it was refused or lost."""
        self.sent_at: float | None = None
        """When it was last sent."""
        self.deadline: float | None = None
        """When it is given up if the server has not begun its response."""
        self.timeout: float | None = timeout
        """Seconds for the server to begin its response, and to go on with it."""
        self.times_cut: int = 0
        """Connections that were lost after it was sent, and before its response had ended."""
        self.times_limited: int = 0
        """How often it is repeated because of a rate limit."""
        self.follow_up: ResponseRequest | None = None
        """The request that continues its response after the calls of tools were answered."""
        self.waiters: int = 0
        """Tasks that await it: an error with no waiter is reported as an `ErrorUpdate`."""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.state in _OPEN

    @property
    def is_out_of_band(self) -> bool:
        """Whether it asks for a response outside the conversation."""
        params = self.event.response
        return isinstance(params, ResponseCreateParams) and params.conversation == "none"

    @property
    def metadata(self) -> dict[str, str]:
        """Its metadata, by which a response is matched to it."""
        params = self.event.response
        return (params.metadata or {}) if isinstance(params, ResponseCreateParams) else {}

    def snapshots(self) -> tuple[FormattedItem, ...]:
        """Return the items of the response so far."""
        response = self.response
        return () if response is None else tuple(item.snapshot() for item in response.items)

    def advance(self, cause: RequestInput) -> bool:
        """Process an input; return whether it ended the request."""
        was_open = self.is_open
        self.state = REQUEST_TRANSITIONS[self.state, cause]
        return was_open and not self.is_open


def response_failed(response: Response) -> ResponseFailed:
    """Return the error of a response whose status is `failed`."""
    details = response.status_details
    error = details.error if details else None
    response_id = response.id or ""
    if not error:
        return ResponseFailed(response_id, message=(details and details.reason) or "")
    return ResponseFailed(
        response_id, code=error.code or error.type or None, message=error.message or ""
    )

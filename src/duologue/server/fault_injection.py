"""Fault injection: executes the decisions of fault plans, per connection and per server.

A `FaultInjector` stands between a connection and its transport. It is inactive until there are
faults, and costs nothing until then: the connection checks `is_active` once per event.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol

from duologue.errors import Closed
from duologue.protocol.model import UNSET
from duologue.server.auth import HttpRejection
from duologue.server.faults.delay_line import DelayLine
from duologue.server.faults.event_pattern import event_pattern
from duologue.server.faults.kinds import Act, Close, Expire, RefuseHandshake, SendError, Stall
from duologue.server.faults.plan import FaultPlan, HandshakeFaults
from duologue.server.send_queue import SendQueue

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Iterable, Iterator, Sequence

    from duologue.protocol.ga import AnyClientEvent
    from duologue.protocol.ga.translation import AnyTranslationClientEvent
    from duologue.protocol.model import UnsetType
    from duologue.server.faults.delay_line import Arrival
    from duologue.server.faults.kinds import Fault
    from duologue.server.faults.plan import Dice, Injection

__all__ = ["FaultInjector", "FaultRegistry", "FaultTarget", "Sessions"]

logger: logging.Logger = logging.getLogger("duologue.server")

MAX_INJECTIONS: Final = 10_000
"""Injections remembered per session; older ones are forgotten."""

Delivery = Callable[[], None]
"""Passes an event or a frame on, in either direction."""

Sessions = Literal["all", "next"]
"""Sessions that a fault applies to: open and later ones, or only the next connection."""


class FaultTarget(Protocol):
    """A connection as its fault injector uses it."""

    def put(self, frame: bytes) -> None:
        """Send a frame."""

    def receive_frame(self, frame: bytes) -> None:
        """Process a frame of the client, or the rest of one that was cut."""

    def answer_error(self, error: SendError, event_id: str | UnsetType) -> None:
        """Send an `error` event at once, about an event of the client's if there is one."""

    def flush(self) -> None:
        """Execute what follows from the events that were delivered."""

    def expire(self) -> str:
        """Report that the session's time is up; return the reason of the close that follows."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close once everything is written."""

    def start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Start a job of the connection."""


class _Direction:
    """One direction of a connection: the line that delays deliveries, and those that wait."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        self.line: Final[DelayLine[Delivery]] = DelayLine()
        self.queue: Final[SendQueue[Delivery]] = SendQueue()
        self.has_job: bool = False

    def deliver(self, arrivals: Iterable[Arrival[Delivery]], target: FaultTarget) -> None:
        """Deliver the arrivals that are due; a job delivers the others in time."""
        now = asyncio.get_running_loop().time()
        for arrival in arrivals:
            if self.queue.is_empty and not self.has_job and arrival.due <= now:
                arrival.item()
                continue
            self.queue.put_nowait(arrival.item, arrival.size, arrival.due)
            if not self.has_job:
                self.has_job = True
                target.start(self.name, self._deliver_in_time(target))

    async def _deliver_in_time(self, target: FaultTarget) -> None:
        while True:
            deliver = await self.queue.take()
            deliver()
            target.flush()


class FaultInjector:
    """Injects the faults of one session."""

    def __init__(self, plan: FaultPlan, now: Callable[[], float]) -> None:
        self.injections: Final[deque[Injection]] = deque(maxlen=MAX_INJECTIONS)
        """The faults that were injected so far."""
        self.is_active: bool = False
        """Whether there has been any fault."""
        self.over: Final = asyncio.Event()
        """Set when the session is over."""
        self._loop: Final = asyncio.get_running_loop()
        self._plan: Final = plan
        self._now: Final = now
        self._target: FaultTarget | None = None
        self._is_closing = False
        self._is_expiring = False
        self._outgoing: Final = _Direction("outgoing")
        self._incoming: Final = _Direction("incoming")
        self._timer: asyncio.TimerHandle | None = None

    # Called by the owner of the session.

    def fail(self, faults: Iterable[Fault]) -> None:
        """Add faults; those without `at` or `after` happen at once.

        Any thread may call it, for instance a test whose server runs in `duologue.sync.serving`.

        Raises:
            Closed: If the session is over.
        """
        if self.over.is_set():
            raise Closed("the session is over: nothing can go wrong any more")
        self._plan.add(faults, self._now())
        self.is_active = True
        try:
            is_on_loop = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_on_loop = False
        if is_on_loop:
            self.wake()
        else:
            self._loop.call_soon_threadsafe(self.wake)

    # Called by the connection.

    def attach(self, target: FaultTarget) -> None:
        """Start: the connection is open."""
        self._target = target

    def detach(self) -> None:
        """Stop: the connection is over."""
        self.over.set()
        self._target = None
        if self._timer is not None:
            self._timer.cancel()

    def send(self, kind: str, frames: Sequence[bytes]) -> None:
        """Send an event's frames, or what the faults leave of them."""
        if self._target is None:
            return
        now = self._now()
        verdict = self._plan.decide("server", kind, now)
        if verdict.keep < 1:
            frames = [_beginning(frame, verdict.keep) for frame in frames]
        self._note(verdict.injections)
        put_all = partial(_put_all, self._target, frames)
        size = sum(map(len, frames))
        self._deliver(self._outgoing, self._outgoing.line.put(put_all, size, verdict, now))
        self._act(verdict.acts, UNSET)

    def receive(
        self, event: AnyClientEvent | AnyTranslationClientEvent, frame: bytes, deliver: Delivery
    ) -> None:
        """Process a client event, or what the faults leave of its frame.

        Args:
            event: The event, in GA.
            frame: The frame that it came in.
            deliver: Passes the event to the session.
        """
        if self._target is None:
            return
        now = self._now()
        verdict = self._plan.decide("client", event.type, now)
        self._note(verdict.injections)
        if verdict.keep < 1:
            rest = frame[: int(len(frame) * verdict.keep)]
            deliver = partial(self._target.receive_frame, rest)
        if not any(isinstance(act, SendError) for act in verdict.acts):
            arrivals = self._incoming.line.put(deliver, len(frame), verdict, now)
            self._deliver(self._incoming, arrivals)
        self._act(verdict.acts, event.event_id)

    @property
    def has_room(self) -> bool:
        """Whether `room` would return at once."""
        return self._outgoing.queue.has_room and self._incoming.queue.has_room

    async def room(self) -> None:
        """Wait until not too much is held back in either direction."""
        await self._outgoing.queue.room()
        await self._incoming.queue.room()

    async def finish_sending(self) -> None:
        """Wait until everything that is held back is sent; what would follow is lost."""
        self._outgoing.line.stall(math.inf)
        await self._outgoing.queue.emptied()

    # Execution.

    def _deliver(self, direction: _Direction, arrivals: Iterable[Arrival[Delivery]]) -> None:
        if self._target is not None:
            direction.deliver(arrivals, self._target)
        self._set_timer()

    def _act(self, acts: Iterable[Act], event_id: str | UnsetType) -> None:
        for act in acts:
            match act:
                case Stall():
                    self._stall(act)
                case SendError() if self._target is not None:
                    self._target.answer_error(act, event_id)
                case Close():
                    self._close(act.code, act.reason)
                case Expire() if self._target is not None and not self._is_closing:
                    self._expire(self._target)
                case _:
                    pass  # the session is over

    def _stall(self, stall: Stall) -> None:
        until = math.inf if stall.seconds is None else self._now() + stall.seconds
        direction = None if stall.at is None else event_pattern(stall.at).direction
        if direction != "client":
            self._outgoing.line.stall(until)
        if direction != "server":
            self._incoming.line.stall(until)

    def _close(self, code: int, reason: str) -> None:
        """Close after everything that was sent so far; later events are lost."""
        if self._target is not None and not self._is_closing:
            self._is_closing = True
            self._outgoing.line.stall(math.inf)
            self._target.start("closing", self._target.close(code, reason))

    def _expire(self, target: FaultTarget) -> None:
        if not self._is_expiring:  # the error that reports it may match the same rule
            self._is_expiring = True
            self._close(1001, target.expire())

    def _note(self, injections: Iterable[Injection]) -> None:
        for injection in injections:
            self.injections.append(injection)
            logger.info(
                "fault injected in connection %d after %.3f s: %s%s",
                self._plan.connection,
                injection.seconds,
                injection.fault,
                f", at {injection.kind}" if injection.kind else "",
            )

    # Time.

    def wake(self) -> None:
        """Do everything that is due, and set the timer for the next deadline."""
        if self._target is None:
            return
        now = self._now()
        due = self._plan.take_due(now)
        self._note(due)
        self._act([each.fault for each in due if isinstance(each.fault, Act)], UNSET)
        self._deliver(self._outgoing, self._outgoing.line.take_due(now))
        self._deliver(self._incoming, self._incoming.line.take_due(now))
        self._target.flush()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        clocks = (self._plan, self._outgoing.line, self._incoming.line)
        deadlines = [clock.next_deadline() for clock in clocks]
        times = [deadline for deadline in deadlines if deadline is not None]
        if times and self._target is not None:
            self._timer = asyncio.get_running_loop().call_at(min(times), self.wake)


_REFUSALS: Final = {
    401: ("invalid_api_key", "Incorrect API key provided."),
    403: ("permission_denied", "You are not allowed to open this session."),
    429: ("rate_limit_exceeded", "Rate limit reached; try again later."),
    503: ("service_unavailable", "The server is overloaded or not ready yet; try again later."),
}


class FaultRegistry:
    """The faults of a whole server: of handshakes, and of the sessions that follow."""

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        """Begin with some faults.

        Args:
            faults: Checked in this order, in every session.
            seed: Seed of all dice: the same seed injects the same faults.
        """
        self._seed: Final = seed
        self._faults: Final[list[Fault]] = []
        self._handshakes: Final = HandshakeFaults()
        self._connections = 0
        self._open: Final[set[FaultInjector]] = set()
        self.fail(faults)

    def __iter__(self) -> Iterator[Fault]:
        """Return the faults that sessions begin with."""
        return iter(self._faults)

    def fail(self, faults: Iterable[Fault], *, sessions: Sessions = "all") -> None:
        """Add faults."""
        number = self._connections + 1
        added = [
            fault if sessions == "all" else replace(fault, connection=number) for fault in faults
        ]
        for fault in added:
            if isinstance(fault, RefuseHandshake):
                self._handshakes.add(fault, self._dice(0, len(self._faults)))
            self._faults.append(fault)
        if sessions == "all":
            for injector in self._open:
                if not injector.over.is_set():  # it may be about to be removed
                    injector.fail(added)

    @contextlib.contextmanager
    def injecting(self) -> Generator[FaultInjector]:
        """Count a connection, and yield the injector of its faults.

        Raises:
            HttpRejection: If a fault refuses the handshake.
        """
        self._connections += 1
        number = self._connections
        fault = self._handshakes.refusal(number)
        if fault is not None:
            logger.info("fault injected in connection %d: %s", number, fault)
            code, message = _REFUSALS[fault.status]
            raise HttpRejection(fault.status, code, message, retry_after=fault.retry_after)
        now = asyncio.get_running_loop().time
        plan = FaultPlan(number, now(), lambda index: self._dice(number, index))
        injector = FaultInjector(plan, now)
        if self._faults:
            injector.fail(self._faults)
        self._open.add(injector)
        try:
            yield injector
        finally:
            self._open.discard(injector)
            injector.detach()  # also if the session never began

    def _dice(self, connection: int, index: int) -> Dice:
        seed = f"{self._seed}/{connection}/{index}"
        return random.Random(seed).random  # noqa: S311  # reproducible on purpose


def _put_all(target: FaultTarget, frames: Iterable[bytes]) -> None:
    for frame in frames:
        target.put(frame)


def _beginning(frame: bytes, keep: float) -> bytes:
    """Return the beginning of a frame, without half a character."""
    text = frame.decode()
    return text[: int(len(text) * keep)].encode()

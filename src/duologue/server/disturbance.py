"""Carries out on one connection what its plan of faults decides."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from duologue.errors import Closed
from duologue.protocol.model import UNSET
from duologue.server.faults.delay_line import DelayLine
from duologue.server.faults.event_pattern import event_pattern
from duologue.server.faults.kinds import Act, Close, Expire, SendError, Stall
from duologue.server.mailbox import Mailbox

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from duologue.protocol.model import UnsetType
    from duologue.server.connection import AnyReceived
    from duologue.server.faults.delay_line import Arrival
    from duologue.server.faults.kinds import Fault
    from duologue.server.faults.plan import FaultPlan, Injection

__all__ = ["Disturbance", "Disturbed"]

logger: logging.Logger = logging.getLogger("duologue.server")

MAX_INJECTIONS: Final = 10_000
"""Faults remembered per session; older ones are forgotten."""

Hear = Callable[[], None]
"""Hands an event or a frame of the client's to the session, now that it has come."""


class Disturbed(Protocol):
    """What a connection does for its disturbance."""

    def put(self, frame: bytes, due: float) -> None:
        """Send a frame, not before a time of the loop."""
        ...

    def hear_frame(self, frame: bytes | str) -> None:
        """Take a frame that has come, whatever is left of it."""
        ...

    def answer_error(self, error: SendError, event_id: str | UnsetType) -> None:
        """Send an `error` event at once, about an event of the client's if there is one."""
        ...

    def flush(self) -> None:
        """Send what follows from what came."""
        ...

    def expire(self) -> str:
        """Tell that the session's time is up; return the reason of the close that follows."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close once everything is written."""
        ...

    def start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Start a job of the connection's."""
        ...


class Disturbance:
    """Stands between a connection and its wire, and does nothing until there are faults."""

    def __init__(self, plan: FaultPlan, now: Callable[[], float]) -> None:
        self.injections: deque[Injection] = deque(maxlen=MAX_INJECTIONS)
        """What happened so far."""
        self.is_active: bool = False
        """Whether there were ever any faults: without, a connection need not ask."""
        self.over: asyncio.Event = asyncio.Event()
        """Set when the session is over."""
        self._plan = plan
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._host: Disturbed | None = None
        self._is_closing = False
        self._is_expiring = False
        self._out: DelayLine[Sequence[bytes]] = DelayLine()
        self._in: DelayLine[Hear] = DelayLine()
        self._inbox: Mailbox[Hear] = Mailbox()
        self._delivers = False
        self._timer: asyncio.TimerHandle | None = None

    # What the owner uses.

    def fail(self, faults: Iterable[Fault]) -> None:
        """Ask more faults from now on; those without `at` or `after` happen at once.

        Any thread may call it, as a test does whose server runs in `duologue.sync.serving`.

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

    # What the connection uses.

    def attach(self, host: Disturbed) -> None:
        """Begin."""
        self._host = host

    def detach(self) -> None:
        """End, with the connection."""
        self.over.set()
        self._host = None
        if self._timer is not None:
            self._timer.cancel()

    def send(self, kind: str, frames: Sequence[bytes]) -> None:
        """Send an event's frames, or what becomes of them."""
        now = self._now()
        fate = self._plan.decide("server", kind, now)
        if fate.keep < 1:
            frames = [_beginning(frame, fate.keep) for frame in frames]
        self._note(fate.injections)
        self._pass(self._out.put(frames, sum(map(len, frames)), fate, now))
        self._act(fate.acts, UNSET)

    def receive(self, event: AnyReceived, frame: bytes | str, hear: Hear) -> None:
        """Hear an event of a frame, or what becomes of it."""
        now = self._now()
        fate = self._plan.decide("client", event.type, now)
        self._note(fate.injections)
        if fate.keep < 1 and self._host is not None:
            hear = partial(self._host.hear_frame, frame[: int(len(frame) * fate.keep)])
        if not any(isinstance(act, SendError) for act in fate.acts):
            self._arrive(self._in.put(hear, len(frame), fate, now))
        self._act(fate.acts, event.event_id)

    async def room(self) -> None:
        """Wait until more may be read from the client."""
        await self._inbox.room()

    # Carrying out.

    def _pass(self, arrivals: Iterable[Arrival[Sequence[bytes]]]) -> None:
        if self._host is not None:
            for arrival in arrivals:
                for frame in arrival.item:
                    self._host.put(frame, arrival.due)
        self._set_timer()

    def _arrive(self, arrivals: Iterable[Arrival[Hear]]) -> None:
        for arrival in arrivals:
            if self._inbox.is_empty and not self._delivers and arrival.due <= self._now():
                arrival.item()
                continue
            self._inbox.put_nowait(arrival.item, arrival.size, arrival.due)
            if not self._delivers and self._host is not None:
                self._delivers = True
                self._host.start("arrivals", self._deliver(self._host))
        self._set_timer()

    async def _deliver(self, host: Disturbed) -> None:
        while True:
            hear = await self._inbox.take()
            hear()
            host.flush()

    def _act(self, acts: Iterable[Act], event_id: str | UnsetType) -> None:
        for act in acts:
            match act:
                case Stall():
                    self._stall(act)
                case SendError() if self._host is not None:
                    self._host.answer_error(act, event_id)
                case Close():
                    self._close(act.code, act.reason)
                case Expire() if self._host is not None and not self._is_closing:
                    self._expire(self._host)
                case _:
                    pass  # the session is over

    def _stall(self, stall: Stall) -> None:
        until = math.inf if stall.seconds is None else self._now() + stall.seconds
        direction = None if stall.at is None else event_pattern(stall.at).direction
        if direction != "client":
            self._out.stall(until)
        if direction != "server":
            self._in.stall(until)

    def _close(self, code: int, reason: str) -> None:
        """Close after what was sent: what would follow is lost."""
        if self._host is not None and not self._is_closing:
            self._is_closing = True
            self._out.stall(math.inf)
            self._host.start("closing", self._host.close(code, reason))

    def _expire(self, host: Disturbed) -> None:
        if not self._is_expiring:  # telling of it is an event as well, that may be its own rule's
            self._is_expiring = True
            self._close(1001, host.expire())

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
        """Do what is due, and see to it that the next is done."""
        if self._host is None:
            return
        now = self._now()
        due = self._plan.take_due(now)
        self._note(due)
        self._act([each.fault for each in due if isinstance(each.fault, Act)], UNSET)
        self._pass(self._out.take_due(now))
        self._arrive(self._in.take_due(now))
        self._host.flush()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadlines = [line.next_deadline() for line in (self._plan, self._out, self._in)]
        times = [deadline for deadline in deadlines if deadline is not None]
        if times and self._host is not None:
            self._timer = asyncio.get_running_loop().call_at(min(times), self.wake)


def _beginning(frame: bytes, keep: float) -> bytes:
    """Return the beginning of a frame, without half a character."""
    text = frame.decode()
    return text[: int(len(text) * keep)].encode()

"""The plan of faults of one session: decides what happens to each of its events.

Faults are checked in order, and their effects add up. A fault counts each event that matches its
rule, and throws its dice if the rule has a chance. An event that a `Drop` takes does not reach the
faults after it.

Every fault has its own dice. With shared dice, the timing of one direction would change the outcome
in the other, and the same seed would not repeat a session.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from duologue.server.faults.event_pattern import EventPattern, event_pattern

if TYPE_CHECKING:
    from duologue.protocol.codec import Direction
from duologue.server.faults.kinds import (
    Act,
    Delay,
    Drop,
    Duplicate,
    Fault,
    FrameFault,
    RefuseHandshake,
    Reorder,
    SendError,
    SlowNetwork,
    TruncateFrame,
)

__all__ = ["NOTHING", "Dice", "FaultPlan", "HandshakeFaults", "Injection", "Verdict"]

Dice = Callable[[], float]
"""Returns the next random number, from 0 to below 1."""


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault that has happened."""

    fault: Fault
    kind: str
    """The type of the event it happened to; empty if it happened at a time."""
    seconds: float
    """Seconds since the start of the session."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Decision about one event: the changes on its way, and the acts after it."""

    is_dropped: bool = False
    copies: int = 1
    """How many times it arrives."""
    keep: float = 1.0
    """The part of its frame that arrives."""
    delay: float = 0.0
    """Seconds that it is late."""
    bytes_per_second: float = math.inf
    """The bandwidth for its frame."""
    overtaken_by: int = 0
    """How many events overtake it."""
    within: float = 0.0
    """Seconds that it waits for them, at most."""
    acts: tuple[Act, ...] = ()
    """What the server does after it."""
    injections: tuple[Injection, ...] = ()
    """The faults that caused all this."""


NOTHING: Final = Verdict()
"""The event arrives unchanged."""


@dataclass(slots=True)
class _Armed:
    """A fault with its counters."""

    fault: Fault
    patterns: tuple[EventPattern, ...]
    since: float
    """When the fault was added: `after` counts from then."""
    dice: Dice
    seen: int = 0
    injected: int = 0

    def happens(self, now: float) -> bool:
        """Count an event that matches; return whether the fault happens to it."""
        fault = self.fault
        if now - self.since < fault.after:
            return False
        self.seen += 1
        if fault.nth is not None and self.seen != fault.nth:
            return False
        if fault.times is not None and self.injected >= fault.times:
            return False
        if fault.chance < 1 and self.dice() >= fault.chance:
            return False
        self.injected += 1
        return True


@dataclass(slots=True)
class FaultPlan:
    """The faults of one session."""

    connection: int
    """Number of the connection since the server started, from 1."""
    began: float
    make_dice: Callable[[int], Dice]
    """Returns the dice for the session's nth fault, counted from 0."""
    _by_event: list[_Armed] = field(default_factory=list[_Armed])
    _by_time: list[_Armed] = field(default_factory=list[_Armed])
    _added: int = 0

    def add(self, faults: Iterable[Fault], now: float) -> None:
        """Add faults behind the existing ones; their `after` counts from now."""
        for fault in faults:
            # Counted even if it does not apply: a fault has the same dice in every connection.
            self._added += 1
            if fault.connection not in (None, self.connection) or isinstance(
                fault, RefuseHandshake
            ):
                continue
            armed = _Armed(fault, _patterns(fault), now, self.make_dice(self._added - 1))
            (self._by_event if armed.patterns else self._by_time).append(armed)

    def decide(self, direction: Direction, kind: str, now: float) -> Verdict:
        """Return what happens to an event of this type."""
        verdict = NOTHING
        for armed in self._by_event:
            fault = armed.fault
            if kind == "error" and isinstance(fault, SendError):
                continue  # or it would follow its own error with another, forever
            if not any(each.includes(direction, kind) for each in armed.patterns):
                continue
            if not armed.happens(now):
                continue
            if armed.injected == 1 or not isinstance(fault, SlowNetwork):
                # A slow network slows every event: report it once.
                injection = Injection(fault, kind, now - self.began)
                verdict = replace(verdict, injections=(*verdict.injections, injection))
            if isinstance(fault, Act):
                verdict = replace(verdict, acts=(*verdict.acts, fault))
            else:
                verdict = _changed(verdict, fault, armed.dice)
            if verdict.is_dropped:
                break
        return verdict

    def next_deadline(self) -> float | None:
        """Return when to call `take_due`, in monotonic seconds."""
        return min((armed.since + armed.fault.after for armed in self._by_time), default=None)

    def take_due(self, now: float) -> list[Injection]:
        """Return the timed faults that are due, once each."""
        due = [armed for armed in self._by_time if armed.since + armed.fault.after <= now]
        self._by_time = [armed for armed in self._by_time if armed not in due]
        return [
            Injection(armed.fault, "", now - self.began)
            for armed in due
            if armed.fault.chance >= 1 or armed.dice() < armed.fault.chance
        ]


def _patterns(fault: Fault) -> tuple[EventPattern, ...]:
    """Return the events that a fault applies to; none if it happens at a time."""
    if fault.at is not None:
        return (event_pattern(fault.at),)
    if isinstance(fault, SlowNetwork):
        return (EventPattern("server", "*"), EventPattern("client", "*"))
    return (EventPattern("server", "*"),) if isinstance(fault, FrameFault) else ()


def _changed(verdict: Verdict, fault: Fault, dice: Dice) -> Verdict:
    """Return the verdict with the effect of one more fault added."""
    match fault:
        case Drop():
            return replace(verdict, is_dropped=True)
        case Duplicate():
            return replace(verdict, copies=verdict.copies + fault.copies)
        case TruncateFrame():
            return replace(verdict, keep=verdict.keep * fault.keep)
        case Delay():
            seconds = fault.seconds + _jitter(fault.jitter, dice)
            return replace(verdict, delay=verdict.delay + seconds)
        case Reorder():
            return replace(
                verdict,
                overtaken_by=verdict.overtaken_by + fault.by,
                within=max(verdict.within, fault.within),
            )
        case SlowNetwork():
            return replace(
                verdict,
                delay=verdict.delay + fault.latency + _jitter(fault.jitter, dice),
                bytes_per_second=min(verdict.bytes_per_second, fault.bytes_per_second or math.inf),
            )
        case _:
            raise AssertionError(f"{fault} does not change a frame")


def _jitter(most: float, dice: Dice) -> float:
    return most * dice() if most else 0.0


class HandshakeFaults:
    """The `RefuseHandshake` faults of a server, which happen before there is a session."""

    def __init__(self) -> None:
        self._armed: Final[list[_Armed]] = []

    def add(self, fault: RefuseHandshake, dice: Dice) -> None:
        """Add a fault behind the existing ones."""
        self._armed.append(_Armed(fault, (), 0.0, dice))

    def refusal(self, connection: int) -> RefuseHandshake | None:
        """Return the fault that refuses a connection, if one does.

        Args:
            connection: Number of the connection since the server started, from 1.
        """
        for armed in self._armed:
            fault = armed.fault
            # `after` does not apply, so any time will do.
            if fault.connection in (None, connection) and armed.happens(math.inf):
                return fault if isinstance(fault, RefuseHandshake) else None
        return None

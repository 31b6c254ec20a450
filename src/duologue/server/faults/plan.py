"""What happens to each event of one session: the faults, their rules, and how they compose.

Faults are asked in their order. Each event that reaches a fault and fits its rule is counted, and
the dice are thrown if the rule has a chance. What a `Drop` takes does not reach the faults behind
it. Each fault has dice of its own, so that what one direction does never changes the other's luck.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from duologue.server.faults.event_pattern import Direction, Target, target
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

__all__ = ["NOTHING", "Dice", "Fate", "Injection", "Plan"]

Dice = Callable[[], float]
"""Returns the next number from 0 up to 1."""


@dataclass(frozen=True, slots=True)
class Injection:
    """A fault that happened."""

    fault: Fault
    kind: str
    """The type of the event that it happened to; empty where it was a matter of time."""
    seconds: float
    """When, since the session began."""


@dataclass(frozen=True, slots=True)
class Fate:
    """How one event travels, and what happens after it."""

    is_dropped: bool = False
    copies: int = 1
    """How often it comes."""
    keep: float = 1.0
    """The part of its frame that comes."""
    delay: float = 0.0
    """Seconds that it takes longer."""
    bytes_per_second: float = math.inf
    """How fast its frame goes through."""
    overtaken_by: int = 0
    """How many events go before it."""
    within: float = 0.0
    """Seconds that it waits for them at most."""
    acts: tuple[Act, ...] = ()
    injections: tuple[Injection, ...] = ()


NOTHING = Fate()
"""The event travels as it would."""


@dataclass(slots=True)
class _Armed:
    """A fault with its counters."""

    fault: Fault
    targets: tuple[Target, ...]
    since: float
    """When its clock began."""
    dice: Dice
    seen: int = 0
    injected: int = 0

    def happens(self, now: float) -> bool:
        """Count an event that fits; return whether the fault happens to it."""
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
class Plan:
    """The faults of one session."""

    connection: int
    """Which one it is in the server's life, from 1."""
    began: float
    make_dice: Callable[[int], Dice]
    """Returns the dice of the session's fault of a number, from 0."""
    _by_event: list[_Armed] = field(default_factory=list[_Armed])
    _by_time: list[_Armed] = field(default_factory=list[_Armed])
    _added: int = 0

    def add(self, faults: Iterable[Fault], now: float) -> None:
        """Ask more faults, behind those that there are; their `after` counts from now on."""
        for fault in faults:
            self._added += 1
            if fault.connection not in (None, self.connection) or isinstance(
                fault, RefuseHandshake
            ):
                continue
            armed = _Armed(fault, _targets(fault), now, self.make_dice(self._added - 1))
            (self._by_event if armed.targets else self._by_time).append(armed)

    def decide(self, direction: Direction, kind: str, now: float) -> Fate:
        """Return what happens to an event of this type."""
        fate = NOTHING
        for armed in self._by_event:
            fault = armed.fault
            if kind == "error" and isinstance(fault, SendError):
                continue  # it would answer itself
            if not any(each.includes(direction, kind) for each in armed.targets):
                continue
            if not armed.happens(now):
                continue
            if armed.injected == 1 or not isinstance(fault, SlowNetwork):  # it lasts
                injection = Injection(fault, kind, now - self.began)
                fate = replace(fate, injections=(*fate.injections, injection))
            if isinstance(fault, Act):
                fate = replace(fate, acts=(*fate.acts, fault))
            else:
                fate = _changed(fate, fault, armed.dice)
            if fate.is_dropped:
                break
        return fate

    def next_deadline(self) -> float | None:
        """Return when to ask `take_due`, in monotonic seconds."""
        return min((armed.since + armed.fault.after for armed in self._by_time), default=None)

    def take_due(self, now: float) -> list[Injection]:
        """Return the acts whose time has come, once each."""
        due = [armed for armed in self._by_time if armed.since + armed.fault.after <= now]
        self._by_time = [armed for armed in self._by_time if armed not in due]
        return [
            Injection(armed.fault, "", now - self.began)
            for armed in due
            if armed.fault.chance >= 1 or armed.dice() < armed.fault.chance
        ]


def _targets(fault: Fault) -> tuple[Target, ...]:
    """Return what a fault is asked about; of none, if it is a matter of time."""
    if fault.at is not None:
        return (target(fault.at),)
    if isinstance(fault, SlowNetwork):
        return (Target("server", "*"), Target("client", "*"))
    return (Target("server", "*"),) if isinstance(fault, FrameFault) else ()


def _changed(fate: Fate, fault: Fault, dice: Dice) -> Fate:
    """Return a fate after one more fault of its frame."""
    match fault:
        case Drop():
            return replace(fate, is_dropped=True)
        case Duplicate():
            return replace(fate, copies=fate.copies + fault.copies)
        case TruncateFrame():
            return replace(fate, keep=fate.keep * fault.keep)
        case Delay():
            return replace(fate, delay=fate.delay + fault.seconds + _jitter(fault.jitter, dice))
        case Reorder():
            return replace(
                fate,
                overtaken_by=fate.overtaken_by + fault.by,
                within=max(fate.within, fault.within),
            )
        case SlowNetwork():
            return replace(
                fate,
                delay=fate.delay + fault.latency + _jitter(fault.jitter, dice),
                bytes_per_second=min(fate.bytes_per_second, fault.bytes_per_second or math.inf),
            )
        case _:
            raise AssertionError(f"{fault} changes no frame")


def _jitter(most: float, dice: Dice) -> float:
    return most * dice() if most else 0.0


class Handshakes:
    """Which clients are refused before they have a session."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def add(self, fault: RefuseHandshake, dice: Dice) -> None:
        """Ask one more fault, behind those that there are."""
        self._armed.append(_Armed(fault, (), 0.0, dice))

    def refusal(self, connection: int) -> RefuseHandshake | None:
        """Return how a connection is refused, if it is; counted from 1 in the server's life."""
        for armed in self._armed:
            fault = armed.fault
            if fault.connection in (None, connection) and armed.happens(math.inf):
                return fault if isinstance(fault, RefuseHandshake) else None
        return None

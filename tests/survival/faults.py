"""The faults of the drill."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tests.survival.stage import Moment, Stage

from duologue.server.faults import Close, Expire, RefuseHandshake

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.server.faults.kinds import Act

__all__ = ["FAULTS", "Fault"]

KEEPALIVE: Final = 0.5

RESTORING: Final = "conversation.item.added"
"""Event at which a connection fails that is being restored: the second of them."""


@dataclass(frozen=True)
class Fault:
    """A way to lose a connection."""

    name: str
    act: Act | None = None
    """What the server does; otherwise it happens to the network."""
    hit: Callable[[Stage], None] = lambda _stage: None
    keepalive: float | None = None
    """The client's: a fault that only pings find needs a short one, lest the test be long."""
    refusal: RefuseHandshake | None = None
    """How the server answers the first attempt to connect again."""
    hit_next: Callable[[Stage], None] | None = None
    """Fails the next connection while it is restored, if `hit` at a moment cannot."""

    def strike(self, stage: Stage) -> None:
        """Strike now."""
        self._prepare(stage)
        if self.act is None:
            stage.strike()
        else:
            stage.record.fail(self.act)

    def arm(self, stage: Stage, kind: str, nth: int = 1, *, twice: bool = False) -> None:
        """Strike after the nth event from now on.

        Args:
            stage: The cell.
            kind: Type of the event; one of the client's own begins with `client.`.
            nth: Its number.
            twice: Strike again while the conversation is restored.
        """
        self._prepare(stage, failures=1 + twice)
        if self.act is not None:
            stage.server.fail(replace(self.act, at=kind, nth=nth, connection=1, times=1))
        elif not kind.startswith("client."):
            stage.moment = Moment(1, kind, nth)
        if twice:
            self._arm_again(stage)

    def has_sent(self, stage: Stage) -> None:
        """Strike if the fault is armed for an event that the client has just sent."""
        if self.act is None:
            stage.strike()

    def _arm_again(self, stage: Stage) -> None:
        if self.act is not None:
            stage.server.fail(replace(self.act, at=RESTORING, nth=2, connection=2, times=1))
        elif self.hit_next is not None:
            self.hit_next(stage)
        else:
            stage.next_moment = Moment(2, RESTORING, 2)

    def attempts(self, *, twice: bool) -> int:
        """Return the number of connections that a recovery takes."""
        return 1 + (self.refusal is not None) + twice

    def _prepare(self, stage: Stage, *, failures: int = 1) -> None:
        stage.hit = self.hit
        if self.refusal is not None:
            stage.server.fail(replace(self.refusal, connection=1 + failures))


def _cut(stage: Stage) -> None:
    """Cut the next frame, and have the server send one."""
    stage.proxy.cut()
    stage.client.retrieve_item(next(iter(stage.client.conversation)).id)


CLOSE: Final = Close(1011)
FAULTS: Final = {
    fault.name: fault
    for fault in (
        Fault("reset", hit=lambda stage: stage.proxy.reset()),
        Fault("cap 1001", Expire()),
        Fault("close 1011", CLOSE),
        Fault("close 1012", Close(1012)),
        Fault("stall", hit=lambda stage: stage.proxy.stall(), keepalive=KEEPALIVE),
        Fault("half-open", hit=lambda stage: stage.proxy.half_open(), keepalive=KEEPALIVE),
        Fault(
            "cut frame",
            hit=_cut,
            hit_next=lambda stage: stage.proxy.cut(after_bytes=3000, connections="next"),
        ),
        Fault("401", CLOSE, refusal=RefuseHandshake(401)),
        Fault("429", CLOSE, refusal=RefuseHandshake(429, retry_after=1)),
        Fault("503", CLOSE, refusal=RefuseHandshake(503)),
    )
}

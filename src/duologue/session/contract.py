"""The contract of both session cores, a client's and a server's.

A core is a pure function of what happened and when: no await, clock, randomness or I/O. Its driver
feeds it, carries out the effects that it lists, and calls it again at its next deadline:

    core.receive(event, now)
    for effect in core.effects():
        carry_out(effect)
    rearm_timer(core.next_deadline())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.errors import SessionEnd

__all__ = ["SendEvent", "SessionCore"]

EventT = TypeVar("EventT")
Received_contra = TypeVar("Received_contra", contravariant=True)
Sent_contra = TypeVar("Sent_contra", contravariant=True)
Effect_co = TypeVar("Effect_co", covariant=True)


class SendEvent(Struct, Generic[EventT], frozen=True):
    """Send an event to the peer."""

    event: EventT


class SessionCore(Protocol[Received_contra, Sent_contra, Effect_co]):
    """One end of a session. Every `now` is in seconds on one monotonic clock."""

    def receive(self, event: Received_contra, now: float) -> None:
        """Process an event that the peer sent. Never raises, whatever the peer sends."""

    def send(self, event: Sent_contra, /, now: float) -> object:
        """Process an event of our own side.

        On a client that is an event of the application, on a server a result of the engine.
        """

    def effects(self) -> Sequence[Effect_co]:
        """Return what is to be done now, in order, and forget it."""
        ...

    def next_deadline(self) -> float | None:
        """Return when `handle_deadline` is due; `None` if nothing waits for time to pass."""

    def handle_deadline(self, now: float) -> None:
        """Do what is due; before the deadline, do nothing."""

    def end(self, error: SessionEnd | None) -> None:
        """Process the end of the connection; `None` or `Closed` if our side closed it."""

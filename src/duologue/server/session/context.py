"""State that all parts of a session share: the time, new ids, statistics, and pending effects."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Generic, TypeVar

from duologue.protocol import ga
from duologue.server.session.engine_work import ConversationWork
from duologue.server.session.statistics import SessionStatistics
from duologue.session.contract import SendEvent

__all__ = ["ConversationContext", "SessionContext"]

OBFUSCATION_BLOCK: Final = 16
"""Deltas are filled up to a multiple of this many characters."""

Sent = TypeVar("Sent")
Work = TypeVar("Work")


class SessionContext(Generic[Sent, Work]):
    """Collects the effects of one session in the order in which its parts produce them."""

    def __init__(self, new_id: Callable[[str], str]) -> None:
        self.new_id: Final = new_id
        """Returns a new id for a prefix: `item` to `item_…`."""
        self.event_id: Final[Callable[[], str]] = partial(new_id, "event")
        """Returns the id of a new event."""
        self.now: float = 0.0
        """Monotonic seconds of the event in progress."""
        self.statistics: Final = SessionStatistics()
        self._effects: list[SendEvent[Sent] | Work] = []

    def emit(self, event: Sent) -> None:
        """Send an event to the client."""
        self._effects.append(SendEvent(event))

    def start(self, work: Work) -> None:
        """Have the edge start a piece of work."""
        self._effects.append(work)

    def obfuscation(self, delta: str) -> str:
        """Return random characters that hide the length of a delta from whoever sees its size."""
        size = OBFUSCATION_BLOCK - len(delta) % OBFUSCATION_BLOCK
        return self.new_id("x").removeprefix("x_")[:size]

    def error_event(self, error: ga.RealtimeError) -> ga.RealtimeErrorEvent:
        """Return an `error` event to be emitted, and count it."""
        self.statistics.error_sent(error.code if isinstance(error.code, str) else None)
        return ga.RealtimeErrorEvent(event_id=self.event_id(), error=error)

    def take_effects(self) -> list[SendEvent[Sent] | Work]:
        """Return the effects so far, and forget them."""
        effects, self._effects = self._effects, []
        return effects


ConversationContext = SessionContext[ga.KnownServerEvent, ConversationWork]
"""The context of a conversation or transcription session."""

"""Record of one session of a `LocalServer`: its events, for a test to wait for and assert on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from duologue.errors import Closed
from duologue.protocol import ga
from duologue.protocol.ga.translation import KnownTranslationClientEvent
from duologue.protocol.model import UnknownEvent
from duologue.server.connection import AnyReceived, AnySent
from duologue.server.event_store import EventLog, EventStore, audio_bytes
from duologue.server.faults import Close

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.server.fault_injection import FaultInjector
    from duologue.server.faults import Fault
    from duologue.server.faults.plan import Injection

__all__ = ["SessionRecord"]


@dataclass(slots=True)
class _Waiter:
    """A test that waits for an event."""

    kind: str
    left: int
    event: AnyReceived | AnySent | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class SessionRecord:
    """The events that one session of a `LocalServer` received and sent, and its faults."""

    _injector: FaultInjector
    _store: EventStore
    received: EventLog[AnyReceived] = field(default_factory=EventLog[AnyReceived])
    """The latest events from the client; only the last of them have their audio."""
    sent: EventLog[AnySent] = field(default_factory=EventLog[AnySent])
    """The latest events to the client; `injected` lists what faults did to them on their way."""
    _waiters: list[_Waiter] = field(default_factory=list[_Waiter])

    @property
    def injected(self) -> Sequence[Injection]:
        """The faults that happened so far, in order; the last ten thousand."""
        return self._injector.injections

    @staticmethod
    def audio_bytes(event: AnyReceived | AnySent) -> int:
        """Return how many bytes of audio an event had, in the session's format."""
        return audio_bytes(event)

    def fail(self, *faults: Fault) -> None:
        """Add faults to this session; those without `at` or `after` happen at once.

        Raises:
            Closed: If the session is over.
        """
        self._injector.fail(faults)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the session from the server's side; 1006 breaks the connection.

        Raises:
            Closed: If the session is over.
            ConfigurationError: If a close frame cannot contain this code.
        """
        self.fail(Close(code, reason))

    async def wait_for(
        self,
        kind: str,
        *,
        nth: int = 1,
        timeout: float = 5.0,  # noqa: ASYNC109  # its error names what came instead
    ) -> AnyReceived | AnySent:
        """Return an event of this type, received or sent, as soon as there is one.

        Args:
            kind: GA type of the event, such as `response.create`, whatever the client's dialect.
            nth: Its number, counted from the beginning of the session.
            timeout: Seconds.

        Raises:
            TimeoutError: If there is none in time; the message names the last events.
            Closed: If the session ends before.
            LookupError: If there was one, and the server keeps it no more.
        """
        found = [each for each in (*self.received, *self.sent) if each.type == kind]
        forgotten = self.received.forgotten[kind] + self.sent.forgotten[kind]
        if nth <= forgotten:
            raise LookupError(f"the {kind!r} number {nth} was forgotten: too much followed it")
        if forgotten + len(found) >= nth:
            return found[nth - forgotten - 1]
        waiter = _Waiter(kind, nth - forgotten - len(found))
        self._waiters.append(waiter)
        ends = [asyncio.create_task(each.wait()) for each in (waiter.arrived, self._injector.over)]
        try:
            await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiters.remove(waiter)
            for end in ends:
                end.cancel()
        if waiter.event is not None:
            return waiter.event
        if self._injector.over.is_set():
            raise Closed(f"the session ended without {kind!r}; {self._last_events()}")
        raise TimeoutError(f"no {kind!r} came within {timeout:g} s; {self._last_events()}")

    async def wait_closed(self) -> None:
        """Wait until the session is over."""
        await self._injector.over.wait()

    def observe(self, event: AnyReceived | AnySent) -> None:
        """Record an event, and wake the tests that wait for it."""
        if isinstance(event, UnknownEvent | ga.KnownClientEvent | KnownTranslationClientEvent):
            self._store.add(self.received, event)
        else:
            self._store.add(self.sent, event)
        for waiter in self._waiters:
            if waiter.kind == event.type:
                waiter.left -= 1
                if waiter.left == 0:
                    waiter.event = event
                    waiter.arrived.set()

    def _last_events(self) -> str:
        """Return a sentence with the last events of each direction."""
        received = ", ".join(reversed([each.type for each in islice(reversed(self.received), 5)]))
        sent = ", ".join(reversed([each.type for each in islice(reversed(self.sent), 5)]))
        return f"it received last: {received or 'nothing'}; and sent: {sent or 'nothing'}"

"""One session of a `LocalServer`, as a test sees it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from duologue.errors import Closed
from duologue.protocol import ga
from duologue.protocol.ga.translation import KnownTranslationClientEvent
from duologue.protocol.model import UnknownEvent
from duologue.server.connection import AnyReceived, AnySent
from duologue.server.faults import Close

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.server.fault_injection import FaultInjector
    from duologue.server.faults import Fault
    from duologue.server.faults.plan import Injection

__all__ = ["ObservedSession"]

MAX_OBSERVED: Final = 20_000
"""Events kept per session and direction; older ones are forgotten."""


@dataclass(slots=True)
class _Waiter:
    """Somebody who waits for an event."""

    kind: str
    left: int
    event: AnyReceived | AnySent | None = None
    came: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class ObservedSession:
    """What one session of a `LocalServer` received and sent, to be asserted on and disturbed."""

    _disturbance: FaultInjector
    received: deque[AnyReceived] = field(
        default_factory=lambda: deque[AnyReceived](maxlen=MAX_OBSERVED)
    )
    """Events from the client."""
    sent: deque[AnySent] = field(default_factory=lambda: deque[AnySent](maxlen=MAX_OBSERVED))
    """Events to the client; what a fault did to them on their way is in `injected`."""
    _waiters: list[_Waiter] = field(default_factory=list[_Waiter])

    @property
    def injected(self) -> Sequence[Injection]:
        """The faults that happened so far, in order; the last ten thousand."""
        return self._disturbance.injections

    def fail(self, *faults: Fault) -> None:
        """Let things go wrong from now on; an act without `at` or `after` happens at once.

        Raises:
            Closed: If the session is over.
        """
        self._disturbance.fail(faults)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the session from the server's side; 1006 breaks the connection.

        Raises:
            Closed: If the session is over.
            ConfigurationError: If the code cannot be sent.
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
            kind: `response.create`, in GA words whatever the client speaks.
            nth: Which one, counted from the beginning of the session.
            timeout: Seconds.

        Raises:
            TimeoutError: If it did not come; the message tells what came last.
            Closed: If the session ended before.
        """
        found = [each for each in (*self.received, *self.sent) if each.type == kind]
        if len(found) >= nth:
            return found[nth - 1]
        waiter = _Waiter(kind, nth - len(found))
        self._waiters.append(waiter)
        ends = [asyncio.create_task(each.wait()) for each in (waiter.came, self._disturbance.over)]
        try:
            await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiters.remove(waiter)
            for end in ends:
                end.cancel()
        if waiter.event is not None:
            return waiter.event
        if self._disturbance.over.is_set():
            raise Closed(f"the session ended without {kind!r}; {self._told()}")
        raise TimeoutError(f"no {kind!r} came within {timeout:g} s; {self._told()}")

    async def wait_closed(self) -> None:
        """Return when the session is over."""
        await self._disturbance.over.wait()

    def observe(self, event: AnyReceived | AnySent) -> None:
        """Keep an event."""
        if isinstance(event, UnknownEvent | ga.KnownClientEvent | KnownTranslationClientEvent):
            self.received.append(event)
        else:
            self.sent.append(event)
        for waiter in self._waiters:
            if waiter.kind == event.type:
                waiter.left -= 1
                if waiter.left == 0:
                    waiter.event = event
                    waiter.came.set()

    def _told(self) -> str:
        """Return the last events of each direction."""
        received = ", ".join(reversed([each.type for each in islice(reversed(self.received), 5)]))
        sent = ", ".join(reversed([each.type for each in islice(reversed(self.sent), 5)]))
        return f"it received last: {received or 'nothing'}; and sent: {sent or 'nothing'}"

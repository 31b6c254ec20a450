"""The faults of a whole server: who is refused, and what goes wrong in which session."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

from duologue.server.disturbance import Disturbance
from duologue.server.door import Denied
from duologue.server.faults.kinds import RefuseHandshake
from duologue.server.faults.plan import FaultPlan, HandshakeFaults

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from duologue.server.faults.kinds import Fault
    from duologue.server.faults.plan import Dice

__all__ = ["Faults", "Sessions"]

logger: logging.Logger = logging.getLogger("duologue.server")

Sessions = Literal["all", "next"]
"""Which sessions: those that are open and all that follow, or only the next connection."""

_REFUSALS: Final = {
    401: ("invalid_api_key", "Incorrect API key provided."),
    403: ("permission_denied", "You are not allowed to open this session."),
    429: ("rate_limit_exceeded", "Rate limit reached; try again later."),
    503: ("service_unavailable", "The server is overloaded or not ready yet; try again later."),
}


class Faults:
    """What goes wrong on a server; nothing, until it is told."""

    def __init__(self, faults: Iterable[Fault] = (), *, seed: int = 0) -> None:
        """Begin with some faults.

        Args:
            faults: Asked in this order, in every session.
            seed: Of all dice: the same seed, the same luck.
        """
        self._seed = seed
        self._faults: list[Fault] = []
        self._handshakes = HandshakeFaults()
        self._connections = 0
        self._open: set[Disturbance] = set()
        self.fail(faults)

    def __iter__(self) -> Iterator[Fault]:
        """Return the faults that sessions begin with."""
        return iter(self._faults)

    def fail(self, faults: Iterable[Fault], *, sessions: Sessions = "all") -> None:
        """Let more go wrong from now on."""
        number = self._connections + 1
        added = [
            fault if sessions == "all" else replace(fault, connection=number) for fault in faults
        ]
        for fault in added:
            if isinstance(fault, RefuseHandshake):
                self._handshakes.add(fault, self._dice(0, len(self._faults)))
            self._faults.append(fault)
        if sessions == "all":
            for disturbance in self._open:
                if not disturbance.over.is_set():  # it may be about to go
                    disturbance.fail(added)

    @contextlib.contextmanager
    def disturbing(self) -> Generator[Disturbance]:
        """Count a connection, and let things go wrong with it while the context lasts.

        Raises:
            Denied: If a fault refuses it.
        """
        self._connections += 1
        number = self._connections
        fault = self._handshakes.refusal(number)
        if fault is not None:
            logger.info("fault injected in connection %d: %s", number, fault)
            code, message = _REFUSALS[fault.status]
            raise Denied(fault.status, code, message, retry_after=fault.retry_after)
        now = asyncio.get_running_loop().time
        plan = FaultPlan(number, now(), lambda index: self._dice(number, index))
        disturbance = Disturbance(plan, now)
        if self._faults:
            disturbance.fail(self._faults)
        self._open.add(disturbance)
        try:
            yield disturbance
        finally:
            self._open.discard(disturbance)
            disturbance.detach()  # also if there never was a session

    def _dice(self, connection: int, index: int) -> Dice:
        seed = f"{self._seed}/{connection}/{index}"
        return random.Random(seed).random  # noqa: S311  # to be foreseen is what it is for

"""The conversation of the simulated day in real time: real sockets, and a fault every 5 seconds.

`python -m tests.survival.soak --minutes 30` prints what was found.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from tests.survival.simulated_day import Day, show, talking_server

from duologue.client.endpoint import Endpoint
from duologue.testing import ChaosProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from duologue.transport.base import Connector

SECONDS_PER_FAULT: Final = 5.0


class Soak(Day):
    """The same conversation over a `ChaosProxy`."""

    @contextlib.asynccontextmanager
    async def _network(self) -> AsyncGenerator[Connector]:
        async with talking_server() as server, ChaosProxy(server.url, seed=self.seed) as proxy:
            self._proxy = proxy
            yield Endpoint(proxy.url, api_key="none", dialect=self.dialect).open

    def _strike(self, kind: str) -> None:
        proxy = self._proxy
        match kind:
            case "refuse":
                proxy.refuse(self._random.choice((1, 2, 3)))
                proxy.reset()
            case "cut while resuming":
                proxy.cut(after_bytes=self._random.choice((200, 900, 4000)), connections="next")
                proxy.reset()
            case "cut in a frame":
                proxy.cut()
            case "vanish":
                proxy.half_open()
            case "stall":
                proxy.stall()
                self._loop.call_later(self._random.choice((0.5, 2.0, 4.0)), proxy.resume)
            case "1001" | "1011" | "1012":  # the proxy knows no close frames
                proxy.close()
            case _:
                proxy.reset()


def main() -> None:
    """Talk, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dialect", choices=("ga", "beta"), default="ga")
    wanted = parser.parse_args()
    logging.getLogger("duologue").setLevel(logging.CRITICAL)
    faults = round(wanted.minutes * 60 / SECONDS_PER_FAULT)
    soak = Soak(wanted.seed, wanted.minutes / 60, faults, wanted.dialect)
    began = time.monotonic()
    asyncio.run(soak.play())
    show(soak, time.monotonic() - began)


if __name__ == "__main__":
    main()

"""The tasks that wait for commands, responses, or anything that happens in a session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from duologue.session.commands import Command
    from duologue.session.response_state import ResponseRequest

__all__ = ["Waiters"]


class Waiters:
    """The tasks that await commands and responses, or iterate over a response."""

    def __init__(self) -> None:
        self.reading: Final[set[asyncio.Future[None]]] = set()
        """The tasks that wait for more of a response. Nearly always empty: see `wake_readers`."""
        self._futures: Final[dict[Command | ResponseRequest, set[asyncio.Future[None]]]] = {}

    async def wait(self, record: Command | ResponseRequest) -> None:
        """Wait until a command or response has ended."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        futures = self._futures.setdefault(record, set())
        futures.add(future)
        record.waiters += 1
        try:
            await future
        finally:
            record.waiters -= 1
            futures.discard(future)
            if not futures:
                self._futures.pop(record, None)

    async def wait_for_more(self) -> None:
        """Wait until anything has happened in the session."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reading.add(future)
        try:
            await future
        finally:
            self.reading.discard(future)

    def wake_readers(self) -> None:
        """Wake up the tasks of `wait_for_more`."""
        for future in self.reading:
            if not future.done():
                future.set_result(None)

    def wake(self, record: Command | ResponseRequest) -> None:
        """Wake up the tasks that wait for a command or response: it has ended."""
        for future in self._futures.get(record, ()):
            if not future.done():
                future.set_result(None)

"""Lets those go on who wait for anything to come."""

from __future__ import annotations

import asyncio
from typing import Final

__all__ = ["News"]


class News:
    """Who waits for news of a session, whatever it is."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: Final[set[asyncio.Future[None]]] = set()
        """Empty nearly always: look before you call `tell`."""

    async def wait(self) -> None:
        """Wait until something has come."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.add(future)
        try:
            await future
        finally:
            self.waiting.discard(future)

    def tell(self) -> None:
        """Let all go on, after everything that comes first was done."""
        for future in self.waiting:
            if not future.done():
                future.set_result(None)

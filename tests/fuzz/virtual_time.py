"""An event loop whose clock jumps: a day of waiting takes as long as what happens in it."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any, Final

__all__ = ["VirtualTimeLoop"]


TICK: Final = 2e-9
"""Seconds beyond the time that was waited for: the loop calls a timer up to a nanosecond early, and
one that is set again until its time has come would be called for ever if the clock stood still."""


class _Selector(selectors.DefaultSelector):
    """Waits for no time at all: it moves the clock instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing can happen any more: a task waits for what never comes")
        if not ready and timeout is not None:
            self.now += timeout + TICK
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Event loop for programs without sockets and threads.

    `asyncio.Runner(loop_factory=VirtualTimeLoop)` runs them.
    """

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._virtual.now

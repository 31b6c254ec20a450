"""Ending tasks that run an application's code: it may do with a cancellation what it likes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["cancel_all"]

PATIENCE: Final = 5.0
"""Seconds for what tidies up when it is cancelled: as long as a server has for its CLOSE frame."""


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have ended; not the current one, which is the caller's.

    One that has not ended after `PATIENCE` is told to the event loop's exception handler, and left.
    """
    ending = {task for task in tasks if task is not asyncio.current_task()}
    for task in ending:
        task.cancel()
    if not ending:
        return
    _, stubborn = await asyncio.wait(ending, timeout=PATIENCE)
    for task in stubborn:
        text = f"{task.get_name()} goes on although it was cancelled {PATIENCE:g} s ago"
        asyncio.get_running_loop().call_exception_handler({"message": text, "task": task})

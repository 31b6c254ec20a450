"""Tools of the application: the model's calls are run as they come, each on a task of its own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from duologue.session.tools import ToolCall

__all__ = ["ToolHandler", "ToolRunner", "Tools"]

ToolHandler = Callable[[dict[str, Any]], Awaitable[object] | object]
"""Takes a call's arguments, and returns what the model is told, as anything that JSON can say.

Coroutine functions run on the event loop, others in a thread. What one raises is told the model.
"""


class Tools:
    """The handlers of a client, by the names of their tools."""

    def __init__(self) -> None:
        self.handlers: dict[str, ToolHandler] = {}

    async def run(self, call: ToolCall) -> str:
        """Return the JSON that answers a call; a fault is an answer, too."""
        handler = self.handlers.get(call.name)
        if handler is None:
            return _failure(f'Tool "{call.name}" has not been added')
        try:
            arguments: dict[str, Any] = msgspec.json.decode(
                call.arguments or "{}", type=dict[str, Any]
            )
            if inspect.iscoroutinefunction(handler):
                result: object = await handler(arguments)
            else:
                result = await asyncio.to_thread(handler, arguments)
                if inspect.isawaitable(result):
                    result = await result
            return msgspec.json.encode(result).decode()
        except Exception as error:  # noqa: BLE001  # the model can mend what it did wrong
            return _failure(str(error) or type(error).__name__)


class ToolRunner:
    """Owns the tasks of a session's calls."""

    def __init__(self, tools: Tools, answer: Callable[[ToolCall, str], None]) -> None:
        self._tools = tools
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, call: ToolCall) -> None:
        """Run a call, and hand over its answer when there is one."""
        task = asyncio.get_running_loop().create_task(self._run(call), name=f"tool {call.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Cancel what still runs, and wait until it has ended."""
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, call: ToolCall) -> None:
        self._answer(call, await self._tools.run(call))


def _failure(message: str) -> str:
    return msgspec.json.encode({"error": message}).decode()

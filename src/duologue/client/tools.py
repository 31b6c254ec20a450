"""Tools of the application: each call of the model runs on a task of its own."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, TypedDict

import msgspec

from duologue.client._concurrency import cancel_all, in_thread
from duologue.client.tool_schema import CallContext, ToolFunction, to_text
from duologue.errors import ConfigurationError, ToolFailed
from duologue.session.tool_calls import ToolCall, ToolPolicy

__all__ = [
    "DEFAULT_TIMEOUT",
    "RegisteredTool",
    "ToolHandler",
    "ToolOptions",
    "ToolRegistry",
    "ToolRunner",
]

ToolHandler = Callable[[dict[str, Any]], Awaitable[object] | object]
"""Takes a call's arguments, and returns what the model is told, as anything that JSON can say.

Coroutine functions run on the event loop, others in a thread. What one raises is told the model.
"""

DEFAULT_TIMEOUT: Final = 60.0
"""Seconds: nobody waits longer for an answer in a conversation."""


class ToolOptions(TypedDict, total=False):
    """How the calls of a tool are run and answered."""

    timeout: float | None
    """Seconds until the model is told that it took too long; 60 unless it is given, for a
    background tool none. A function in a thread runs on to its end; what it returns is dropped."""
    responds: bool
    """Whether the model goes on by itself when it has the answer; `True` unless it is given."""
    on_interrupt: Literal["finish", "cancel"]
    """What becomes of a call that runs when the user speaks, or its response is cancelled: it
    finishes (unless it is given), or it is cancelled and the model is told so."""
    background: bool
    """Answer at once that it was started, and tell what it returned when it has, as a message of
    the system; the model goes on after both."""


@dataclass(frozen=True, slots=True)
class RegisteredTool:
    """What runs the calls of one name."""

    handler: ToolHandler | ToolFunction
    policy: ToolPolicy = field(default_factory=ToolPolicy)
    timeout: float | None = DEFAULT_TIMEOUT

    @classmethod
    def of(cls, handler: ToolHandler | ToolFunction, options: ToolOptions) -> RegisteredTool:
        """Return a tool with options.

        Raises:
            ConfigurationError: If they cannot be.
        """
        unknown = options.keys() - ToolOptions.__annotations__.keys()
        if unknown:
            raise ConfigurationError(f"a tool has no {', '.join(sorted(map(repr, unknown)))}")
        is_background = options.get("background", False)
        on_interrupt = options.get("on_interrupt", "finish")
        timeout = options.get("timeout", None if is_background else DEFAULT_TIMEOUT)
        if on_interrupt not in {"finish", "cancel"}:
            raise ConfigurationError(f"on_interrupt is 'finish' or 'cancel', not {on_interrupt!r}")
        if is_background and on_interrupt == "cancel":
            raise ConfigurationError("a background tool is not interrupted: leave on_interrupt out")
        if timeout is not None and timeout <= 0:
            raise ConfigurationError(f"a timeout is above 0 s, not {timeout}; None is no limit")
        policy = ToolPolicy(options.get("responds", True), on_interrupt, is_background)
        return cls(handler, policy, timeout)

    async def run(self, arguments: str, context: CallContext) -> str:
        """Return what the model is told, in time or not at all."""
        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                return await self._run(arguments, context)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"it took longer than {self.timeout} s") from None

    async def _run(self, arguments: str, context: CallContext) -> str:
        if isinstance(self.handler, ToolFunction):
            keywords = self.handler.read(arguments, context)
            return to_text(await _called(self.handler.function, **keywords))
        told = msgspec.json.decode(arguments or "{}", type=dict[str, Any])
        return msgspec.json.encode(await _called(self.handler, told)).decode()


class ToolRegistry:
    """The tools of a client, by name.

    Args:
        context: Returns what a tool may know of a call.
    """

    def __init__(self, context: Callable[[ToolCall], CallContext]) -> None:
        self.handlers: dict[str, RegisteredTool] = {}
        self._context: Final = context

    def policy(self, name: str) -> ToolPolicy:
        """Return how calls of a name are answered, also of one that nobody added."""
        tool = self.handlers.get(name)
        return ToolPolicy() if tool is None else tool.policy

    async def run(self, call: ToolCall) -> str:
        """Return what answers a call.

        Raises:
            ToolFailed: If there is no such tool, or it failed.
        """
        tool = self.handlers.get(call.name)
        if tool is None:
            raise ToolFailed(call.name, call.call_id, f'Tool "{call.name}" has not been added')
        task = asyncio.current_task()
        try:
            return await tool.run(call.arguments, self._context(call))
        except asyncio.CancelledError:
            if task is None or task.cancelling():
                raise
            raise ToolFailed(call.name, call.call_id, "it was cancelled") from None
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # the model can mend what it did wrong, and waits for it
            reason = str(error) or type(error).__name__
            raise ToolFailed(call.name, call.call_id, reason) from error


class ToolRunner:
    """Owns the tasks of a session's calls."""

    def __init__(
        self, tools: ToolRegistry, answer: Callable[[ToolCall, str, ToolFailed | None], None]
    ) -> None:
        self._tools = tools
        self._answer = answer
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._variables: contextvars.Context | None = None

    def open(self) -> None:
        """Take the context variables of who connects: the calls see them, in threads, too."""
        self._variables = contextvars.copy_context()

    def start(self, call: ToolCall) -> None:
        """Run a call, and hand over its answer when there is one."""
        variables = None if self._variables is None else self._variables.copy()
        task = asyncio.get_running_loop().create_task(
            self._run(call), name=f"tool {call.name}", context=variables
        )
        self._tasks[call.call_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(call.call_id, None))

    def cancel(self, call_id: str) -> None:
        """Stop a call whose answer nobody waits for."""
        task = self._tasks.get(call_id)
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        """Cancel what still runs, and wait until it has ended."""
        await cancel_all(self._tasks.values())

    async def _run(self, call: ToolCall) -> None:
        try:
            output, error = await self._tools.run(call), None
        except ToolFailed as failed:
            output, error = to_text({"error": to_text(failed.reason)}), failed
        self._answer(call, output, error)


async def _called(function: Callable[..., Any], *values: object, **keywords: object) -> object:
    """Return what a function returns, whatever its kind; one that is no coroutine's in a thread."""
    called = type(function).__call__
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called):
        result: object = await function(*values, **keywords)
        return result
    result = await in_thread(partial(function, *values, **keywords))
    return await result if inspect.isawaitable(result) else result

"""Tools of the application: each function call of the model runs in its own task."""

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
from duologue.client.coercion import is_number
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
"""Function that receives a call's arguments and returns its output, any value that JSON can encode.

Coroutine functions run on the event loop, others in a thread. If one raises an exception, its
message becomes the output that the model reads.
"""

DEFAULT_TIMEOUT: Final = 60.0
"""Seconds; a user in a conversation does not wait longer for an answer."""


class ToolOptions(TypedDict, total=False):
    """Options of a tool: time-out, interruption, and the response after its calls."""

    timeout: float | None
    """Seconds until the call fails with a time-out error, which the model reads as its output. The
    default is 60, and no limit for a background tool. A function in a thread cannot be stopped: it
    runs to its end, and its result is dropped."""
    responds: bool
    """Whether the output is followed by a new response of the model; `True` by default."""
    on_interrupt: Literal["finish", "cancel"]
    """Policy for a running call when the user speaks or its response is cancelled: `finish` (the
    default) lets it finish, `cancel` cancels it and sends an output that says so."""
    background: bool
    """Whether to answer the call at once with "started", and send the result later as a system
    message. The model responds after both."""


@dataclass(frozen=True, slots=True)
class RegisteredTool:
    """A handler with its options."""

    handler: ToolHandler | ToolFunction
    policy: ToolPolicy = field(default_factory=ToolPolicy)
    timeout: float | None = DEFAULT_TIMEOUT

    @classmethod
    def of(cls, handler: ToolHandler | ToolFunction, options: ToolOptions) -> RegisteredTool:
        """Return a tool with options.

        Raises:
            ConfigurationError: If an option is unknown, or has an invalid value.
        """
        if not (isinstance(handler, ToolFunction) or callable(handler)):
            text = f"the handler of a tool must be a function, not {type(handler).__name__}"
            raise ConfigurationError(text)
        unknown = options.keys() - ToolOptions.__annotations__.keys()
        if unknown:
            names = ", ".join(sorted(map(repr, unknown)))
            raise ConfigurationError(f"a tool has no option {names}")
        is_background = options.get("background", False)
        on_interrupt = options.get("on_interrupt", "finish")
        timeout = options.get("timeout", None if is_background else DEFAULT_TIMEOUT)
        if on_interrupt not in ("finish", "cancel"):
            text = f"on_interrupt must be 'finish' or 'cancel', not {on_interrupt!r}"
            raise ConfigurationError(text)
        if is_background and on_interrupt == "cancel":
            text = "a background tool is never interrupted: leave out `on_interrupt`"
            raise ConfigurationError(text)
        if timeout is not None and not (is_number(timeout) and timeout > 0):
            text = f"timeout must be above 0 s, not {timeout!r}; None means no limit"
            raise ConfigurationError(text)
        policy = ToolPolicy(options.get("responds", True), on_interrupt, is_background)
        return cls(handler, policy, timeout)

    async def run(self, arguments: str, context: CallContext) -> str:
        """Run a call and return its output.

        Raises:
            TimeoutError: If it exceeds the tool's time-out.
        """
        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                return await self._run(arguments, context)
        except TimeoutError:
            if not limit.expired():  # raised by the handler itself
                raise
            raise TimeoutError(f"it took longer than {self.timeout} s") from None

    async def _run(self, arguments: str, context: CallContext) -> str:
        if isinstance(self.handler, ToolFunction):
            keywords = self.handler.read(arguments, context)
            return to_text(await _call(self.handler.function, **keywords))
        decoded = msgspec.json.decode(arguments or "{}", type=dict[str, Any])
        return msgspec.json.encode(await _call(self.handler, decoded)).decode()


class ToolRegistry:
    """The tools of a client, by name.

    Args:
        context: Returns the context that is passed to a tool with a call.
    """

    def __init__(self, context: Callable[[ToolCall], CallContext]) -> None:
        self.handlers: Final[dict[str, RegisteredTool]] = {}
        self._context: Final = context

    def policy(self, name: str) -> ToolPolicy:
        """Return the policy of a tool; the default policy if there is no tool of that name."""
        tool = self.handlers.get(name)
        return ToolPolicy() if tool is None else tool.policy

    async def run(self, call: ToolCall) -> str:
        """Run a call and return its output.

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
            if task is None or task.cancelling():  # the call itself is cancelled
                raise
            # The tool awaited something that was cancelled: a failure like any other.
            raise ToolFailed(call.name, call.call_id, "it was cancelled") from None
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:
            # The model waits for an output, and can correct its arguments when it knows the reason.
            # BaseException, because frameworks such as pytest derive their own exceptions from it.
            reason = str(error) or type(error).__name__
            raise ToolFailed(call.name, call.call_id, reason) from error


class ToolRunner:
    """Owner of the tasks that run a session's calls.

    Args:
        tools: Runs a call.
        answer: Receives a call, its output, and the failure if it failed.
    """

    def __init__(
        self, tools: ToolRegistry, answer: Callable[[ToolCall, str, ToolFailed | None], None]
    ) -> None:
        self._tools: Final = tools
        self._answer: Final = answer
        self._tasks: Final[dict[str, asyncio.Task[None]]] = {}
        self._variables: contextvars.Context | None = None

    def open(self) -> None:
        """Copy the context variables of the caller; calls run with them, in threads too.

        A call starts when a frame arrives, and would otherwise run in the transport's context.
        """
        self._variables = contextvars.copy_context()

    def start(self, call: ToolCall) -> None:
        """Run a call in a task, and pass its output to `answer`."""
        variables = None if self._variables is None else self._variables.copy()
        task = asyncio.get_running_loop().create_task(
            self._run(call), name=f"tool {call.name}", context=variables
        )
        self._tasks[call.call_id] = task
        task.add_done_callback(lambda _: self._forget(call.call_id, task))

    def cancel(self, call_id: str) -> None:
        """Cancel a call whose output is no longer needed."""
        task = self._tasks.get(call_id)
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        """Cancel the running calls, and wait until they have ended."""
        await cancel_all(self._tasks.values())

    def _forget(self, call_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(call_id) is task:
            del self._tasks[call_id]

    async def _run(self, call: ToolCall) -> None:
        try:
            output, error = await self._tools.run(call), None
        except ToolFailed as failed:
            output, error = to_text({"error": to_text(failed.reason)}), failed
        self._answer(call, output, error)


async def _call(function: Callable[..., Any], *values: object, **keywords: object) -> object:
    """Call a function and return its result; functions that are not coroutines use a thread."""
    method = type(function).__call__  # of an object that defines `async def __call__`
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(method):
        result: object = await function(*values, **keywords)
        return result
    result = await in_thread(partial(function, *values, **keywords))
    # A lambda that calls a coroutine function runs in the thread, and its coroutine here.
    return await result if inspect.isawaitable(result) else result

"""The asynchronous client behind the blocking one, and what it calls."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from duologue.client import client
from duologue.client.context import CallContext
from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.client.registry import Callback, Key
    from duologue.session.tool_calls import ToolCall
    from duologue.sync.client import RealtimeClient
    from duologue.sync.loop_thread import Bridge

__all__ = ["BridgedClient", "Threaded", "ToolContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext(CallContext):
    """One call of a tool, and the client that it came to; see `duologue.ToolContext`."""

    client: RealtimeClient
    """The client; whatever of it blocks may be called."""


class BridgedClient(client.RealtimeClient):
    """A client that knows the blocking one in front of it."""

    _context_class = ToolContext
    face: RealtimeClient
    """The blocking client."""

    _closings: int = 0

    def is_idle(self) -> bool:
        """Tell whether there is no session, nor about to be one, nor one that is being closed."""
        return not (self._is_connecting or self.is_connected or self._closings)

    async def close(self) -> None:
        """Close the session; see the asynchronous client."""
        self._closings += 1
        try:
            await super().close()
        finally:
            self._closings -= 1

    def add_callback(self, key: Key, callback: Callback, *, is_once: bool = False) -> None:
        """Register a callback: `on` and `on_next` without their overloads."""
        self._registry.add(key, callback, is_once=is_once)

    async def wait(self, key: Key, timeout: float | None) -> object:  # noqa: ASYNC109  # its own text
        """Wait for the next value of a key: `wait_for_next` without its overloads."""
        return await self._registry.wait(key, timeout)

    def _context(self, call: ToolCall) -> CallContext:
        return ToolContext(client=self.face, call_id=call.call_id, item=call.item)


class Threaded:
    """A callback that runs on the thread of the callbacks."""

    def __init__(self, bridge: Bridge, callback: Callable[[Any], object]) -> None:
        if inspect.iscoroutinefunction(callback):
            text = "callbacks of the blocking client are plain functions: leave out `async`"
            raise ConfigurationError(text)
        self.__qualname__ = getattr(callback, "__qualname__", type(callback).__qualname__)
        self._bridge: Final = bridge
        self._callback: Final = callback

    async def __call__(self, value: object) -> None:
        """Make the call, and wait for its end."""
        await self._bridge.call_back(self._callback, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Threaded) and other._callback == self._callback

    def __hash__(self) -> int:
        return hash(self._callback)

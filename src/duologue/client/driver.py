"""The driver of a client's core: frames in, effects carried out; no task, one step at a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from duologue.client.connection import EventConnection
from duologue.client.handles import Pending, Waiters
from duologue.client.tools import ToolRunner
from duologue.client.update_stream import UpdateStream, Wakeup
from duologue.errors import Closed, ConnectionLost
from duologue.session.client_session import ClientSession
from duologue.session.contract import SendEvent
from duologue.session.effects import CancelTool, RunTool, Settled
from duologue.session.retention import KEEP_RECENT, Retention
from duologue.session.updates import ErrorUpdate, RealtimeEvent, Update

if TYPE_CHECKING:
    from duologue.client.callbacks import CallbackRegistry
    from duologue.client.tools import Tools
    from duologue.errors import DecodeError, ToolFailed
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.configuration import Configuration
    from duologue.session.tool_calls import ToolCall
    from duologue.transport.base import Connector

__all__ = ["ClientOptions", "Driver"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Options that all sessions of a client share."""

    configuration: Configuration
    tools: Tools
    retention: Retention = KEEP_RECENT
    validates: bool = False


class Driver:
    """Runs one session, from connection to end.

    Args:
        callbacks: The client's callbacks.
        options: The client's options.
        dialect: Adapter of the dialect on the wire; `None`: detected from the first frame.
        on_dialect: Called with the dialect that was detected.
        new_id: Returns a new id of a kind.
    """

    def __init__(
        self,
        callbacks: CallbackRegistry,
        options: ClientOptions,
        *,
        dialect: DialectAdapter[Any, Any] | None,
        on_dialect: Callable[[DialectAdapter[Any, Any]], None],
        new_id: Callable[[str], str],
    ) -> None:
        self.core: Final = ClientSession(
            new_id=new_id,
            dialect=dialect,
            configuration=options.configuration,
            validates=options.validates,
            retention=options.retention,
            has_tool=options.tools.handlers.__contains__,
            tool_policy=options.tools.policy,
        )
        self.wakeup: Final = Wakeup()
        self.waiters: Final = Waiters(self.wakeup)
        self.updates: Final[UpdateStream[Update]] = UpdateStream(self.wakeup)
        self.connection: Final = EventConnection(self, dialect)
        self.ending: Closed | ConnectionLost | None = None
        """How the session ended."""
        self._callbacks: Final = callbacks
        self._on_dialect: Final = on_dialect
        self._tools: Final = ToolRunner(options.tools, self._answer_call)
        self._is_carrying_out = False
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._now: Final[Callable[[], float]] = asyncio.get_running_loop().time
        self._actions: Final[Mapping[type, Callable[[Any], None]]] = {
            RealtimeEvent: self._show,
            SendEvent: self._send,
            Settled: self._settle,
            RunTool: self._run_tool,
            CancelTool: self._cancel_tool,
        }
        """How an effect is carried out; the others are updates to deliver."""

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self.connection.is_open and self.ending is None

    async def open(self, connector: Connector) -> None:
        """Connect; the session may have begun when this returns.

        Raises:
            Closed: If it was closed meanwhile.
            ConnectionLost: If the connection has ended already.
        """
        self._tools.open()
        await self.connection.open(connector)
        self.check_open()

    async def configure(self, *, timeout: float) -> None:  # noqa: ASYNC109  # its own text
        """Send the configuration that the application wants, if any, until it is in force.

        Raises:
            ServerError: If the server refused it.
            TimeoutError: If the server did not answer in time.
        """
        command = self.call(lambda core, now: core.configure(now))
        if command is None:
            return
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                await Pending(command, self.waiters, lambda _: None)
        except TimeoutError:
            if not limit.expired():
                raise
            text = f"the server did not answer session.update within {timeout} s"
            raise TimeoutError(text) from None

    def call(self, method: Callable[[ClientSession, float], T]) -> T:
        """Call a method of the core, and carry out its effects.

        Raises:
            Closed: If the session was closed, or is not open.
            ConnectionLost: If the connection has ended.
        """
        self.check_open()
        result = method(self.core, self._now())
        self._carry_out()
        return result

    def check_open(self) -> None:
        """Raise how the session ended, if it has."""
        if self.ending is not None:
            raise self.ending.with_traceback(None)
        if not self.connection.is_open and self.core.active.session is None:
            raise Closed("the session is not open: use `async with`, or await `connect()`")

    async def stop_tools(self) -> None:
        """Cancel the calls that run, and wait until they have ended."""
        await self._tools.stop()

    async def close(self) -> None:
        """Close the session and wait until it is gone; harmless to repeat."""
        self.on_end(None)
        try:
            await self._tools.stop()
        finally:  # if that was cancelled, the connection is not left open
            try:
                await self.connection.close()
            finally:
                await self._callbacks.queue.stop()

    # The receiver of the connection.

    def on_dialect(self, dialect: DialectAdapter[Any, Any]) -> None:
        """Use the dialect that was detected."""
        self.core.dialect = dialect
        self._on_dialect(dialect)

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Process a server event."""
        if self.ending is None:
            self.core.receive(event, self._now())
            # A failure to send is reported by `on_end`, which follows.
            with contextlib.suppress(Closed, ConnectionLost):
                self._carry_out()
        else:  # it was under way when the session ended: shown, but it changes nothing
            meanings = self.core.dialect.server_event_to_ga(event)
            self._callbacks.call(RealtimeEvent("server", event, self._now(), meanings))

    def on_undecodable(self, error: DecodeError) -> None:
        """Report a frame that is not an event."""
        if self.ending is None:
            self._deliver(ErrorUpdate(error))
            self.wakeup.wake()

    def on_end(self, error: ConnectionLost | None) -> None:
        """End everything that waits, at once."""
        if self.ending is not None:
            return
        self.ending = error or Closed("the session was closed")
        if self._timer is not None:
            self._timer.cancel()
        self.core.end(self.ending)
        self._carry_out()
        self._callbacks.end(self.ending)
        self.updates.end(error)

    # The effects.

    def _carry_out(self) -> None:
        """Carry out the core's effects, in order.

        A callback may call the client, and so add effects: they follow those that are under way.
        """
        if self._is_carrying_out:
            return
        self._is_carrying_out = True
        try:
            while effects := self.core.effects():
                for effect in effects:
                    self._actions.get(effect.__class__, self._deliver)(effect)
        finally:
            self._is_carrying_out = False
        if self.wakeup.waiting:
            self.wakeup.wake()
        if self.core.next_deadline() != self._deadline:
            self._set_timer()

    def _deliver(self, update: Update) -> None:
        self.updates.put(update)
        self._callbacks.call(update)

    def _show(self, event: RealtimeEvent) -> None:
        self.updates.put_repeat(event)
        self._callbacks.call(event)

    def _send(self, effect: SendEvent[Event | UnknownEvent]) -> None:
        self.connection.send(effect.event)

    def _settle(self, effect: Settled) -> None:
        self.waiters.wake(effect.record)

    def _run_tool(self, effect: RunTool) -> None:
        self._tools.start(effect.call)

    def _cancel_tool(self, effect: CancelTool) -> None:
        self._tools.cancel(effect.call_id)

    def _answer_call(self, call: ToolCall, output: str, error: ToolFailed | None) -> None:
        if self.ending is None:
            with contextlib.suppress(Closed, ConnectionLost):
                self.call(lambda core, now: core.answer_call(call.call_id, output, error, now))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._deadline = self.core.next_deadline()
        if self._deadline is not None and self.ending is None:
            self._timer = asyncio.get_running_loop().call_at(self._deadline, self._on_deadline)

    def _on_deadline(self) -> None:
        self._timer = self._deadline = None
        self.core.handle_deadline(self._now())
        with contextlib.suppress(Closed, ConnectionLost):
            self._carry_out()

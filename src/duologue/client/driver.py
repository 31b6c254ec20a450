"""The driver of a client's core: events in from the transport, effects carried out.

There is no task and no queue of received events: each event is one step, from the transport's call
to the last effect. `EventConnection` is the lower half: events over a transport.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from duologue.client.coercion import seconds
from duologue.client.reconnector import EventReceiver, NewSession, Reconnector
from duologue.client.succession import Ignored, Succession
from duologue.client.tools import ToolRunner
from duologue.client.update_stream import UpdateStream
from duologue.client.waiters import Waiters
from duologue.errors import Closed, ConnectionLost, DecodeError, SessionEnd, SessionRefused
from duologue.protocol import codec
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.model import UNSET, UnsetType
from duologue.session.client_session import ClientSession
from duologue.session.commands import DEFAULT_TIMEOUT, CommandState
from duologue.session.effects import CancelTool, DropConnection, Notify, RunTool, SendFrame, Settled
from duologue.session.error_reports import session_end
from duologue.session.input_backlog import DEFAULT_INPUT_DELAY
from duologue.session.latency import LatencyTracker
from duologue.session.reconnect import NEVER, ReconnectPolicy
from duologue.session.retention import KEEP_RECENT, Retention
from duologue.session.updates import Disconnected, ErrorUpdate, RealtimeEvent, Update
from duologue.session.usage import UsageMeter
from duologue.transport.base import SupportsCut, SupportsUnsent
from duologue.transport.repeated_warning import RepeatedWarning

if TYPE_CHECKING:
    from duologue.client.callbacks import CallbackRegistry
    from duologue.client.deadline import Deadline
    from duologue.client.tools import ToolRegistry
    from duologue.errors import ToolFailed
    from duologue.protocol.codec import Surface
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.commands import Command
    from duologue.session.configuration import Configuration
    from duologue.session.dead_air import DeadAirPolicy
    from duologue.session.rate_limits import RateLimitPolicy
    from duologue.session.response_state import ResponseRequest
    from duologue.session.tool_calls import ToolCall
    from duologue.transport.base import Connector, Transport

__all__ = [
    "ClientOptions", "Driver", "EventConnection", "EventReceiver", "never_began", "new_ids",
]  # fmt: skip

logger: Final = logging.getLogger("duologue.client")

T = TypeVar("T")
RecordT = TypeVar("RecordT", bound="Command | ResponseRequest")


def never_began(error: BaseException) -> Closed:
    """Return the error of every call after a `connect` that has failed."""
    closed = Closed(f"the session did not begin: {str(error) or 'connecting was cancelled'}")
    closed.__cause__ = error
    return closed


class EventConnection:
    """One connection that carries events. It logs their types and sizes, never their content.

    Args:
        receiver: Receives the events.
        dialect: Adapter of the dialect on the wire; `None`: detected from the first frame.
        surface: Purpose of the connection.
    """

    def __init__(
        self,
        receiver: EventReceiver,
        dialect: DialectAdapter[Any, Any] | None,
        surface: Surface = "realtime",
    ) -> None:
        self.receiver: EventReceiver = receiver
        """Receives the events; another may take over."""
        self._surface: Final[Surface] = surface
        self._decode = self._detect if dialect is None else dialect.decode_server
        self.is_open: bool = False
        """Whether events can be sent: connected, and in a known dialect."""
        self.is_replaceable: bool = False
        """Whether the session outlives this connection: then a loss is not raised by `send_frame`,
        and what was not sent is sent on the next one."""
        self._transport: Transport | None = None
        self._unsent: list[bytes] = []
        self._has_begun: Final = asyncio.Event() if dialect is None else None
        self._is_over = False
        self._undecodable: Final = RepeatedWarning(logger, "< %d frames so far are no events")
        self.last_event: Event | UnknownEvent | None = None
        """The event that arrived last: an `error` explains the end of the connection."""
        self._logs: Final = logger.isEnabledFor(logging.DEBUG)  # asked once: a hot path

    @property
    def was_made(self) -> bool:
        """Whether there is a connection, or was one."""
        return self._transport is not None

    async def open(self, connector: Connector, deadline: Deadline) -> None:
        """Connect, and detect the dialect; events may arrive before this returns.

        Args:
            connector: Opens the transport.
            deadline: Limit for the first frame, if the dialect is detected from it.

        Raises:
            TimeoutError: If that frame does not come in time.
        """
        transport = self._transport = await connector(self)
        unsent, self._unsent = self._unsent, []
        for frame in unsent:
            if not self._is_over:
                transport.send(frame)
        if self._has_begun is not None:
            failure = "the server sent nothing to detect its dialect from"
            await deadline.limit(self._has_begun.wait(), failure)
        self.is_open = not self._is_over

    def on_frame(self, frame: bytes) -> None:
        """Decode a frame of the transport."""
        try:
            event = self._decode(frame)
        except DecodeError as error:
            text = "< a frame of %d bytes is no event: %s; repetitions are counted"
            self._undecodable.warn(text, len(frame), error.reason)
            self.receiver.on_undecodable(error)
            return
        if self._logs:
            logger.debug("< %s, %d bytes", event.type, len(frame))
        self.last_event = event
        self.receiver.on_event(event)

    def on_close(self, error: ConnectionLost | None) -> None:
        """Process the end of the transport."""
        self._is_over, self.is_open = True, False
        if self._has_begun is not None:
            self._has_begun.set()
        self._undecodable.finish()
        logger.debug("< closed: %s", error or "by us")
        self.receiver.on_end(None if error is None else session_end(error, self.last_event))

    def send(self, event: Event | UnknownEvent) -> None:
        """Send an event; see `send_frame`."""
        self.send_frame(codec.encode(event), event.type)

    def send_frame(self, frame: bytes, kind: str) -> None:
        """Send an event that is encoded; while the connection is being opened, as soon as it is.

        Args:
            frame: The event.
            kind: Its `type`, for the log.

        Raises:
            Closed: If the connection was closed.
            ConnectionLost: If it has ended.
        """
        if self._logs:
            logger.debug("> %s, %d bytes", kind, len(frame))
        if self._transport is None:  # a callback of `session.created` was faster than `open`
            self._unsent.append(frame)
            return
        try:
            self._transport.send(frame)
        except ConnectionLost:
            if not self.is_replaceable:
                raise

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait in the transport, if it shows them."""
        transport = self._transport
        return transport.unsent_bytes if isinstance(transport, SupportsUnsent) else 0

    async def drain(self) -> None:
        """Wait until the write buffer has drained."""
        if self._transport is not None:
            await self._transport.drain()

    async def close(self, deadline: Deadline | None = None) -> None:
        """Close the connection and wait until it is gone.

        Args:
            deadline: Limit for the server's part of the closing handshake, below the transport's
                own; then the connection is cut.
        """
        if self._transport is None:
            return
        if deadline is None:
            await self._transport.close()
            return
        try:
            await deadline.limit(self._transport.close(), "the server did not close")
        except TimeoutError:
            self.cut()

    def cut(self) -> None:
        """Break the connection at once, if the transport can."""
        if isinstance(self._transport, SupportsCut):
            self._transport.cut()

    def _detect(self, frame: bytes) -> Event | UnknownEvent:
        """Decode the first frame in the dialect that it shows; GA where it may be either."""
        from duologue.protocol.translate import detect_dialect  # noqa: PLC0415  # imports beta

        try:
            name = detect_dialect(frame) or "ga"
        except DecodeError:
            name = "ga"
        dialect = dialect_adapter(name, self._surface)
        self._decode = dialect.decode_server
        self.receiver.on_dialect(dialect)
        if self._has_begun is not None:
            self._has_begun.set()
        return self._decode(frame)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Options that all sessions of a client share."""

    configuration: Configuration
    tools: ToolRegistry
    retention: Retention = KEEP_RECENT
    validates: bool = False
    command_timeout: float | None = DEFAULT_TIMEOUT
    usage: UsageMeter = field(default_factory=UsageMeter)
    latency: LatencyTracker = field(default_factory=LatencyTracker)
    reconnect: ReconnectPolicy = NEVER
    dead_air: DeadAirPolicy | None = None
    rate_limits: RateLimitPolicy | None = None
    max_input_delay: float | None = DEFAULT_INPUT_DELAY


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
            timeout=options.command_timeout,
            reconnect=options.reconnect,
            dead_air=options.dead_air,
            has_tool=options.tools.handlers.__contains__,
            tool_policy=options.tools.policy,
            usage=options.usage,
            latency=options.latency,
            rate_limits=options.rate_limits,
            unsent_bytes=lambda: self.connection.unsent_bytes,
            max_input_delay=options.max_input_delay,
        )
        self.waiters: Final = Waiters()
        self.updates: Final[UpdateStream[Update]] = UpdateStream()
        self.connection: EventConnection = EventConnection(self, dialect)
        self.succession: Succession[EventConnection] | None = None
        """The sessions that follow this one; `None` until it has begun."""
        self.ending: SessionEnd | None = None
        """How the session ended."""
        self._callbacks: Final = callbacks
        self._on_dialect: Final = on_dialect
        self._tools: Final = ToolRunner(options.tools, self._answer_call)
        self._is_carrying_out = self._has_more = False
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        loop = asyncio.get_running_loop()
        # asyncio's own method only calls `monotonic`; another loop (uvloop) has a clock of its own.
        is_plain = type(loop).time is asyncio.BaseEventLoop.time
        self._now: Final[Callable[[], float]] = monotonic if is_plain else loop.time

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self.connection.is_open and self.ending is None

    @property
    def is_reconnecting(self) -> bool:
        """Whether the connection was lost, and another is being made."""
        return self.core.resumption.is_away and self.ending is None

    async def open(self, connector: Connector, deadline: Deadline) -> None:
        """Connect; the session may have begun when this returns.

        Raises:
            Closed: If it was closed meanwhile.
            ConnectionLost: If the connection has ended already.
            TimeoutError: If the dialect is to be detected, and no frame comes in time.
        """
        self._tools.open()
        await self.connection.open(connector, deadline)
        self.check_open()

    def keep_alive(self, connectors: tuple[Connector, ...], *, connect_timeout: float) -> None:
        """Go on in other sessions from now on, as far as the policy allows.

        Args:
            connectors: The servers, in the order of preference; the first is in use.
            connect_timeout: Seconds for each connection.
        """
        reconnector = Reconnector(
            self.core, self._new_connection, connectors, connect_timeout=connect_timeout
        )
        self.succession = Succession(self, reconnector)
        self.connection.is_replaceable = self.core.resumption.policy.budget > 0

    def _new_connection(self, receiver: EventReceiver) -> EventConnection:
        adapter = dialect_adapter(self.core.dialect.dialect, self.core.dialect.surface)
        connection = EventConnection(receiver, adapter)
        connection.is_replaceable = self.core.resumption.policy.budget > 0
        return connection

    async def configure(self, deadline: Deadline) -> None:
        """Send the configuration that the application wants, if any, until it is in force.

        Raises:
            ServerError: If the server refused it.
            TimeoutError: If the server did not answer in time.
        """
        command = self.call(lambda core, now: core.configure(now))
        if command is None:
            return
        if command.state is CommandState.PENDING:
            answer = self.waiters.wait(command)
            await deadline.limit(answer, "the server did not answer session.update")
        if command.error is not None:
            raise command.error.with_traceback(None)

    def call(self, method: Callable[[ClientSession, float], T]) -> T:
        """Call a method of the core, and carry out its effects.

        Raises:
            Closed: If the session was closed, or is not open.
            ConnectionLost: If the connection has ended.
        """
        self.check_open()
        try:
            return method(self.core, self._now())
        finally:  # if it raised: the commit before a response that is refused was sent
            self._carry_out()
            if self.core.next_deadline() != self._deadline:
                self._set_timer()

    def request(
        self,
        method: Callable[[ClientSession, float], RecordT],
        *,
        timeout: float | UnsetType | None = UNSET,
    ) -> RecordT:
        """Call a method of the core that returns a command or a response, and set its time limit.

        Raises:
            Closed: As `call`.
            ConnectionLost: As `call`.
        """
        limit = timeout if isinstance(timeout, UnsetType) else seconds(timeout, "timeout")

        def limited(core: ClientSession, now: float) -> RecordT:
            record = method(core, now)
            if not isinstance(limit, UnsetType):
                core.limit(record, limit, now)
            return record

        return self.call(limited)

    def is_continued(self, request: ResponseRequest) -> bool:
        """Return whether another response is to continue this one: its calls are not answered.

        Raises:
            Closed: If the session was closed.
            ConnectionLost: If the connection has ended.
        """
        self.check_open()
        return self.core.is_continued(request)

    def append_audio(self, audio: bytes) -> None:
        """Send input audio: `call` for the most frequent method, which sets no deadline."""
        if self.ending is not None or not self.connection.is_open:
            self.check_open()
        # Fifty events a second that nothing wants would cost more than sending them does. A frame
        # from within a callback follows those of the effects under way, so it is an effect too.
        is_shown = self.updates.is_read or self._callbacks.want_sent_audio or self._is_carrying_out
        frame = self.core.append_audio(audio, self._now(), is_shown=is_shown)
        if frame is not None:
            self.connection.send_frame(frame, "input_audio_buffer.append")
            return
        self._carry_out()
        due = self.core.backlog.deadline  # if the audio waits
        if due is not None and (self._deadline is None or due < self._deadline):
            self._set_timer()

    async def drain(self) -> None:
        """Wait until the write buffer has drained, and the audio that waits for it.

        If the connection is lost, wait for the next one.

        Raises:
            Closed: If the session was closed, or is not open.
            ConnectionLost: If the connection has ended, and there is no other.
        """
        while True:
            self.check_open()
            try:
                await self.connection.drain()
            except (Closed, ConnectionLost) as error:  # of the connection, not of the session
                if not (self.is_reconnecting or self._is_followed(error)):
                    raise
                await self.waiters.wait_for_more()
            else:
                if not self.core.backlog:
                    return
                await self.waiters.wait_for_more()

    def check_not_ended(self) -> None:
        """Raise the error with which the session ended, if it has ended."""
        if self.ending is not None:
            raise self.ending.with_traceback(None)

    def check_open(self) -> None:
        """Raise an error unless events can be sent, or will be as soon as `open` returns."""
        self.check_not_ended()
        if not self.connection.is_open and self.core.active.session is None:
            raise Closed("the session is not open: use `async with`, or await `connect()`")

    async def stop_tools(self) -> None:
        """Cancel the calls that run, and wait until they have ended."""
        await self._tools.stop()

    async def close(self) -> None:
        """Close the session and wait until it is gone; harmless to repeat."""
        self.on_end(None)
        await self._close(None)

    async def give_up(self, error: BaseException, deadline: Deadline) -> None:
        """Close a session that has not begun; later calls say why it has not.

        Args:
            error: The error that `connect` raises.
            deadline: Limit for closing the connection.
        """
        self._end(never_began(error), None)
        await self._close(deadline)

    async def _close(self, deadline: Deadline | None) -> None:
        try:
            if self.succession is not None:
                await self.succession.stop()
            await self._tools.stop()
        finally:  # if that was cancelled, the connection is not left open
            try:
                await self.connection.close(deadline)
            finally:
                await self._callbacks.queues.stop()

    # The receiver of the connection.

    def on_dialect(self, dialect: DialectAdapter[Any, Any]) -> None:
        """Use the dialect that was detected."""
        self.core.set_dialect(dialect)
        self._on_dialect(dialect)

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Process a server event."""
        if self.ending is not None:  # it was under way when the session ended: only shown
            meanings = self.core.dialect.server_event_to_ga(event)
            self._callbacks.call([RealtimeEvent("server", event, self._now(), meanings)])
            return
        if self.updates.keeps_backlog and self._callbacks.has_any:
            self.updates.keep_recent()
        now = self._now()
        core = self.core
        if event.__class__ not in core.deltas or self._is_carrying_out:
            core.receive(event, now)
        else:  # nearly every event: nothing to do but to show it
            updates = core.receive_delta(event, now)
            self._is_carrying_out = True  # what a callback sends follows all of these updates
            try:
                self.updates.put(updates)
                self._callbacks.call(updates)
            finally:
                self._is_carrying_out = False
            if not self._has_more and not self.waiters.reading:
                return
        try:
            self._carry_out()
        except (Closed, ConnectionLost):  # it cannot send, so it has ended: `on_end` reports it
            return
        if core.next_deadline() != self._deadline:
            self._set_timer()

    def on_undecodable(self, error: DecodeError) -> None:
        """Report a frame that is not an event."""
        if self.ending is None:
            update = ErrorUpdate(error)
            self.updates.put([update])
            self._callbacks.call([update])

    def on_end(self, error: ConnectionLost | SessionRefused | None) -> None:
        """Connect again if the policy allows it; otherwise end everything that waits, at once."""
        if error is None or self.succession is None or not self._is_followed(error):
            self._end(error or Closed("the session was closed"), error)
        elif self.ending is None:
            self.suspend(error)
            self.succession.reconnect(error)

    def _is_followed(self, error: Exception) -> bool:
        """Return whether another session follows one that ended with this error."""
        return self.succession is not None and self.succession.follows(error)

    async def restart(self, connector: Connector | None = None) -> None:
        """Continue in a new session at once; see `Succession.restart`.

        Raises:
            Closed: If the session was closed, or is not open.
            ConnectionLost: If the connection was lost, or the new one cannot be made.
            Exception: As the connector, if the new session cannot be opened; the old one goes on.
        """
        self.check_open()
        if self.succession is None:
            raise Closed("the session is not open: use `async with`, or await `connect()`")
        await self.succession.restart(connector)

    def drop(self, reason: str) -> None:
        """Cut a connection that does not work any more."""
        self.connection.receiver = Ignored()
        self.connection.cut()
        self.on_end(ConnectionLost(reason))

    def suspend(self, error: ConnectionLost | SessionRefused | None) -> None:
        """Keep everything for another session.

        Args:
            error: Why this one was lost; `None` if it works, and is replaced.
        """
        self.core.suspend(error, self._now())
        self._carry_out()
        self._set_timer()

    def resume(self, new: NewSession[EventConnection], attempts: int) -> None:
        """Use another session from now on."""
        self.connection = new.connection
        self.core.resume(new.restoration, attempts=attempts, now=self._now())
        self._carry_out()
        self._set_timer()
        for event in new.later:
            self.on_event(event)
        if new.ended is not None:
            self.on_end(new.ended)

    def end(self, error: ConnectionLost | SessionRefused) -> None:
        """End the session: it was lost for good."""
        self._end(error, error)

    def _end(self, ending: SessionEnd, error: ConnectionLost | SessionRefused | None) -> None:
        if self.ending is not None:
            return
        self.ending = ending
        if self._timer is not None:
            self._timer.cancel()
        self.core.end(self.ending)
        self._carry_out()
        if self.connection.was_made:  # otherwise there was no session
            update = Disconnected(error)
            self._callbacks.call([update])
            self.updates.put([update])
        self._callbacks.end(self.ending)
        self.updates.end(error)

    # The effects.

    def _carry_out(self) -> None:  # noqa: C901  # a case for each effect
        """Carry out the core's effects, in order.

        A callback may call the client, and so add effects: they follow those that are under way.
        """
        self._has_more = True
        if self._is_carrying_out:
            return
        self._is_carrying_out = True
        try:
            while self._has_more:
                self._has_more = False
                for effect in self.core.effects():
                    match effect:
                        case Notify():
                            self.updates.put(effect.updates)
                            self._callbacks.call(effect.updates)
                        case SendFrame():
                            self.connection.send_frame(effect.frame, effect.type)
                        case Settled():
                            self.waiters.wake(effect.record)
                        case RunTool():
                            self._tools.start(effect.call)
                        case CancelTool():
                            self._tools.cancel(effect.call_id)
                        case DropConnection():
                            self.drop(effect.reason)
        finally:
            self._is_carrying_out = False
        if self.waiters.reading:
            self.waiters.wake_readers()

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
        self._set_timer()


def new_ids() -> Callable[[str], str]:
    """Return a function that makes the ids of one session: unique in the world, and in order."""
    session, numbers = secrets.token_hex(6), itertools.count(1)
    return lambda kind: f"{kind}_{session}_{next(numbers)}"

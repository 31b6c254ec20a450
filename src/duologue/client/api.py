"""RealtimeAPI: a typed connection with nothing on top."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Self

from duologue.client.callbacks import RealtimeEventHandler
from duologue.client.client_events import wire_event
from duologue.client.deadline import Deadline
from duologue.client.driver import EventConnection, never_began, new_ids
from duologue.client.endpoint import resolve_endpoint
from duologue.client.update_stream import UpdateStream
from duologue.errors import Closed, LocalProtocolError
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.ga.client_events import ClientEvent
from duologue.protocol.model import UNSET, replace
from duologue.session.updates import Disconnected, ErrorUpdate, RealtimeEvent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from duologue.client.client_events import EventArgument
    from duologue.client.credentials import Key
    from duologue.client.endpoint import DialectChoice, Endpoint
    from duologue.errors import ConnectionLost, DecodeError, SessionEnd, SessionRefused
    from duologue.protocol.codec import Surface
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.transport.base import Connector

__all__ = ["RealtimeAPI"]

_NOT_OPEN: Final = "it is not connected: use `async with` or `await connect()`"


class RealtimeAPI(RealtimeEventHandler):
    """Sends and receives events, and keeps no state of the session.

    Iterating yields the server events since the connection; see `UpdateStream` for the bounds. A
    frame that is not an event goes to the callbacks of `ErrorUpdate`. The arguments are those of
    `RealtimeClient`; with `dialect="beta"` its events are those of `duologue.protocol.beta`, both
    ways, and on a translation endpoint those of `duologue.protocol.ga.translation`.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint | None = None,
        url: str | None = None,
        api_key: Key | None = None,
        model: str | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 10.0,
        connector: Connector | None = None,
        dialect: DialectChoice | None = None,
    ) -> None:
        super().__init__()
        self._endpoint: Final = resolve_endpoint(
            connector,
            endpoint,
            url=url,
            api_key=api_key,
            model=model,
            headers=headers,
            dialect=dialect,
            connect_timeout=connect_timeout,
        )
        self._timeout: Final = connect_timeout
        is_translation = self._endpoint.kind == "translation"
        self._surface: Final[Surface] = "translation" if is_translation else "realtime"
        self._dialect: DialectAdapter[Any, Any] | None = None
        if self._endpoint.dialect != "auto":
            self._dialect = dialect_adapter(self._endpoint.dialect, self._surface)
        self._connection: EventConnection | None = None
        self._events: UpdateStream[Event | UnknownEvent] | None = None
        self._ending: SessionEnd | None = None
        self._is_connecting = False
        self._new_id: Final = new_ids()

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self._connection is not None and self._connection.is_open and self._ending is None

    async def connect(self) -> None:
        """Connect, and return as soon as events can be sent.

        Raises:
            LocalProtocolError: If it is connected, or being connected.
            Closed: If `close` was called meanwhile.
            HandshakeRefused: If the server answered with an HTTP error.
            SessionRefused: If the server closed at once, and would do so again.
            ConnectionLost: If it could not be reached.
            TimeoutError: If the token provider, or the frame that shows the dialect, took longer
                than `connect_timeout`.
        """
        if self._is_connecting or self.is_connected:
            raise LocalProtocolError("it is connected already, or being connected")
        self._is_connecting = True
        deadline = Deadline(self._timeout)
        try:
            if self._connection is not None:
                await self._connection.close(deadline)  # nothing of it arrives from now on
            await self._connect(deadline)
        except BaseException as error:
            self._end(never_began(error), None)
            await self._close(deadline)
            raise
        finally:
            self._is_connecting = False

    async def _connect(self, deadline: Deadline) -> None:
        self._events, self._ending = UpdateStream(), None
        self._callbacks.open()
        connection = EventConnection(self, self._dialect, self._surface)
        self._connection = connection
        await connection.open(self._endpoint.connector, deadline)
        self._check_open()

    async def close(self) -> None:
        """Close the connection and wait until it is gone; harmless to repeat.

        A `connect` that is under way raises `Closed`.
        """
        self.on_end(None)
        await self._close(None)

    async def _close(self, deadline: Deadline | None) -> None:
        try:
            if self._connection is not None:
                await self._connection.close(deadline)
        finally:
            await self._callbacks.queues.stop()

    async def disconnect(self) -> None:
        """Close the connection: `close` by the reference client's name."""
        await self.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def send(self, event: EventArgument) -> None:
        """Send an event, unchanged but for an `event_id` if it has none.

        An event that was received, or is an `UnknownEvent`, is sent as it is.

        Args:
            event: A struct, or a dictionary in the dialect of the connection.

        Raises:
            LocalProtocolError: If it is no client event, or a field is wrong.
            Closed: If the connection was closed, or is not open.
            ConnectionLost: If it has ended.
        """
        connection = self._opened()
        dialect = "ga" if self._dialect is None else self._dialect.dialect
        checked = wire_event(event, dialect, self._surface)
        if isinstance(checked, ClientEvent) and checked.event_id is UNSET and checked.raw is None:
            checked = replace(checked, event_id=self._new_id("event"))
        connection.send(checked)
        self._callbacks.call([RealtimeEvent("client", checked, self._now())])

    async def drain(self) -> None:
        """Wait until the write buffer has drained; use it when sending continuously."""
        await self._opened().drain()

    def __aiter__(self) -> UpdateStream[Event | UnknownEvent]:
        if self._events is None:
            raise Closed("it was never connected: use `async with` or `await connect()`")
        return aiter(self._events)

    # The receiver of the connection.

    def on_dialect(self, dialect: DialectAdapter[Any, Any]) -> None:
        """Use the dialect that was detected from now on."""
        self._dialect = dialect

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Process an event of the connection."""
        if self._ending is None and self._events is not None:
            self._events.put([event])
            self._callbacks.call([RealtimeEvent("server", event, self._now())])

    def on_undecodable(self, error: DecodeError) -> None:
        """Report a frame that is not an event."""
        self._callbacks.call([ErrorUpdate(error)])

    def on_end(self, error: ConnectionLost | SessionRefused | None) -> None:
        """Process the end of the connection."""
        self._end(error or Closed("the connection was closed"), error)

    def _end(self, ending: SessionEnd, error: ConnectionLost | SessionRefused | None) -> None:
        if self._ending is None:
            self._ending = ending
            if self._connection is not None and self._connection.was_made:
                self._callbacks.call([Disconnected(error)])
            self._callbacks.end(ending)
            if self._events is not None:
                self._events.end(error)

    def _opened(self) -> EventConnection:
        self._check_open()
        if self._connection is None or not self._connection.is_open:
            raise Closed(_NOT_OPEN)
        return self._connection

    def _check_open(self) -> None:
        if self._ending is not None:
            raise self._ending.with_traceback(None)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

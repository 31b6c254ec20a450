"""RealtimeAPI: a typed connection with nothing on top."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

from duologue.client.handlers import RealtimeEventHandler
from duologue.client.link import Link
from duologue.client.news import News
from duologue.client.reader import Reader
from duologue.client.target import opened, target
from duologue.client.words import words_of
from duologue.errors import Closed, ConnectionLost, LocalProtocolError
from duologue.session.updates import ErrorUpdate, RealtimeEvent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from duologue.client.endpoint import Endpoint, Spoken
    from duologue.client.keys import Key
    from duologue.client.link import Connector
    from duologue.errors import DecodeError
    from duologue.protocol import beta, ga
    from duologue.protocol.codec import Dialect, Surface
    from duologue.protocol.ga.translation import AnyTranslationClientEvent
    from duologue.protocol.model import Event, UnknownEvent

__all__ = ["RealtimeAPI"]


class RealtimeAPI(RealtimeEventHandler):
    """Sends and receives events, and keeps no state of the session.

    Iterating yields server events from the connection on; see `Reader` for the bounds. A frame that
    is no event goes to the callbacks of `ErrorUpdate`. The arguments are those of `RealtimeClient`;
    with `dialect="beta"` its events are those of `duologue.protocol.beta`, both ways, and on a
    translation's endpoint those of `duologue.protocol.ga.translation`.
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
        dialect: Spoken | None = None,
    ) -> None:
        super().__init__()
        self._target: Final = target(
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
        self._dialect: Dialect | None = None
        if self._target.dialect != "auto":
            self._dialect = words_of(self._target.dialect).dialect
        is_translation = self._target.kind == "translation"
        self._surface: Final[Surface] = "translation" if is_translation else "realtime"
        self._link = Link(self)
        self._news: Final = News()
        self._reader: Reader[Event | UnknownEvent] | None = None
        self._ending: Closed | ConnectionLost | None = None
        self._is_connecting = False

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self._link.is_open and self._ending is None

    async def connect(self) -> None:
        """Connect, and return as soon as events can be sent.

        Raises:
            LocalProtocolError: If it is connected, or being connected.
            Closed: If `close` was called meanwhile.
            HandshakeRefused: If the server answered with an HTTP error.
            ConnectionLost: If it could not be reached.
            TimeoutError: If the provider of the token, or the frame that tells the dialect, took
                longer than `connect_timeout`.
        """
        if self._is_connecting or self.is_connected:
            raise LocalProtocolError("it is connected already, or being connected")
        self._is_connecting = True
        try:
            await self._link.close()  # nothing of another connection comes from now on
            await self._connect()
        except BaseException:
            await self.close()
            raise
        finally:
            self._is_connecting = False

    async def _connect(self) -> None:
        self._reader, self._ending = Reader(self._news), None
        self._registry.open()
        connector = self._target.connector
        if self._dialect is None:
            self._dialect, connector = await opened(connector, timeout=self._timeout)
        self._link = Link(self, self._dialect, self._surface)
        await self._link.open(connector)
        self._check_open()

    async def close(self) -> None:
        """Close the connection and wait until it is gone; harmless to repeat.

        A `connect` that is under way raises `Closed`.
        """
        self.on_end(None)
        try:
            await self._link.close()
        finally:
            await self._registry.dispatcher.stop()

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

    def send(
        self, event: ga.AnyClientEvent | beta.AnyClientEvent | AnyTranslationClientEvent
    ) -> None:
        """Send an event as it is.

        Raises:
            Closed: If the connection was closed, or is not open.
            ConnectionLost: If it has ended.
        """
        self._check_open()
        self._link.send(event)
        self._registry.tell([RealtimeEvent("client", event, self._now())])

    async def drain(self) -> None:
        """Wait while more is queued than the server takes."""
        await self._link.drain()

    def __aiter__(self) -> Reader[Event | UnknownEvent]:
        if self._reader is None:
            raise Closed("it was never connected: use `async with` or `await connect()`")
        return aiter(self._reader)

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Take an event of the connection."""
        if self._ending is None and self._reader is not None:
            self._reader.put(event)
            self._registry.tell([RealtimeEvent("server", event, self._now())])
            self._news.tell()

    def on_undecodable(self, error: DecodeError) -> None:
        """Take the news of a frame that is no event."""
        self._registry.tell([ErrorUpdate(error)])

    def on_end(self, error: ConnectionLost | None) -> None:
        """Take the end of the connection."""
        if self._ending is None:
            self._ending = error or Closed("the connection was closed")
            self._registry.end(self._ending)
            if self._reader is not None:
                self._reader.end(error)

    def _check_open(self) -> None:
        if self._ending is not None:
            raise self._ending.with_traceback(None)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

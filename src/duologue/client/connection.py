"""Events over a transport: decoding, encoding, and the log of what is sent and received."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from duologue.errors import ConnectionLost, DecodeError
from duologue.protocol import codec
from duologue.protocol.dialects import dialect_adapter

if TYPE_CHECKING:
    from duologue.protocol.codec import Surface
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.transport.base import Connector, Transport

__all__ = ["EventConnection", "EventReceiver"]

logger: Final = logging.getLogger("duologue.client")


class EventReceiver(Protocol):
    """Receives what arrives on an `EventConnection`."""

    def on_dialect(self, dialect: DialectAdapter[Any, Any]) -> None:
        """Process the dialect of the connection; called before its first event."""

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Process a server event, in the dialect of the wire."""

    def on_undecodable(self, error: DecodeError) -> None:
        """Process a frame that is not an event; the connection goes on."""

    def on_end(self, error: ConnectionLost | None) -> None:
        """Process the end of the connection; `None` if our side closed it."""


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
        self._receiver: Final = receiver
        self._surface: Final[Surface] = surface
        self._decode = self._detect if dialect is None else dialect.decode_server
        self._transport: Transport | None = None
        self._unsent: list[bytes] = []
        self._has_begun: Final = asyncio.Event() if dialect is None else None
        self._is_over = False

    @property
    def is_open(self) -> bool:
        """Whether events can be sent."""
        return self._transport is not None and not self._is_over

    async def open(self, connector: Connector) -> None:
        """Connect; events may arrive before this returns."""
        self._transport = await connector(self)
        unsent, self._unsent = self._unsent, []
        for frame in unsent:
            self._transport.send(frame)

    async def wait_for_dialect(self, timeout: float) -> None:  # noqa: ASYNC109  # its own text
        """Wait until the dialect is detected, or the connection has ended.

        Raises:
            TimeoutError: If the server sends nothing in time.
        """
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                if self._has_begun is not None:
                    await self._has_begun.wait()
        except TimeoutError:
            if not limit.expired():
                raise
            text = f"the server sent nothing within {timeout:g} s to detect its dialect from"
            raise TimeoutError(text) from None

    def on_frame(self, frame: bytes) -> None:
        """Decode a frame of the transport."""
        try:
            event = self._decode(frame)
        except DecodeError as error:
            logger.warning("< a frame of %d bytes is no event: %s", len(frame), error.reason)
            self._receiver.on_undecodable(error)
            return
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("< %s, %d bytes", event.type, len(frame))
        self._receiver.on_event(event)

    def on_close(self, error: ConnectionLost | None) -> None:
        """Process the end of the transport."""
        self._is_over = True
        if self._has_begun is not None:
            self._has_begun.set()
        logger.debug("< closed: %s", error or "by us")
        self._receiver.on_end(error)

    def send(self, event: Event | UnknownEvent) -> None:
        """Send an event; while the connection is being opened, as soon as it is open.

        Raises:
            Closed: If the connection was closed.
            ConnectionLost: If it has ended.
        """
        frame = codec.encode(event)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("> %s, %d bytes", event.type, len(frame))
        if self._transport is None:  # a callback of `session.created` was faster than `open`
            self._unsent.append(frame)
        else:
            self._transport.send(frame)

    async def drain(self) -> None:
        """Wait until the write buffer has drained."""
        if self._transport is not None:
            await self._transport.drain()

    async def close(self) -> None:
        """Close the connection and wait until it is gone."""
        if self._transport is not None:
            await self._transport.close()

    def _detect(self, frame: bytes) -> Event | UnknownEvent:
        """Decode the first frame in the dialect that it shows; GA where it may be either."""
        from duologue.protocol.translate import detect_dialect  # noqa: PLC0415  # imports beta

        try:
            name = detect_dialect(frame) or "ga"
        except DecodeError:
            name = "ga"
        dialect = dialect_adapter(name, self._surface)
        self._decode = dialect.decode_server
        self._receiver.on_dialect(dialect)
        if self._has_begun is not None:
            self._has_begun.set()
        return self._decode(frame)

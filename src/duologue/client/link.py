"""Events over a transport: decoding, encoding, and the log of what goes over the wire."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol

from duologue.errors import Closed, ConnectionLost, DecodeError
from duologue.protocol import codec, repair
from duologue.transport.base import Receiver, Transport

if TYPE_CHECKING:
    from duologue.protocol.model import Event, UnknownEvent

__all__ = ["Connector", "Link", "LinkOwner"]

logger: Final = logging.getLogger("duologue.client")

Connector = Callable[[Receiver], Awaitable[Transport]]
"""Opens a transport that pushes to the given receiver."""


class LinkOwner(Protocol):
    """Takes what a link receives."""

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Take a server event, in the words of the connection."""

    def on_undecodable(self, error: DecodeError) -> None:
        """Take the news of a frame that is no event; the connection goes on."""

    def on_end(self, error: ConnectionLost | None) -> None:
        """Take the end of the connection; `None` if we closed it."""


class Link:
    """One connection that carries events. The log shows their types and sizes, never contents."""

    def __init__(
        self,
        owner: LinkOwner,
        dialect: codec.Dialect = "ga",
        surface: codec.Surface = "realtime",
    ) -> None:
        self._owner = owner
        self._read: Final = repair.repairing_decoder(dialect, surface)
        self._transport: Transport | None = None
        self._is_over = False

    @property
    def is_open(self) -> bool:
        """Whether events can be sent."""
        return self._transport is not None and not self._is_over

    async def open(self, connector: Connector) -> None:
        """Connect; events may arrive before this returns."""
        self._transport = await connector(self)

    def on_frame(self, frame: bytes) -> None:
        """Take a frame of the transport."""
        try:
            event = self._read(frame)
        except DecodeError as error:
            logger.warning("< a frame of %d bytes is no event: %s", len(frame), error.reason)
            self._owner.on_undecodable(error)
            return
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("< %s, %d bytes", event.type, len(frame))
        self._owner.on_event(event)

    def on_close(self, error: ConnectionLost | None) -> None:
        """Take the end of the transport."""
        self._is_over = True
        logger.debug("< closed: %s", error or "by us")
        self._owner.on_end(error)

    def send(self, event: Event | UnknownEvent) -> None:
        """Send an event.

        Raises:
            Closed: If the connection was closed, or never opened.
            ConnectionLost: If it has ended.
        """
        self.send_frame(codec.encode(event), event.type)

    def send_frame(self, frame: bytes, kind: str) -> None:
        """Send an event that is encoded already; see `send`."""
        if self._transport is None:
            raise Closed("the session is not open")
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("> %s, %d bytes", kind, len(frame))
        self._transport.send(frame)

    async def drain(self) -> None:
        """Wait while more is queued than the server takes."""
        if self._transport is not None:
            await self._transport.drain()

    async def close(self) -> None:
        """Close the connection and wait until it is gone."""
        if self._transport is not None:
            await self._transport.close()

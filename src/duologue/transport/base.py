"""Contract between a transport and the code that drives it.

A transport pushes: it calls its receiver from the event loop, and never from inside `send`. Frames
arrive in order, then `on_close` is called exactly once, then nothing more. A transport belongs to
one event loop and its thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from duologue.errors import ConnectionLost

__all__ = [
    "MAX_UNSENT_BYTES",
    "Connector",
    "Receiver",
    "SupportsCut",
    "SupportsUnsent",
    "Transport",
]

MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024
"""Unsent data at which a connection is given up.

Our choice: 17 minutes of pcm16 audio at 24 kHz in base64. A caller that awaits `Transport.drain`
never comes near it.
"""


class Receiver(Protocol):
    """Consumer of the frames of a transport.

    Both methods must return soon and should not raise: an exception is reported to the event loop's
    exception handler and ends the connection with close code 1011.
    """

    def on_frame(self, frame: bytes) -> None:
        """Process one whole message; a text message is UTF-8. The receiver may keep the bytes."""

    def on_close(self, error: ConnectionLost | None) -> None:
        """Process the end of the connection, once; `None` means that our side closed it."""


class Transport(Protocol):
    """One open connection that carries whole messages."""

    def send(self, frame: bytes) -> None:
        """Queue one message as text, without waiting.

        Raises:
            Closed: If `close` was called.
            ConnectionLost: If the connection has ended, or `MAX_UNSENT_BYTES` are already queued.
        """

    async def drain(self) -> None:
        """Wait until the write buffer has room again.

        Raises:
            Closed: If `close` was called, also while waiting.
            ConnectionLost: If the connection has ended, also while waiting.
        """

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection and wait until it is gone.

        The wait is bounded, and closing twice is harmless. No frame arrives after this call.
        Cancelling it stops the waiting, not the closing.
        """


@runtime_checkable
class SupportsCut(Protocol):
    """A transport that can end without a closing handshake; all of duologue's can."""

    def cut(self) -> None:
        """Break the connection at once; what is unsent is lost."""


@runtime_checkable
class SupportsUnsent(Protocol):
    """A transport that shows how much waits to be sent; all of duologue's clients do.

    With one that does not, input audio never waits in `RealtimeClient`, and is never dropped.
    """

    @property
    def unsent_bytes(self) -> int:
        """Bytes that `Transport.send` has accepted and the system has not."""
        ...


Connector = Callable[[Receiver], Awaitable[Transport]]
"""Function that opens a transport, which then pushes to the given receiver."""

"""The contract between a transport and whoever drives it.

A transport pushes: it calls its receiver from the event loop, never from inside `send`. Frames come
in order, then `on_close` exactly once, then nothing. A transport belongs to one event loop and its
thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from duologue.errors import ConnectionLost

__all__ = ["MAX_UNSENT_BYTES", "Receiver", "Transport"]

MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024
"""What may wait to be sent before the connection is given up.

Our choice: 17 minutes of pcm16 audio at 24 kHz in base64. Who awaits `Transport.drain` never comes
near it.
"""


class Receiver(Protocol):
    """Takes what a transport receives.

    Both methods must return soon and should not raise: an exception is reported to the event loop's
    exception handler and ends the connection with close code 1011.
    """

    def on_frame(self, frame: bytes) -> None:
        """Take one whole message, UTF-8 if it came as text; the bytes are yours to keep."""

    def on_close(self, error: ConnectionLost | None) -> None:
        """Take the end of the connection, exactly once; `None` means that our side closed it."""


class Transport(Protocol):
    """One open connection that carries whole messages."""

    def send(self, frame: bytes) -> None:
        """Queue one message as text, without waiting.

        Raises:
            Closed: If `close` was called.
            ConnectionLost: If the connection has ended, or `MAX_UNSENT_BYTES` wait already.
        """

    async def drain(self) -> None:
        """Wait while more is queued than the peer takes.

        Raises:
            Closed: If `close` was called, also while waiting.
            ConnectionLost: If the connection has ended, also while waiting.
        """

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection and wait until it is gone; bounded, and harmless to repeat.

        No frame arrives after this call. Cancelling it stops the waiting, not the closing.
        """

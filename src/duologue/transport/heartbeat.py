"""Heartbeat: pings a peer that is silent, and reports one that stays silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_KEEPALIVE", "Heartbeat"]

DEFAULT_KEEPALIVE: Final = 1.5
"""Seconds between two looks: a peer that has vanished is noticed after two or three of them."""

_TCP_INFO_BYTES: Final = 104
_LAST_DATA_RECEIVED: Final = 52
"""Offset of `tcpi_last_data_recv`, milliseconds, in Linux's `struct tcp_info`."""


class Heartbeat:
    """Looks at each interval whether anything was received.

    After one silent interval the peer is pinged, after a second one it is given up. A part of a
    large message counts as a sign of life where the system tells (Linux). While the event loop is
    blocked nothing is given up: what has arrived meanwhile is read before a timer runs.

    Args:
        seconds: The interval; `None`: never look.
        ping: Sends a ping.
        give_up: Called once, with the seconds of silence.
    """

    __slots__ = (
        "_give_up", "_is_silent", "_looked_at", "_loop", "_ping", "_seconds", "_socket", "_timer",
        "has_sign",
    )  # fmt: skip

    def __init__(
        self, seconds: float | None, *, ping: Callable[[], None], give_up: Callable[[float], None]
    ) -> None:
        self.has_sign: bool = False
        """Whether anything was received since the last look; the transport sets it."""
        self._seconds: Final = seconds
        self._ping: Final = ping
        self._give_up: Final = give_up
        self._loop: Final = asyncio.get_running_loop()
        self._is_silent = False
        self._looked_at = 0.0
        self._socket: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, transport: asyncio.BaseTransport | None) -> None:
        """Begin to look; the transport is that of the connection."""
        if self._seconds is not None:
            self._socket = None if transport is None else transport.get_extra_info("socket")
            self._timer = self._loop.call_later(self._seconds, self._look, self._seconds)

    def stop(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, seconds: float) -> None:
        now = self._loop.time()
        since = now - self._looked_at
        self._looked_at = now
        if self.has_sign or (self._is_silent and _received_within(self._socket, since)):
            self._is_silent = False
        elif self._is_silent:
            self._timer = None
            self._give_up(2 * seconds)
            return
        else:
            self._is_silent = True
            self._ping()
        self.has_sign = False
        self._timer = self._loop.call_later(seconds, self._look, seconds)


def _received_within(connection: socket.socket | None, seconds: float) -> bool:
    """Return whether the system received data in these seconds, as far as it tells."""
    if connection is None or sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, struct.error):
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        (milliseconds,) = struct.unpack_from("=I", info, _LAST_DATA_RECEIVED)
        return bool(milliseconds <= seconds * 1000 + 1)
    return False

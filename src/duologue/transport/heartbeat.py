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

LATE: Final = 1.5
"""Intervals after which a look is late: the event loop was blocked, and the next one counts."""

TICK_MS: Final = 20
"""Milliseconds by which the system's own times may differ; they count in ticks of up to ten."""

BEHIND_BYTES: Final = 16 * 1024
"""Data that waits to be sent, beyond which a ping is late for that: a quarter second of audio."""

_QUEUE_SIZE: Final = 0x5411
"""Linux's `SIOCOUTQ`."""
_TCP_INFO_BYTES: Final = 104
_LAST_DATA_RECEIVED: Final = 52
"""Offset of `tcpi_last_data_recv`, milliseconds, in Linux's `struct tcp_info`."""
_LAST_ACK_RECEIVED: Final = 56
"""Offset of `tcpi_last_ack_recv`."""


class Heartbeat:
    """Looks at each interval whether anything was received.

    After one silent interval the peer is pinged, after a second one it is given up. Where the
    system tells (Linux), a part of a large message counts as a sign of life, and so does an
    acknowledgement while the ping waits behind data that is not sent. While the event loop is
    blocked nothing is given up: what has arrived meanwhile is read before a timer runs.

    Args:
        seconds: The interval; `None`: never look.
        ping: Sends a ping.
        give_up: Called once, with the seconds of silence.
        unsent_bytes: Returns how much is not sent yet.
    """

    __slots__ = (
        "_give_up", "_is_silent", "_looked_at", "_loop", "_ping", "_seconds", "_socket", "_timer",
        "_unsent_bytes", "has_sign",
    )  # fmt: skip

    def __init__(
        self,
        seconds: float | None,
        *,
        ping: Callable[[], None],
        give_up: Callable[[float], None],
        unsent_bytes: Callable[[], int] = lambda: 0,
    ) -> None:
        self.has_sign: bool = False
        """Whether anything was received since the last look; the transport sets it."""
        self._seconds: Final = seconds
        self._ping: Final = ping
        self._give_up: Final = give_up
        self._unsent_bytes: Final = unsent_bytes
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
        if self.has_sign or (
            self._is_silent and _happened_within(self._socket, since, _LAST_DATA_RECEIVED)
        ):
            self._is_silent = False
        elif self._is_silent and (since > LATE * seconds or self._is_sending(since)):
            pass  # the ping has not left, or this process was not there to read the answer
        elif self._is_silent:
            self._timer = None
            self._give_up(2 * seconds)
            return
        else:
            self._is_silent = True
            self._ping()
        self.has_sign = False
        self._timer = self._loop.call_later(seconds, self._look, seconds)

    def _is_sending(self, since: float) -> bool:
        """Return whether much data waits to be sent, and the peer goes on acknowledging it."""
        is_behind = self._unsent_bytes() + _queued_bytes(self._socket) > BEHIND_BYTES
        return is_behind and _happened_within(self._socket, since, _LAST_ACK_RECEIVED)


def _queued_bytes(connection: socket.socket | None) -> int:
    """Return how much the system has not sent, or not had acknowledged, as far as Linux tells."""
    if connection is None or sys.platform != "linux":
        return 0
    import fcntl  # noqa: PLC0415  # not on Windows

    queued = bytearray(4)
    with contextlib.suppress(OSError):
        fcntl.ioctl(connection.fileno(), _QUEUE_SIZE, queued)
    return int.from_bytes(queued, sys.byteorder)


def _happened_within(connection: socket.socket | None, seconds: float, field: int) -> bool:
    """Return whether data or an acknowledgement came in these seconds, as far as Linux tells."""
    if connection is None or sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, struct.error):
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        (milliseconds,) = struct.unpack_from("=I", info, field)
        return bool(milliseconds <= seconds * 1000 + TICK_MS)
    return False

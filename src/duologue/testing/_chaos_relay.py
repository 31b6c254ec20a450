"""One connection through the chaos proxy: a socket on each side, and a link in each direction."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from duologue.testing._chaos_link import Cut, Link

__all__ = ["ConnectionRecord", "Ending", "Relay", "Side"]

Side: TypeAlias = Literal["client", "server"]

Ending: TypeAlias = Literal[
    "client", "server", "reset", "close", "cut", "half-open", "refused", "unreachable", "stopped"
]
"""First cause of the end of a connection.

The client or the server hung up, a method of the proxy ended it, the server could not be reached,
or the proxy's context was left.
"""

_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""With this SO_LINGER, closing a socket sends an RST."""


class ConnectionRecord:
    """One connection that a chaos proxy accepted, and what passed through it."""

    def __init__(self) -> None:
        self.bytes_from_client: int = 0
        """Number of bytes that the proxy received from the client."""
        self.bytes_from_server: int = 0
        """Number of bytes that the proxy received from the server."""
        self.bytes_to_client: int = 0
        """Number of bytes that were forwarded to the client."""
        self.bytes_to_server: int = 0
        """Number of bytes that were forwarded to the server."""
        self.ending: Ending | None = None
        """First cause of its end; `None` while it runs."""
        self._closed = asyncio.Event()

    def __repr__(self) -> str:
        to = f"{self.bytes_to_client} bytes to client, {self.bytes_to_server} bytes to server"
        return f"<ConnectionRecord {self.ending or 'open'}: {to}>"

    @property
    def is_closed(self) -> bool:
        """Whether the sockets on both sides are closed.

        A half-open connection is not, until the proxy stops. After `close`, it is when both the
        client and the server have closed their ends.
        """
        return self._closed.is_set()

    async def wait_closed(self) -> None:
        """Wait until the sockets on both sides are closed."""
        await self._closed.wait()

    def note_closed(self) -> None:
        """Wake those who wait for the end; the proxy calls it."""
        self._closed.set()


class _Mode(enum.Enum):
    FORWARD = enum.auto()
    SWALLOW = enum.auto()
    """Half-open: received bytes are dropped, and so is the end of the stream."""
    CLOSE = enum.auto()
    """Each side got a FIN; wait for theirs."""
    RESET = enum.auto()


class Relay:
    """Forwards between the client's and the server's socket until something ends it.

    It begins when the event loop calls `connection_made` of `client`.
    """

    def __init__(
        self,
        record: ConnectionRecord,
        *,
        to_client: Link,
        to_server: Link,
        connect: Callable[[asyncio.Protocol], Awaitable[object]],
        on_closed: Callable[[Relay], None],
    ) -> None:
        """Prepare a connection.

        Args:
            record: Counts what passes.
            to_client: Link towards the client.
            to_server: Link towards the server.
            connect: Opens the connection to the server.
            on_closed: Called once, when both sockets are closed.
        """
        self.record: Final = record
        self.mode = _Mode.FORWARD
        self.client: Final = _Socket(self, "client", to_client)
        self.server: Final = _Socket(self, "server", to_server)
        self.client.peer, self.server.peer = self.server, self.client
        self._connect: Final = connect
        self._connecting: asyncio.Task[object] | None = None
        self._on_closed: Final = on_closed

    @property
    def sockets(self) -> tuple[_Socket, _Socket]:
        """Both sides."""
        return self.client, self.server

    def open(self) -> None:
        """Connect to the server; the client's socket calls this."""
        self._connecting = asyncio.ensure_future(_awaited(self._connect(self.server)))
        self._connecting.add_done_callback(self._on_connected)

    def pump(self) -> None:
        """Forward what the conditions allow; call this after they have changed."""
        for each in self.sockets:
            each.restart()

    def cut(self, side: Side, cut: Cut | None) -> None:
        """Cut the link towards a side at a place to come, or no longer."""
        end = self.client if side == "client" else self.server
        end.outgoing.cut(cut)
        end.pump()

    def reset(self, ending: Ending = "reset") -> None:
        """Send an RST to both sides."""
        self._enter(_Mode.RESET, ending)
        self._abandon_connecting()
        for each in self.sockets:
            each.reset()
        self.note_lost()

    def close(self, ending: Ending = "close") -> None:
        """Send a FIN to both sides, and drop what they still send."""
        if self.mode is _Mode.RESET:
            return
        self._enter(_Mode.CLOSE, ending)
        self._abandon_connecting()
        for each in self.sockets:
            each.close()
        self.note_lost()

    def half_open(self) -> None:
        """Drop whatever arrives from now on, and tell neither side."""
        if self.mode is _Mode.FORWARD:
            self._enter(_Mode.SWALLOW, "half-open")

    def note_ending(self, ending: Ending) -> None:
        """Record the first cause of the end."""
        self.record.ending = self.record.ending or ending

    def note_lost(self) -> None:
        """Report the end once both sockets are closed."""
        if all(each.is_lost for each in self.sockets) and not self.record.is_closed:
            self.record.note_closed()
            self._on_closed(self)

    def _enter(self, mode: _Mode, ending: Ending) -> None:
        self.mode = mode
        self.note_ending(ending)
        for each in self.sockets:
            each.stop_forwarding()

    def _abandon_connecting(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
        elif self.server.transport is None:
            self.server.is_lost = True

    def _on_connected(self, task: asyncio.Task[object]) -> None:
        failed = task.cancelled() or task.exception() is not None
        self._connecting = None
        if failed and self.server.transport is None:
            self.server.is_lost = True
            if self.mode is _Mode.FORWARD:
                self.reset("unreachable")
            self.note_lost()


class _Socket(asyncio.Protocol):
    """One side of a relay; `outgoing` is the link that leads to it."""

    peer: _Socket

    def __init__(self, relay: Relay, side: Side, outgoing: Link) -> None:
        self.outgoing: Final = outgoing
        self.transport: asyncio.Transport | None = None
        self.is_lost = False
        self._relay: Final = relay
        self._side: Final[Side] = side
        self._is_writable = False
        self._has_ended = False
        """Whether its FIN has arrived."""
        self.is_eof_sent = False
        self._timer: asyncio.TimerHandle | None = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # of TCP
        # The protocol is paused while any byte is unsent, so that a cut loses none before it.
        self.transport.set_write_buffer_limits(high=0)
        self._is_writable = True
        match self._relay.mode:
            case _Mode.RESET:
                self.reset()
            case _Mode.CLOSE:
                self.close()
            case _Mode.FORWARD | _Mode.SWALLOW if self._side == "client":
                self._relay.open()
            case _:
                self.restart()

    def data_received(self, data: bytes) -> None:
        record = self._relay.record
        if self._side == "client":
            record.bytes_from_client += len(data)
        else:
            record.bytes_from_server += len(data)
        if self._relay.mode is _Mode.FORWARD and not self.peer.is_lost:
            self.peer.outgoing.push(data, _now())
            self.peer.pump()

    def eof_received(self) -> bool:
        """Forward the end; return whether the socket stays open for writing."""
        self._has_ended = True
        if self._relay.mode is _Mode.FORWARD:
            self._relay.note_ending(self._side)
            self.peer.outgoing.hang_up("close", _now())
            self.peer.pump()
        return self._relay.mode in {_Mode.FORWARD, _Mode.SWALLOW}

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.stop_forwarding()
        if self._relay.mode is _Mode.FORWARD:
            self._relay.note_ending(self._side)
            if exc is not None:
                self.peer.outgoing.hang_up("reset", _now())
            self.peer.pump()
            self.peer.resume_reading()
        self._relay.note_lost()

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._is_writable = True
        self.restart()

    # Called by the relay, and by the other side.

    def restart(self) -> None:
        """Forward again after a pause."""
        self.outgoing.restart(_now())
        self.pump()

    def pump(self) -> None:
        """Forward what is due, and come back when more is."""
        self._stop_timer()
        if self._relay.mode is not _Mode.FORWARD or self.is_lost:
            return
        if self.transport is not None and not self.transport.is_closing():
            self._forward(self.transport)
        if self._relay.mode is _Mode.FORWARD:
            if self.outgoing.is_full:
                self.peer.pause_reading()
            else:
                self.peer.resume_reading()

    def _forward(self, transport: asyncio.Transport) -> None:
        while self._is_writable:
            if (cut := self.outgoing.reached_cut) is not None:
                if cut.ending == "reset":
                    self._relay.reset("cut")
                else:
                    self._relay.close("cut")
                return
            match self.outgoing.take(_now()):
                case None:
                    due = self.outgoing.next_due()
                    if due is not None:
                        loop = asyncio.get_running_loop()
                        self._timer = loop.call_at(due, self.pump)
                    return
                case "close":
                    self._send_eof(transport)
                case "reset":
                    self._relay.reset()
                    return
                case piece:
                    self._count(len(piece))
                    transport.write(piece)

    def _count(self, sent: int) -> None:
        record = self._relay.record
        if self._side == "client":
            record.bytes_to_client += sent
        else:
            record.bytes_to_server += sent

    def _send_eof(self, transport: asyncio.Transport) -> None:
        self.is_eof_sent = True
        _write_eof(transport)
        if self.peer.is_eof_sent:  # each side knows that the other has ended
            for each in self._relay.sockets:
                if each.transport is not None:
                    each.transport.close()

    def pause_reading(self) -> None:
        """Let this side wait."""
        if self.transport is not None and self._is_open_for_reading:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from this side again."""
        if self.transport is not None and self._is_open_for_reading:
            self.transport.resume_reading()

    @property
    def _is_open_for_reading(self) -> bool:
        return not (self._has_ended or self.transport is None or self.transport.is_closing())

    def stop_forwarding(self) -> None:
        """Drop what waits for this side, and read on what comes from it."""
        self._stop_timer()
        self.outgoing.clear()
        self.resume_reading()

    def reset(self) -> None:
        """Send an RST."""
        if self.transport is not None and not self.is_lost:
            tcp: socket.socket = self.transport.get_extra_info("socket")
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.transport.abort()

    def close(self) -> None:
        """Send a FIN, and close when this side has sent its own."""
        if self.transport is None or self.is_lost or self.transport.is_closing():
            return
        _write_eof(self.transport)
        if self._has_ended:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def _awaited(connecting: Awaitable[object]) -> object:
    return await connecting


def _write_eof(transport: asyncio.Transport) -> None:
    with contextlib.suppress(OSError):  # an RST came that the event loop has not seen yet
        transport.write_eof()


def _now() -> float:
    return asyncio.get_running_loop().time()

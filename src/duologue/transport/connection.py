"""One open WebSocket connection: what picows calls, and what the driver calls.

picows parses and writes frames. By hand, here and in `messages`: reassembly, the message cap,
UTF-8, reserved bits, pongs, the closing handshake in both directions with its time-out, and what
each way of ending means.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from picows import WSCloseCode, WSListener, WSMsgType

from duologue.errors import ConnectionLost
from duologue.transport.base import MAX_UNSENT_BYTES
from duologue.transport.delivery import Delivery, broken_rule, closed_by_peer, cut, receiver_failed
from duologue.transport.handshake import disagreement
from duologue.transport.reassembly import MessageAssembler, Violation, close_reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picows import WSFrame, WSTransport
    from typing_extensions import override

    from duologue.transport.base import Receiver
else:

    def override(method):  # noqa: ANN001, ANN202  # `typing` has it from Python 3.12 on
        return method


__all__ = ["WebSocketConnection"]

_TEXT: Final = WSMsgType.TEXT
_CONTINUATION: Final = WSMsgType.CONTINUATION
_CLOSE: Final = WSMsgType.CLOSE
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG

_NEVER_SENT: Final = frozenset({1005, 1006})
"""They stand for "no code" and "no CLOSE frame" (RFC 6455 section 7.4.1), never on the wire."""


class WebSocketConnection(WSListener):
    """The connection: picows calls the `on_ws_…` half, the driver the `Transport` half."""

    __slots__ = (
        "_assembler", "_close_timeout", "_delivery", "_gone", "_is_up", "_keepalive", "_loop",
        "_reaper", "_refusal", "_subprotocols", "_timer", "_wire", "_writable",
    )  # fmt: skip

    _wire: WSTransport
    """Set by `on_ws_connected`; nobody but `connect_websocket` has this object before."""

    def __init__(
        self,
        receiver: Receiver,
        *,
        subprotocols: Sequence[str],
        assembler: MessageAssembler,
        close_timeout: float,
        keepalive: float | None,
    ) -> None:
        self._delivery = Delivery(receiver)
        self._subprotocols = subprotocols
        self._assembler = assembler
        self._close_timeout = close_timeout
        self._keepalive = keepalive
        self._loop = asyncio.get_running_loop()
        self._is_up = False
        self._refusal: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reaper: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()

    # The driver's half.

    def send(self, frame: bytes) -> None:
        """Send one text message; see `Transport.send`."""
        self._delivery.check_open()
        if not self._writable.is_set():
            self._check_backlog()
        self._wire.send(_TEXT, frame)

    async def drain(self) -> None:
        """Wait while too much is buffered for the socket; see `Transport.drain`."""
        await self._writable.wait()
        self._delivery.check_open()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait `close_timeout` at most for the answer; see `Transport.close`."""
        if self._delivery.end(None):
            self._send_close(code, reason)
        self._limit_closing()
        await self._gone.wait()

    # Opening.

    def check_accepted(self, shown: str) -> None:
        """Raise why the connection is of no use, if it is not.

        Raises:
            ConnectionLost: If the server hung up instead of answering, or its answer disagrees.
        """
        if not self._is_up:
            raise ConnectionLost(f"{shown} closed the connection before it answered")
        if self._refusal is not None:
            raise broken_rule(1002, self._refusal)

    def abandon(self) -> None:
        """Be silent from now on: `connect_websocket` raises."""
        self._delivery.silence()

    @override
    def on_ws_connected(self, transport: WSTransport) -> None:
        """Accept the server's answer, or close; frames may follow in the same buffer."""
        self._wire = transport
        self._is_up = True
        self._refusal = disagreement(transport.response, self._subprotocols)
        if self._refusal is not None:
            self._delivery.silence()
            self._send_close(1002, self._refusal)
            transport.disconnect()

    # Receiving.

    @override
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take one frame, whose memory is picows' own again when this returns."""
        opcode = frame.msg_type
        if opcode is _CLOSE:
            self._take_close(frame)
        elif not self._delivery.is_open:
            return
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(broken_rule(1002, "the server used a reserved bit of the frame header"))
        elif opcode is _PING:
            # RFC 6455 section 5.5.3: of many pings the latest one's answer is enough.
            if self._writable.is_set():
                transport.send_pong(frame.get_payload_as_bytes())
        elif opcode is not _PONG:
            self._take_data(opcode, frame)

    def _take_data(self, opcode: WSMsgType, frame: WSFrame) -> None:
        payload, is_final = frame.get_payload_as_bytes(), frame.fin
        try:
            if opcode is _CONTINUATION:
                message = self._assembler.resume(payload, is_final=is_final)
            else:
                message = self._assembler.begin(payload, is_text=opcode is _TEXT, is_final=is_final)
        except Violation as broken:
            self._fail(broken_rule(broken.code, broken.reason))
            return
        failure = None if message is None else self._delivery.frame(message)
        if failure is not None:
            self._fail(receiver_failed(failure))

    def _take_close(self, frame: WSFrame) -> None:
        code = frame.get_close_code().value or 1005  # picows says 0 for a CLOSE without a code
        if self._delivery.end(closed_by_peer(code, frame.get_close_reason() or "")):
            self._send_close(1000 if code in _NEVER_SENT else code)
        # Both CLOSE frames are exchanged: no need to wait for the server to hang up first.
        self._wire.disconnect()
        self._delivery.report_loss()

    # Ending.

    def _fail(self, lost: ConnectionLost) -> None:
        """End the connection for a reason found on our side; frames that still come are ignored."""
        if self._delivery.end(lost):
            self._send_close(lost.code or 1011, lost.reason)
        self._delivery.report_loss()

    def _send_close(self, code: int, reason: str = "") -> None:
        self._wire.send_close(WSCloseCode(code), close_reason(reason))
        self._writable.set()
        self._limit_closing()

    def _limit_closing(self) -> None:
        if self._timer is None and not self._gone.is_set():
            self._timer = self._loop.call_later(self._close_timeout, self._abort)

    def _abort(self) -> None:
        self._wire.disconnect(graceful=False)

    @override
    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Report the ending unless that is done; the socket is gone."""
        if self._timer is not None:
            self._timer.cancel()
        if self._delivery.is_open:
            self._delivery.end(self._unasked_end(transport))
        self._writable.set()
        self._delivery.report()
        # picows keeps what its parser found as a future's exception, which somebody must fetch.
        self._reaper = self._loop.create_task(_await_quietly(transport))
        self._gone.set()

    def _unasked_end(self, transport: WSTransport) -> ConnectionLost:
        if not transport.is_close_frame_sent:
            return cut()
        # Not by us, so picows closed: no pong came, or its parser found a fault.
        sent = transport.close_handshake.sent
        if sent is None or sent.code is WSCloseCode.GOING_AWAY:
            silence = 2 * (self._keepalive or 0.0)
            return ConnectionLost(f"the server gave no sign of life for {silence:g} s", code=1006)
        return broken_rule(sent.code.value, sent.reason)

    # Keeping pace.

    @override
    def is_user_specific_pong(self, frame: WSFrame) -> bool:  # noqa: ARG002  # any will do
        """Count every frame as the awaited sign of life: a pong may queue behind much audio."""
        self._wire.notify_user_specific_pong_received()
        return False

    @override
    def pause_writing(self) -> None:
        """Make `drain` wait."""
        if self._delivery.is_open:
            self._writable.clear()

    @override
    def resume_writing(self) -> None:
        """Let `drain` return."""
        self._writable.set()

    def _check_backlog(self) -> None:
        if self._wire.underlying_transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            # `on_close` follows from `on_ws_disconnected`: it is never called from inside `send`.
            self._delivery.end(ConnectionLost("the server does not read what is sent", code=1006))
            self._writable.set()
            self._abort()
            self._delivery.check_open()


async def _await_quietly(transport: WSTransport) -> None:
    with contextlib.suppress(Exception):
        await transport.wait_disconnected()

"""WebSocket client on picows: `connect_picows`.

picows parses and writes frames. This module and `reassembly` add the rest: reassembly, the limit of
message size, UTF-8, reserved bits, pongs, the closing handshake in both directions with its
time-out, and an error for each way in which a connection ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from picows import (
    WSCloseCode,
    WSHandshakeError,
    WSListener,
    WSMsgType,
    ws_connect,  # pyright: ignore[reportUnknownVariableType]  # its **kwargs has no type
)

from duologue.errors import ConnectionLost
from duologue.transport.base import MAX_UNSENT_BYTES
from duologue.transport.delivery import (
    Delivery,
    closed_by_peer,
    connection_cut,
    no_sign_of_life,
    protocol_broken,
    receiver_failed,
)
from duologue.transport.handshake import (
    Dialer,
    check_headers,
    check_url,
    secrets_in,
    unoffered_choice,
    unreachable,
    upgrade_failed,
)
from duologue.transport.heartbeat import DEFAULT_KEEPALIVE, Heartbeat
from duologue.transport.reassembly import (
    NO_CLOSE_CODE,
    FrameViolation,
    MessageAssembler,
    close_reason,
    read_close,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from picows import WSFrame, WSTransport
    from typing_extensions import override

    from duologue.transport.base import Receiver, Transport
else:

    def override(method):  # noqa: ANN001, ANN202  # `typing` has it from Python 3.12 on
        return method


__all__ = ["connect_picows"]

READ_BUFFER_BYTES: Final = 4096
"""Initial size of the read buffer of a connection, which doubles as soon as a read fills it.

picows starts with 16 KB. Over 300 idle connections, 4 KB take 18.4 KB of memory each instead of
30.9 (2 KB save nothing more), and frames of 1 KB to 20 MB are received at the same speed.
"""

# picows logs request headers at level 9, and gives each connection a child logger that a filter on
# its parent does not see. A logger outside the tree, above every level, cannot be opened by any
# configuration; faults reach the receiver as errors instead.
_MUTE: Final = logging.Logger("picows", logging.CRITICAL + 1)  # noqa: LOG001  # see above

_TEXT: Final = WSMsgType.TEXT
_CONTINUATION: Final = WSMsgType.CONTINUATION
_CLOSE: Final = WSMsgType.CLOSE
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG


class _FaultLog(logging.LoggerAdapter[logging.Logger]):
    """Logger of one connection that writes nothing, and learns of a fault of the parser first.

    picows parses one frame ahead of the one that it delivers. A fault in what follows a CLOSE would
    be answered before the CLOSE is; this log is called before that.
    """

    def __init__(self, on_fault: Callable[[], None]) -> None:
        super().__init__(_MUTE)
        self._on_fault: Final = on_fault

    @override
    def error(self, msg: object, *args: object, **kwargs: object) -> None:  # noqa: ARG002  # nothing is written
        """Report a fault of the parser."""
        self._on_fault()


async def connect_picows(  # noqa: PLR0913  # all but two are options with a default
    url: str,
    receiver: Receiver,
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    connect_timeout: float = 10.0,
    close_timeout: float = 5.0,
    keepalive: float | None = DEFAULT_KEEPALIVE,
    max_message_bytes: int = 64 * 1024 * 1024,
) -> Transport:
    """Open a WebSocket connection; the receiver may be called before this returns.

    Redirects are not followed, as they would carry the key to another host. When this raises,
    `on_close` is not called.

    Args:
        url: `ws://` or `wss://`.
        receiver: Gets the messages; binary ones too, since some servers send JSON in them.
        headers: Added to the request.
        subprotocols: Offered to the server, which must choose one of them or none.
        ssl_context: TLS settings for `wss://` instead of the defaults.
        connect_timeout: Limit for name lookup, TCP, TLS and the server's response together.
        close_timeout: Limit for the server's part of the closing handshake; then the socket is cut.
        keepalive: Seconds of silence after which the server is pinged; after as many more without
            an answer the connection is lost; see `Heartbeat`. `None`: never.
        max_message_bytes: A longer message ends the connection with close code 1009.

    Raises:
        ConfigurationError: If the URL, a header or a subprotocol cannot be used.
        HandshakeRefused: If the server answered with an HTTP status other than 101.
        ConnectionLost: If the server could not be reached, was too slow, or broke the protocol.
    """
    display_url = check_url(url)
    extra_headers = check_headers(headers or {}, subprotocols)
    secrets = secrets_in(url, extra_headers.values())
    connection = _PicowsTransport(
        receiver,
        subprotocols=subprotocols,
        secrets=secrets,
        assembler=MessageAssembler(max_message_bytes),
        close_timeout=close_timeout,
        keepalive=keepalive,
    )
    dialer = Dialer()
    limit = asyncio.timeout(connect_timeout)
    try:
        async with limit:
            await ws_connect(
                lambda _request, _response: connection,
                url,
                ssl_context=ssl_context,
                websocket_handshake_timeout=None,  # `limit` covers it
                logger_name=_FaultLog(connection.answer_early_close),
                enable_auto_ping=False,  # to it, a message that arrives slowly is no sign of life
                enable_auto_pong=False,  # its answers to a peer that never reads would pile up
                max_frame_size=max_message_bytes,
                extra_headers=extra_headers,
                max_redirects=0,
                read_buffer_init_size=READ_BUFFER_BYTES,
                socket_factory=dialer,
            )
        connection.check_accepted(display_url)
    except BaseException as error:
        connection.abandon()
        dialer.hang_up()
        if isinstance(error, TimeoutError) and limit.expired():
            reason = f"{display_url} did not answer within {connect_timeout:g} s"
            raise ConnectionLost(reason) from error
        if isinstance(error, WSHandshakeError):
            raise upgrade_failed(display_url, error, secrets) from error
        if isinstance(error, (OSError, UnicodeError)):
            raise unreachable(display_url, error) from error
        raise
    return connection


class _PicowsTransport(WSListener):
    """Connection on picows: the library calls the `on_ws_...` half, the driver the rest.

    See `Transport` for the contract of `send`, `drain` and `close`.
    """

    __slots__ = (
        "_assembler",
        "_close_timeout",
        "_delivery",
        "_gone",
        "_heartbeat",
        "_is_gone",
        "_is_paused",
        "_is_up",
        "_loop",
        "_reaper",
        "_refusal",
        "_subprotocols",
        "_timer",
        "_wire",
        "_writable",
    )  # fmt: skip

    _wire: WSTransport
    """Set by `on_ws_connected`; only `connect_picows` has this object before."""

    def __init__(
        self,
        receiver: Receiver,
        *,
        subprotocols: Sequence[str],
        secrets: frozenset[str],
        assembler: MessageAssembler,
        close_timeout: float,
        keepalive: float | None,
    ) -> None:
        self._delivery: Final = Delivery(receiver, secrets)
        self._subprotocols: Final = subprotocols
        self._assembler: Final = assembler
        self._close_timeout: Final = close_timeout
        self._heartbeat: Final = Heartbeat(
            keepalive,
            ping=self._ping,
            give_up=self._give_up,
            unsent_bytes=lambda: self.unsent_bytes,
        )
        self._loop: Final = asyncio.get_running_loop()
        self._is_up = self._is_paused = False
        self._refusal: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reaper: asyncio.Task[None] | None = None
        self._writable: Final = asyncio.Event()
        self._writable.set()
        self._is_gone = False
        self._gone: asyncio.Event | None = None  # made by `close`: it holds a deque of 760 bytes

    # The driver's half.

    def send(self, frame: bytes) -> None:
        """Send one text message."""
        if not self._delivery.is_open:
            self._delivery.check_open()
        if self._is_paused:
            self._check_backlog()
        self._wire.send(_TEXT, frame)

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the socket has not taken."""
        return self._wire.underlying_transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait until the write buffer of the socket has room again."""
        await self._writable.wait()
        self._delivery.check_open()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the server's answer, for `close_timeout` at most."""
        if self._delivery.end(None):
            self._send_close(code, reason)
        self._limit_closing()
        if not self._is_gone:
            self._gone = self._gone or asyncio.Event()
            await self._gone.wait()

    def cut(self) -> None:
        """Break the connection at once; see `SupportsCut`."""
        self._delivery.end(connection_cut())
        self._abort()

    # Opening.

    def check_accepted(self, display_url: str) -> None:
        """Raise an error unless the handshake has succeeded.

        Raises:
            ConnectionLost: If the server hung up instead of answering, or chose what was not
                offered.
        """
        if not self._is_up:
            raise ConnectionLost(f"{display_url} closed the connection before it answered")
        if self._refusal is not None:
            raise protocol_broken(1002, self._refusal)

    def abandon(self) -> None:
        """Never call the receiver again, because `connect_picows` raises."""
        self._delivery.silence()

    @override
    def on_ws_connected(self, transport: WSTransport) -> None:
        """Accept the server's response, or close; frames may follow in the same buffer."""
        self._wire = transport
        self._is_up = True
        self._heartbeat.start(transport.underlying_transport)
        self._refusal = unoffered_choice(transport.response, self._subprotocols)
        if self._refusal is not None:
            self._delivery.silence()
            self._send_close(1002, self._refusal)
            transport.disconnect()

    # Receiving.

    @override
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Process one frame; its memory belongs to picows again when this returns."""
        opcode = frame.msg_type
        self._heartbeat.has_sign = True
        if opcode is _CLOSE:
            self._process_close(frame)
        elif not self._delivery.is_open:
            return
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(protocol_broken(1002, "the server used a reserved bit of the frame header"))
        elif opcode is _PING:
            # RFC 6455 section 5.5.3 lets us answer the latest ping alone. While the write buffer is
            # full pings stay unanswered, so that pongs to a peer that does not read cannot pile up.
            if self._writable.is_set():
                transport.send_pong(frame.get_payload_as_bytes())
        elif opcode is not _PONG:
            payload, is_final = frame.get_payload_as_bytes(), frame.fin
            # Nearly every frame is a whole message that the assembler would return as it is; picows
            # has checked its size.
            is_whole = opcode is _TEXT and is_final and self._assembler.is_idle
            message: bytes | None = payload
            if not is_whole or not payload.isascii():
                message = self._assembled(opcode, payload, is_final=is_final)
            failure = None if message is None else self._delivery.deliver(message)
            if failure is not None:
                self._fail(receiver_failed(failure))

    def _assembled(self, opcode: WSMsgType, payload: bytes, *, is_final: bool) -> bytes | None:
        """Return the message that a frame completes, if it does; fail if it breaks the protocol."""
        try:
            if opcode is _CONTINUATION:
                return self._assembler.resume(payload, is_final=is_final)
            return self._assembler.begin(payload, is_text=opcode is _TEXT, is_final=is_final)
        except FrameViolation as broken:
            self._fail(protocol_broken(broken.code, broken.reason))
            return None

    def _process_close(self, frame: WSFrame) -> None:
        try:
            code, reason = read_close(frame.get_payload_as_bytes())
        except FrameViolation as broken:
            self._fail(protocol_broken(broken.code, broken.reason))
            return
        if self._delivery.end(closed_by_peer(code, reason)):
            self._send_close(1000 if code == NO_CLOSE_CODE else code)
        # Both CLOSE frames are exchanged: no need to wait for the server to hang up first.
        self._wire.disconnect()
        self._delivery.report_loss()

    def answer_early_close(self) -> None:
        """Answer a CLOSE that was parsed but not yet delivered; what follows it does not count."""
        handshake = self._wire.close_handshake if self._is_up else None
        if self._delivery.is_open and handshake is not None and handshake.recv is not None:
            code = handshake.recv.code
            self._wire.send_close(WSCloseCode.OK if code is WSCloseCode.NO_INFO else code)

    # Ending.

    def _fail(self, lost: ConnectionLost) -> None:
        """End the connection for a reason found on our side; later frames are ignored."""
        if self._delivery.end(lost):
            self._send_close(lost.code or 1011, lost.reason)
        self._delivery.report_loss()

    def _send_close(self, code: int, reason: str = "") -> None:
        self._wire.send_close(WSCloseCode(code), close_reason(reason))
        self._writable.set()
        self._limit_closing()

    def _limit_closing(self) -> None:
        if self._timer is None and not self._is_gone:
            self._timer = self._loop.call_later(self._close_timeout, self._abort)

    def _abort(self) -> None:
        self._wire.disconnect(graceful=False)

    def _ping(self) -> None:
        if self._delivery.is_open:
            self._wire.send_ping()

    def _give_up(self, silence: float) -> None:
        self._delivery.end(no_sign_of_life(silence))
        self._abort()
        self._delivery.report_loss()

    @override
    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Report the end, unless that is done; the socket is gone."""
        self._heartbeat.stop()
        if self._timer is not None:
            self._timer.cancel()
        if self._delivery.is_open:
            self._delivery.end(self._unrequested_end(transport))
        self._writable.set()
        self._delivery.report_end()
        # picows stores a fault of its parser as the exception of a future, which must be retrieved.
        self._reaper = self._loop.create_task(_wait_quietly(transport))
        self._is_gone = True
        if self._gone is not None:
            self._gone.set()

    def _unrequested_end(self, transport: WSTransport) -> ConnectionLost:
        if not transport.is_close_frame_sent:
            return connection_cut()
        # This class did not send it, so picows did: its parser found a fault.
        sent = transport.close_handshake.sent
        if sent is None:
            return connection_cut()
        return protocol_broken(sent.code.value, sent.reason)

    # Flow control.

    @override
    def pause_writing(self) -> None:
        """Make `drain` wait."""
        if self._delivery.is_open:
            self._is_paused = True
            self._writable.clear()

    @override
    def resume_writing(self) -> None:
        """Let `drain` return."""
        self._is_paused = False
        self._writable.set()

    def _check_backlog(self) -> None:
        if self.unsent_bytes > MAX_UNSENT_BYTES:
            # `on_ws_disconnected` calls `on_close`, which must not happen inside `send`.
            self._delivery.end(ConnectionLost("the server does not read what is sent", code=1006))
            self._writable.set()
            self._abort()
            self._delivery.check_open()


async def _wait_quietly(transport: WSTransport) -> None:
    with contextlib.suppress(Exception):
        await transport.wait_disconnected()

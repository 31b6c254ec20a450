"""WebSocket client on the library `websockets`, through proxies and with compression.

The library is pulled by coroutines, while a transport pushes: one task reads and calls the
receiver, another one writes the frames that `send` queued.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from duologue.errors import ConfigurationError, ConnectionLost, MissingExtra
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
    check_headers,
    check_url,
    handshake_refused,
    secrets_in,
    unreachable,
)
from duologue.transport.heartbeat import DEFAULT_KEEPALIVE, Heartbeat
from duologue.transport.proxies import shown_proxy
from duologue.transport.reassembly import accept_close_between_fragments, close_reason

try:
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.exceptions import (
        ConnectionClosed,
        InvalidMessage,
        InvalidProxy,
        InvalidStatus,
        NegotiationError,
        ProxyError,
        WebSocketException,
    )
    from websockets.protocol import State
    from websockets.typing import Subprotocol
except ImportError as _error:
    raise MissingExtra("proxy", "the transport 'websockets'") from _error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from typing_extensions import override

    from duologue.errors import DuologueError
    from duologue.transport.base import Receiver, Transport
else:

    def override(method):  # noqa: ANN001, ANN202  # `typing` has it from Python 3.12 on
        return method


__all__ = ["Compression", "connect_websockets"]

Compression = Literal["deflate"]
"""`permessage-deflate` (RFC 7692)."""

HIGH_WATER_BYTES: Final = 64 * 1024
"""Above this `drain` waits; asyncio's own default for sockets."""

# At DEBUG the library logs request headers. A logger outside the tree, above every level, cannot be
# opened by any configuration; faults reach the receiver as errors instead.
_MUTE: Final = logging.Logger("websockets", logging.CRITICAL + 1)  # noqa: LOG001  # see above


async def connect_websockets(  # noqa: PLR0913  # all but two are options with a default
    url: str,
    receiver: Receiver,
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = None,
    compression: Compression | None = None,
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
        proxy: `http://`, `https://`, `socks4://`, `socks5://` or `socks5h://`, with user and
            password if needed. The environment is not read: see `proxies.proxy_for`.
        compression: Offered to the server. It costs CPU time, and base64 of speech shrinks little.
        connect_timeout: Limit for name lookup, proxy, TCP, TLS and the server's response together.
        close_timeout: Limit for the server's part of the closing handshake; then the socket is cut.
        keepalive: See `connect_picows`.
        max_message_bytes: A longer message ends the connection with close code 1009.

    Raises:
        ConfigurationError: If the URL, a header, a subprotocol or the proxy cannot be used.
        MissingExtra: If `websockets` is not installed, or `python-socks` for a SOCKS proxy.
        HandshakeRefused: If the server answered with an HTTP status other than 101.
        ConnectionLost: If the server could not be reached, was too slow, or broke the protocol.
    """
    display_url = check_url(url)
    if proxy is not None:
        display_url += f" through the proxy {shown_proxy(proxy)}"
    check_headers(headers or {}, subprotocols)
    secrets = secrets_in(url, [*(headers or {}).values(), *subprotocols])
    transport = _WebsocketsTransport(
        receiver,
        secrets=secrets,
        close_timeout=close_timeout,
        keepalive=keepalive,
        max_message_bytes=max_message_bytes,
    )
    limit = asyncio.timeout(connect_timeout)
    try:
        async with limit:
            connection = await _Connect(
                url,
                subprotocols=[Subprotocol(name) for name in subprotocols] or None,
                compression=compression,
                additional_headers=headers,
                proxy=proxy,
                open_timeout=None,  # `limit` covers it
                ping_interval=None,  # its wait for a pong counts the time of a blocked event loop
                close_timeout=close_timeout,
                max_size=max_message_bytes,
                logger=_MUTE,
                create_connection=partial(_Connection, transport),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a factory is enough
                ssl=(ssl_context or True) if display_url.startswith("wss:") else None,
            )
    except (OSError, UnicodeError, EOFError, ImportError, WebSocketException) as error:
        if isinstance(error, TimeoutError) and limit.expired():
            reason = f"{display_url} did not answer within {connect_timeout:g} s"
            raise ConnectionLost(reason) from error
        holds_password = isinstance(error, InvalidProxy)  # in its text
        raise _failure(error, display_url, proxy, secrets) from (None if holds_password else error)
    transport.start(connection)
    return transport


def _failure(
    error: Exception, display_url: str, proxy: str | None, secrets: frozenset[str]
) -> DuologueError:
    match error:
        case InvalidStatus():
            response = error.response
            body, waits = bytes(response.body or b""), response.headers.get_all("Retry-After")
            retry_after = waits[0] if waits else None
            return handshake_refused(response.status_code, body, secrets, retry_after)
        case InvalidProxy():
            fix = "write http://host:port, or socks5h://"
            return ConfigurationError(f"the proxy {shown_proxy(proxy or '')} cannot be used: {fix}")
        case ImportError():
            return MissingExtra("proxy", "a SOCKS proxy")
        case NegotiationError():
            what = "chose a subprotocol or an extension that was not offered"
            lost = ConnectionLost(f"the server {what}", code=1002)
        case ProxyError():
            lost = ConnectionLost(f"cannot reach {display_url}: the proxy refused, {error}")
        case InvalidMessage(__cause__=EOFError()):
            lost = ConnectionLost(f"{display_url} closed the connection before it answered")
        case WebSocketException() | EOFError():
            lost = ConnectionLost(f"{display_url} did not answer as a WebSocket server")
        case _:
            lost = unreachable(display_url, error)
    return lost


class _Connect(connect):
    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Follow no redirect."""
        return exc


class _Connection(ClientConnection):
    """Connection that hangs up in two cases in which the library goes on.

    Once both CLOSE frames are exchanged, the library would wait for the server to hang up. And it
    answers each ping of a server that never reads, so that the pongs would pile up.
    """

    def __init__(self, owner: _WebsocketsTransport, /, *args: Any, **options: Any) -> None:  # noqa: ANN401  # passed on
        super().__init__(*args, **options)
        self._owner = owner
        self._heartbeat = Heartbeat(
            owner.keepalive,
            ping=self._ping,
            give_up=owner.give_up_silent,
            unsent_bytes=lambda: owner.unsent_bytes,
        )
        accept_close_between_fragments(self.protocol)

    @override
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._heartbeat.has_sign = True
        if self.state is State.CLOSING:
            self._owner.limit_closing()
            if self.protocol.close_rcvd is not None:
                self.transport.close()
        elif self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._owner.give_up()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._heartbeat.start(transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._heartbeat.stop()
        super().connection_lost(exc)

    def _ping(self) -> None:
        if self.state is State.OPEN:
            self.protocol.send_ping(b"")
            self.send_data()


class _WebsocketsTransport:
    """Connection on the library `websockets`.

    See `Transport` for the contract of `send`, `drain` and `close`.
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        secrets: frozenset[str],
        close_timeout: float,
        keepalive: float | None,
        max_message_bytes: int,
    ) -> None:
        self._delivery: Final = Delivery(receiver, secrets)
        self._close_timeout: Final = close_timeout
        self.keepalive: Final = keepalive
        self._max_message_bytes: Final = max_message_bytes
        self._connection: ClientConnection
        self._task: asyncio.Task[None]
        self._outbox: Final = deque[bytes]()
        self._unsent_bytes = 0
        self._close_with: tuple[int, str] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._has_work: Final = asyncio.Event()
        self._has_room: Final = asyncio.Event()
        self._has_room.set()
        self._gone: Final = asyncio.Event()

    def start(self, connection: ClientConnection) -> None:
        """Start to read and to write."""
        self._connection = connection
        self._task = asyncio.get_running_loop().create_task(self._run())

    def send(self, frame: bytes) -> None:
        """Queue one message as text."""
        self._delivery.check_open()
        if self._unsent_bytes > MAX_UNSENT_BYTES:
            self.give_up()
            self._delivery.check_open()
        self._outbox.append(frame)
        self._unsent_bytes += len(frame)
        if self._unsent_bytes > HIGH_WATER_BYTES:
            self._has_room.clear()
        self._has_work.set()

    @property
    def unsent_bytes(self) -> int:
        """Bytes that the socket has not taken."""
        return self._unsent_bytes + self._connection.transport.get_write_buffer_size()

    async def drain(self) -> None:
        """Wait while the queue is above its high-water mark."""
        await self._has_room.wait()
        self._delivery.check_open()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send the queued messages, then close."""
        if self._delivery.end(None):
            self._close_soon(code, reason)
        await self._gone.wait()

    def cut(self) -> None:
        """Break the connection at once; see `SupportsCut`."""
        self._delivery.end(connection_cut())
        self._abort()

    def give_up(self) -> None:
        """Cut the connection to a server that does not read."""
        # `_run` calls `on_close`, which must not happen inside `send`.
        self._delivery.end(ConnectionLost("the server does not read what is sent", code=1006))
        self._abort()

    def give_up_silent(self, silence: float) -> None:
        """Cut the connection to a server that is silent."""
        self._delivery.end(no_sign_of_life(silence))
        self._abort()
        self._delivery.report_loss()

    def limit_closing(self) -> None:
        """Cut the connection if closing it takes too long."""
        if self._timer is None and not self._gone.is_set():
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._close_timeout, self._abort)

    def _close_soon(self, code: int, reason: str) -> None:
        self._close_with = code, close_reason(reason)
        self._has_room.set()
        self._has_work.set()
        self.limit_closing()

    def _abort(self) -> None:
        self._connection.transport.abort()
        self._has_room.set()

    async def _run(self) -> None:
        writer = asyncio.get_running_loop().create_task(self._write())
        try:
            await self._read()
        finally:
            writer.cancel()
            self._connection.transport.abort()
            if self._timer is not None:
                self._timer.cancel()
            self._outbox.clear()
            self._delivery.end(connection_cut())
            self._has_room.set()
            self._delivery.report_end()
            self._gone.set()
            await asyncio.wait({writer})

    async def _read(self) -> None:
        try:
            while True:
                self._process(await self._connection.recv())
        except ConnectionClosed as closed:
            self._delivery.end(self._ending(closed))

    def _process(self, message: str | bytes) -> None:
        if not self._delivery.is_open:
            return
        frame = message.encode() if isinstance(message, str) else message
        failure = self._delivery.deliver(frame)
        if failure is not None:
            lost = receiver_failed(failure)
            if self._delivery.end(lost):
                self._outbox.clear()
                self._close_soon(1011, lost.reason)
            self._delivery.report_loss()

    async def _write(self) -> None:
        try:
            while self._outbox or self._close_with is None:
                self._has_work.clear()
                if not self._outbox:
                    await self._has_work.wait()
                while self._outbox:
                    await self._write_one(self._outbox.popleft())
            await self._connection.close(*self._close_with)
        except ConnectionClosed:
            return  # `_read` reports it

    async def _write_one(self, frame: bytes) -> None:
        await self._connection.send(frame, text=True)
        self._unsent_bytes -= len(frame)
        if self._unsent_bytes <= HIGH_WATER_BYTES:
            self._has_room.set()

    def _ending(self, closed: ConnectionClosed) -> ConnectionLost:
        """Return the error for an end that our side did not ask for."""
        if closed.rcvd is not None and (closed.rcvd_then_sent or closed.sent is None):
            return closed_by_peer(closed.rcvd.code, closed.rcvd.reason)
        if closed.sent is None:
            return connection_cut()
        code = closed.sent.code
        reasons = {
            1007: "the server sent text that is not UTF-8",
            1009: f"the server sent a message of more than {self._max_message_bytes} bytes",
        }
        return protocol_broken(code, reasons.get(code, closed.sent.reason))

"""A WebSocket client on picows: `connect_websocket`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from picows import (
    WSHandshakeError,
    ws_connect,  # pyright: ignore[reportUnknownVariableType]  # its **kwargs has no type
)

from duologue.errors import ConnectionLost
from duologue.transport.connection import WebSocketConnection
from duologue.transport.handshake import (
    Dialer,
    check_headers,
    check_url,
    refusal,
    secrets_in,
    unreachable,
)
from duologue.transport.reassembly import MessageAssembler

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from duologue.transport.base import Receiver, Transport

__all__ = ["connect_websocket"]

# picows logs request headers at level 9, and gives each connection a child logger that a filter on
# its parent does not see. A logger outside the tree, above every level, cannot be opened by any
# configuration; what matters of those lines reaches the receiver as an error.
_MUTE: Final = logging.Logger("picows", logging.CRITICAL + 1)  # noqa: LOG001  # see above


async def connect_websocket(  # noqa: PLR0913  # all but two are options with a default
    url: str,
    receiver: Receiver,
    *,
    headers: Mapping[str, str] | None = None,
    subprotocols: Sequence[str] = (),
    ssl_context: ssl.SSLContext | None = None,
    connect_timeout: float = 10.0,
    close_timeout: float = 5.0,
    keepalive: float | None = 20.0,
    max_message_bytes: int = 64 * 1024 * 1024,
) -> Transport:
    """Open a WebSocket connection; the receiver may be called before this returns.

    Redirects are not followed: they would carry the key to another host. When this raises,
    `on_close` is not called.

    Args:
        url: `ws://` or `wss://`.
        receiver: Takes the messages; binary ones too, since some servers send JSON in them.
        headers: Added to the request.
        subprotocols: Offered to the server, which must choose one of them or none.
        ssl_context: Instead of the default one, for `wss://`.
        connect_timeout: For name, TCP, TLS and the server's answer together.
        close_timeout: For the server's part of the closing handshake; the socket is cut after it.
        keepalive: Silence after which the server is asked for a sign of life, and once more that
            long until it counts as dead; positive. `None` waits for ever.
        max_message_bytes: A longer message ends the connection with close code 1009.

    Raises:
        ConfigurationError: If the URL, a header or a subprotocol cannot be used.
        HandshakeRefused: If the server answered with an HTTP status other than 101.
        ConnectionLost: If it could not be reached, was too slow, or broke the protocol.
    """
    shown = check_url(url)
    extra_headers = check_headers(headers or {}, subprotocols)
    connection = WebSocketConnection(
        receiver,
        subprotocols=subprotocols,
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
                logger_name=_MUTE,
                enable_auto_ping=keepalive is not None,
                auto_ping_idle_timeout=keepalive or 0.0,
                auto_ping_reply_timeout=keepalive or 0.0,
                enable_auto_pong=False,  # its answers to a peer that never reads would pile up
                max_frame_size=max_message_bytes,
                extra_headers=extra_headers,
                max_redirects=0,
                socket_factory=dialer,
            )
        connection.check_accepted(shown)
    except BaseException as error:
        connection.abandon()
        dialer.hang_up()
        if isinstance(error, TimeoutError) and limit.expired():
            raise ConnectionLost(f"{shown} did not answer within {connect_timeout:g} s") from error
        if isinstance(error, WSHandshakeError):
            raise refusal(shown, error, secrets_in(url, extra_headers.values())) from error
        if isinstance(error, (OSError, UnicodeError)):
            raise unreachable(shown, error) from error
        raise
    return connection

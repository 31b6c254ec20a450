"""Opening a WebSocket with picows, or with `websockets` where its features are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from duologue.errors import ConfigurationError
from duologue.transport.heartbeat import DEFAULT_KEEPALIVE
from duologue.transport.proxies import proxy_for

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from duologue.transport.base import Receiver, Transport

__all__ = ["ConnectOptions", "TransportChoice", "open_websocket"]

TransportChoice = Literal["auto", "picows", "websockets"]
"""The library that carries the frames.

`auto` chooses picows, unless a proxy or compression is needed, which only `websockets` has.
"""


class ConnectOptions(TypedDict, total=False):
    """Options of a connection to a server."""

    ssl_context: ssl.SSLContext | None
    """TLS settings for `wss:`: trusted authorities, a client certificate. `None`: the defaults."""
    proxy: str | None
    """URL of a proxy (`http://`, `https://`, `socks5h://`, ...), or `None` for a direct connection.
    When it is left out, the environment decides: see `proxy_for`."""
    transport: TransportChoice
    """`auto` when it is left out."""
    keepalive: float | None
    """Seconds of silence after which the server is pinged; after as many more without a sign of
    life the connection is lost. `None`: never; 1.5 when it is left out."""
    compression: Literal["deflate"] | None
    """Offered to the server; base64 of speech shrinks little."""


async def open_websocket(
    url: str,
    receiver: Receiver,
    options: ConnectOptions,
    *,
    headers: Mapping[str, str],
    subprotocols: Sequence[str],
    connect_timeout: float,
) -> Transport:
    """Open a WebSocket with the library that the options need; see `connect_picows`.

    Raises:
        ConfigurationError: If picows is chosen together with a proxy or compression, or the URL, a
            header, a subprotocol or the proxy cannot be used.
        MissingExtra: If `websockets` is needed and not installed.
        HandshakeRefused: If the server answered with an HTTP status other than 101.
        ConnectionLost: If the server could not be reached, was too slow, or broke the protocol.
    """
    library, compression = options.get("transport", "auto"), options.get("compression")
    if "proxy" in options:
        proxy = options["proxy"]
    else:
        # An explicit choice of picows is a choice against the proxies of the environment.
        proxy = None if library == "picows" else proxy_for(url)
    if library == "picows" and (proxy or compression):
        fix = "leave `transport` out, or choose 'websockets'"
        raise ConfigurationError(f"the transport 'picows' has no proxies or compression: {fix}")
    keepalive = options.get("keepalive", DEFAULT_KEEPALIVE)
    if library == "websockets" or proxy or compression:
        from duologue.transport.websockets import connect_websockets  # noqa: PLC0415  # an extra, and 90 ms

        return await connect_websockets(
            url,
            receiver,
            headers=headers,
            subprotocols=subprotocols,
            ssl_context=options.get("ssl_context"),
            proxy=proxy,
            compression=compression,
            connect_timeout=connect_timeout,
            keepalive=keepalive,
        )
    from duologue.transport.picows import connect_picows  # noqa: PLC0415  # 30 ms

    return await connect_picows(
        url,
        receiver,
        headers=headers,
        subprotocols=subprotocols,
        ssl_context=options.get("ssl_context"),
        connect_timeout=connect_timeout,
        keepalive=keepalive,
    )

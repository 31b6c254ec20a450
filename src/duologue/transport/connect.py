"""Opening a WebSocket by whichever library can: picows, or `websockets` where it takes more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from duologue.errors import ConfigurationError
from duologue.transport.proxies import proxy_for

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

    from duologue.transport.base import Receiver, Transport

__all__ = ["Library", "WayOptions", "open_websocket"]

Library = Literal["auto", "picows", "websockets"]
"""Who carries the frames; `auto`: picows, unless there is a proxy or compression is wanted."""


class WayOptions(TypedDict, total=False):
    """How a server is reached."""

    ssl_context: ssl.SSLContext | None
    """Whom `wss:` trusts, and what certificate it shows; `None`: the system's defaults."""
    proxy: str | None
    """Its URL (`http://`, `https://`, `socks5h://`, ...), or `None` for none at all. What is left
    out is taken from the environment: see `proxy_for`."""
    transport: Library
    """`auto` when it is left out."""
    compression: Literal["deflate"] | None
    """Offered to the server; base64 of speech shrinks little."""


async def open_websocket(
    url: str,
    receiver: Receiver,
    way: WayOptions,
    *,
    headers: Mapping[str, str],
    subprotocols: Sequence[str],
    connect_timeout: float,
) -> Transport:
    """Open a WebSocket; see `connect_websocket`, which it is unless more is needed.

    Raises:
        ConfigurationError: If picows is asked for what it cannot do, or as `connect_websocket`.
        MissingExtra: If `websockets` is needed and not installed.
        HandshakeRefused: If the server answered with an HTTP status other than 101.
        ConnectionLost: If it could not be reached, was too slow, or broke the protocol.
    """
    library, compression = way.get("transport", "auto"), way.get("compression")
    proxy = way["proxy"] if "proxy" in way else None if library == "picows" else proxy_for(url)
    if library == "picows" and (proxy or compression):
        fix = "leave `transport` out, or choose 'websockets'"
        raise ConfigurationError(f"the transport 'picows' has no proxies or compression: {fix}")
    if library == "websockets" or proxy or compression:
        from duologue.transport.websockets import connect_websockets  # noqa: PLC0415  # an extra, and 90 ms

        return await connect_websockets(
            url,
            receiver,
            headers=headers,
            subprotocols=subprotocols,
            ssl_context=way.get("ssl_context"),
            proxy=proxy,
            compression=compression,
            connect_timeout=connect_timeout,
        )
    from duologue.transport.picows import connect_websocket  # noqa: PLC0415  # 30 ms

    return await connect_websocket(
        url,
        receiver,
        headers=headers,
        subprotocols=subprotocols,
        ssl_context=way.get("ssl_context"),
        connect_timeout=connect_timeout,
    )

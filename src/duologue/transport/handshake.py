"""Checks before the WebSocket handshake, the socket for it, and errors for what went wrong.

No error text of this module holds a query string, a header value or an offered subprotocol: each of
them may be a key.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from duologue.errors import (
    ConfigurationError,
    ConnectionLost,
    HandshakeRefused,
    RemoteProtocolError,
)
from duologue.transport.delivery import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from picows import WSHandshakeError, WSParsedURL, WSUpgradeResponse

__all__ = [
    "Dialer",
    "check_headers",
    "check_url",
    "handshake_refused",
    "secrets_in",
    "unoffered_choice",
    "unreachable",
    "upgrade_failed",
]

MAX_BODY_CHARS: Final = 1000
"""Kept length of an error response: the API's error objects are shorter, HTML pages are not."""

_STATUS_LINE: Final = re.compile(rb"HTTP/\d(?:\.\d)? (\d{3})\b")
_RETRY_AFTER: Final = re.compile(rb"^retry-after:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE_VALUE: Final = re.compile(r"[^\t\x20-\x7e]")  # RFC 9110 section 5.5
_UNSAFE_URL: Final = re.compile(r"[\x00-\x20\x7f]")


def check_url(url: str) -> str:
    """Return `url` without its query, as errors may show it.

    Raises:
        ConfigurationError: If it is not a ws:// or wss:// URL with a host.
    """
    try:
        parts = urlsplit(url)
        shown = _without_query(parts)
    except ValueError:  # its text may hold a password
        raise ConfigurationError("the URL of the server cannot be parsed") from None
    if parts.scheme not in {"ws", "wss"}:
        # Without a host it may be anything, such as a key.
        found = f", not {shown!r}" if parts.hostname else ""
        fix = "most read wss://host/v1/realtime"
        raise ConfigurationError(f"the URL must begin with wss:// or ws://{found}; {fix}")
    if not parts.hostname or _UNSAFE_URL.search(url):
        raise ConfigurationError(f"the URL names no host, or holds white space: {shown!r}")
    if "@" in parts.netloc or parts.fragment:
        # picows would send the password in the Host header, in the clear and to no use.
        raise ConfigurationError(f"the URL may hold no user, password or fragment: {shown!r}")
    return shown


def _without_query(parts: SplitResult) -> str:
    host = parts.hostname or ""
    bracketed = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{bracketed}{port}{parts.path}"


def check_headers(headers: Mapping[str, str], subprotocols: Sequence[str]) -> dict[str, str]:
    """Return the headers of the request, with the offer of subprotocols.

    Raises:
        ConfigurationError: If a header would break out of its line, or is not ASCII. picows joins
            headers unchecked, and other libraries quote them in their errors.
    """
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or _UNSAFE_VALUE.search(value):
            fix = "remove line breaks and characters that are not ASCII"
            raise ConfigurationError(f"the header {name!r} has a bad name or value: {fix}")
    if not all(_TOKEN.fullmatch(name) for name in subprotocols):
        raise ConfigurationError("a subprotocol holds characters that HTTP does not allow there")
    offer = {"Sec-WebSocket-Protocol": ", ".join(subprotocols)} if subprotocols else {}
    return {**headers, **offer}


def secrets_in(url: str, headers: Iterable[str]) -> frozenset[str]:
    """Return the words of a request that may be keys, to remove them from an echo of it."""
    values = [value for _, value in parse_qsl(urlsplit(url).query)]
    words = (word for text in (*values, *headers) for word in re.split(r"[\s.,;=/]+", text))
    return frozenset(word for word in words if len(word) >= 12)


class Dialer:
    """Socket factory for one call of `ws_connect`, which can also hang up.

    picows leaves its transport open when `ws_connect` is cancelled, and gives no handle to it.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    async def __call__(self, target: WSParsedURL) -> socket.socket:
        """Return a socket connected to the first address of the host that answers."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        failure = OSError("the host has no address")
        for family, kind, proto, _, address in found:
            attempt = socket.socket(family, kind, proto)
            try:
                attempt.setblocking(False)  # noqa: FBT003  # the stdlib's signature
                await loop.sock_connect(attempt, address)
            except OSError as error:
                attempt.close()
                failure = error
            except BaseException:
                attempt.close()
                raise
            else:
                self._socket = attempt
                return attempt
        raise failure

    def hang_up(self) -> None:
        """End the attempt: the transport that owns the socket sees the end and closes it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def unreachable(shown: str, error: Exception) -> ConnectionLost:
    """Return the error for a host that cannot be found, reached or trusted."""
    return ConnectionLost(f"cannot reach {shown}: {_why(error)}")


def _why(error: Exception) -> str:
    match error:
        case socket.gaierror() | UnicodeError():
            return "no such host"
        case ssl.SSLCertVerificationError(verify_message=str(why)):
            return f"its certificate is not trusted: {why}"
        case ssl.SSLError(reason=str(why)):
            return f"TLS failed: {why.replace('_', ' ').lower()}"
        case ssl.SSLError():
            return "TLS failed"
        case OSError(errno=int(number)) if number > 0:
            return os.strerror(number).lower()
        case _:
            return "the connection broke while it was made"


def upgrade_failed(
    shown: str, error: WSHandshakeError, secrets: frozenset[str]
) -> HandshakeRefused | ConnectionLost:
    """Return the error for an HTTP response that is not an upgrade."""
    # Not error.response: picows has none for HTTP/1.0, nor for codes unknown to Python (520).
    line = _STATUS_LINE.match(error.raw_header or b"")
    if line and line[1] != b"101":
        wait = _RETRY_AFTER.search(error.raw_header or b"")
        retry_after = None if wait is None else wait[1].decode("latin-1")
        return handshake_refused(int(line[1]), _body(error), secrets, retry_after)
    lost = ConnectionLost(f"{shown} did not answer as a WebSocket server")
    lost.__cause__ = RemoteProtocolError(str(error))
    return lost


def handshake_refused(
    status: int, body: bytes, secrets: frozenset[str], retry_after: str | None
) -> HandshakeRefused:
    """Return the error for an HTTP status and a body, which may echo the request.

    Args:
        status: The status.
        body: The body.
        secrets: Words to remove from it.
        retry_after: The header `Retry-After`; only a number of seconds counts.
    """
    text = without_secrets(body.decode("utf-8", "replace"), secrets)
    seconds = re.fullmatch(r"[0-9]{1,9}", (retry_after or "").strip())
    wait = None if seconds is None else int(seconds[0])
    return HandshakeRefused(status, text[:MAX_BODY_CHARS].strip(), retry_after=wait)


def _body(error: WSHandshakeError) -> bytes:
    body = error.raw_body or b""
    if b"transfer-encoding: chunked" in (error.raw_header or b"").lower():
        size, _, rest = body.partition(b"\r\n")
        with contextlib.suppress(ValueError):
            body = rest[: int(size, 16)]
    return body


def unoffered_choice(response: WSUpgradeResponse, subprotocols: Sequence[str]) -> str | None:
    """Return the fault of a 101 response that chooses something that was not offered.

    Source: RFC 6455 section 4.1, checks of the client.
    """
    chosen = response.headers.getall("Sec-WebSocket-Protocol", [])
    if len(chosen) > 1 or not set(chosen) <= set(subprotocols):
        return "the server chose a subprotocol that was not offered"
    if "Sec-WebSocket-Extensions" in response.headers:
        return "the server chose an extension that was not offered"
    return None

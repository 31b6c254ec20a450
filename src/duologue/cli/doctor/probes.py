"""Probes of the machine and the network: packages, proxy, DNS, TCP, TLS, and the server's clock."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import importlib.metadata
import os
import platform
import re
import socket
import ssl
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.util import find_spec
from typing import Final, cast
from urllib.parse import unquote, urlsplit

from duologue._version import __version__
from duologue.cli.doctor.explanations import (
    explain_certificate,
    explain_clock,
    explain_dns_failure,
    explain_tcp_failure,
    explain_tls_failure,
)
from duologue.cli.doctor.settings import Check, check_packages
from duologue.client._concurrency import in_thread
from duologue.errors import ConfigurationError
from duologue.transport.proxies import proxy_for, shown_proxy

__all__ = ["Route", "probe_dns", "probe_packages", "probe_proxy", "probe_tcp", "probe_tls"]

MAX_HEAD_BYTES: Final = 1 << 16
"""Bytes of the largest accepted head of an HTTP response."""

_PROXY_SCHEMES: Final = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})
_REQUIREMENT: Final = re.compile(r"([\w.-]+).*extra == ['\"](\w+)['\"]")


def probe_packages() -> Check:
    """Return the check of the packages: which extras are complete."""
    missing: dict[str, list[str]] = {}
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # run from its source
        for requirement in importlib.metadata.requires("duologue") or ():
            match = _REQUIREMENT.match(requirement)
            if match is not None and match[2] != "all":
                packages = missing.setdefault(match[2], [])
                if not _is_installed(match[1]):
                    packages.append(match[1])
    return check_packages(__version__, platform.python_version(), ssl.OPENSSL_VERSION, missing)


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a server: directly, or through a proxy."""

    url: str
    """URL of the endpoint."""
    proxy: str | None
    address: str | None = None
    """IP address that answered: of the server, or of the proxy."""

    @property
    def host(self) -> str:
        """The server."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The server's port."""
        return urlsplit(self.url).port or (443 if self.has_tls else 80)

    @property
    def has_tls(self) -> bool:
        """Whether the server is reached over TLS."""
        return urlsplit(self.url).scheme == "wss"

    @property
    def next_host(self) -> str:
        """The host to connect to: the proxy, if there is one."""
        return self.host if self.proxy is None else urlsplit(self.proxy).hostname or ""

    @property
    def next_port(self) -> int:
        """Its port."""
        if self.proxy is None:
            return self.port
        parts = urlsplit(self.proxy)
        return parts.port or (443 if parts.scheme == "https" else 80)


def probe_proxy(url: str) -> tuple[Check, Route | None]:
    """Return the check of the proxy settings, and the route; `None` if they cannot be used."""
    proxy = proxy_for(url)
    if proxy is None:
        is_set = any(name.lower().endswith("_proxy") for name in os.environ)
        fact = "a direct connection: the proxy settings do not apply to this host"
        return Check("proxy", "ok", fact if is_set else "no proxy is set"), Route(url, None)
    fix = "unset it, name this host in NO_PROXY, or correct it"
    try:
        shown = shown_proxy(proxy)
    except ConfigurationError as error:
        return Check("proxy", "failed", str(error), fix), None
    if urlsplit(proxy).scheme not in _PROXY_SCHEMES:
        return Check("proxy", "failed", f"{shown} is no kind of proxy that is known", fix), None
    needed = {"websockets"} | ({"python_socks"} if shown.startswith("socks") else set[str]())
    if any(find_spec(package) is None for package in needed):
        fix = "pip install 'duologue[proxy]', or name this host in NO_PROXY"
        return Check("proxy", "failed", f"{shown} needs more packages", fix), None
    return Check("proxy", "ok", f"{shown}, from the environment or the system"), Route(url, proxy)


async def probe_dns(route: Route, timeout: float) -> tuple[Check, list[str]]:  # noqa: ASYNC109  # in its text
    """Return the check of the name, and its addresses."""
    host = route.next_host
    look_up = partial(socket.getaddrinfo, host, route.next_port, type=socket.SOCK_STREAM)
    try:
        # Not the loop's own lookup: at Ctrl-C, asyncio would wait for its thread.
        found = await asyncio.wait_for(in_thread(look_up), timeout)
    except (OSError, UnicodeError) as error:  # `TimeoutError` is an OSError
        return explain_dns_failure(host, error), []
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    of_proxy = "" if route.proxy is None else "the proxy "
    fact = f"{of_proxy}{host} is {', '.join(addresses)}"
    return Check(
        "dns", "ok", "an address needs no lookup" if addresses == [host] else fact
    ), addresses


async def probe_tcp(
    route: Route,
    addresses: list[str],
    timeout: float,  # noqa: ASYNC109  # of all addresses
) -> tuple[Check, str | None]:
    """Return the check of the port, and the first address that answers."""
    host, port = route.next_host, route.next_port
    silent: list[str] = []
    failure: Exception = OSError()
    for address in addresses:
        try:
            async with asyncio.timeout(timeout / len(addresses)):
                _, writer = await asyncio.open_connection(address, port)
        except OSError as error:
            failure = error
            if isinstance(error, TimeoutError):
                silent.append(address)
            continue
        await _close(writer)
        fact = f"connected to {address}, port {port}"
        if silent:
            fact += f"; there is no answer from {', '.join(silent)}, which comes first"
            fix = "repair the route to it (IPv6?): each connection waits for it first"
            return Check("tcp", "warning", fact, fix), address
        return Check("tcp", "ok", fact), address
    return explain_tcp_failure(host, port, failure), None


async def probe_tls(route: Route, timeout: float) -> list[Check]:  # noqa: ASYNC109  # of each step
    """Return the checks of the certificate and of the clock."""
    if route.proxy is not None and (
        route.proxy.startswith("https:") or find_spec("python_socks") is None
    ):
        fact = "behind this proxy the handshake shows it"
        return [Check(name, "skipped", fact) for name in ("tls", "clock")]
    context = ssl.create_default_context() if route.has_tls else None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _connect(route, context)
    except (OSError, _proxy_error()) as error:
        if not isinstance(error, OSError):
            fix = "check the proxy: user and password, and whether it allows this host and port"
            return [Check("tls", "failed", f"the proxy refused: {error}", fix)]
        return [_explained(route, error)]
    try:
        tls = _certificate(writer) if route.has_tls else None
        clock = await _probe_clock(route, reader, writer, timeout)
    finally:
        await _close(writer)
    return [tls or Check("tls", "skipped", "ws:// has no TLS"), clock]


def _proxy_error() -> type[Exception]:
    if find_spec("python_socks") is None:
        return ConnectionError  # nothing raises another
    from python_socks import ProxyError  # noqa: PLC0415  # an extra

    return ProxyError


async def _connect(
    route: Route, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    name = route.host if context is not None else None
    if route.proxy is None:
        return await asyncio.open_connection(
            route.address, route.port, ssl=context, server_hostname=name, limit=MAX_HEAD_BYTES
        )
    from python_socks import ProxyType  # noqa: PLC0415  # an extra
    from python_socks.async_.asyncio import Proxy  # noqa: PLC0415  # as above

    parts = urlsplit(route.proxy)
    proxy = Proxy.create(
        ProxyType[parts.scheme.rstrip("ah").upper()],
        str(route.address),
        route.next_port,
        unquote(parts.username or "") or None,
        unquote(parts.password or "") or None,
        rdns=parts.scheme != "socks5",
    )
    tunnel = await proxy.connect(route.host, route.port)
    return await asyncio.open_connection(
        sock=tunnel, ssl=context, server_hostname=name, limit=MAX_HEAD_BYTES
    )


def _explained(route: Route, error: OSError) -> Check:
    named = [os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]
    missing = next((path for path in named if path and not os.path.exists(path)), None)
    has_roots = any(ssl.get_default_verify_paths()[:2])  # each is `None` if it does not exist
    return explain_tls_failure(route.host, error, missing_file=missing, has_roots=has_roots)


def _certificate(writer: asyncio.StreamWriter) -> Check:
    certificate = cast("dict[str, object]", writer.get_extra_info("peercert"))
    issuer = {
        name: value
        for entry in cast("tuple[tuple[tuple[str, str], ...], ...]", certificate.get("issuer", ()))
        for name, value in entry
    }
    authority = issuer.get("organizationName") or issuer.get("commonName") or "no named authority"
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    days = (ends - _now().timestamp()) / 86_400
    version = str(writer.get_extra_info("ssl_object").version())
    return explain_certificate(version, authority, days)


async def _probe_clock(
    route: Route,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    timeout: float,  # noqa: ASYNC109  # of the answer
) -> Check:
    """Return the check of the clock, by an HTTP request without a key; any answer has a date."""
    parts = urlsplit(route.url)
    head = f"HEAD {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    try:
        writer.write(head.encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), timeout)
    except (OSError, EOFError, asyncio.LimitOverrunError):
        return Check("clock", "skipped", "the server answered no HTTP request")
    _, _, headers = answer.partition(b"\r\n")
    date = BytesHeaderParser().parsebytes(headers).get("Date")
    try:
        return explain_clock(_now(), parsedate_to_datetime(date or ""))
    except (ValueError, TypeError):  # there is none, or it has no time zone
        return Check("clock", "skipped", "the server sends no date")


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)  # noqa: TID251  # the clock is what is checked


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()  # nothing is left to be sent
    with contextlib.suppress(OSError):
        await writer.wait_closed()

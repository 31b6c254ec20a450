"""Proxies that the environment names, for `connect`."""

from __future__ import annotations

import os
import sys
from typing import Final
from urllib.parse import urlsplit

from duologue.errors import ConfigurationError

__all__ = ["proxy_for", "shown_proxy"]

_SYSTEM_HAS_SETTINGS: Final = sys.platform in {"darwin", "win32"}
"""Whether the system keeps proxy settings beside the environment variables."""


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for the URL of a WebSocket.

    For `wss:` the first of `WSS_PROXY`, `ALL_PROXY` and `HTTPS_PROXY` counts, for `ws:` the first
    of `WS_PROXY`, `ALL_PROXY` and `HTTP_PROXY`, in lower or upper case. Without any of them the
    settings of macOS and Windows count. A host that `NO_PROXY` names, and this machine itself, are
    always reached directly.
    """
    if not _SYSTEM_HAS_SETTINGS and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None  # the usual case, found without the import below, which takes 20 ms
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  # see above

    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_this_machine(host) or proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxies = getproxies()
    names = ("wss", "all", "https") if parts.scheme == "wss" else ("ws", "all", "http")
    return next((proxies[name] for name in names if proxies.get(name)), None)


def shown_proxy(proxy: str) -> str:
    """Return the URL of a proxy without user and password, as errors may show it.

    Raises:
        ConfigurationError: If it is not a URL with a host.
    """
    fix = "write http://host:port, or socks5h://"
    try:
        parts = urlsplit(proxy)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:  # the text of the error may hold the password
        raise ConfigurationError(f"the URL of the proxy cannot be parsed: {fix}") from None
    if not parts.hostname:
        raise ConfigurationError(f"the URL of the proxy names no host: {fix}")
    return f"{parts.scheme}://{parts.hostname}{port}"


def _is_this_machine(host: str) -> bool:
    import ipaddress  # noqa: PLC0415  # only needed if there is a proxy

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

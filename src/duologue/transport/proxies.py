"""Which proxy the environment wants for an address, if any."""

from __future__ import annotations

import os
import sys
from typing import Final
from urllib.parse import urlsplit

from duologue.errors import ConfigurationError

__all__ = ["proxy_for", "shown_proxy"]

_SYSTEM_HAS_SETTINGS: Final = sys.platform in {"darwin", "win32"}
"""Where proxies may be set otherwise than by variables."""


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a WebSocket's URL.

    Of `WSS_PROXY`, `ALL_PROXY` and `HTTPS_PROXY` (for `ws:`: `WS_PROXY` and `HTTP_PROXY` instead)
    the first counts, in lower case or upper case, unless `NO_PROXY` names the host; where there are
    none, what macOS or Windows have been told. This machine itself is never reached by a proxy.
    """
    if not _SYSTEM_HAS_SETTINGS and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None  # nearly always: the import below takes 20 ms
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415  # see above

    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_this_machine(host) or proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxies = getproxies()
    names = ("wss", "all", "https") if parts.scheme == "wss" else ("ws", "all", "http")
    return next((proxies[name] for name in names if proxies.get(name)), None)


def shown_proxy(proxy: str) -> str:
    """Return a proxy as errors may show it: without user and password.

    Raises:
        ConfigurationError: If it is no URL of a host.
    """
    fix = "write http://host:port, or socks5h://"
    try:
        parts = urlsplit(proxy)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:  # its text may hold the password
        raise ConfigurationError(f"the URL of the proxy cannot be parsed: {fix}") from None
    if not parts.hostname:
        raise ConfigurationError(f"the URL of the proxy names no host: {fix}")
    return f"{parts.scheme}://{parts.hostname}{port}"


def _is_this_machine(host: str) -> bool:
    import ipaddress  # noqa: PLC0415  # where there are proxies

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

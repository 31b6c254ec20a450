"""Authentication: which clients may connect, and how the others are rejected.

There are two checks. The first one is for browsers, which send the host that they connect to and
the origin of the page. It rejects pages of other sites, even if a site's name was made to point at
this machine (DNS rebinding). The second one is the API key. A client secret passes both, because it
is meant for pages.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

from duologue.errors import ConfigurationError
from duologue.server.client_secrets import PREFIX

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from duologue.server.client_secrets import BoundSession, ClientSecrets

__all__ = ["AccessPolicy", "HttpRejection", "offered_subprotocols", "require_key"]

_KEY_OFFER: Final = "openai-insecure-api-key."
"""Prefix of the subprotocol in which browsers send the key: they cannot set headers."""


class HttpRejection(Exception):
    """A request that is rejected before there is a session, with an HTTP status."""

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        param: str | None = None,
        *,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        """Seconds after which the client may try again."""

    def response(self) -> JSONResponse:
        """Return the HTTP response, in the shape of OpenAI's errors."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"type": kind, "code": self.code, "message": self.message, "param": self.param}
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse({"error": error}, status_code=self.status, headers=headers)


def require_key(host: str, api_key: str | None) -> None:
    """Check that a server that others can reach has a key.

    Raises:
        ConfigurationError: If it has none.
    """
    if api_key is None and not _is_loopback(host):
        raise ConfigurationError(
            f"others can reach {host}: require a key with --api-key (`api_key=` in code),"
            " or listen on 127.0.0.1"
        )


class AccessPolicy:
    """Checks the clients of a server."""

    def __init__(self, api_key: str | None, secrets: ClientSecrets) -> None:
        """Require a key; with `None`, only programs and pages of this machine may connect.

        Raises:
            ConfigurationError: If the key is blank, or looks like a client secret.
        """
        if api_key is not None and not api_key.strip():
            raise ConfigurationError("the API key is empty: choose one, or leave it out")
        if api_key is not None and api_key.startswith(PREFIX):
            raise ConfigurationError(f"client secrets begin with {PREFIX}: choose another API key")
        self._api_key: Final = api_key
        self._secrets: Final = secrets

    def admit(self, client: HTTPConnection, now: float) -> BoundSession | None:
        """Admit a client that has a client secret, or the key and an allowed host and origin.

        Returns:
            The configuration that the secret is bound to.

        Raises:
            HttpRejection: If the client may not connect.
        """
        for shown in _credentials(client):
            if not shown.startswith(PREFIX):
                continue
            if (bound := self._secrets.find(shown, now)) is not None:
                return bound
            raise HttpRejection(
                401, "invalid_api_key", "The client secret is unknown or has expired."
            )
        self.admit_owner(client)
        return None

    def admit_owner(self, client: HTTPConnection) -> None:
        """Admit a client that has the key itself, and an allowed host and origin.

        Raises:
            HttpRejection: If the client may not connect.
        """
        self._check_host_and_origin(client)
        if self._api_key is not None and not _has_key(self._api_key, client):
            raise HttpRejection(401, "invalid_api_key", "Incorrect API key provided.")

    def _check_host_and_origin(self, client: HTTPConnection) -> None:
        host = client.headers.get("host", "")
        if self._api_key is None and not _is_own_name(host):
            message = "Without a key this server accepts only localhost; start it with --api-key."
            raise HttpRejection(403, "invalid_host", message)
        origin = client.headers.get("origin")
        if origin is None:
            return
        is_same_host = self._api_key is not None and _netloc(origin) == host
        if not (is_same_host or _is_loopback(_hostname(origin))):
            raise HttpRejection(403, "invalid_origin", "Pages of this origin may not connect.")


def offered_subprotocols(client: HTTPConnection) -> list[str]:
    """Return the subprotocols that a WebSocket client offers."""
    return list(client.scope.get("subprotocols", []))


def _has_key(key: str, client: HTTPConnection) -> bool:
    expected = key.encode()
    # All are compared, each in constant time, so the time reveals nothing about the key.
    matches = [hmac.compare_digest(shown.encode(), expected) for shown in _credentials(client)]
    return any(matches)


def _credentials(client: HTTPConnection) -> list[str]:
    """Return the values that a client sends in each of the places where a key may be."""
    return [
        client.headers.get("authorization", "").partition(" ")[2].strip(),
        client.headers.get("api-key", ""),
        client.query_params.get("api_key", ""),
        *(
            offer.removeprefix(_KEY_OFFER)
            for offer in offered_subprotocols(client)
            if offer.startswith(_KEY_OFFER)
        ),
    ]


def _is_own_name(host: str) -> bool:
    """Return whether a `Host` header is safe: no name that a site can point at this machine."""
    name = _hostname(f"//{host}")
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))  # an address is not looked up in the DNS
    return _is_loopback(name)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""

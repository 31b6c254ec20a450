"""The door: who may enter, and who is told why not.

Three questions, in this order. Is the client where it seems to be? A browser sends along the host
that it believes it talks to and the page that asks; a page from elsewhere is kept out, also when
its own name was made to point at this machine (DNS rebinding). Does it show the key? And is there
room? A client secret answers the first two: it was made to be given to pages.
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
    from collections.abc import Generator

    from starlette.requests import HTTPConnection

    from duologue.server.client_secrets import BoundSession, ClientSecrets
    from duologue.server.limits import Limits

__all__ = ["AccessPolicy", "HttpRejection", "offered_subprotocols", "require_key"]

_KEY_OFFER: Final = "openai-insecure-api-key."
"""Browsers cannot set headers on a socket: their key comes as a subprotocol."""


class HttpRejection(Exception):
    """A request that is refused before there is a session, with an HTTP status."""

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
        """Seconds after which it is worth asking again."""

    def response(self) -> JSONResponse:
        """Return the answer, in the shape of OpenAI's errors."""
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"type": kind, "code": self.code, "message": self.message, "param": self.param}
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse({"error": error}, status_code=self.status, headers=headers)


def require_key(host: str, api_key: str | None) -> None:
    """Refuse to listen where others can reach the server without a key.

    Raises:
        ConfigurationError: If it has none.
    """
    if api_key is None and not _is_loopback(host):
        raise ConfigurationError(
            f"others can reach {host}: choose a key that clients must show with --api-key"
            " (`api_key=` in code), or listen on 127.0.0.1"
        )


class AccessPolicy:
    """Lets clients in, or says why not."""

    def __init__(self, api_key: str | None, limits: Limits, secrets: ClientSecrets) -> None:
        """Guard with a key, or let everybody on this machine in.

        Raises:
            ConfigurationError: If the key is blank, or looks like a client secret.
        """
        if api_key is not None and not api_key.strip():
            raise ConfigurationError("the key that clients must show is empty: choose one, or none")
        if api_key is not None and api_key.startswith(PREFIX):
            raise ConfigurationError(f"{PREFIX}… is what client secrets begin with: choose another")
        self._api_key = api_key
        self._limits = limits
        self._secrets = secrets
        self.sessions: int = 0
        """Sessions that are open now."""

    def admit(self, client: HTTPConnection, now: float) -> BoundSession | None:
        """Let a client in that shows a secret, or is where it should be and shows the key.

        Returns:
            What the secret is bound to.

        Raises:
            HttpRejection: If it may not enter.
        """
        for shown in _shown(client):
            if not shown.startswith(PREFIX):
                continue
            if (bound := self._secrets.find(shown, now)) is not None:
                return bound
            raise HttpRejection(
                401, "invalid_api_key", "The client secret has expired, or is none."
            )
        self.admit_owner(client)
        return None

    def admit_owner(self, client: HTTPConnection) -> None:
        """Let a client in that is where it should be and shows the key itself.

        Raises:
            HttpRejection: If it may not enter.
        """
        self._check_place(client)
        if self._api_key is not None and not _shows(self._api_key, client):
            raise HttpRejection(401, "invalid_api_key", "Incorrect API key provided.")

    @contextlib.contextmanager
    def seat(self) -> Generator[None]:
        """Take one of the sessions that the server may hold.

        Raises:
            HttpRejection: If it holds all of them already.
        """
        if self.sessions >= self._limits.sessions:
            message = f"The server holds {self._limits.sessions} sessions already; try again later."
            raise HttpRejection(503, "server_full", message)
        self.sessions += 1
        try:
            yield
        finally:
            self.sessions -= 1

    def _check_place(self, client: HTTPConnection) -> None:
        host = client.headers.get("host", "")
        if self._api_key is None and not _is_own_name(host):
            message = "Without a key this server answers to localhost only; give it an --api-key."
            raise HttpRejection(403, "invalid_host", message)
        origin = client.headers.get("origin")
        if origin is None:
            return
        is_same_host = self._api_key is not None and _netloc(origin) == host
        if not (is_same_host or _is_loopback(_hostname(origin))):
            raise HttpRejection(403, "invalid_origin", "Pages of this origin may not connect.")


def offered_subprotocols(client: HTTPConnection) -> list[str]:
    """Return the subprotocols that a client of a socket offers."""
    return list(client.scope.get("subprotocols", []))


def _shows(key: str, client: HTTPConnection) -> bool:
    right = key.encode()
    found = [hmac.compare_digest(shown.encode(), right) for shown in _shown(client)]
    return any(found)  # each was compared, whichever is right


def _shown(client: HTTPConnection) -> list[str]:
    """Return what a client shows in each of the places where clients put their key."""
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
    """Return whether a `Host` header cannot be a foreign name that was made to point here."""
    name = _hostname(f"//{host}")
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))  # a number is looked up nowhere
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

"""REST requests: ephemeral keys, calls over WebRTC and SIP, and sessions of the beta API."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar
from urllib.parse import quote

import msgspec

from duologue.client.endpoint import endpoint_from
from duologue.errors import (
    Closed,
    ConfigurationError,
    ConnectionLost,
    MissingExtra,
    RemoteProtocolError,
    RequestRefused,
)
from duologue.protocol import codec, repair
from duologue.protocol.ga import rest as ga_rest
from duologue.protocol.model import UNSET, Model, UnsetType
from duologue.transport.handshake import MAX_BODY_CHARS, check_headers, secrets_in
from duologue.transport.proxies import proxy_for, shown_proxy

try:
    import httpx2
except ImportError as _error:
    raise MissingExtra("rest", "RealtimeRest") from _error

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from duologue.client.credentials import Key
    from duologue.client.endpoint import Endpoint
    from duologue.protocol import beta
    from duologue.protocol.beta.rest import SessionCreateResponse
    from duologue.protocol.ga import RealtimeSession, Session
    from duologue.protocol.ga.translation import TranslationSessionParams

__all__ = ["CallAnswer", "RealtimeRest"]

M = TypeVar("M", bound=Model)

MAX_BYTES: Final = 1 << 20
"""Bytes of the largest accepted response body, far more than any response of the API has."""


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """The server's answer to the offer of a WebRTC call."""

    call_id: str
    """Id of the call (`rtc_…`), for a sideband connection and for further requests."""
    sdp: str
    """The SDP answer, to set as the remote description of the peer connection."""


class RealtimeRest:
    """Client of the REST API; any number of requests can run concurrently.

    Each request asks the key's provider for the current key. A request raises `RequestRefused` if
    the server refuses it, `ConnectionLost` if the server cannot be reached, `RemoteProtocolError`
    if the response is invalid, `TimeoutError` if it takes longer than `timeout`, and `Closed` after
    `close`.

        async with RealtimeRest() as rest:
            secret = await rest.create_client_secret(RealtimeSession(instructions="Be brief."))

    Args:
        endpoint: The server, as for its sessions; the paths are derived from its URL.
        url: The URL of the server's sessions, `wss://host/v1/realtime`, instead of an endpoint.
        api_key: The key, as in `Endpoint`, instead of an endpoint.
        timeout: Time limit of one request, in seconds.

    Raises:
        ConfigurationError: As `Endpoint`, or if the endpoint is Azure's dated API, which has no
            such requests.
        MissingExtra: From importing the module, if `httpx2` is not installed.
    """

    def __init__(
        self,
        *,
        endpoint: Endpoint | None = None,
        url: str | None = None,
        api_key: Key | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._endpoint: Final = endpoint_from(
            endpoint, url=url, api_key=api_key, model=None, headers=None, dialect=None
        )
        self._base: Final = self._endpoint.rest_url
        self._timeout: Final = timeout
        options = self._endpoint.way
        proxy = options["proxy"] if "proxy" in options else proxy_for(self._endpoint.url)
        self._client: Final = _client(options.get("ssl_context"), proxy or None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections to the server."""
        await self._client.aclose()

    async def create_client_secret(
        self, session: Session | None = None, *, seconds: int | None = None
    ) -> ga_rest.ClientSecretCreateResponse:
        """Create an ephemeral key, which a browser can use without learning the API key.

        Args:
            session: Configuration of the sessions that the key opens.
            seconds: Lifetime of the key, 10 to 7200; `None` uses the server's default of 600.

        Source: Realtime API reference, `POST /realtime/client_secrets`.
        """
        params = ga_rest.ClientSecretCreateParams(
            session=UNSET if session is None else session, expires_after=_after(seconds)
        )
        return await self._request("/client_secrets", params, ga_rest.ClientSecretCreateResponse)

    async def create_translation_client_secret(
        self, session: TranslationSessionParams, *, seconds: int | None = None
    ) -> ga_rest.TranslationClientSecretCreateResponse:
        """Create an ephemeral key for translation sessions; see `create_client_secret`."""
        params = ga_rest.TranslationClientSecretCreateParams(
            session=session, expires_after=_after(seconds)
        )
        kind = ga_rest.TranslationClientSecretCreateResponse
        return await self._request("/translations/client_secrets", params, kind)

    async def create_call(self, sdp: str, session: RealtimeSession | None = None) -> CallAnswer:
        """Open a WebRTC call; return its id and the server's SDP answer.

        Args:
            sdp: The SDP offer.
            session: Configuration of the session; leave it out with a client secret, which has its
                own.

        Source: Realtime API reference, `POST /realtime/calls`.
        """
        if session is None:
            headers = {"Content-Type": "application/sdp"}
            response, body = await self._send("/calls", content=sdp.encode(), headers=headers)
        else:
            parts = {
                "sdp": (None, sdp.encode(), "application/sdp"),
                "session": (None, codec.encode_model(session), "application/json"),
            }
            response, body = await self._send("/calls", files=parts)
        # The body is the SDP alone: the id is the last segment of the `Location` header.
        call_id = response.headers.get("Location", "").rstrip("/").rpartition("/")[2]
        return CallAnswer(call_id, body.decode("utf-8", "replace"))

    async def accept_call(self, call_id: str, session: RealtimeSession) -> None:
        """Accept a phone call with a configuration; then join it with `Endpoint(call_id=...)`."""
        await self._control_call(call_id, "accept", session)

    async def reject_call(self, call_id: str, *, status_code: int | None = None) -> None:
        """Reject a phone call with a SIP status; `None` uses the server's default, 603 Decline."""
        status = UNSET if status_code is None else status_code
        await self._control_call(call_id, "reject", ga_rest.CallRejectParams(status_code=status))

    async def refer_call(self, call_id: str, target_uri: str) -> None:
        """Transfer a phone call to a `tel:` or `sip:` address."""
        params = ga_rest.CallReferParams(target_uri=target_uri)
        await self._control_call(call_id, "refer", params)

    async def hang_up_call(self, call_id: str) -> None:
        """End a call."""
        await self._control_call(call_id, "hangup")

    async def create_session(
        self, session: beta.SessionConfig | None = None
    ) -> SessionCreateResponse:
        """Create a beta session and its ephemeral key."""
        from duologue.protocol.beta import SessionConfig  # noqa: PLC0415  # rare
        from duologue.protocol.beta.rest import SessionCreateResponse  # noqa: PLC0415  # rare

        return await self._request("/sessions", session or SessionConfig(), SessionCreateResponse)

    async def create_transcription_session(
        self, session: beta.TranscriptionSessionConfig | None = None
    ) -> beta.TranscriptionSession:
        """Create a beta transcription session and its ephemeral key."""
        from duologue.protocol import beta  # noqa: PLC0415  # rare

        config = session or beta.TranscriptionSessionConfig()
        return await self._request("/transcription_sessions", config, beta.TranscriptionSession)

    async def _request(self, path: str, params: Model, kind: type[M]) -> M:
        _, body = await self._send(path, **_json(params))
        return repair.read_model(body, kind)

    async def _control_call(self, call_id: str, verb: str, params: Model | None = None) -> None:
        content = {} if params is None else _json(params)
        await self._send(f"/calls/{quote(call_id, safe='')}/{verb}", **content)

    async def _send(
        self,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        **content: Any,  # noqa: ANN401  # as httpx2 declares it
    ) -> tuple[httpx2.Response, bytes]:
        """Post a request; return the response and its body.

        Raises:
            Closed: If `close` was called.
            RequestRefused: If the response is an HTTP error.
        """
        if self._client.is_closed:
            raise Closed("this RealtimeRest is closed: send requests inside its `async with`")
        keys = await self._endpoint.rest_headers(timeout=self._timeout)
        check_headers(keys, ())  # httpx2 would quote an invalid key in its error
        url = self._base + path
        limit = asyncio.timeout(self._timeout)
        try:
            async with (
                limit,
                self._client.stream(
                    "POST", url, headers=keys | (headers or {}), **content
                ) as response,
            ):
                body = await _read_body(response)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"{url} did not answer within {self._timeout:g} s") from None
        except httpx2.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise ConnectionLost(f"cannot reach {url}: {reason}") from error
        if not response.is_success:
            raise _refusal(response.status_code, body, secrets_in("", keys.values()))
        return response, body


def _client(ssl_context: ssl.SSLContext | None, proxy: str | None) -> httpx2.AsyncClient:
    shown = None if proxy is None else shown_proxy(proxy)
    try:
        return httpx2.AsyncClient(
            verify=ssl_context or True,
            proxy=proxy,
            # `proxy_for` has read the environment already, by the rules of our WebSockets. httpx2's
            # own rules differ: it would send requests for localhost through a proxy.
            trust_env=False,
            timeout=None,  # `_send` limits the request as a whole
        )
    except ImportError as error:
        fix = "install the package socksio, or use an http:// proxy"
        raise ConfigurationError(f"requests cannot use the proxy {shown}: {fix}") from error
    except ValueError:  # its message contains the proxy's password
        fix = "write http://host:port, or socks5h://"
        raise ConfigurationError(f"the proxy {shown} cannot be used: {fix}") from None


def _json(model: Model) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    return {"content": codec.encode_model(model), "headers": headers}


def _after(seconds: int | None) -> ga_rest.ExpiresAfter | UnsetType:
    if seconds is None:
        return UNSET
    return ga_rest.ExpiresAfter(anchor="created_at", seconds=seconds)


async def _read_body(response: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BYTES:
            raise RemoteProtocolError(f"the response has more than {MAX_BYTES} bytes")
    return bytes(body)


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


def _refusal(status: int, body: bytes, secrets: frozenset[str]) -> RequestRefused:
    """Return the error for an HTTP error; for a body in another form, with the start of it."""
    text = body.decode("utf-8", "replace")
    for secret in secrets:  # servers quote the key in "incorrect API key provided"
        text = text.replace(secret, "[removed]")
    try:
        error = msgspec.json.decode(text, type=_ErrorBody).error
    except (msgspec.DecodeError, RecursionError):  # such as a gateway's HTML page
        error = _Error(message=text[:MAX_BODY_CHARS].strip())
    code = None if error.code is None else str(error.code)
    message = error.message or "no reason given"
    return RequestRefused(status, message, type=error.type or "", code=code, param=error.param)

"""The requests beside the socket: keys for browsers, calls over WebRTC and SIP, beta's sessions."""

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
"""More than any answer has."""


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """A WebRTC call that was answered."""

    call_id: str
    """`rtc_…`: what a sideband connection and the other requests name."""
    sdp: str
    """The answer, for the peer connection."""


class RealtimeRest:
    """Asks a server for what goes beside its sessions; any number of requests at a time.

    Each takes the provider's key anew, and raises `RequestRefused` if the server refuses it,
    `ConnectionLost` if it cannot be reached, `RemoteProtocolError` if its answer is none,
    `TimeoutError` if it takes longer than `timeout`, and `Closed` after `close`.

        async with RealtimeRest() as rest:
            secret = await rest.create_client_secret(RealtimeSession(instructions="Be brief."))

    Args:
        endpoint: The server, as for its sessions: paths follow from its URL.
        url: Instead of an endpoint: `wss://host/v1/realtime`.
        api_key: Instead of an endpoint's; see there.
        timeout: Seconds for one request.

    Raises:
        ConfigurationError: As `Endpoint`; of Azure, only the GA API answers requests.
        MissingExtra: From the import of the module, if `httpx2` is not installed.
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
        way = self._endpoint.way
        proxy = way["proxy"] if "proxy" in way else proxy_for(self._endpoint.url)
        self._client: Final = _client(way.get("ssl_context"), proxy or None)

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
        """Close the connections that wait for another request."""
        await self._client.aclose()

    async def create_client_secret(
        self, session: Session | None = None, *, seconds: int | None = None
    ) -> ga_rest.ClientSecretCreateResponse:
        """Return an ephemeral key, for a browser.

        Args:
            session: The configuration that the key is bound to.
            seconds: How long it opens sessions: 10 to 7200, the server's 600 when it is `None`.
        """
        params = ga_rest.ClientSecretCreateParams(
            session=UNSET if session is None else session, expires_after=_after(seconds)
        )
        return await self._ask("/client_secrets", params, ga_rest.ClientSecretCreateResponse)

    async def create_translation_client_secret(
        self, session: TranslationSessionParams, *, seconds: int | None = None
    ) -> ga_rest.TranslationClientSecretCreateResponse:
        """Return an ephemeral key to translate with; see `create_client_secret`."""
        params = ga_rest.TranslationClientSecretCreateParams(
            session=session, expires_after=_after(seconds)
        )
        kind = ga_rest.TranslationClientSecretCreateResponse
        return await self._ask("/translations/client_secrets", params, kind)

    async def create_call(self, sdp: str, session: RealtimeSession | None = None) -> CallAnswer:
        """Open a WebRTC call; return its id and the server's SDP.

        Args:
            sdp: The offer.
            session: Its configuration; not with a client secret, which has one.
        """
        if session is None:
            headers = {"Content-Type": "application/sdp"}
            response, body = await self._send("/calls", content=sdp.encode(), headers=headers)
        else:
            said = codec.encode_model(session)
            parts = {
                "sdp": (None, sdp.encode(), "application/sdp"),
                "session": (None, said, "application/json"),
            }
            response, body = await self._send("/calls", files=parts)
        call_id = response.headers.get("Location", "").rstrip("/").rpartition("/")[2]
        return CallAnswer(call_id, body.decode("utf-8", "replace"))

    async def accept_call(self, call_id: str, session: RealtimeSession) -> None:
        """Answer a phone call with a configuration; then join it: `Endpoint(call_id=)`."""
        await self._tell(call_id, "accept", session)

    async def reject_call(self, call_id: str, *, status_code: int | None = None) -> None:
        """Decline a phone call, with a SIP status: 603 (decline) when it is `None`."""
        status = UNSET if status_code is None else status_code
        await self._tell(call_id, "reject", ga_rest.CallRejectParams(status_code=status))

    async def refer_call(self, call_id: str, target_uri: str) -> None:
        """Pass a phone call on, to a `tel:` or `sip:` address."""
        await self._tell(call_id, "refer", ga_rest.CallReferParams(target_uri=target_uri))

    async def hang_up_call(self, call_id: str) -> None:
        """End a call."""
        await self._tell(call_id, "hangup")

    async def create_session(
        self, session: beta.SessionConfig | None = None
    ) -> SessionCreateResponse:
        """Return a session and its ephemeral key, in beta."""
        from duologue.protocol.beta import SessionConfig  # noqa: PLC0415  # rare
        from duologue.protocol.beta.rest import SessionCreateResponse  # noqa: PLC0415  # rare

        return await self._ask("/sessions", session or SessionConfig(), SessionCreateResponse)

    async def create_transcription_session(
        self, session: beta.TranscriptionSessionConfig | None = None
    ) -> beta.TranscriptionSession:
        """Return a transcription session and its ephemeral key, in beta."""
        from duologue.protocol import beta  # noqa: PLC0415  # rare

        asked = session or beta.TranscriptionSessionConfig()
        return await self._ask("/transcription_sessions", asked, beta.TranscriptionSession)

    async def _ask(self, path: str, asked: Model, kind: type[M]) -> M:
        _, body = await self._send(path, **_json(asked))
        return repair.read_model(body, kind)

    async def _tell(self, call_id: str, what: str, said: Model | None = None) -> None:
        content = {} if said is None else _json(said)
        await self._send(f"/calls/{quote(call_id, safe='')}/{what}", **content)

    async def _send(
        self,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        **content: Any,  # noqa: ANN401  # httpx2's own
    ) -> tuple[httpx2.Response, bytes]:
        """Post a request; return the answer and its body.

        Raises:
            Closed: If `close` was called.
            RequestRefused: If its status is no success.
        """
        if self._client.is_closed:
            raise Closed("the requests' client is closed: ask inside its `async with`")
        keys = await self._endpoint.rest_headers(timeout=self._timeout)
        check_headers(keys, ())  # httpx2 would quote a key that is none
        url = self._base + path
        limit = asyncio.timeout(self._timeout)
        try:
            async with (
                limit,
                self._client.stream(
                    "POST", url, headers=keys | (headers or {}), **content
                ) as answer,
            ):
                body = await _body(answer)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"{url} did not answer within {self._timeout:g} s") from None
        except httpx2.HTTPError as error:
            told = str(error) or type(error).__name__
            raise ConnectionLost(f"cannot reach {url}: {told}") from error
        if not answer.is_success:
            raise _refusal(answer.status_code, body, secrets_in("", keys.values()))
        return answer, body


def _client(ssl_context: ssl.SSLContext | None, proxy: str | None) -> httpx2.AsyncClient:
    shown = None if proxy is None else shown_proxy(proxy)
    try:
        return httpx2.AsyncClient(
            verify=ssl_context or True,
            proxy=proxy,
            trust_env=False,  # it was asked already: this machine is never reached by a proxy
            timeout=None,  # `_send` bounds all of it
        )
    except ImportError as error:
        fix = "install the package socksio, or take an http:// proxy"
        raise ConfigurationError(f"requests cannot go through {shown}: {fix}") from error
    except ValueError:  # its text holds the password
        fix = "write http://host:port, or socks5h://"
        raise ConfigurationError(f"the proxy {shown} cannot be used: {fix}") from None


def _json(model: Model) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    return {"content": codec.encode_model(model), "headers": headers}


def _after(seconds: int | None) -> ga_rest.ExpiresAfter | UnsetType:
    if seconds is None:
        return UNSET
    return ga_rest.ExpiresAfter(anchor="created_at", seconds=seconds)


async def _body(answer: httpx2.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_BYTES:
            raise RemoteProtocolError(f"the server answered with more than {MAX_BYTES} bytes")
    return bytes(body)


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


def _refusal(status: int, body: bytes, secrets: frozenset[str]) -> RequestRefused:
    """Return what an error's body says, or the start of a body that is none of OpenAI's."""
    text = body.decode("utf-8", "replace")
    for secret in secrets:
        text = text.replace(secret, "[removed]")
    try:
        told = msgspec.json.decode(text, type=_ErrorBody).error
    except (msgspec.DecodeError, RecursionError):
        told = _Error(message=text[:MAX_BODY_CHARS].strip())
    code = None if told.code is None else str(told.code)
    message = told.message or "no reason given"
    return RequestRefused(status, message, type=told.type or "", code=code, param=told.param)

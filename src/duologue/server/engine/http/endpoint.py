"""An OpenAI-compatible endpoint: its address and key, and requests bounded in time and size.

An address is written `https://host/v1#model`; the key comes from the environment alone, because
command lines and URLs end up in logs. Every failure becomes one sentence that says what to do. No
message holds a key, or more of a response's body than its error code.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, TypedDict, TypeVar, Unpack
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
from msgspec import Struct

from duologue.errors import ConfigurationError, EngineFailed

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from duologue.protocol.model import Json

__all__ = [
    "Address",
    "HttpEndpoint",
    "RequestBody",
    "Timeouts",
    "key_of",
    "key_variable",
    "parse_address",
]

T = TypeVar("T")

MAX_BODY_BYTES: Final = 1 << 20
"""Longer than any transcript or error."""

MAX_CONNECTIONS: Final = 256
"""Requests beyond this number wait for a connection, first come, first served, for up to
`Timeouts.first`."""

OPENAI: Final = "https://api.openai.com"

_SECRET: Final = ("key", "token", "secret", "password")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Parsed URI of a stage."""

    origin: str
    """`https://host:port`: the part that a key is valid for."""
    path: str
    """Base path of the API: `/v1`."""
    query: str
    """Query string sent with every request: `api-version=…`."""
    model: str | None
    """Model named after `#`."""

    @property
    def host(self) -> str:
        """Host and port, for display."""
        return self.origin.partition("://")[2]

    def url(self, path: str) -> str:
        """Return the URL of a path of the API (`/chat/completions`)."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.origin}{self.path}{path}{query}"


def parse_address(uri: str) -> Address:
    """Parse the URI of a stage.

    Raises:
        ConfigurationError: If it is malformed or holds a key. The message does not repeat the URI.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"the URL of an engine is malformed: {error}") from error
    if not host:
        raise ConfigurationError(
            "the URL of an engine has no host; write http://host:port/v1#model"
        )
    names = [name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if parts.username or parts.password or any(s in n for n in names for s in _SECRET):
        fix = f"set the environment variable {key_variable('brain')} instead"
        raise ConfigurationError(f"a key in a URL is visible to others; {fix}")
    name = f"[{host}]" if ":" in host else host
    return Address(
        origin=f"{parts.scheme}://{name}" + (f":{port}" if port else ""),
        path=parts.path.rstrip("/"),
        query=parts.query,
        model=parts.fragment or None,
    )


def key_variable(option: str) -> str:
    """Return the environment variable for the key of `brain`, `stt` or `tts`."""
    return f"DUOLOGUE_{option.upper()}_KEY"


def key_of(
    option: str, address: Address, *, brain: Address | None, environ: Mapping[str, str]
) -> str | None:
    """Return the API key for a stage's address, if the environment has one.

    A stage at the same address as the brain uses the brain's key, unless it has its own. Only
    OpenAI's own address gets `OPENAI_API_KEY`.
    """
    names = [key_variable(option)]
    if brain is not None and brain.origin == address.origin:
        names.append(key_variable("brain"))
    if address.origin == OPENAI:
        names.append("OPENAI_API_KEY")
    keys = (environ.get(name, "").strip() for name in names)
    return next((key for key in keys if key), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Time limits for an endpoint, in seconds."""

    connect: float = 5.0
    first: float = 30.0
    """For the first byte of the response, and again for its first piece."""
    between: float = 15.0
    """From each piece to the next."""


class RequestBody(TypedDict, total=False):
    """The body of a request: JSON, or the fields and files of a form."""

    json: Mapping[str, Json]
    data: Mapping[str, str]
    files: Mapping[str, tuple[str, bytes, str]]


@cache
def _trusted() -> ssl.SSLContext:
    """Return the system's trusted certificates; cached, because reading them takes 50 ms."""
    return httpx2.create_ssl_context()


class _Error(Struct):
    code: str | int | None = None
    type: str | None = None


class _ErrorBody(Struct):
    error: _Error


class HttpEndpoint:
    """One stage's endpoint, shared by all sessions."""

    def __init__(
        self, address: Address, *, option: str, key: str | None, timeouts: Timeouts | None = None
    ) -> None:
        """Create the HTTP client; sends no request yet.

        Args:
            address: Where the endpoint is.
            option: Name of the option that chose it, for messages: `brain`, `stt` or `tts`.
            key: The API key; `None`: sends none.
            timeouts: How long to wait for responses.
        """
        self._address: Final = address
        self._option: Final = option
        self._timeouts: Final = timeouts or Timeouts()
        self._client: Final = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            verify=_trusted(),
            # The other limits apply to pieces of a response (see `pieces`), not to socket reads: a
            # server that sends keep-alive comments but no text must time out too.
            timeout=httpx2.Timeout(None, connect=self._timeouts.connect),
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    @asynccontextmanager
    async def post(
        self, path: str, **content: Unpack[RequestBody]
    ) -> AsyncGenerator[httpx2.Response]:
        """Post a request; leaving the context before the response ends closes its connection.

        Raises:
            EngineFailed: If the endpoint cannot be reached, is too slow, or refuses.
        """
        request = self._client.build_request("POST", self._address.url(path), **content)
        response = await self._sent(request)
        try:
            if not response.is_success:
                raise await self._refusal(response, path)
            yield response
        finally:
            await response.aclose()

    async def pieces(self, stream: AsyncIterator[T]) -> AsyncGenerator[T]:
        """Yield the pieces of a response as they arrive.

        Raises:
            EngineFailed: If a piece takes too long, or the connection breaks.
        """
        seconds = self._timeouts.first  # a model may read the prompt for a while
        while True:
            try:
                async with asyncio.timeout(seconds):
                    piece = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise self._too_slow(seconds) from error
            except httpx2.HTTPError as error:
                raise self._broken(error) from error
            yield piece
            seconds = self._timeouts.between

    async def body(self, response: httpx2.Response) -> bytes:
        """Return the whole body of a response.

        Raises:
            EngineFailed: If it takes too long, or is too large.
        """
        body = bytearray()
        async for chunk in self.pieces(response.aiter_bytes()):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise self.malformed(f"more than {MAX_BODY_BYTES >> 20} MiB")
        return bytes(body)

    def malformed(self, what: str) -> EngineFailed:
        """Return the error for a response of another kind than requested."""
        fix = "is it an OpenAI-compatible endpoint?"
        return self._failure("engine_malformed", f"answered with {what}", fix)

    def failure(self, code: str, what: str) -> EngineFailed:
        """Return the error for a failure that the endpoint reports."""
        return self._failure(code, what, "look at its log")

    async def _sent(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return await self._once(request)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            # The server closed an idle connection just as it was reused. No response has begun, so
            # the request can be sent again.
            try:
                return await self._once(request)
            except httpx2.HTTPError as error:
                raise self._broken(error) from error
        except httpx2.HTTPError as error:
            raise self._broken(error) from error

    async def _once(self, request: httpx2.Request) -> httpx2.Response:
        seconds = self._timeouts.first
        try:
            async with asyncio.timeout(seconds):
                return await self._client.send(request, stream=True)
        except TimeoutError as error:
            raise self._too_slow(seconds) from error

    async def _refusal(self, response: httpx2.Response, path: str) -> EngineFailed:
        status = response.status_code
        reason = await self._reason(response)
        details = f"HTTP {status}, {reason}" if reason else f"HTTP {status}"
        model = self._address.model
        match status:
            case 401 | 403:
                fix = f"set {key_variable(self._option)} to a key that may use it"
                return self._failure("engine_unauthorized", f"refuses the key ({details})", fix)
            case 404 | 405:
                what = f"has no {path}" + (f", or no model {model!r}" if model else "")
                fix = f"check the URL and the model of --{self._option}"
                return self._failure("engine_not_found", f"{what} ({details})", fix)
            case 429:
                fix = "try later, or raise its limit"
                return self._failure("engine_overloaded", f"is rate limited ({details})", fix)
            case _ if status >= 500:
                return self._failure("engine_unavailable", f"fails ({details})", "look at its log")
            case _:
                fix = "it may not support what the session requests"
                return self._failure("engine_refused", f"refuses the request ({details})", fix)

    async def _reason(self, response: httpx2.Response) -> str:
        """Return the error code in a body; anything else may repeat what must not leak."""
        try:
            error = msgspec.json.decode(await self.body(response), type=_ErrorBody).error
        except (EngineFailed, msgspec.DecodeError):
            return ""
        reason = error.code if isinstance(error.code, str) else error.type
        return reason if reason and re.fullmatch(r"[a-z_]{3,48}", reason) else ""

    def _broken(self, error: httpx2.HTTPError) -> EngineFailed:
        if isinstance(error, httpx2.ConnectTimeout):
            what = f"does not answer within {self._timeouts.connect:g} s"
            return self._failure("engine_timeout", what, "is it up, and the URL right?")
        if isinstance(error, httpx2.ConnectError):
            fix = "start it, or check the URL"
            return self._failure("engine_unreachable", "cannot be reached", fix)
        if isinstance(error, httpx2.SSEError):
            return self.malformed("something other than an event stream")
        return self._failure("engine_broke_off", "broke off its answer", "look at its log")

    def _too_slow(self, seconds: float) -> EngineFailed:
        what = f"sent nothing for {seconds:g} s"
        return self._failure("engine_timeout", what, "is it overloaded?")

    def _failure(self, code: str, what: str, fix: str) -> EngineFailed:
        return EngineFailed(f"{self._option}: {self._address.host} {what}; {fix}", code=code)

"""Requests to an endpoint: bounded in time and size, and every failure told in one sentence.

No sentence holds a key, or more of a body than its error code.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, TypedDict, TypeVar, Unpack

import httpx2
import msgspec
from msgspec import Struct

from duologue.errors import EngineFailed
from duologue.server.engine.http.address import key_variable

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from duologue.protocol.model import Json
    from duologue.server.engine.http.address import Address

__all__ = ["Content", "Endpoint", "Timeouts"]

T = TypeVar("T")

MAX_BODY_BYTES: Final = 1 << 20
"""More than any transcript or error is."""

MAX_CONNECTIONS: Final = 256
"""More requests than this at a time wait, first come, first served, for `Timeouts.first`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait for an endpoint, in seconds."""

    connect: float = 5.0
    first: float = 30.0
    """For the first byte of the answer, and again for its first piece."""
    between: float = 15.0
    """From each piece to the next."""


class Content(TypedDict, total=False):
    """What a request carries: JSON, or the fields and files of a form."""

    json: Mapping[str, Json]
    data: Mapping[str, str]
    files: Mapping[str, tuple[str, bytes, str]]


@cache
def _trusted() -> ssl.SSLContext:
    """Return whom TLS trusts: read once, it takes 50 ms."""
    return httpx2.create_ssl_context()


class _Error(Struct):
    code: str | int | None = None
    type: str | None = None


class _ErrorBody(Struct):
    error: _Error


class Endpoint:
    """One stage's endpoint, shared by all sessions."""

    def __init__(
        self, address: Address, *, option: str, key: str | None, timeouts: Timeouts | None = None
    ) -> None:
        """Take an address; nothing is asked of it yet.

        Args:
            address: Where it is.
            option: What the stage is called by who chose it: `brain`, `stt`, `tts`.
            key: What to show it.
            timeouts: How long to wait for it.
        """
        self._address = address
        self._option = option
        self._timeouts = timeouts or Timeouts()
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            verify=_trusted(),
            timeout=httpx2.Timeout(None, connect=self._timeouts.connect),
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    @asynccontextmanager
    async def ask(self, path: str, **content: Unpack[Content]) -> AsyncGenerator[httpx2.Response]:
        """Post a request; leaving the context before the answer's end closes its connection.

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
        """Yield the pieces of an answer while they come in time.

        Raises:
            EngineFailed: If they do not, or the connection breaks.
        """
        seconds = self._timeouts.first
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
        """Return a whole answer.

        Raises:
            EngineFailed: If it does not come in time, or is too large.
        """
        body = bytearray()
        async for chunk in self.pieces(response.aiter_bytes()):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise self.malformed(f"more than {MAX_BODY_BYTES >> 20} MiB")
        return bytes(body)

    def malformed(self, what: str) -> EngineFailed:
        """Return the failure of an answer that is not what was asked for."""
        fix = "is it an OpenAI-compatible endpoint?"
        return self._failure("engine_malformed", f"answered with {what}", fix)

    def failure(self, code: str, what: str) -> EngineFailed:
        """Return a failure that the endpoint reported itself."""
        return self._failure(code, what, "look at its log")

    async def _sent(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return await self._once(request)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            # A kept connection was closed just when it was used again: nothing was answered yet.
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
        told = f"HTTP {status}, {reason}" if reason else f"HTTP {status}"
        model = self._address.model
        match status:
            case 401 | 403:
                fix = f"set {key_variable(self._option)} to a key that may use it"
                return self._failure("engine_unauthorized", f"refuses the key ({told})", fix)
            case 404 | 405:
                what = f"has no {path}" + (f", or no model {model!r}" if model else "")
                fix = f"check the URL and the model of --{self._option}"
                return self._failure("engine_not_found", f"{what} ({told})", fix)
            case 429:
                fix = "try later, or raise its limit"
                return self._failure("engine_overloaded", f"is asked too much ({told})", fix)
            case _ if status >= 500:
                return self._failure("engine_unavailable", f"fails ({told})", "look at its log")
            case _:
                fix = "it may not offer what the session asks for"
                return self._failure("engine_refused", f"refuses the request ({told})", fix)

    async def _reason(self, response: httpx2.Response) -> str:
        """Return the error code in a body; anything else may repeat what must not be told."""
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
            return self.malformed("something else than a stream of events")
        return self._failure("engine_broke_off", "broke off its answer", "look at its log")

    def _too_slow(self, seconds: float) -> EngineFailed:
        what = f"said nothing for {seconds:g} s"
        return self._failure("engine_timeout", what, "is it overloaded?")

    def _failure(self, code: str, what: str, fix: str) -> EngineFailed:
        return EngineFailed(f"{self._option}: {self._address.host} {what}; {fix}", code=code)

"""HTTP routes that issue client secrets, in the forms of both dialects.

Each request is a POST with a JSON body. Errors have the shape of OpenAI's and name the parameter.
Pages of this machine may send these requests too (CORS); other sites have a backend that holds the
key.

Source: Realtime API reference, `/realtime/client_secrets`, `/realtime/translations/client_secrets`
(GA), `/realtime/sessions`, `/realtime/transcription_sessions` (beta).
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from duologue.errors import DecodeError
from duologue.protocol import beta, ga
from duologue.protocol.beta.rest import SessionCreateResponse
from duologue.protocol.codec import encode_model
from duologue.protocol.ga import rest, translation
from duologue.protocol.model import UNSET, Model, UnsetType
from duologue.protocol.translate import to_beta, to_ga
from duologue.protocol.validate import read_body
from duologue.server.auth import HttpRejection
from duologue.server.ids import new_id, unix_seconds
from duologue.server.session.config import DEFAULT_MODEL, opened_session
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from starlette.requests import Request

    from duologue.protocol.codec import Dialect
    from duologue.server.auth import AccessPolicy
    from duologue.server.client_secrets import BoundSession, ClientSecrets
    from duologue.server.limits import Limits

__all__ = ["ClientSecretRoutes"]

MAX_BODY_BYTES: Final = 1 << 20
"""Bodies that are larger are refused: instructions and tools are some kilobytes."""

BODY_SECONDS: Final = 10.0
"""Time for a client to send its body."""

GA_SECONDS: Final = 600
BETA_SECONDS: Final = 60
"""Validity of secrets, unless the client chooses one."""

M = TypeVar("M", bound=Model)


class ClientSecretRoutes:
    """Issues client secrets to authenticated callers."""

    def __init__(self, policy: AccessPolicy, secrets: ClientSecrets, limits: Limits) -> None:
        self._policy: Final = policy
        self._secrets: Final = secrets
        self._limits: Final = limits

    def routes(self) -> list[Route]:
        """Return the routes: OpenAI's, and Azure's for GA."""
        ga_paths = {
            "/realtime/client_secrets": self._create,
            "/realtime/translations/client_secrets": self._create_for_translation,
        }
        beta_paths = {
            "/realtime/sessions": self._create_beta,
            "/realtime/transcription_sessions": self._create_beta_transcription,
        }
        return [
            Route(prefix + path, answer, methods=["POST"])
            for prefix, paths in (("/v1", ga_paths | beta_paths), ("/openai/v1", ga_paths))
            for path, answer in paths.items()
        ]

    async def _create(self, request: Request) -> Response:
        params = await self._read(request, rest.ClientSecretCreateParams)
        session = self._opened_session(params.session)
        value, expires_at = self._issue(session, _seconds(params.expires_after, GA_SECONDS))
        return _answer(
            rest.ClientSecretCreateResponse(value=value, expires_at=expires_at, session=session)
        )

    async def _create_for_translation(self, request: Request) -> Response:
        params = await self._read(request, rest.TranslationClientSecretCreateParams)
        seconds = _seconds(params.expires_after, GA_SECONDS)
        audio = params.session.audio
        session = translation.TranslationSession(
            type="translation",
            id=new_id("sess"),
            model=params.session.model,
            audio=translation.TranslationAudio() if audio is UNSET else audio,
            expires_at=self._ends_at(),
        )
        value, expires_at = self._issue(session, seconds)
        return _answer(
            rest.TranslationClientSecretCreateResponse(
                value=value, expires_at=expires_at, session=session
            )
        )

    async def _create_beta(self, request: Request) -> Response:
        params = await self._read(request, beta.SessionConfig, "beta")
        secret = params.client_secret
        after = UNSET if secret is UNSET else secret.expires_after
        config = msgspec.structs.replace(params, client_secret=UNSET)
        [update] = to_ga(beta.SessionUpdateEvent(session=config)).events
        if not isinstance(update, ga.SessionUpdateEvent):
            raise AssertionError("an update stays an update")  # noqa: TRY004  # narrows the type
        session = self._opened_session(update.session)
        value, expires_at = self._issue(session, _seconds(after, BETA_SECONDS))
        [created] = to_beta(ga.SessionCreatedEvent(event_id="", session=session)).events
        if not isinstance(created, beta.SessionCreatedEvent):
            raise AssertionError("session.created stays it")  # noqa: TRY004  # narrows the type
        fields: dict[str, Any] = msgspec.structs.asdict(created.session)
        fields["client_secret"] = beta.ClientSecret(value=value, expires_at=expires_at)
        return _answer(SessionCreateResponse(**fields))

    async def _create_beta_transcription(self, request: Request) -> Response:
        params = await self._read(request, beta.TranscriptionSessionConfig, "beta")
        secret = params.client_secret
        after = UNSET if secret is UNSET else secret.expires_at
        config = msgspec.structs.replace(params, client_secret=UNSET)
        [update] = to_ga(beta.TranscriptionSessionUpdate(session=config)).events
        if not isinstance(update, ga.SessionUpdateEvent):
            raise AssertionError("an update stays an update")  # noqa: TRY004  # narrows the type
        session = self._opened_session(update.session)
        value, expires_at = self._issue(session, _seconds(after, BETA_SECONDS))
        fields: dict[str, Any] = msgspec.structs.asdict(config) | {
            "id": session.id,
            "object": "realtime.transcription_session",
            "client_secret": beta.ClientSecret(value=value, expires_at=expires_at),
        }
        return _answer(beta.TranscriptionSession(**fields))

    async def _read(self, request: Request, kind: type[M], dialect: Dialect = "ga") -> M:
        """Return the body of an authenticated request.

        Raises:
            HttpRejection: If the caller is not authenticated, or the body is invalid.
        """
        self._policy.admit_owner(request)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise HttpRejection(
                415, None, "Send JSON, with the header 'Content-Type: application/json'."
            )
        try:
            async with asyncio.timeout(BODY_SECONDS):
                model = read_body(await _body(request) or b"{}", kind, dialect)
        except TimeoutError as error:
            raise HttpRejection(408, None, "The body took too long to come.") from error
        except DecodeError as error:
            raise HttpRejection(400, None, f"We could not parse the JSON body: {error}.") from error
        if isinstance(model, list):
            problem = model[0]
            raise HttpRejection(400, problem.code, problem.message, problem.path)
        return model

    def _opened_session(
        self, requested: ga.Session | UnsetType
    ) -> ga.RealtimeSession | ga.TranscriptionSession:
        """Return the complete configuration that a session begins with."""
        session_id, expires_at = new_id("sess"), self._ends_at()
        if isinstance(requested, ga.TranscriptionSession):
            return msgspec.structs.replace(
                requested,
                id=session_id,
                object="realtime.transcription_session",
                expires_at=expires_at,
            )
        try:
            return opened_session(
                requested if isinstance(requested, ga.RealtimeSession) else None,
                session_id=session_id,
                model=DEFAULT_MODEL,
                expires_at=expires_at,
            )
        except InvalidRequest as refusal:
            raise HttpRejection(400, refusal.code, refusal.message, refusal.param) from refusal

    def _ends_at(self) -> int:
        return unix_seconds() + int(self._limits.session_seconds)

    def _issue(self, session: BoundSession, seconds: int) -> tuple[str, int]:
        value = self._secrets.issue(session, seconds=seconds, now=time.monotonic())
        if value is None:
            raise HttpRejection(
                429, "rate_limit_exceeded", "Too many client secrets are valid already."
            )
        return value, unix_seconds() + seconds


def _seconds(after: rest.ExpiresAfter | UnsetType, default: int) -> int:
    return default if after is UNSET or after.seconds is UNSET else after.seconds


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HttpRejection(413, None, f"The body has more than {MAX_BODY_BYTES} bytes.")
    return bytes(body)


def _answer(model: Model) -> Response:
    # The response contains a secret, so no cache may keep it.
    headers = {"Cache-Control": "no-store"}
    return Response(encode_model(model), media_type="application/json", headers=headers)

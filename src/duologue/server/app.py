"""The ASGI application: what answers at which path."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from duologue.protocol import codec, ga
from duologue.server.client_secrets import ClientSecrets
from duologue.server.connection import Connection
from duologue.server.door import Denied, Door, offered_subprotocols
from duologue.server.limits import Limits
from duologue.server.performing import ConversationPerformer
from duologue.server.rest import ClientSecretDesk
from duologue.server.session.config import DEFAULT_MODEL
from duologue.server.session.kept_audio import KeptAudio
from duologue.server.session.session import ServerSession
from duologue.server.stamps import new_id, unix_seconds
from duologue.server.wire import BetaWire, GaWire

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from duologue.server.client_secrets import BoundSession
    from duologue.server.connection import Observer
    from duologue.server.engine.stages import Engine
    from duologue.server.wire import Wire

__all__ = ["create_app"]


_LETS_LOCAL_PAGES_READ: Final = Middleware(
    CORSMiddleware,
    allow_origin_regex=r"https?://(localhost|[\w.-]+\.localhost|127\.0\.0\.1|\[::1\])(:\d+)?",
    allow_methods=["GET", "POST"],
    allow_headers=["*"],
)

logger = logging.getLogger("duologue.server")


def create_app(
    engine: Engine,
    *,
    api_key: str | None = None,
    limits: Limits | None = None,
    refuses_beta: bool = False,
    strict: bool = False,
    open_observer: Callable[[], Observer] | None = None,
) -> Starlette:
    """Return the application that serves the Realtime protocol.

    Args:
        engine: Who hears, thinks and speaks, for every session.
        api_key: What clients must show; `None` lets everybody on this machine in.
        limits: What clients may ask for.
        refuses_beta: Close on clients that speak beta with 4000, as OpenAI does since 2026-05-12.
        strict: Refuse what OpenAI refuses although real clients send it; else it is logged.
        open_observer: Called for each session; what it returns is told of every event.

    Raises:
        ConfigurationError: If the key is empty.
    """
    limits = limits or Limits()
    secrets = ClientSecrets()
    door = Door(api_key, limits, secrets)
    house = _House(
        engine,
        door,
        limits,
        open_observer,
        refuses_beta=refuses_beta,
        strict=strict,
    )
    return Starlette(
        routes=[
            WebSocketRoute("/v1/realtime", house.converse),
            WebSocketRoute("/{path:path}", _refuse_path),
            *ClientSecretDesk(door, secrets, limits).routes(),
            Route("/healthz", house.health),
        ],
        middleware=[_LETS_LOCAL_PAGES_READ],
        exception_handlers={Denied: _answer_denied, HTTPException: _answer_http},
    )


class _House:
    """Answers at each path."""

    def __init__(
        self,
        engine: Engine,
        door: Door,
        limits: Limits,
        open_observer: Callable[[], Observer] | None,
        *,
        refuses_beta: bool,
        strict: bool,
    ) -> None:
        self._engine = engine
        self._door = door
        self._limits = limits
        self._open_observer = open_observer
        self._refuses_beta = refuses_beta
        self._kept_audio = KeptAudio()
        self._strict = strict

    async def health(self, _request: Request) -> JSONResponse:
        """Answer that the server lives."""
        return JSONResponse({"status": "ok", "sessions": self._door.sessions})

    async def converse(self, socket: WebSocket) -> None:
        """Serve a client that may enter."""
        try:
            bound = self._door.admit(socket, time.monotonic())
            with self._door.seat():
                await self._enter(socket, bound)
        except Denied as denied:
            await socket.send_denial_response(denied.response())

    async def _enter(self, socket: WebSocket, bound: BoundSession | None) -> None:
        offered = offered_subprotocols(socket)
        await socket.accept(subprotocol="realtime" if "realtime" in offered else None)
        is_beta = (
            "realtime=v1" in socket.headers.get("openai-beta", "")
            or "openai-beta.realtime-v1" in offered
        )
        if is_beta and self._refuses_beta:
            await _refuse_beta(socket)
        else:
            await self._serve(socket, BetaWire() if is_beta else GaWire(), bound)

    async def _serve(
        self,
        socket: WebSocket,
        wire: Wire[ga.AnyClientEvent, ga.KnownServerEvent],
        bound: BoundSession | None,
    ) -> None:
        seconds = self._limits.session_seconds
        stages = self._engine.session()
        session = ServerSession(
            model=socket.query_params.get("model", DEFAULT_MODEL),
            score=stages.vad.score,
            new_id=new_id,
            expires_at=unix_seconds() + int(seconds),
            transcribes_early=self._engine.transcribes_early,
            kept_audio=self._kept_audio,
            asked=bound if isinstance(bound, ga.RealtimeSession) else None,
            strict=self._strict,
        )
        observe = self._open_observer() if self._open_observer is not None else None
        logger.info("session opened, %d now", self._door.sessions)
        try:
            connection = Connection(socket, session, wire, seconds=seconds, observe=observe)
            await connection.run(ConversationPerformer(session, stages, connection))
        except Exception:
            logger.exception("a session ended by a fault of ours")
        finally:
            session.conversation.close()
            logger.info("session closed, %d now", self._door.sessions - 1)


async def _answer_denied(_request: Request, denied: Exception) -> Response:
    assert isinstance(denied, Denied), "registered for no other"  # noqa: S101  # narrows
    return denied.response()


async def _answer_http(_request: Request, error: Exception) -> Response:
    """Say what Starlette refuses (404, 405) in the shape of OpenAI's errors."""
    assert isinstance(error, HTTPException), "registered for no other"  # noqa: S101  # narrows
    response = Denied(error.status_code, None, f"{error.detail}.").response()
    response.headers.update(error.headers or {})
    return response


async def _refuse_path(socket: WebSocket) -> None:
    denied = Denied(404, "not_found", "Nothing is served here; use /v1/realtime.")
    await socket.send_denial_response(denied.response())


async def _refuse_beta(socket: WebSocket) -> None:
    """Say what OpenAI says since 2026-05-12 to clients that still speak beta."""
    error = ga.RealtimeError(
        type="invalid_request_error",
        code="beta_api_shape_disabled",
        message="The Realtime Beta API is no longer supported. Drop the beta header.",
    )
    event = ga.RealtimeErrorEvent(event_id=new_id("event"), error=error)
    await socket.send_text(codec.encode(event).decode())
    await socket.close(4000, "beta_api_shape_disabled")

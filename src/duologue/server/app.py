"""The ASGI application: what answers at which path."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from duologue.protocol import codec, ga
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.ga.translation import TranslationSession
from duologue.protocol.model import UNSET
from duologue.server.auth import AccessPolicy, HttpRejection, offered_subprotocols
from duologue.server.client_secret_routes import ClientSecretRoutes
from duologue.server.client_secrets import ClientSecrets
from duologue.server.connection import Connection
from duologue.server.conversation_runner import ConversationRunner
from duologue.server.handshake import PATHS, SessionRejected, SessionRequest, read_session_request
from duologue.server.ids import new_id, unix_seconds
from duologue.server.injection import Faults
from duologue.server.limits import Limits
from duologue.server.session.kept_audio import AudioStore
from duologue.server.session.session import ServerSession
from duologue.server.session.session_type import SessionType, session_type_of
from duologue.server.session.translation import DEFAULT_TRANSLATOR, TranslationServerSession
from duologue.server.telemetry import CONTENT_TYPE, Metrics, SessionTelemetry
from duologue.server.translation_runner import TranslationRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from duologue.protocol.codec import Dialect
    from duologue.protocol.model import UnsetType
    from duologue.server.client_secrets import BoundSession
    from duologue.server.connection import Observer
    from duologue.server.engine.stages import Engine
    from duologue.server.fault_injection import FaultInjector
    from duologue.server.session.statistics import SessionStatistics

__all__ = ["create_app"]


_LETS_LOCAL_PAGES_READ: Final = Middleware(
    CORSMiddleware,
    allow_origin_regex=r"https?://(localhost|[\w.-]+\.localhost|127\.0\.0\.1|\[::1\])(:\d+)?",
    allow_methods=["GET", "POST"],
    allow_headers=["*"],
)

logger: logging.Logger = logging.getLogger("duologue.server")

_NOTHING_HERE: Final = "Nothing answers here; connect a WebSocket to /v1/realtime."


def create_app(
    engine: Engine,
    *,
    api_key: str | None = None,
    limits: Limits | None = None,
    dialect: Dialect | None = None,
    refuses_beta: bool = False,
    strict: bool = False,
    faults: Faults | None = None,
    open_observer: Callable[[FaultInjector], Observer] | None = None,
) -> Starlette:
    """Return the application that serves the Realtime protocol.

    Args:
        engine: Who hears, thinks and speaks, for every session.
        api_key: What clients must show; `None` lets everybody on this machine in.
        limits: What clients may ask for.
        dialect: Spoken with every client; `None`: with each the one that it asks for.
        refuses_beta: Close on clients that speak beta with 4000, as OpenAI does since 2026-05-12.
        strict: Refuse what OpenAI refuses although real clients send it; else it is logged.
        faults: What goes wrong.
        open_observer: Called for each session; what it returns is told of every event.

    Raises:
        ConfigurationError: If the key is empty.
    """
    limits = limits or Limits()
    secrets = ClientSecrets()
    door = AccessPolicy(api_key, limits, secrets)
    house = RealtimeEndpoint(
        engine,
        door,
        limits,
        faults or Faults(),
        open_observer,
        dialect=dialect,
        refuses_beta=refuses_beta,
        strict=strict,
    )
    sockets = [WebSocketRoute(path, partial(house.enter, path)) for path in PATHS]
    return Starlette(
        routes=[
            *sockets,
            WebSocketRoute("/{path:path}", _refuse_path),
            *ClientSecretRoutes(door, secrets, limits).routes(),
            Route("/healthz", house.health),
            Route("/metrics", house.metrics),
        ],
        middleware=[_LETS_LOCAL_PAGES_READ],
        exception_handlers={HttpRejection: _answer_denied, HTTPException: _answer_http},
    )


class RealtimeEndpoint:
    """Answers at each path."""

    def __init__(
        self,
        engine: Engine,
        door: AccessPolicy,
        limits: Limits,
        faults: Faults,
        open_observer: Callable[[FaultInjector], Observer] | None,
        *,
        dialect: Dialect | None,
        refuses_beta: bool,
        strict: bool,
    ) -> None:
        self._engine = engine
        self._door = door
        self._limits = limits
        self._faults = faults
        self._open_observer = open_observer
        self._dialect: Dialect | None = dialect
        self._refuses_beta = refuses_beta
        self._audio_store = AudioStore()
        self._metrics = Metrics()
        self._strict = strict

    async def health(self, _request: Request) -> JSONResponse:
        """Answer that the server lives, and what is made to go wrong on it."""
        faults = [str(fault) for fault in self._faults]
        told = {"faults": faults} if faults else {}
        return JSONResponse({"status": "ok", **told})

    async def metrics(self, request: Request) -> Response:
        """Answer with what was counted, to who shows the key."""
        self._door.admit_owner(request)
        text = self._metrics.exposition(active=self._door.sessions)
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    async def enter(self, path: str, socket: WebSocket) -> None:
        """Serve a client that may enter, or tell it why not."""
        try:
            bound = self._door.admit(socket, time.monotonic())
            with self._door.seat(), self._faults.disturbing() as disturbance:
                await self._let_in(path, socket, bound, disturbance)
        except HttpRejection as denied:
            self._metrics.refusals[str(denied.status)] += 1
            logger.info(
                "client refused",
                extra={"client": _address(socket), "status": denied.status, "code": denied.code},
            )
            await socket.send_denial_response(denied.response())

    async def _let_in(
        self, path: str, socket: WebSocket, bound: BoundSession | None, disturbance: FaultInjector
    ) -> None:
        offered = offered_subprotocols(socket)
        try:
            asked = self._read(path, socket, offered, bound)
        except SessionRejected as dismissed:
            await _accept(socket, offered)
            await _dismiss(socket, dismissed)
        else:
            await _accept(socket, offered)
            await self._serve(socket, asked, bound, disturbance)

    def _read(
        self, path: str, socket: WebSocket, offered: list[str], bound: BoundSession | None
    ) -> SessionRequest:
        asked = read_session_request(
            path,
            socket.query_params,
            socket.headers,
            offered,
            dialect=self._dialect,
            bound=None if bound is None else session_type_of(bound),
        )
        if asked.dialect == "beta" and self._refuses_beta:
            message = "The Realtime Beta API is no longer supported. Drop the beta header."
            raise SessionRejected("beta_api_shape_disabled", message)
        return asked

    async def _serve(
        self,
        socket: WebSocket,
        asked: SessionRequest,
        bound: BoundSession | None,
        faults: FaultInjector,
    ) -> None:
        opened = () if self._open_observer is None else (self._open_observer(faults),)
        client = AcceptedClient(socket, asked, faults, opened)
        try:
            if isinstance(bound, TranslationSession) or asked.kind is SessionType.TRANSLATION:
                await self._translate(client, bound)
            else:
                await self._converse(client, bound)
        except Exception:
            logger.exception("a session ended by a fault of ours")
            await _close_after_fault(socket)

    async def _converse(
        self, client: AcceptedClient, bound: ga.RealtimeSession | ga.TranscriptionSession | None
    ) -> None:
        stages = self._engine.session()
        session = ServerSession(
            session_type=client.asked.kind,
            model=client.asked.model,
            score=stages.vad.score,
            new_id=new_id,
            expires_at=unix_seconds() + int(self._limits.session_seconds),
            judge_words=None if stages.turn_detector is None else stages.turn_detector.score,
            transcribes_early=self._engine.transcribes_early,
            audio_store=self._audio_store,
            requested=bound,
            strict=self._strict,
        )
        telemetry = self._telemetry(client, session.config.id, session.statistics)
        connection = Connection(
            client.socket,
            session,
            dialect_adapter(client.asked.dialect),
            client.faults,
            limits=self._limits,
            observers=[telemetry.observe, *client.observers],
        )
        with telemetry:
            telemetry.code = await connection.run(ConversationRunner(stages, connection))

    async def _translate(self, client: AcceptedClient, bound: BoundSession | None) -> None:
        stages = self._engine.session()
        session = TranslationServerSession(
            model=client.asked.model or DEFAULT_TRANSLATOR,
            score=stages.vad.score,
            new_id=new_id,
            expires_at=unix_seconds() + int(self._limits.session_seconds),
            requested=bound if isinstance(bound, TranslationSession) else None,
        )
        telemetry = self._telemetry(client, session.config.id, session.statistics)
        connection = Connection(
            client.socket,
            session,
            dialect_adapter("ga", "translation"),
            client.faults,
            limits=self._limits,
            observers=[telemetry.observe, *client.observers],
        )
        with telemetry:
            telemetry.code = await connection.run(TranslationRunner(stages, connection))

    def _telemetry(
        self, client: AcceptedClient, session_id: str | UnsetType, statistics: SessionStatistics
    ) -> SessionTelemetry:
        return SessionTelemetry(
            self._metrics,
            statistics,
            time.monotonic,
            session_id="" if session_id is UNSET else session_id,
            dialect=client.asked.dialect,
            client=_address(client.socket),
        )


@dataclass(frozen=True, slots=True)
class AcceptedClient:
    """A client that was let in."""

    socket: WebSocket
    asked: SessionRequest
    faults: FaultInjector
    observers: Sequence[Observer]


def _address(socket: WebSocket) -> str:
    return "unknown" if socket.client is None else f"{socket.client.host}:{socket.client.port}"


async def _close_after_fault(socket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it is closed already
        await socket.close(1011, "The server had an error while processing the session.")


async def _answer_denied(_request: Request, denied: Exception) -> Response:
    assert isinstance(denied, HttpRejection), "registered for no other"  # noqa: S101  # narrows
    return denied.response()


async def _answer_http(_request: Request, error: Exception) -> Response:
    """Say what Starlette refuses (404, 405) in the shape of OpenAI's errors."""
    assert isinstance(error, HTTPException), "registered for no other"  # noqa: S101  # narrows
    told = f"{error.detail}."
    if error.status_code == 404:
        told = _NOTHING_HERE
    response = HttpRejection(error.status_code, None, told).response()
    response.headers.update(error.headers or {})
    return response


async def _refuse_path(socket: WebSocket) -> None:
    denied = HttpRejection(404, "not_found", _NOTHING_HERE)
    await socket.send_denial_response(denied.response())


async def _accept(socket: WebSocket, offered: list[str]) -> None:
    await socket.accept(subprotocol="realtime" if "realtime" in offered else None)


async def _dismiss(socket: WebSocket, dismissed: SessionRejected) -> None:
    """Tell a client why it cannot be served, as OpenAI does: by an `error`, then close 4000."""
    error = ga.RealtimeError(
        type="invalid_request_error", code=dismissed.code, message=dismissed.message
    )
    event = ga.RealtimeErrorEvent(event_id=new_id("event"), error=error)
    await socket.send_text(codec.encode(event).decode())
    await socket.close(4000, f"invalid_request_error.{dismissed.code}")

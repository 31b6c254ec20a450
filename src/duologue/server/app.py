"""The ASGI application: its routes, and the WebSocket endpoint."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from duologue.protocol import codec, ga
from duologue.server.asgi_transport import AsgiTransport
from duologue.server.auth import AccessPolicy, HttpRejection, offered_subprotocols
from duologue.server.client_secret_routes import ClientSecretRoutes
from duologue.server.client_secrets import ClientSecrets
from duologue.server.fault_injection import FaultRegistry
from duologue.server.handshake import (
    KEY_REJECTED,
    PATHS,
    SessionRejected,
    beta_rejected,
    read_session_request,
)
from duologue.server.ids import new_id
from duologue.server.limits import Limits
from duologue.server.session.config import session_type_of
from duologue.server.session_host import AcceptedClient, SessionHost
from duologue.server.telemetry import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocket

    from duologue.protocol.codec import Dialect
    from duologue.server.client_secrets import BoundSession
    from duologue.server.connection import FrameReceiver, Observer
    from duologue.server.engine.stages import Engine
    from duologue.server.fault_injection import FaultInjector
    from duologue.server.handshake import SessionRequest

__all__ = ["create_app"]


class CloseAmbiguousRequests:
    """Closes the connection after a request with both `Content-Length` and `Transfer-Encoding`.

    A proxy and this server may disagree about where such a request ends, and a second request may
    be smuggled in it.

    Source: RFC 9112, section 6.1.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app: Final = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        names = {name for name, _ in scope.get("headers", ())}
        if not {b"content-length", b"transfer-encoding"} <= names:
            await self._app(scope, receive, send)
            return

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_and_close)


_ALLOW_LOCAL_PAGES: Final = Middleware(
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
    faults: FaultRegistry | None = None,
    open_observer: Callable[[FaultInjector], Observer] | None = None,
) -> Starlette:
    """Return the ASGI application that serves the Realtime protocol.

    Args:
        engine: Opens the stages of each session.
        api_key: Key that clients must send; with `None`, only this machine may connect.
        limits: Bounds of the server.
        dialect: Dialect of all connections; `None`: the one that each client asks for.
        refuses_beta: Close connections of beta clients with 4000, as OpenAI does since 2026-05-12.
        strict: Refuse mistakes of published clients as OpenAI does, instead of logging them.
        faults: Faults to inject.
        open_observer: Called for each session; returns a function that gets all of its events.

    Raises:
        ConfigurationError: If the key is empty.
    """
    limits = limits or Limits()
    secrets = ClientSecrets()
    policy = AccessPolicy(api_key, secrets)
    host = SessionHost(
        engine,
        limits=limits,
        faults=faults or FaultRegistry(),
        strict=strict,
        open_observer=open_observer,
    )
    endpoint = RealtimeEndpoint(
        policy, host, dialect=dialect, refuses_beta=refuses_beta, strict=strict
    )
    return Starlette(
        routes=[
            *[WebSocketRoute(path, partial(endpoint.handle_websocket, path)) for path in PATHS],
            WebSocketRoute("/{path:path}", _reject_path),
            *ClientSecretRoutes(policy, secrets, limits).routes(),
            Route("/healthz", endpoint.health),
            Route("/metrics", endpoint.metrics),
        ],
        middleware=[_ALLOW_LOCAL_PAGES, Middleware(CloseAmbiguousRequests)],
        exception_handlers={HttpRejection: _answer_rejection, HTTPException: _answer_http},
    )


class RealtimeEndpoint:
    """Handles the WebSocket upgrades and the operators' requests of a server."""

    def __init__(
        self,
        policy: AccessPolicy,
        host: SessionHost,
        *,
        dialect: Dialect | None,
        refuses_beta: bool,
        strict: bool,
    ) -> None:
        self._policy: Final = policy
        self._host: Final = host
        self._dialect: Final[Dialect | None] = dialect
        self._refuses_beta: Final = refuses_beta
        self._strict: Final = strict

    async def health(self, _request: Request) -> JSONResponse:
        """Answer that the server runs, and list its faults."""
        faults = [str(fault) for fault in self._host.faults]
        details = {"faults": faults} if faults else {}
        return JSONResponse({"status": "ok", **details})

    async def metrics(self, request: Request) -> Response:
        """Serve the metrics; requires the API key."""
        self._policy.admit_owner(request)
        text = self._host.metrics.exposition(active=self._host.sessions)
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    async def handle_websocket(self, path: str, socket: WebSocket) -> None:
        """Serve a client that may connect; otherwise answer the upgrade with an HTTP error."""
        try:
            bound = self._policy.admit(socket, time.monotonic())
            with self._host.admit() as faults:
                await self._accept_or_reject(path, socket, bound, faults)
        except HttpRejection as rejection:
            self._host.metrics.refusals[str(rejection.status)] += 1
            logger.info(
                "client refused",
                extra={
                    "client": _address(socket),
                    "status": rejection.status,
                    "code": rejection.code,
                },
            )
            if self._strict and rejection.status == 401:
                await _accept(socket, offered_subprotocols(socket))
                await _reject_session(socket, _key_rejected(rejection))
            else:
                await socket.send_denial_response(rejection.response())

    async def _accept_or_reject(
        self, path: str, socket: WebSocket, bound: BoundSession | None, faults: FaultInjector
    ) -> None:
        offered = offered_subprotocols(socket)
        try:
            request = self._read_request(path, socket, offered, bound)
        except SessionRejected as rejected:
            await _accept(socket, offered)
            await _reject_session(socket, rejected)
            return
        await _accept(socket, offered)
        transports: list[AsgiTransport] = []

        def connect(receiver: FrameReceiver) -> AsgiTransport:
            transports.append(AsgiTransport(socket, receiver))
            return transports[-1]

        try:
            await self._host.serve(
                AcceptedClient(request, faults, _address(socket), connect, bound)
            )
        finally:
            for transport in transports:
                transport.stop()

    def _read_request(
        self, path: str, socket: WebSocket, offered: list[str], bound: BoundSession | None
    ) -> SessionRequest:
        request = read_session_request(
            path,
            socket.query_params,
            socket.headers,
            offered,
            dialect=self._dialect,
            bound=None if bound is None else session_type_of(bound),
            strict=self._strict,
        )
        if request.dialect == "beta" and self._refuses_beta:
            raise beta_rejected()
        return request


def _address(socket: WebSocket) -> str:
    return "unknown" if socket.client is None else f"{socket.client.host}:{socket.client.port}"


async def _answer_rejection(_request: Request, rejection: Exception) -> Response:
    if not isinstance(rejection, HttpRejection):
        raise AssertionError("registered for HttpRejection only")  # noqa: TRY004  # narrows the type
    return rejection.response()


async def _answer_http(_request: Request, error: Exception) -> Response:
    """Return an error of Starlette's own (404, 405) in the shape of OpenAI's errors."""
    if not isinstance(error, HTTPException):
        raise AssertionError("registered for HTTPException only")  # noqa: TRY004  # narrows the type
    message = _NOTHING_HERE if error.status_code == 404 else f"{error.detail}."
    response = HttpRejection(error.status_code, None, message).response()
    response.headers.update(error.headers or {})
    return response


async def _reject_path(socket: WebSocket) -> None:
    rejection = HttpRejection(404, "not_found", _NOTHING_HERE)
    await socket.send_denial_response(rejection.response())


async def _accept(socket: WebSocket, offered: list[str]) -> None:
    await socket.accept(subprotocol="realtime" if "realtime" in offered else None)


def _key_rejected(rejection: HttpRejection) -> SessionRejected:
    return SessionRejected("invalid_api_key", rejection.message, close_code=KEY_REJECTED)


async def _reject_session(socket: WebSocket, rejected: SessionRejected) -> None:
    """Reject a client as OpenAI does: an `error` event, then a close code."""
    error = ga.RealtimeError(
        type="invalid_request_error", code=rejected.code, message=rejected.message
    )
    event = ga.RealtimeErrorEvent(event_id=new_id("event"), error=error)
    await socket.send_text(codec.encode(event).decode())
    await socket.close(rejected.close_code, rejected.close_reason)

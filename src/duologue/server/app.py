"""The ASGI application: what answers at which path."""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from duologue.protocol import codec, ga
from duologue.server.connection import Connection
from duologue.server.door import Denied, Door, offered_subprotocols
from duologue.server.limits import Limits
from duologue.server.performing import ConversationPerformer
from duologue.server.session.kept_audio import KeptAudio
from duologue.server.session.session import ServerSession
from duologue.server.wire import BetaWire, GaWire

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from duologue.server.connection import Observer
    from duologue.server.engine.stages import Engine
    from duologue.server.wire import Wire

__all__ = ["DEFAULT_MODEL", "create_app", "new_id"]

DEFAULT_MODEL: Final = "gpt-realtime"
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

logger = logging.getLogger("duologue.server")


def new_id(prefix: str) -> str:
    """Return a fresh id as the API makes them: the prefix and 21 characters."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(21))


def create_app(
    engine: Engine,
    *,
    api_key: str | None = None,
    limits: Limits | None = None,
    refuses_beta: bool = False,
    open_observer: Callable[[], Observer] | None = None,
) -> Starlette:
    """Return the application that serves the Realtime protocol.

    Args:
        engine: Who hears, thinks and speaks, for every session.
        api_key: What clients must show; `None` lets everybody on this machine in.
        limits: What clients may ask for.
        refuses_beta: Close on clients that speak beta with 4000, as OpenAI does since 2026-05-12.
        open_observer: Called for each session; what it returns is told of every event.

    Raises:
        ConfigurationError: If the key is empty.
    """
    limits = limits or Limits()
    house = _House(engine, Door(api_key, limits), limits, open_observer, refuses_beta=refuses_beta)
    return Starlette(
        routes=[
            WebSocketRoute("/v1/realtime", house.converse),
            WebSocketRoute("/{path:path}", _refuse_path),
            Route("/healthz", house.health),
        ]
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
    ) -> None:
        self._engine = engine
        self._door = door
        self._limits = limits
        self._open_observer = open_observer
        self._refuses_beta = refuses_beta
        self._kept_audio = KeptAudio()

    async def health(self, _request: Request) -> JSONResponse:
        """Answer that the server lives."""
        return JSONResponse({"status": "ok", "sessions": self._door.sessions})

    async def converse(self, socket: WebSocket) -> None:
        """Serve a client that may enter."""
        try:
            self._door.admit(socket)
            with self._door.seat():
                await self._enter(socket)
        except Denied as denied:
            await socket.send_denial_response(denied.response())

    async def _enter(self, socket: WebSocket) -> None:
        offered = offered_subprotocols(socket)
        await socket.accept(subprotocol="realtime" if "realtime" in offered else None)
        is_beta = (
            "realtime=v1" in socket.headers.get("openai-beta", "")
            or "openai-beta.realtime-v1" in offered
        )
        if is_beta and self._refuses_beta:
            await _refuse_beta(socket)
        else:
            await self._serve(socket, BetaWire() if is_beta else GaWire())

    async def _serve(
        self, socket: WebSocket, wire: Wire[ga.AnyClientEvent, ga.KnownServerEvent]
    ) -> None:
        seconds = self._limits.session_seconds
        stages = self._engine.session()
        session = ServerSession(
            model=socket.query_params.get("model", DEFAULT_MODEL),
            score=stages.vad.score,
            new_id=new_id,
            expires_at=_unix_seconds() + int(seconds),
            transcribes_early=self._engine.transcribes_early,
            kept_audio=self._kept_audio,
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


def _unix_seconds() -> int:
    return int(time.time())  # noqa: TID251  # shown to the client, never decided upon


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

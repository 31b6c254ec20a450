"""The ASGI application: who may connect, and what answers at which path."""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from duologue.errors import ConfigurationError
from duologue.protocol import codec, ga
from duologue.server.connection import Connection
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
SESSION_SECONDS: Final = 60 * 60
MAX_SESSIONS: Final = 500
_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

logger = logging.getLogger("duologue.server")


def new_id(prefix: str) -> str:
    """Return a fresh id as the API makes them: the prefix and 21 characters."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(21))


def create_app(
    engine: Engine,
    *,
    api_key: str | None = None,
    refuses_beta: bool = False,
    open_observer: Callable[[], Observer] | None = None,
) -> Starlette:
    """Return the application that serves the Realtime protocol.

    Args:
        engine: Who hears, thinks and speaks, for every session.
        api_key: What clients must show; `None` lets everybody in.
        refuses_beta: Close on clients that speak beta with 4000, as OpenAI does since 2026-05-12.
        open_observer: Called for each session; what it returns is told of every event.

    Raises:
        ConfigurationError: If the key is empty.
    """
    if api_key is not None and not api_key.strip():
        raise ConfigurationError("the key that clients must show is empty: choose one, or none")
    door = _Door(engine, api_key, open_observer, refuses_beta=refuses_beta)
    return Starlette(
        routes=[
            WebSocketRoute("/v1/realtime", door.enter),
            WebSocketRoute("/{path:path}", _refuse_path),
            Route("/healthz", door.health),
        ]
    )


class _Door:
    """Lets clients in, or says why not."""

    def __init__(
        self,
        engine: Engine,
        api_key: str | None,
        open_observer: Callable[[], Observer] | None,
        *,
        refuses_beta: bool,
    ) -> None:
        self._engine = engine
        self._refuses_beta = refuses_beta
        self._api_key = api_key
        self._open_observer = open_observer
        self._sessions = 0

    async def health(self, _request: Request) -> JSONResponse:
        """Answer that the server lives."""
        return JSONResponse({"status": "ok", "sessions": self._sessions})

    async def enter(self, socket: WebSocket) -> None:
        """Serve a client that may enter."""
        refusal = self._refusal(socket)
        if refusal is not None:
            status, code, message = refusal
            await _deny(socket, status, code, message)
            return
        offered = _subprotocols(socket)
        await socket.accept(subprotocol="realtime" if "realtime" in offered else None)
        is_beta = (
            "realtime=v1" in socket.headers.get("openai-beta", "")
            or "openai-beta.realtime-v1" in offered
        )
        if is_beta and self._refuses_beta:
            await _refuse_beta(socket)
        else:
            await self._serve(socket, BetaWire() if is_beta else GaWire())

    async def _serve(self, socket: WebSocket, wire: Wire) -> None:
        session = ServerSession(
            model=socket.query_params.get("model", DEFAULT_MODEL),
            score=self._engine.vad().score,
            new_id=new_id,
            expires_at=_unix_seconds() + SESSION_SECONDS,
            transcribes_early=self._engine.transcribes_early,
        )
        observe = self._open_observer() if self._open_observer is not None else None
        self._sessions += 1
        logger.info("session opened, %d now", self._sessions)
        try:
            await Connection(
                socket, session, self._engine, wire, seconds=SESSION_SECONDS, observe=observe
            ).run()
        except Exception:
            logger.exception("a session ended by a fault of ours")
        finally:
            self._sessions -= 1
            logger.info("session closed, %d now", self._sessions)

    def _refusal(self, socket: WebSocket) -> tuple[int, str, str] | None:
        """Return status, code and message for a client that may not enter."""
        if not _is_welcome_origin(socket, is_open=self._api_key is None):
            return 403, "invalid_origin", "Pages of this origin may not connect."
        if self._api_key is not None and not _shows(self._api_key, socket):
            return 401, "invalid_api_key", "Incorrect API key provided."
        if self._sessions >= MAX_SESSIONS:
            return 503, "server_full", f"The server holds {MAX_SESSIONS} sessions already."
        return None


def _unix_seconds() -> int:
    return int(time.time())  # noqa: TID251  # shown to the client, never decided upon


def _subprotocols(socket: WebSocket) -> list[str]:
    return list(socket.scope.get("subprotocols", []))


async def _deny(socket: WebSocket, status: int, code: str, message: str) -> None:
    error = {"type": "invalid_request_error", "code": code, "message": message}
    await socket.send_denial_response(JSONResponse({"error": error}, status_code=status))


async def _refuse_path(socket: WebSocket) -> None:
    await _deny(socket, 404, "not_found", "Nothing is served here; use /v1/realtime.")


def _is_welcome_origin(socket: WebSocket, *, is_open: bool) -> bool:
    """Browsers tell where a page is from; only pages of this machine or this host may connect.

    Without a key to show, only this machine's: a host's name can be made to point here.
    """
    origin = socket.headers.get("origin")
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    is_same_host = parts.netloc == socket.headers.get("host")
    return parts.hostname in _LOOPBACK or (is_same_host and not is_open)


def _shows(api_key: str, socket: WebSocket) -> bool:
    """Return whether a client shows the key in any of the places where clients put it."""
    shown = [
        socket.headers.get("authorization", "").partition(" ")[2].strip(),
        socket.headers.get("api-key", ""),
        socket.query_params.get("api_key", ""),
    ]
    prefix = "openai-insecure-api-key."
    shown += [
        offer.removeprefix(prefix) for offer in _subprotocols(socket) if offer.startswith(prefix)
    ]
    right = api_key.encode()
    found = [hmac.compare_digest(candidate.encode(), right) for candidate in shown]
    return any(found)  # each was compared, whichever is right


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

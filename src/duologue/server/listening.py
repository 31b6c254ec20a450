"""A socket, and uvicorn serving the application on it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from duologue.errors import ConfigurationError
from duologue.server.connection import BREAK_EXTENSION

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import AsyncGenerator, Generator

    from starlette.applications import Starlette

    from duologue.server.tls import Certificate

__all__ = ["Listener"]

MAX_MESSAGE_BYTES = 21 << 20
"""15 MiB of audio are 20 MiB of base64 (DIALECTS.md §4, limits)."""

CUT_SECONDS = 5.0
"""How long the last frames of a connection may take to be read."""


REQUEST_SECONDS = 10.0
"""How long a client may take to say what it wants."""


class _HttpProtocol(H11Protocol):
    """Cuts a connection on which no request comes, or no further one."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._waiting.cancel()
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        self._waiting = asyncio.get_running_loop().call_later(REQUEST_SECONDS, self._cut)

    def _cut(self) -> None:
        if self.transport.get_protocol() is not self:
            return  # it has become a WebSocket
        if self.cycle is None or self.cycle.response_complete:  # pyright: ignore[reportUnnecessaryComparison]  # before a request
            self.transport.abort()


class _Protocol(WebSocketsSansIOProtocol):
    """Cuts a connection that is over, if its client leaves unread what it was sent before.

    Lets the application break the TCP connection, which ASGI has no word for.
    """

    async def run_asgi(self) -> None:
        extensions = self.scope.setdefault("extensions", {})
        extensions[BREAK_EXTENSION] = {"break": self.transport.abort}
        await super().run_asgi()
        asyncio.get_running_loop().call_later(CUT_SECONDS, self.transport.abort)


class _Server(uvicorn.Server):
    """Uvicorn in a loop that is not its own: tells when it is ready, leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Listener:
    """A port, taken at once, on which an application is served when there is one."""

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, certificate: Certificate | None = None
    ) -> None:
        """Take the port; 0 finds a free one. With a certificate, speak TLS there.

        Raises:
            ConfigurationError: If the port or address cannot be had.
        """
        self.certificate = certificate
        self._socket = _bind(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Where clients connect: `ws://127.0.0.1:8080/v1/realtime`, or `wss:` with TLS."""
        scheme = "ws" if self.certificate is None else "wss"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}/v1/realtime"

    @contextlib.asynccontextmanager
    async def serving(self, app: Starlette) -> AsyncGenerator[None]:
        """Serve while the context lasts; then close sessions with 1012."""
        shown = self.certificate
        server = _Server(
            uvicorn.Config(
                app,
                http=_HttpProtocol,
                ws=_Protocol,
                ws_max_size=MAX_MESSAGE_BYTES,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                log_level="critical",  # its lines show the query, which may hold a key
                timeout_graceful_shutdown=2,
                ssl_certfile=None if shown is None else shown.cert_file,
                ssl_keyfile=None if shown is None else shown.key_file,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await serving  # raises what kept it from starting
        try:
            yield
        finally:
            server.should_exit = True
            await serving
            for connection in list(server.server_state.connections):
                connection.transport.abort()  # its client leaves unread even the close

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY on such sockets alone: 40 ms a turn.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        fix = "choose another with --port, or 0 for any free one"
        message = f"cannot listen on {host}:{port}: {reason.lower()}; {fix}"
        raise ConfigurationError(message) from error
    listener.listen(1024)
    listener.setblocking(False)  # noqa: FBT003  # the standard library's own signature
    return listener

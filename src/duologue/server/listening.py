"""A socket, and uvicorn serving the application on it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from duologue.errors import ConfigurationError
from duologue.server.asgi_transport import BREAK_EXTENSION
from duologue.transport.reassembly import accept_close_between_fragments

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import AsyncGenerator, Generator

    from starlette.applications import Starlette
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
    from uvicorn.server import Protocols

    from duologue.server.tls import Certificate

__all__ = ["Listener"]

MAX_MESSAGE_BYTES = 21 << 20
"""15 MiB of audio are 20 MiB of base64.

Source: Realtime API reference, `input_audio_buffer.append`.
"""

CUT_SECONDS = 5.0
"""Seconds for the client to read the last frames of a connection."""


REQUEST_SECONDS = 10.0
"""Seconds for a client to send its request."""

SLICE_BYTES: Final = 4 << 10
"""Bytes that are parsed at once: up to 700 frames without content."""

PARSE_SECONDS: Final = 0.002
"""Parsing on behalf of one client, after which the others have their turn."""

REST_FACTOR: Final = 4
"""Rest of a client after its turn, in lengths of the turn: it gets a fifth of the time at most."""

STOP_SECONDS = 2.0
"""Seconds for sessions and requests to end when the server stops."""

ACCEPT_STEPS = 3
"""Iterations of the loop from the acceptance of a connection until its protocol exists."""


class _HttpProtocol(H11Protocol):
    """Cuts a connection on which no request comes, or no further one."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._waiting.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Uvicorn renews the date on a timer; here nothing runs while nothing happens.
        date = formatdate(usegmt=True).encode()
        self.server_state.default_headers = [(b"date", date), *self.config.encoded_headers]
        super().data_received(data)

    def on_response_complete(self) -> None:
        self._waiting.cancel()
        super().on_response_complete()
        self._wait()

    def _wait(self) -> None:
        self._waiting = asyncio.get_running_loop().call_later(REQUEST_SECONDS, self._cut)

    def _cut(self) -> None:
        # A closed transport of TLS has no protocol to ask for.
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return  # it has become a WebSocket
        if self.cycle is None or self.cycle.response_complete:  # pyright: ignore[reportUnnecessaryComparison]  # before a request
            self.transport.abort()


class _Protocol(WebSocketsSansIOProtocol):
    """Cuts a connection that is over, if its client does not read the last frames.

    Lets the application break the TCP connection, which ASGI has no word for.

    Parses a read in slices: one read may hold 40,000 pings or fragments without content, which
    never reach the application and its limits, and would hold up all other clients for half a
    second.
    """

    _unparsed = b""
    """Rest of the last read; nothing more is read before it is parsed."""

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # passed on
        super().__init__(*args, **options)
        accept_close_between_fragments(self.conn)

    def data_received(self, data: bytes) -> None:
        self._unparsed = data
        self._parse()

    def _parse(self) -> None:
        started = now = self.loop.time()
        data, position = self._unparsed, 0
        while position < len(data) and now < started + PARSE_SECONDS and not self.disconnected:
            super().data_received(data[position : position + SLICE_BYTES])
            position += SLICE_BYTES
            now = self.loop.time()
        self._unparsed = data[position:]
        if self.disconnected or self.transport.is_closing():
            self._unparsed = b""
        elif self._unparsed:
            self.transport.pause_reading()
            self.loop.call_later((now - started) * REST_FACTOR, self._parse_rest)

    def _parse_rest(self) -> None:
        self._parse()
        if not (self._unparsed or self.read_paused or self.transport.is_closing()):
            self.transport.resume_reading()

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if self._unparsed:
            self.transport.pause_reading()  # uvicorn resumes it when all messages are received
        return message

    async def send(self, message: ASGISendEvent) -> None:
        if self.transport.is_closing() and not self.disconnected:
            raise ClientDisconnected  # asyncio logs every further write to a connection that is cut
        await super().send(message)
        if self._unparsed:
            self.transport.pause_reading()  # uvicorn resumes it after a close

    async def run_asgi(self) -> None:
        extensions = self.scope.setdefault("extensions", {})
        extensions[BREAK_EXTENSION] = {"break": self.transport.abort}
        await super().run_asgi()
        asyncio.get_running_loop().call_later(CUT_SECONDS, self.transport.abort)


class _Connections(set["Protocols"]):
    """The open connections of a server; uvicorn's protocols add and remove themselves."""

    def __init__(self) -> None:
        super().__init__()
        self._is_shut = False
        self._fewer: Final = asyncio.Event()

    def add(self, connection: Protocols) -> None:
        super().add(connection)
        if self._is_shut:
            asyncio.get_running_loop().call_soon(connection.shutdown)

    def discard(self, connection: object) -> None:
        super().discard(connection)
        self._fewer.set()

    def remove(self, connection: Protocols) -> None:
        super().remove(connection)
        self._fewer.set()

    async def shut_down(self) -> None:
        """Shut down all connections, also those just accepted, and wait until none is left."""
        self._is_shut = True
        for connection in list(self):
            connection.shutdown()
        while self:
            self._fewer.clear()
            await self._fewer.wait()


class _Server(uvicorn.Server):
    """Uvicorn without its ticks and signal handlers: waits for events, so that it stops at once.

    Uvicorn looks every 100 ms whether it should stop, and sleeps 100 ms while it stops.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready: Final = asyncio.Event()
        self._stopping: Final = asyncio.Event()
        self._connections: Final = _Connections()
        self.server_state.connections = self._connections

    def stop(self) -> None:
        """Stop serving; `serve` returns when everything has ended."""
        self.should_exit = True
        self._stopping.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._stop_accepting()
        for each in sockets or ():
            each.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._connections.shut_down()
                while tasks := self.server_state.tasks:
                    await asyncio.wait(tasks)
                for server in self.servers:
                    await server.wait_closed()
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()

    async def _stop_accepting(self) -> None:
        """Close the listening sockets, once the connections accepted so far have a protocol.

        asyncio fails on a connection whose server is closed between its acceptance and that.
        """
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for each in server.sockets:
                with contextlib.suppress(NotImplementedError):  # Windows' loop has no readers
                    loop.remove_reader(each)
        for _ in range(ACCEPT_STEPS):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Listener:
    """A port that is bound at once, so that an application can be served on it later."""

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, certificate: Certificate | None = None
    ) -> None:
        """Bind the port; 0 finds a free one. With a certificate, serve TLS.

        Raises:
            ConfigurationError: If the address cannot be bound.
        """
        self.certificate = certificate
        self._socket = _bind(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """URL for clients: `ws://127.0.0.1:8080/v1/realtime`, or `wss:` with TLS."""
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
                ssl_certfile=None if shown is None else shown.cert_file,
                ssl_keyfile=None if shown is None else shown.key_file,
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[self._socket]))
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await serving  # raises the error that kept it from starting
        try:
            yield
        finally:
            server.stop()
            await serving
            for connection in list(server.server_state.connections):
                connection.transport.abort()  # its client does not even read the close frame

    def close(self) -> None:
        """Release the port."""
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

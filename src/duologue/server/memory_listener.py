"""Connections to a server inside the same process, without a network."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from duologue.errors import HandshakeRefused
from duologue.server.auth import HttpRejection
from duologue.server.handshake import (
    SESSION_REJECTED,
    SessionRequest,
    beta_rejected,
    requested_model,
)
from duologue.server.session_host import AcceptedClient, Connect
from duologue.transport.delivery import closed_by_peer
from duologue.transport.memory import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from duologue.protocol.codec import Dialect
    from duologue.server.session.config import SessionType
    from duologue.server.session_host import SessionHost
    from duologue.transport.base import Receiver

__all__ = ["MemoryListener"]

SERVICE_RESTART: Final = 1012
"""Close code of sessions that are open when the server stops."""

STOP_SECONDS = 2.0
"""Seconds for sessions to end when the server stops, as over the network."""


class MemoryListener:
    """Accepts connections within the process, for as long as `serving` lasts.

    There is no HTTP, so there is no key to check, and no path or header to read.
    """

    def __init__(self, host: SessionHost, *, dialect: Dialect, refuses_beta: bool) -> None:
        self._host: Final = host
        self._dialect: Final[Dialect] = dialect
        self._refuses_beta: Final = refuses_beta
        self._open: Final[dict[asyncio.Task[None], _ServerEnd | None]] = {}

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Accept connections; at the end, close the open sessions with 1012."""
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._close_all()
            except TimeoutError:  # an engine does not let itself be cancelled
                for session in self._open:
                    session.cancel()

    async def _close_all(self) -> None:
        while self._open:
            for end in [end for end in self._open.values() if end is not None]:
                await end.close(SERVICE_RESTART, "")
            # Once more if need be: a session that was being opened had no end to close.
            await asyncio.wait(self._open, timeout=0.01)

    async def connect(
        self, receiver: Receiver, session_type: SessionType, model: str | None
    ) -> MemoryTransport:
        """Open a session, and return the client's end of its connection.

        Raises:
            HandshakeRefused: If the server is full, or a fault refuses the client.
            DialectRefused: If the server refuses beta.
        """
        if self._dialect == "beta" and self._refuses_beta:
            raise closed_by_peer(SESSION_REJECTED, beta_rejected().close_reason)
        request = SessionRequest(session_type, self._dialect, requested_model(model, session_type))
        connected: asyncio.Future[MemoryTransport] = asyncio.get_running_loop().create_future()

        def connect(server_receiver: Receiver) -> _ServerEnd:
            client_end, server_end = MemoryTransport(receiver), _ServerEnd(server_receiver)
            client_end.join(server_end)
            server_end.join(client_end)
            self._open[session] = server_end
            connected.set_result(client_end)
            return server_end

        session = asyncio.create_task(self._serve(request, connect))
        self._open[session] = None
        session.add_done_callback(self._open.pop)
        try:
            waiting: list[asyncio.Future[MemoryTransport] | asyncio.Task[None]]
            waiting = [connected, session]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            session.cancel()
            raise
        if not connected.done():
            await session  # raises
        return connected.result()

    async def _serve(self, request: SessionRequest, connect: Connect) -> None:
        try:
            with self._host.admit() as faults:
                await self._host.serve(AcceptedClient(request, faults, "memory", connect))
        except HttpRejection as rejection:
            self._host.metrics.refusals[str(rejection.status)] += 1
            body = bytes(rejection.response().body).decode()
            wait = rejection.retry_after
            raise HandshakeRefused(rejection.status, body, retry_after=wait) from rejection


class _ServerEnd(MemoryTransport):
    """The server's end of a pair; implements `ServerTransport`."""

    __slots__ = ()

    async def abort(self) -> None:
        """Let what was sent arrive, then cut the connection."""
        for _ in range(2):  # a frame arrives in the iteration after it was sent
            await asyncio.sleep(0)
        self.cut()

"""Hosts the sessions of a server: opens one for each client, and runs it over any transport."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from duologue.protocol.dialects import dialect_adapter, voice_live_adapter
from duologue.protocol.ga.translation import TranslationSession
from duologue.protocol.model import UNSET
from duologue.server.auth import HttpRejection
from duologue.server.connection import (
    AnyReceived,
    Connection,
    EffectRunner,
    FrameReceiver,
    ServerTransport,
)
from duologue.server.conversation_runner import ConversationRunner
from duologue.server.ids import new_id, unix_seconds
from duologue.server.session.config import SessionType
from duologue.server.session.conversation import AudioStore
from duologue.server.session.session import ServerSession
from duologue.server.session.translation import DEFAULT_TRANSLATOR, TranslationServerSession
from duologue.server.telemetry import INTERNAL_ERROR, Metrics, SessionTelemetry
from duologue.server.translation_runner import TranslationRunner

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from duologue.errors import ConnectionLost
    from duologue.protocol.model import Event, UnsetType
    from duologue.server.client_secrets import BoundSession
    from duologue.server.connection import Observer
    from duologue.server.engine.stages import Engine
    from duologue.server.fault_injection import FaultInjector, FaultRegistry
    from duologue.server.handshake import SessionRequest
    from duologue.server.limits import Limits
    from duologue.server.session.statistics import SessionStatistics

__all__ = ["AcceptedClient", "Connect", "SessionHost"]

logger: logging.Logger = logging.getLogger("duologue.server")

FAULT_REASON: Final = "The server had an error while processing the session."

Connect = Callable[[FrameReceiver], ServerTransport]
"""Returns the transport of an accepted client, which then delivers frames to the receiver."""

Received = TypeVar("Received", bound=AnyReceived)
Result = TypeVar("Result")
Sent = TypeVar("Sent", bound="Event")
Effect = TypeVar("Effect")


@dataclass(frozen=True, slots=True)
class AcceptedClient:
    """A client that gets a session."""

    request: SessionRequest
    faults: FaultInjector
    address: str
    connect: Connect
    bound: BoundSession | None = None
    """Configuration that the client's secret is bound to."""


class SessionHost:
    """Opens and runs the sessions of one server."""

    def __init__(
        self,
        engine: Engine,
        *,
        limits: Limits,
        faults: FaultRegistry,
        strict: bool = False,
        open_observer: Callable[[FaultInjector], Observer] | None = None,
    ) -> None:
        self.limits: Final = limits
        self.faults: Final = faults
        self.metrics: Final = Metrics()
        self.sessions: int = 0
        """Sessions that are open now."""
        self._engine: Final = engine
        self._strict: Final = strict
        self._open_observer: Final = open_observer
        self._audio_store: Final = AudioStore()

    @contextlib.contextmanager
    def admit(self) -> Generator[FaultInjector]:
        """Reserve one of the sessions that the server may hold, and yield its faults.

        Raises:
            HttpRejection: If the server is full, or a fault refuses the client.
        """
        if self.sessions >= self.limits.sessions:
            message = f"The server holds {self.limits.sessions} sessions already; try again later."
            raise HttpRejection(503, "server_full", message)
        self.sessions += 1
        try:
            with self.faults.injecting() as injector:
                yield injector
        finally:
            self.sessions -= 1

    async def serve(self, client: AcceptedClient) -> None:
        """Open a session for a client, and run it until either side closes."""
        observers = () if self._open_observer is None else (self._open_observer(client.faults),)
        try:
            if client.request.session_type is SessionType.TRANSLATION:
                session = self._open_translation(client, observers)
            else:
                session = self._open_conversation(client, observers)
        except Exception:
            logger.exception("a session could not be opened")
            self.metrics.closes[str(INTERNAL_ERROR)] += 1
            await client.connect(_NullReceiver()).close(INTERNAL_ERROR, FAULT_REASON)
        else:
            await session

    def _open_conversation(
        self, client: AcceptedClient, observers: Sequence[Observer]
    ) -> Coroutine[None, None, None]:
        stages = self._engine.session()
        session = ServerSession(
            session_type=client.request.session_type,
            model=client.request.model,
            score=stages.vad.score,
            new_id=new_id,
            expires_at=unix_seconds() + int(self.limits.session_seconds),
            judge_words=None if stages.turn_detector is None else stages.turn_detector.score,
            transcribes_early=self._engine.transcribes_early,
            audio_store=self._audio_store,
            requested=None if isinstance(client.bound, TranslationSession) else client.bound,
            strict=self._strict,
        )
        telemetry = self._telemetry(client, session.config.id, session.statistics)
        request = client.request
        connection = Connection(
            session,
            voice_live_adapter() if request.is_voice_live else dialect_adapter(request.dialect),
            client.faults,
            limits=self.limits,
            observers=[telemetry.observe, *observers],
        )
        runner = ConversationRunner(stages, connection)
        return self._run(client.connect(connection), connection, runner, telemetry)

    def _open_translation(
        self, client: AcceptedClient, observers: Sequence[Observer]
    ) -> Coroutine[None, None, None]:
        stages = self._engine.session()
        session = TranslationServerSession(
            model=client.request.model or DEFAULT_TRANSLATOR,
            score=stages.vad.score,
            new_id=new_id,
            expires_at=unix_seconds() + int(self.limits.session_seconds),
            requested=client.bound if isinstance(client.bound, TranslationSession) else None,
        )
        telemetry = self._telemetry(client, session.config.id, session.statistics)
        connection = Connection(
            session,
            dialect_adapter("ga", "translation"),
            client.faults,
            limits=self.limits,
            observers=[telemetry.observe, *observers],
        )
        runner = TranslationRunner(stages, connection)
        return self._run(client.connect(connection), connection, runner, telemetry)

    def _telemetry(
        self, client: AcceptedClient, session_id: str | UnsetType, statistics: SessionStatistics
    ) -> SessionTelemetry:
        return SessionTelemetry(
            self.metrics,
            statistics,
            time.monotonic,
            session_id="" if session_id is UNSET else session_id,
            dialect=client.request.dialect,
            client=client.address,
        )

    async def _run(
        self,
        transport: ServerTransport,
        connection: Connection[Received, Result, Sent, Effect],
        runner: EffectRunner[Effect],
        telemetry: SessionTelemetry,
    ) -> None:
        try:
            with telemetry:
                telemetry.close_code = await connection.run(transport, runner)
        except Exception:
            logger.exception("a session ended by a fault of ours")
            await transport.close(INTERNAL_ERROR, FAULT_REASON)


class _NullReceiver:
    """Receiver of a client whose session could not be opened."""

    def on_frame(self, frame: bytes) -> None:
        """Ignore a frame."""

    def on_binary_frame(self, size_bytes: int) -> None:
        """Ignore a frame."""

    def on_close(self, error: ConnectionLost | None) -> None:
        """Ignore the end."""

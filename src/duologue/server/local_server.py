"""`LocalServer`: the server inside your own process, for tests, notebooks and offline use."""

from __future__ import annotations

from collections import deque
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal, Self

from duologue.errors import Closed, ConfigurationError
from duologue.server.app import create_app
from duologue.server.auth import require_key
from duologue.server.engine.uris import StageChoices, open_engine
from duologue.server.event_store import EventStore
from duologue.server.fault_injection import FaultRegistry
from duologue.server.limits import Limits
from duologue.server.listening import Listener
from duologue.server.memory_listener import MemoryListener
from duologue.server.session.config import SessionType
from duologue.server.session_host import SessionHost
from duologue.server.session_record import SessionRecord
from duologue.server.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue.protocol.codec import Dialect
    from duologue.server.connection import Observer
    from duologue.server.engine.uris import (
        BrainChoice,
        SynthesizerChoice,
        TranscriberChoice,
        TurnDetectorChoice,
        VadChoice,
    )
    from duologue.server.fault_injection import FaultInjector, Sessions
    from duologue.server.faults import Fault
    from duologue.server.tls import Certificate
    from duologue.transport.base import Receiver, Transport

__all__ = ["LocalServer"]

MAX_SESSIONS: Final = 1000
"""Records of sessions that are kept."""

_NOT_RUNNING: Final = "the server is not running: use `async with LocalServer() as server`"


class LocalServer:
    """Serves the Realtime protocol in this process while its context lasts.

    Any number of servers may run side by side:

        async with LocalServer() as server:
            async with RealtimeClient(server.url) as client: ...

    Without a network, which is faster and needs no port:

        async with LocalServer(transport="memory") as server:
            async with RealtimeClient(connector=server.connector) as client: ...
    """

    def __init__(  # noqa: PLR0913  # one argument per choice
        self,
        brain: BrainChoice = "scripted:",
        *,
        stt: TranscriberChoice = None,
        tts: SynthesizerChoice = None,
        vad: VadChoice = None,
        turn: TurnDetectorChoice = None,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        limits: Limits | None = None,
        tls: Certificate | Literal["self-signed"] | None = None,
        transport: Literal["websocket", "memory"] = "websocket",
        dialect: Dialect | None = None,
        refuses_beta: bool = False,
        strict: bool = False,
        faults: Iterable[Fault] = (),
        seed: int = 0,
        record_audio: bool = False,
    ) -> None:
        """Choose the stages of the engine (see `open_engine`), and how to serve.

        Args:
            brain: A URI (`scripted:`, `scripted:support.toml`, `local:`), your own brain for all
                sessions, a class that is instantiated for each, or a function that responds.
            stt: Speech to text; by default the one that belongs to the brain. So are the others.
            tts: Text to speech.
            vad: Voice activity detection.
            turn: Turn detection by words, for `semantic_vad`.
            host: Address to listen on.
            port: Port to listen on; 0 for any free one.
            api_key: Key that clients must send; with `None`, only this machine may connect.
            limits: Bounds of the server.
            tls: Serve over TLS, with your own certificate or one that is made for this server
                alone; see `ca_file`.
            transport: `memory` listens on no port: clients connect with `connector`. Then `host`,
                `port`, `api_key` and `tls` do not apply.
            dialect: Dialect of all connections; `None`: the one that each client asks for, which
                in memory is GA.
            refuses_beta: Close connections of beta clients with 4000, as OpenAI does.
            strict: Refuse mistakes of published clients as OpenAI does, instead of logging them.
            faults: Faults to inject; see `duologue.server.faults`.
            seed: Seed of the dice of faults with a `chance` or `jitter`.
            record_audio: Keep 7 minutes of audio in the events of `sessions` instead of 14 seconds.
                `SessionRecord.audio_bytes` returns the length of the audio in any case.
        """
        self.sessions: Final[deque[SessionRecord]] = deque(maxlen=MAX_SESSIONS)
        """The sessions so far, in the order in which they were opened; the last thousand."""
        self._stages: StageChoices = {
            "brain": brain,
            "stt": stt,
            "tts": tts,
            "vad": vad,
            "turn": turn,
        }
        self._host: Final = host
        self._port: Final = port
        self._api_key: Final = api_key
        self._limits: Final = limits
        self._tls: Final[Certificate | Literal["self-signed"] | None] = tls
        self.transport: Final[Literal["websocket", "memory"]] = transport
        """How clients connect: at `url`, or with `connector`."""
        self._dialect: Final[Dialect | None] = dialect
        self._refuses_beta: Final = refuses_beta
        self._strict: Final = strict
        self._faults: Final = FaultRegistry(faults, seed=seed)
        self._listener: Listener | None = None
        self._memory: MemoryListener | None = None
        self._store: Final = EventStore(all_audio=record_audio)
        self._exit = AsyncExitStack()

    @property
    def url(self) -> str:
        """URL that clients connect to: `ws://127.0.0.1:41234/v1/realtime`, or `wss:` with TLS.

        Raises:
            Closed: If the server is not running.
            ConfigurationError: If it serves in memory.
        """
        if self.transport == "memory":
            fix = "pass `connector=server.connector` to the client instead"
            raise ConfigurationError(f"a server in memory has no URL; {fix}")
        if self._listener is None:
            raise Closed(_NOT_RUNNING)
        return self._listener.url

    async def connector(
        self,
        receiver: Receiver,
        *,
        session: Literal["realtime", "transcription", "translation"] = "realtime",
        model: str | None = None,
    ) -> Transport:
        """Connect to a server in memory: `RealtimeClient(connector=server.connector)`.

        Args:
            receiver: Gets the frames; the client passes itself.
            session: Type of the session. To choose another than the default, use
                `functools.partial(server.connector, session="transcription")`.
            model: Model that the client names.

        Raises:
            Closed: If the server is not running.
            ConfigurationError: If it serves WebSockets.
            HandshakeRefused: If the server is full, or a fault refuses the client.
        """
        if self.transport != "memory":
            fix = "choose LocalServer(transport='memory')"
            raise ConfigurationError(f"this server serves WebSockets at its URL; {fix}")
        if self._memory is None:
            raise Closed(_NOT_RUNNING)
        return await self._memory.connect(receiver, SessionType(session), model)

    @property
    def ca_file(self) -> Path | None:
        """Root certificate (PEM) for `ssl.create_default_context(cafile=...)` of clients.

        `None` without TLS, and with a certificate that clients trust already.
        """
        certificate = None if self._listener is None else self._listener.certificate
        return None if certificate is None else certificate.ca_file

    def fail(self, *faults: Fault, sessions: Sessions = "all") -> None:
        """Add faults.

        Args:
            faults: Faults to inject; in open sessions their `after` counts from now.
            sessions: `all`, including those that are open, or only the `next` connection.
        """
        self._faults.fail(faults, sessions=sessions)

    async def __aenter__(self) -> Self:
        """Load the engine, and serve.

        Raises:
            ConfigurationError: If the port is not available, packages or models are missing, or
                others can reach the host and there is no key.
        """
        async with AsyncExitStack() as exit_:
            if self.transport == "memory":
                await self._serve_in_memory(exit_)
            else:
                await self._serve_websockets(exit_)
            self._exit = exit_.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener = self._memory = None
        await self._exit.aclose()

    async def _serve_in_memory(self, exit_: AsyncExitStack) -> None:
        engine = await open_engine(**self._stages)
        exit_.push_async_callback(engine.close)
        host = SessionHost(
            engine,
            limits=self._limits or Limits(),
            faults=self._faults,
            strict=self._strict,
            open_observer=self._open_record,
        )
        memory = MemoryListener(
            host, dialect=self._dialect or "ga", refuses_beta=self._refuses_beta
        )
        await exit_.enter_async_context(memory.serving())
        self._memory = memory

    async def _serve_websockets(self, exit_: AsyncExitStack) -> None:
        require_key(self._host, self._api_key)
        certificate = self._tls
        if certificate == "self-signed":
            folder = exit_.enter_context(TemporaryDirectory(prefix="duologue-tls-"))
            certificate = self_signed(self._host, Path(folder))
        listener = Listener(host=self._host, port=self._port, certificate=certificate)
        exit_.callback(listener.close)
        engine = await open_engine(**self._stages)
        exit_.push_async_callback(engine.close)
        app = create_app(
            engine,
            api_key=self._api_key,
            limits=self._limits,
            dialect=self._dialect,
            refuses_beta=self._refuses_beta,
            strict=self._strict,
            faults=self._faults,
            open_observer=self._open_record,
        )
        await exit_.enter_async_context(listener.serving(app))
        self._listener = listener

    def _open_record(self, faults: FaultInjector) -> Observer:
        record = SessionRecord(faults, self._store)
        self.sessions.append(record)
        return record.observe

"""The server inside your own process: for tests, notebooks and applications without a key."""

from __future__ import annotations

from collections import deque
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, Literal, Self

from duologue.errors import Closed
from duologue.server.app import create_app
from duologue.server.door import demand_key
from duologue.server.engine.uris import StageChoices, open_engine
from duologue.server.injection import Faults
from duologue.server.listening import Listener
from duologue.server.observed import ObservedSession
from duologue.server.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue.protocol.codec import Dialect
    from duologue.server.connection import Observer
    from duologue.server.disturbance import Disturbance
    from duologue.server.engine.uris import (
        BrainChoice,
        SynthesizerChoice,
        TranscriberChoice,
        TurnDetectorChoice,
        VadChoice,
    )
    from duologue.server.faults import Fault
    from duologue.server.injection import Sessions
    from duologue.server.limits import Limits
    from duologue.server.tls import Certificate

__all__ = ["LocalServer"]

MAX_SESSIONS: Final = 1000


class LocalServer:
    """Serves the Realtime protocol on a free port of this machine while its context lasts.

    Any number may run side by side in one process:

        async with LocalServer() as server:
            async with RealtimeClient(server.url) as client: ...
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
        dialect: Dialect | None = None,
        refuses_beta: bool = False,
        strict: bool = False,
        faults: Iterable[Fault] = (),
        seed: int = 0,
    ) -> None:
        """Choose who hears, thinks and speaks: see `open_engine`.

        Args:
            brain: A URI (`scripted:`, `scripted:support.toml`, `local:`), a brain of your own for
                all sessions, a class of which each gets its own, or a function that answers.
            stt: Speech to text; goes with the brain unless it is given. So do the others.
            tts: Text to speech.
            vad: Voice activity detection.
            turn: Who judges under `semantic_vad` whether a turn is over.
            host: The address to listen on.
            port: 0 for any free one.
            api_key: What clients must show; `None` lets everybody on this machine in.
            limits: What clients may ask for.
            tls: Speak TLS, with a certificate of yours or one that is made for this server alone;
                see `ca_file`.
            dialect: Spoken with every client; `None`: with each the one that it asks for.
            refuses_beta: Close on clients that speak beta with 4000, as OpenAI does.
            strict: Refuse what OpenAI refuses although real clients send it; else it is logged.
            faults: What goes wrong, and when; see `duologue.server.faults`.
            seed: Of the dice that faults with a `chance` or `jitter` throw.
        """
        self.sessions: deque[ObservedSession] = deque(maxlen=MAX_SESSIONS)
        """The sessions so far, in the order in which they were opened; the last thousand."""
        self._stages: StageChoices = {
            "brain": brain,
            "stt": stt,
            "tts": tts,
            "vad": vad,
            "turn": turn,
        }
        self._host = host
        self._port = port
        self._api_key = api_key
        self._limits = limits
        self._tls: Certificate | Literal["self-signed"] | None = tls
        self._dialect: Dialect | None = dialect
        self._refuses_beta = refuses_beta
        self._strict = strict
        self._faults = Faults(faults, seed=seed)
        self._listener: Listener | None = None
        self._exit = AsyncExitStack()

    @property
    def url(self) -> str:
        """Where clients connect: `ws://127.0.0.1:41234/v1/realtime`, or `wss:` with TLS."""
        if self._listener is None:
            raise Closed("the server is not running: use `async with LocalServer() as server`")
        return self._listener.url

    @property
    def ca_file(self) -> Path | None:
        """What clients must trust (PEM), for `ssl.create_default_context(cafile=...)`.

        `None` without TLS, and with a certificate that clients trust already.
        """
        certificate = None if self._listener is None else self._listener.certificate
        return None if certificate is None else certificate.ca_file

    def fail(self, *faults: Fault, sessions: Sessions = "all") -> None:
        """Let things go wrong from now on.

        Args:
            faults: What, and when; their `after` counts from now in sessions that are open.
            sessions: `all`, those that are open included, or only the `next` connection.
        """
        self._faults.fail(faults, sessions=sessions)

    async def __aenter__(self) -> Self:
        """Load the engine and listen.

        Raises:
            ConfigurationError: If the port cannot be had, packages or models are missing, or others
                can reach the host and no key was chosen.
        """
        demand_key(self._host, self._api_key)
        async with AsyncExitStack() as exit_:
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
                open_observer=self._open_session,
            )
            await exit_.enter_async_context(listener.serving(app))
            self._listener = listener
            self._exit = exit_.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener = None
        await self._exit.aclose()

    def _open_session(self, disturbance: Disturbance) -> Observer:
        session = ObservedSession(disturbance)
        self.sessions.append(session)
        return session.observe

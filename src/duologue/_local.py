"""`duologue.local`: a client connected to a server in the same process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Unpack

from duologue.client.client import RealtimeClient
from duologue.client.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from duologue.client.endpoint import SessionKind
    from duologue.client.session_keywords import SessionKeywords
    from duologue.protocol.codec import Dialect
    from duologue.server.engine.uris import (
        BrainChoice,
        SynthesizerChoice,
        TranscriberChoice,
        TurnDetectorChoice,
        VadChoice,
    )
    from duologue.server.faults import Fault

__all__ = ["local"]


@contextlib.asynccontextmanager
async def local(  # noqa: PLR0913  # one argument per choice, all with a default
    brain: BrainChoice = "scripted:",
    *,
    stt: TranscriberChoice = None,
    tts: SynthesizerChoice = None,
    vad: VadChoice = None,
    turn: TurnDetectorChoice = None,
    faults: Iterable[Fault] = (),
    seed: int = 0,
    kind: SessionKind = "conversation",
    dialect: Dialect = "ga",
    **keywords: Unpack[SessionKeywords],
) -> AsyncGenerator[RealtimeClient]:
    """Start a server in this process, and yield a client that is connected to it.

        async with duologue.local("local:") as client:
            response = await client.send_user_message_content("Hello")

    This needs no key, no network and no money: by default the server answers from a script. To
    connect more than one client, or to look at the server's side, use
    `duologue.server.LocalServer`.

    Args:
        brain: Source of the answers: `scripted:`, `scripted:support.toml`, `local:`, the URL of an
            endpoint, or a function. See `LocalServer`, also for the next six arguments.
        stt: Speech to text.
        tts: Text to speech.
        vad: Voice activity detection.
        turn: Detector of the end of a turn.
        faults: Faults to inject.
        seed: Seed of the faults' random choices.
        kind: Kind of session; see `Endpoint`.
        dialect: Dialect of the session.
        keywords: Configuration of the session; see `RealtimeClient`.

    Raises:
        MissingExtra: If the server's packages are not installed.
        ConfigurationError: If `LocalServer` or `RealtimeClient` refuses an argument.
    """
    from duologue.server import LocalServer  # noqa: PLC0415  # an extra

    async with LocalServer(
        brain, stt=stt, tts=tts, vad=vad, turn=turn, faults=faults, seed=seed
    ) as server:
        endpoint = Endpoint(server.url, kind=kind, dialect=dialect)
        async with RealtimeClient(endpoint=endpoint, **keywords) as client:
            yield client

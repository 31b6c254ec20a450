"""`duologue.local`: a client and the server it talks to, both inside this process."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Unpack

from duologue.client.client import RealtimeClient
from duologue.client.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from duologue.client.config import SessionKeywords
    from duologue.client.endpoint import Kind
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
    kind: Kind = "conversation",
    dialect: Dialect = "ga",
    **keywords: Unpack[SessionKeywords],
) -> AsyncGenerator[RealtimeClient]:
    """Start a server in this process, and give a client that is connected to it.

        async with duologue.local("local:") as client:
            response = await client.send_user_message_content("Hello")

    No key, no network, no bill: the defaults answer from a script. For more than one client, or to
    look at the server's side, use `duologue.server.LocalServer`.

    Args:
        brain: Who answers: `scripted:`, `scripted:support.toml`, `local:`, an endpoint's URL, or a
            function; see `LocalServer`, also for the next six.
        stt: Speech to text.
        tts: Text to speech.
        vad: Voice activity detection.
        turn: Who judges whether a turn is over.
        faults: What goes wrong.
        seed: Of the faults' dice.
        kind: A conversation, or a transcription alone.
        dialect: What the two speak.
        keywords: What the session is told; see `RealtimeClient`.

    Raises:
        MissingExtra: If the server's packages are not installed.
        ConfigurationError: As `LocalServer` and `RealtimeClient`.
    """
    from duologue.server import LocalServer  # noqa: PLC0415  # an extra

    async with LocalServer(
        brain, stt=stt, tts=tts, vad=vad, turn=turn, faults=faults, seed=seed
    ) as server:
        endpoint = Endpoint(server.url, kind=kind, dialect=dialect)
        async with RealtimeClient(endpoint=endpoint, **keywords) as client:
            yield client

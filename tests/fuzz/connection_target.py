"""Frames of any kind and size against a whole server in memory, which must stay as it was."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final

from pybase64 import b64encode
from tests.fuzz.mutation import Mutator
from tests.fuzz.virtual_time import VirtualTimeLoop

from duologue.server import LocalServer
from duologue.server.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from duologue.errors import ConnectionLost
    from duologue.protocol.codec import Dialect

__all__ = ["connection_sequence"]

MAX_EVENTS: Final = 30
PATIENCE: Final = 300.0
"""Virtual seconds for the last answer: a flood is read at the server's speed."""

LARGE: Final[list[Callable[[], bytes]]] = [
    lambda: b"[" * 100_000,
    lambda: b'{"type":"session.update","session":' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    lambda: b'{"type":"response.create","x":[' + b"0," * 60_000 + b"0]}",
    lambda: b'{"type":"response.create","x":[' + b"{}," * 400_000 + b"0]}",
    lambda: b'{"type":"conversation.item.create","item":"' + b"\\n" * (1 << 20) + b'"}',
    lambda: b'{"type":"conversation.item.create","item":"' + b"x" * (9 << 20) + b'"}',
    lambda: b'{"type":"input_audio_buffer.append","audio":"' + b64encode(bytes(1 << 20)) + b'"}',
    lambda: b'{"type":"input_audio_buffer.append","audio":"' + b"#" * (2 << 20) + b'"}',
    lambda: b'{"type":"' + b"y" * (2 << 20) + b'"}',
]
"""Frames at which a server works long, unless it refuses them first."""


class _Client:
    """Receives what the server sends."""

    def __init__(self, ids: list[str]) -> None:
        self.frames = 0
        self.errors: list[str | None] = []
        self.closed: ConnectionLost | None = None
        self.answered: Final = asyncio.Event()
        self._ids = ids

    def on_frame(self, frame: bytes) -> None:
        event = json.loads(frame)
        self.frames += 1
        self._ids += [event[key] for key in ("item_id", "response_id") if event.get(key)]
        if event["type"] == "error" and event["error"]["event_id"] == "the last":
            self.answered.set()

    def on_close(self, error: ConnectionLost | None) -> None:
        self.closed = error
        self.answered.set()


class _Complaints(logging.Handler):
    """Keeps what the server reports as a fault of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


def connection_sequence(random: Random) -> None:
    """Send frames to a server, which must answer the last one, and leave nothing behind."""
    complaints, logger = _Complaints(), logging.getLogger("duologue.server")
    logger.addHandler(complaints)
    try:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            loop = runner.get_loop()
            loop.set_exception_handler(lambda _, context: complaints.found.append(repr(context)))
            runner.run(_play(random))
    finally:
        logger.removeHandler(complaints)
    assert complaints.found == []


async def _play(random: Random) -> None:
    dialect: Dialect = random.choice(("ga", "ga", "beta"))
    surface: Any = random.choice(("realtime",) * 6 + ("transcription", "translation"))
    if surface == "translation":
        dialect = "ga"
    examples = "realtime" if surface == "transcription" else surface
    mutator = Mutator(random, dialect, "client", examples, chance=random.choice((0.1, 0.9)))
    async with LocalServer(transport="memory", dialect=dialect, limits=Limits()) as server:
        client = _Client(mutator.ids)
        transport = await server.connector(client, session=surface)
        for _ in range(random.randrange(1, MAX_EVENTS)):
            if client.closed is not None:
                break
            is_large = random.random() < 0.02
            frame = random.choice(LARGE)() if is_large else mutator.with_known_ids()
            transport.send(frame)
            await asyncio.sleep(random.choice((0, 0, 0, 0.02, 1.0)))
        if client.closed is None:
            transport.send(b'{"type":"of.no.dialect","event_id":"the last"}')
            async with asyncio.timeout(PATIENCE):
                await client.answered.wait()
        if client.closed is not None:  # as the client asked
            assert (client.closed.code, surface) == (1000, "translation"), client.closed
        await transport.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert not others, others

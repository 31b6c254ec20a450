"""How clients survive the loss of a connection: `python -m bench.survival_peers CLIENT=PYTHON …`.

Each client runs in a process of its own, with the given Python. The server judges: the last session
must hold the conversation, the user's words once, and the reply.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.survival.faults import FAULTS
from tests.survival.stage import REPLY, SILENCE, SPEECH, WORDS, Ears, Line, Stage, held_in

from duologue.server import LocalServer
from duologue.server.faults import RefuseHandshake
from duologue.testing import ChaosProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PEER: Final = Path(__file__).with_name("survival_peer.py")
SECONDS: Final = 15.0
"""Time for a client to recover."""

CHUNK_MS: Final = 50
HISTORY: Final[list[Line]] = [("user", "Greet me."), ("assistant", "Hello to you.")]
CHOSEN: Final = ("reset", "cap 1001", "close 1011", "close 1012", "503")


@dataclass
class Peer:
    """The process of a client."""

    process: asyncio.subprocess.Process

    def say(self, text: str) -> None:
        self._order(say=text)

    async def speak(self, pcm: bytes) -> None:
        """Speak as fast as a person does."""
        size = 48 * CHUNK_MS
        for start in range(0, len(pcm), size):
            self._order(speak=base64.b64encode(pcm[start : start + size]).decode())
            await asyncio.sleep(CHUNK_MS / 1000)

    def _order(self, **order: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order).encode() + b"\n")


@asynccontextmanager
async def peer(client: str, python: str, url: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        python,
        str(PEER),
        client,
        url,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        while await asyncio.wait_for(process.stdout.readline(), 60) not in {b"ready\n", b""}:
            pass
        yield Peer(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def recovers(client: str, python: str, fault_name: str, scene: str) -> float | None:
    """Return the seconds from the fault until the server has all that it must have."""
    fault = FAULTS[fault_name]
    script = Stage("ga", {})
    async with (
        LocalServer(script.respond, stt=Ears()) as server,  # type: ignore[arg-type]
        ChaosProxy(server.url) as proxy,
        peer(client, python, proxy.url) as user,
    ):
        script.proxy = proxy
        user.say("Greet me.")
        assert await until(
            lambda: bool(server.sessions) and held_in(server.sessions[-1]) == HISTORY
        )
        record = server.sessions[-1]
        script.hold_after = 3
        expected = list(HISTORY)
        rest = b""
        if scene == "text":
            expected += [("user", "Count."), ("assistant", REPLY.strip())]
            user.say("Count.")
            await record.wait_for("response.output_text.delta", nth=4, timeout=SECONDS)
        elif scene == "user speaking":
            expected += [("user", " ".join(WORDS)), ("assistant", REPLY.strip())]
            half = len(SPEECH) // 2
            rest = SPEECH[half:] + SILENCE * 2
            await user.speak(SPEECH[:half])
            await record.wait_for("input_audio_buffer.speech_started", timeout=SECONDS)
        if fault.refusal is not None:
            server.fail(RefuseHandshake(503, connection=2))
        began = time.monotonic()
        script.lost.set()
        if fault.act is None:
            fault.hit(script)
        else:
            record.fail(fault.act)
        await user.speak(rest)
        spoken = time.monotonic()

        def is_complete() -> bool:
            last = server.sessions[-1]
            return last is not record and held_in(last) == expected

        if not await until(is_complete):
            return None
        return time.monotonic() - (spoken if rest else began)


async def until(condition: Any) -> bool:
    """Wait for a condition; return whether it has come true in time."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


async def main() -> None:
    logging.getLogger("duologue").setLevel(logging.CRITICAL)
    scenes = ("idle", "text", "user speaking")
    print(f"| client | scene | {' | '.join(CHOSEN)} |")
    for argument in sys.argv[1:]:
        client, _, python = argument.partition("=")
        for scene in scenes:
            runs = (recovers(client, python, fault, scene) for fault in CHOSEN)
            cells = await asyncio.gather(*runs)
            shown = ["✗" if cell is None else f"{cell * 1000:.0f}" for cell in cells]
            print(f"| {client} | {scene} | {' | '.join(shown)} |", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

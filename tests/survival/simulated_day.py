"""A day of conversation over a network that fails every few seconds, in virtual time.

`python -m tests.survival.simulated_day` plays 24 hours with 10,000 faults, and prints its seed and
what it found. The client and the server are whole; only the network between them, in memory, and
the clock are simulated.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import random
import time
from array import array
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tests.fuzz.virtual_time import VirtualTimeLoop

from duologue import (
    ConnectionLost,
    Disconnected,
    DuologueError,
    HandshakeRefused,
    ItemCompleted,
    RealtimeClient,
    Reconnected,
    ReconnectPolicy,
    Retention,
)
from duologue.protocol.formats import PCM16
from duologue.server import LocalServer
from duologue.server.engine.stages import BrainRequest, Call
from duologue.transport.delivery import closed_by_peer, connection_cut, no_sign_of_life

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from duologue import FormattedItem
    from duologue.protocol.codec import Dialect
    from duologue.transport.base import Connector, Receiver, Transport

__all__ = ["Day", "show", "simulate", "talking_server"]

PATIENCE: Final = 180.0
"""Virtual seconds in which a turn must be answered, whatever the network does."""

MAX_CUTS: Final = 3
"""Sessions lost during a response after which it is not requested any more."""

KEEPALIVE_SECONDS: Final = 4.5
"""Seconds after which a transport over a real socket notices that its peer has vanished."""

CHUNK_MS: Final = 100
FIRST_CODE: Final = 1000
"""The speech of turn n consists of samples of this value plus n: what was heard can be counted."""

Frames: TypeAlias = "deque[tuple[Callable[[bytes], None], bytes]]"


class Vad:
    """Takes any sound for speech."""

    def score(self, frame: bytes) -> float:
        return 1.0 if any(frame) else 0.0


class Ears:
    """Transcriber that says how many samples of which turns it heard."""

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        del language, prompt
        await asyncio.sleep(0.1)
        counts = Counter(array("h", pcm))
        heard = sorted(code for code in counts if code)
        yield " ".join(f"turn {code - FIRST_CODE}: {counts[code]}." for code in heard)


class Tongue:
    """Synthesizer of 100 ms of sound for each clause."""

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        del text, voice, speed
        yield bytes(PCM16.bytes(100))


async def think(request: BrainRequest) -> AsyncIterator[str | Call]:
    """Answer with the number of the turn, or call the tool first."""
    await asyncio.sleep(0.2)
    number = request.heard.partition("turn ")[2].partition(":")[0].partition(" ")[0] or "?"
    if "note" in request.heard and request.output is None:
        yield Call("note", json.dumps({"turn": number}))
        return
    yield f"Answer {number}. "
    for word in ("And", "so", "on,", "to", "the", "end."):
        await asyncio.sleep(0.2)
        yield f"{word} "


def talking_server(**options: Any) -> LocalServer:
    """Return a server that hears, thinks and speaks as above."""
    brain: Any = think
    return LocalServer(brain, stt=Ears(), tts=Tongue(), vad=Vad, **options)


class Line:
    """One connection, as the network lets it be; a transport and its receiver in one."""

    def __init__(self, receiver: Receiver, loop: asyncio.AbstractEventLoop) -> None:
        self._receiver = receiver
        self._loop = loop
        self._transport: Any = None
        self._held: Frames = deque()
        self._is_held = self._is_dead = False
        self._silent_since = 0.0
        self._losing: asyncio.TimerHandle | None = None
        self._cuts_in_frame = False
        self.is_over = False

    async def open(self, connector: Any) -> Line:
        self._transport = await connector(self)
        return self

    # The receiver of the real transport.

    def on_frame(self, frame: bytes) -> None:
        if self._cuts_in_frame:
            self.lose(connection_cut())
        else:
            self._pass(self._receiver.on_frame, frame)

    def on_close(self, error: ConnectionLost | None) -> None:
        self._end(error)

    # The transport of the client.

    def send(self, frame: bytes) -> None:
        if self.is_over:
            raise connection_cut()
        self._pass(self._transport.send, frame)

    async def drain(self) -> None:
        if self.is_over:
            raise connection_cut()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._transport.close(code, reason)
        self._end(None)

    def cut(self) -> None:
        self.lose(connection_cut())

    # The network.

    def lose(self, error: ConnectionLost) -> None:
        """End the connection at both sides; frames on their way are lost."""
        self._transport.cut()
        self._end(error)

    def cut_in_frame(self) -> None:
        """Let the next frame of the server be the one in which the connection ends."""
        self._cuts_in_frame = True

    def vanish(self) -> None:
        """Lose everything silently from now on, until the pings are missed."""
        self._hold()
        self._is_dead = True
        lost = no_sign_of_life(KEEPALIVE_SECONDS)
        self._losing = self._loop.call_at(self._silent_since + KEEPALIVE_SECONDS, self.lose, lost)

    def stall(self, seconds: float) -> None:
        """Hold everything for a time, after which it arrives, or the pings are missed."""
        self._hold()
        if self._loop.time() + seconds < self._silent_since + KEEPALIVE_SECONDS:
            self._loop.call_later(seconds, self._release)
        else:
            self.vanish()

    def _hold(self) -> None:
        if not self._is_held:
            self._is_held, self._silent_since = True, self._loop.time()

    def _release(self) -> None:
        if self._is_dead:
            return
        self._is_held = False
        while self._held and not self.is_over and not self._is_held:
            deliver, frame = self._held.popleft()
            deliver(frame)

    def _pass(self, deliver: Callable[[bytes], None], frame: bytes) -> None:
        if self._is_dead or self.is_over:
            return
        if self._is_held:
            self._held.append((deliver, frame))
        else:
            deliver(frame)

    def _end(self, error: ConnectionLost | None) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._held.clear()
        if self._losing is not None:
            self._losing.cancel()
        self._loop.call_soon(self._receiver.on_close, error)


@dataclass
class Day:
    """What happens in a day, and what is found out.

    Args:
        seed: Decides everything.
        hours: Length in virtual hours.
        faults: Number of faults.
        dialect: Dialect on the wire.
    """

    seed: int
    hours: float
    faults: int
    dialect: Dialect = "ga"
    kinds: Counter[str] = field(default_factory=Counter[str])
    turns: Counter[str] = field(default_factory=Counter[str])
    handles: Counter[str] = field(default_factory=Counter[str])
    """How the handles of the application ended."""
    reconnections: int = 0
    replacements: int = 0
    violations: list[str] = field(default_factory=list[str])
    lost_audio_ms: float = 0.0
    repeated_answers: int = 0
    memory_mb: list[float] = field(default_factory=list[float])
    """At the beginning, and after each twelfth."""

    async def play(self) -> None:
        self._random = Random(f"day {self.seed}")
        self._loop = asyncio.get_running_loop()
        self._line: Line | None = None
        self._refusals = 0
        self._losses = 0
        self._cut_opening = 0
        self._tool_runs: Counter[str] = Counter()
        self._finished: dict[str, str] = {}
        self._answers: Counter[str] = Counter()
        self._changed = asyncio.Event()
        policy = ReconnectPolicy(
            history_bytes=4000, session_seconds=60, rollover_seconds=45, budget=120
        )
        async with (
            self._network() as connector,
            RealtimeClient(
                connector=connector,
                dialect=self.dialect,
                reconnect=policy,
                retention=Retention(audio_minutes=0.5, items=2000),
                session={"audio": {"input": {"transcription": {"model": "whisper-1"}}}},
            ) as client,
        ):
            self._client = client
            client.on(ItemCompleted, self._on_completed)
            client.on(Disconnected, self._on_disconnected)
            client.on(Reconnected, self._on_reconnected)
            client.add_tool({"name": "note", "parameters": {"type": "object"}}, self._note)
            nature = asyncio.create_task(self._let_network_fail())
            await self._talk()
            nature.cancel()
            self._check_mirror()

    # The network.

    @contextlib.asynccontextmanager
    async def _network(self) -> AsyncGenerator[Connector]:
        """Serve, and yield what connects to the server."""
        async with talking_server(transport="memory", dialect=self.dialect) as server:
            self._server = server
            yield self._connect

    async def _connect(self, receiver: Receiver) -> Transport:
        await asyncio.sleep(self._random.choice((0.01, 0.05, 0.3)))
        if self._refusals > 0:
            self._refusals -= 1
            raise self._random.choice(
                (
                    HandshakeRefused(429, retry_after=1),
                    HandshakeRefused(503),
                    ConnectionLost("cannot reach the server"),
                )
            )
        line = await Line(receiver, self._loop).open(self._server.connector)
        if self._cut_opening:
            self._loop.call_later(self._cut_opening / 1000, line.lose, connection_cut())
            self._cut_opening = 0
        self._line = line
        return line

    async def _let_network_fail(self) -> None:
        mean = self.hours * 3600 / max(1, self.faults)
        for _ in range(self.faults):
            await asyncio.sleep(self._random.expovariate(1 / mean))
            kind = self._random.choice(FAULTS)
            self.kinds[kind] += 1
            if kind == "restart":
                if self._client.is_connected:
                    self._restarting = self._loop.create_task(self._restart())
                continue
            self._strike(kind)

    def _strike(self, kind: str) -> None:
        """Let a fault happen."""
        if kind == "refuse":
            self._refusals = self._random.choice((1, 2, 3))
        elif kind == "cut while resuming":
            self._cut_opening = self._random.choice((1, 5, 20))
        line = self._line
        if line is None or line.is_over:
            return
        match kind:
            case "vanish":
                line.vanish()
            case "stall":
                line.stall(self._random.choice((0.5, 2.0, 4.0, 10.0)))
            case "cut in a frame":
                line.cut_in_frame()
            case "1001" | "1011" | "1012":
                line.lose(closed_by_peer(int(kind), "fault"))
            case _:
                line.lose(connection_cut())

    async def _restart(self) -> None:
        with contextlib.suppress(DuologueError, TimeoutError):
            await self._client.restart()  # or the old session goes on, or is lost and followed

    # The application.

    async def _talk(self) -> None:
        began, number = self._loop.time(), 0
        seconds, next_check = self.hours * 3600, 0.0
        while (passed := self._loop.time() - began) < seconds:
            if passed >= next_check:
                next_check += seconds / 12
                self._check_mirror()
                gc.collect()
                self.memory_mb.append(memory_mb())
            number += 1
            kind = self._random.choice(("typed", "spoken", "spoken", "tool", "aside"))
            self.turns[kind] += 1
            await self._take_turn(kind, str(number))
            await asyncio.sleep(self._random.uniform(0.2, 16.0))

    async def _take_turn(self, kind: str, number: str) -> None:
        name, losses = f"{kind} turn {number} of {self._loop.time():.1f}", self._losses
        try:
            async with asyncio.timeout(PATIENCE):
                await getattr(self, f"_{kind}")(number)
        except (DuologueError, TimeoutError) as error:
            if self._losses - losses > MAX_CUTS:
                self.turns["given up"] += 1
            else:
                self._fail(f"{name} was not answered: {error!r}")

    async def _typed(self, number: str) -> None:
        await self._asked(f"turn {number}", number)

    async def _tool(self, number: str) -> None:
        await self._asked(f"note turn {number}", number)
        if self._tool_runs[number] != 1:
            self._fail(f"the tool of turn {number} ran {self._tool_runs[number]} times")

    async def _asked(self, words: str, number: str) -> None:
        handle = self._client.send_user_message_content(words)
        try:
            await handle
        finally:
            self.handles[handle.state.name.lower()] += 1
            self._check_user(number, words)
        await self._answered(number)

    async def _spoken(self, number: str) -> None:
        speech_ms = self._random.choice((600, 1000, 2000))
        sound = array("h", [FIRST_CODE + int(number) % 30_000]) * (PCM16.bytes(CHUNK_MS) // 2)
        for _ in range(speech_ms // CHUNK_MS):
            self._client.append_input_audio(sound.tobytes())
            await asyncio.sleep(CHUNK_MS / 1000)
        listening = asyncio.create_task(self._answered(number))
        try:
            while not listening.done():  # a microphone goes on
                self._client.append_input_audio(bytes(PCM16.bytes(CHUNK_MS)))
                await asyncio.wait({listening}, timeout=CHUNK_MS / 1000)
        finally:
            listening.cancel()
        await self._transcribed(number, f"turn {number}: {PCM16.bytes(speech_ms) // 2}.")

    async def _aside(self, number: str) -> None:
        item = {"type": "message", "role": "user"}
        item |= {"content": [{"type": "input_text", "text": f"turn {number}"}]}
        handle = self._client.create_response(
            conversation="none", input=[item], metadata={"turn": number}
        )
        try:
            await handle
        finally:
            self.handles[handle.state.name.lower()] += 1
        if f"Answer {number}." not in handle.transcript:
            self._fail(f"the response beside turn {number} says {handle.transcript!r}")

    async def _note(self, arguments: dict[str, Any]) -> str:
        self._tool_runs[arguments["turn"]] += 1
        await asyncio.sleep(0.5)
        return "noted"

    async def _answered(self, number: str) -> None:
        while not self._answers[number]:
            self._changed.clear()
            await self._changed.wait()

    async def _transcribed(self, number: str, words: str) -> None:
        """Wait until the transcript is there, which may come after the answer."""
        for _ in range(100):
            if any(_words(item) == words for item in self._users()):
                break
            await asyncio.sleep(0.1)
        self._check_user(number, words)

    def _on_completed(self, update: ItemCompleted) -> None:
        item, words = update.item, _words(update.item)
        if item.role == "assistant":
            self._finished[item.id] = words
            number = words.partition("Answer ")[2].partition(".")[0]
            self.repeated_answers += self._answers[number] > 0
            self._answers[number] += 1
            self._changed.set()

    def _on_disconnected(self, _update: Disconnected) -> None:
        self._losses += 1

    def _on_reconnected(self, update: Reconnected) -> None:
        if update.error is None:
            self.replacements += 1
            self._losses += 1
        else:
            self.reconnections += 1
        self.lost_audio_ms += update.lost_audio_ms

    # What must hold.

    def _users(self) -> list[FormattedItem]:
        return [item for item in self._client.conversation.items[-12:] if item.role == "user"]

    def _check_user(self, number: str, words: str) -> None:
        about = [_words(item) for item in self._users() if f"turn {number}:" in f"{_words(item)}:"]
        if about != [words]:
            self._fail(f"of turn {number} the conversation has {about}, not {words!r}")

    def _check_mirror(self) -> None:
        """Check that every item that was finished since the last check is kept as it was."""
        for item_id, words in self._finished.items():
            kept = item_id in self._client.conversation
            if not kept or _words(self._client.conversation.item(item_id)) != words:
                self._fail(f"{item_id} is not what it was: {words!r}")
        self._finished.clear()
        self._answers.clear()
        self._tool_runs.clear()

    def _fail(self, text: str) -> None:
        self.violations.append(text)


FAULTS: Final = [
    "reset", "reset", "cut in a frame", "vanish", "stall", "1001", "1011", "1012", "refuse",
    "cut while resuming", "restart",
]  # fmt: skip


def _words(item: FormattedItem) -> str:
    return (item.formatted.text or item.formatted.transcript).strip()


def memory_mb() -> float:
    """Return the memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def simulate(day: Day) -> Day:
    """Play a day."""
    random.seed(day.seed)  # the jitter of the client's back-off
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        faults: list[str] = []
        loop = runner.get_loop()
        loop.set_exception_handler(lambda _, context: faults.append(repr(context)))
        runner.run(day.play())
    day.violations += faults
    return day


def show(day: Day, seconds: float) -> None:
    """Print what was found."""
    print(f"seed {day.seed}, {day.dialect}: {day.hours:g} hours in {seconds:.0f} s")
    print(f"{sum(day.kinds.values())} faults: {dict(day.kinds)}")
    print(f"{sum(day.turns.values())} turns: {dict(day.turns)}; handles: {dict(day.handles)}")
    print(f"{day.reconnections} reconnections, {day.replacements} replacements of sessions")
    print(f"{day.repeated_answers} answers given again, {day.lost_audio_ms:.0f} ms of audio lost")
    print(f"memory, MB: {[round(each) for each in day.memory_mb]}")
    print(f"{len(day.violations)} violations")
    for text in day.violations[:40]:
        print(" ", text)


def main() -> None:
    """Play a day, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--faults", type=int, default=10_000)
    parser.add_argument("--dialect", choices=("ga", "beta"), default="ga")
    logging.getLogger("duologue").setLevel(logging.CRITICAL)
    day, began = Day(**vars(parser.parse_args())), time.monotonic()
    simulate(day)
    show(day, time.monotonic() - began)


if __name__ == "__main__":
    main()

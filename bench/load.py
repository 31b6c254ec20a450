"""Many voice sessions from one process: real-time audio up, the answers' audio down, all checked.

`python -m bench.load URL SESSIONS SECONDS [--silent] [--echo]` prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import statistics
import time
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duologue.protocol import codec, ga
from duologue.transport.picows import connect_picows

if TYPE_CHECKING:
    from duologue.errors import ConnectionLost

CHUNK_MS = 20
SPEECH_CHUNKS = 100
"""Two seconds, which end on a boundary of the server's frames as well as of ours."""
CYCLE_CHUNKS = 400
SILENCE_RULE_CHUNKS = 200 // CHUNK_MS
SHIFTS = 10
"""The sessions send in ten groups, spread over each chunk."""

RATE_HZ = 24_000
LOUD = array(
    "h", (round(9000 * math.sin(n * 440 * math.tau / RATE_HZ)) for n in range(RATE_HZ // 50))
).tobytes()
FRAMES = {
    True: codec.append_frame(LOUD),
    False: codec.append_frame(bytes(len(LOUD))),
}

TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
"""Events of a turn, in order, without its deltas and rate limits."""

MS_PER_CHARACTER = 60


@dataclass
class Session:
    """One client: what it sent, and whether the right things came back."""

    is_silent: bool
    offset: int
    """Chunks after which it begins to talk: people do not speak in chorus."""
    talks: int
    """Number of its turns."""
    started: asyncio.Event = field(default_factory=asyncio.Event)
    chunks: int = 0
    rule_met: float = 0.0
    waits_ms: list[float] = field(default_factory=list)
    turn: list[str] = field(default_factory=list)
    turns: int = 0
    audio_ms: float = 0.0
    transcript: str = ""
    faults: list[str] = field(default_factory=list)
    is_ending: bool = False

    def on_frame(self, frame: bytes) -> None:
        event = codec.decode(frame)
        match event:
            case ga.SessionCreatedEvent():
                self.started.set()
                return
            case ga.ResponseAudioDeltaEvent():
                self.audio_ms += len(event.audio_data) / 48
                return
            case ga.ResponseAudioTranscriptDeltaEvent():
                self.transcript += event.delta
                return
            case ga.RateLimitsUpdatedEvent():
                return
            case ga.InputAudioBufferSpeechStoppedEvent():
                self.waits_ms.append((time.perf_counter() - self.rule_met) * 1000)
            case ga.RealtimeErrorEvent():
                self.faults.append(str(event.error))
            case _:
                pass
        self.turn.append(event.type)
        if isinstance(event, ga.ResponseDoneEvent):
            self._check()

    def _check(self) -> None:
        expected_ms = len(self.transcript) * MS_PER_CHARACTER
        if self.turn != TURN:
            self.faults.append(f"order: {self.turn}")
        if not self.transcript or round(self.audio_ms) != expected_ms:
            self.faults.append(f"audio: {self.audio_ms} ms for {self.transcript!r}")
        self.turns += 1
        self.turn.clear()
        self.audio_ms, self.transcript = 0.0, ""

    def on_close(self, error: ConnectionLost | None) -> None:
        if not self.is_ending:
            self.faults.append(f"closed: {error}")

    def next_frame(self) -> bytes:
        cycle, place = divmod(self.chunks - self.offset, CYCLE_CHUNKS)
        self.chunks += 1
        if place == SPEECH_CHUNKS + SILENCE_RULE_CHUNKS - 1:
            self.rule_met = time.perf_counter()
        talks = 0 <= cycle < self.talks and not self.is_silent
        return FRAMES[talks and place < SPEECH_CHUNKS]


@dataclass
class Echo(Session):
    """A client of the echo server."""

    def __post_init__(self) -> None:
        self.started.set()  # nobody greets it

    def on_frame(self, frame: bytes) -> None:
        pass


async def run(url: str, count: int, seconds: float, *, silent: bool, echo: bool) -> dict:
    talks = math.ceil(seconds * 1000 / CHUNK_MS / CYCLE_CHUNKS)
    kind = Echo if echo else Session
    offsets = [index * CYCLE_CHUNKS // count for index in range(count)]
    sessions = [kind(silent, offset, talks) for offset in offsets]
    links = [await connect_picows(url, session) for session in sessions]
    await asyncio.gather(*(session.started.wait() for session in sessions))
    gc.freeze()
    loop = asyncio.get_running_loop()
    ticks = (talks + 1) * CYCLE_CHUNKS  # so that every turn that began is over
    began = loop.time() + 0.1
    late = 0.0
    for tick in range(ticks):
        for shift in range(SHIFTS):
            due = began + (tick + shift / SHIFTS) * CHUNK_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))
            late = max(late, loop.time() - due)
            for index in range(shift, count, SHIFTS):
                links[index].send(sessions[index].next_frame())
    took = loop.time() - began
    for session in sessions:
        session.is_ending = True
    await asyncio.gather(*(link.close() for link in links))
    waits = sorted(wait for session in sessions for wait in session.waits_ms)
    turns = 0 if silent or echo else talks
    faults = [fault for session in sessions for fault in session.faults]
    faults += [
        f"{session.turns} of {turns} turns" for session in sessions if session.turns != turns
    ]
    return {
        "sessions": count,
        "seconds": round(took, 1),
        "turns": sum(session.turns for session in sessions),
        "faults": faults[:5],
        "fault_count": len(faults),
        "wait_p50_ms": statistics.median(waits) if waits else None,
        "wait_p99_ms": waits[int(len(waits) * 0.99)] if waits else None,
        "generator_late_ms": round(late * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("sessions", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--silent", action="store_true", help="nobody speaks")
    parser.add_argument("--echo", action="store_true", help="the server sends back what it gets")
    asked = parser.parse_args()
    coroutine = run(asked.url, asked.sessions, asked.seconds, silent=asked.silent, echo=asked.echo)
    print(json.dumps(asyncio.run(coroutine)))


if __name__ == "__main__":
    main()

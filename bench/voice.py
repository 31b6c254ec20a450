"""One voice conversation with devices at 48 kHz: the client's CPU, and the microphone's delay.

The devices are in memory, on threads in real time as those of sound cards. The microphone captures
speech, and the server sends 25 deltas of 40 ms a second.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from bench.plain_server import served
from bench.soak import pinned
from duologue import RealtimeClient
from duologue.audio.g711 import QUALITY, StreamResampler
from duologue.audio.wav import read_wav
from duologue.devices import (
    Microphone,
    RealTimeClock,
    Speaker,
    VirtualMicrophone,
    VirtualSpeaker,
    VoicePolicy,
    attach,
)

SECONDS, RATE_HZ = 10.0, 48_000
SPEECH = Path(__file__).parents[1] / "tests/data/audio/human_young_man.wav"


class TimedMicrophone(VirtualMicrophone):
    """Microphone that notes when it delivers a block."""

    delivered_at = 0.0

    def _tick(self) -> None:
        self.delivered_at = time.perf_counter()
        super()._tick()


async def measure(url: str, echo: Any) -> None:
    """Print the share of a core, and the median delay from a block to its event in ms."""
    clock = RealTimeClock()
    source = TimedMicrophone(clock, rate_hz=RATE_HZ)
    source.say(read_wav(SPEECH) * 2 * int(SECONDS))
    client = RealtimeClient(url=f"{url}/talking", api_key="none")
    delays: list[float] = []
    append = client.append_input_audio

    def append_timed(audio: bytes) -> None:
        append(audio)
        delays.append(1000 * (time.perf_counter() - source.delivered_at))

    client.append_input_audio = append_timed  # type: ignore[method-assign]  # to look at it
    async with client:
        speaker = Speaker(VirtualSpeaker(clock, rate_hz=RATE_HZ, latency_ms=20))
        policy = VoicePolicy(echo=echo)
        async with attach(client, Microphone(source), speaker, policy=policy):
            await asyncio.sleep(1)
            began, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(SECONDS)
            used, took = time.process_time() - used, time.perf_counter() - began
    print(used / took, statistics.median(delays))


def resampling() -> float:
    """Return the time of `StreamResampler` over that of soxr alone, in chunks of 20 ms."""
    chunk = np.random.default_rng(1).integers(-9000, 9000, 960).astype(np.int16)
    ours, raw = StreamResampler(48_000, 24_000), soxr.ResampleStream(
        48_000, 24_000, 1, dtype="int16", quality=QUALITY
    )  # fmt: skip

    def bare() -> None:
        raw.resample_chunk(chunk)

    times = [(elapsed(lambda: ours.feed(chunk)), elapsed(bare)) for _ in range(15)]
    return min(mine for mine, _ in times) / min(soxrs for _, soxrs in times)


def elapsed(function: Any) -> float:
    began = time.perf_counter()
    for _ in range(500):
        function()
    return time.perf_counter() - began


def run() -> dict[str, object]:
    found: dict[str, list[float]] = {}
    with served() as url:
        for echo in ("off", "cancel"):
            client = pinned(1, "bench.voice", url, echo)
            done = subprocess.run(client, stdout=subprocess.PIPE, check=True, text=True)
            found[echo] = [float(figure) for figure in done.stdout.split()]
    return {
        "share of a core (<= 0.06)": round(found["off"][0], 3),
        "share of a core with cancellation (<= 0.08)": round(found["cancel"][0], 3),
        "microphone's block to its event, ms, median (<= 5)": round(found["off"][1], 2),
        "the same with cancellation": round(found["cancel"][1], 2),
        "resampling over soxr alone, with its dither (<= 1.15)": round(resampling(), 2),
    }


if __name__ == "__main__":
    asyncio.run(measure(*sys.argv[1:]))

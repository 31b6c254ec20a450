"""The client's CPU time in 100 voice sessions of one process, against OpenAI's SDK and a bare one.

Each sends 20 ms of audio 50 times a second and receives 40 ms 25 times a second. Server and client
have a core each; the clients take turns.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
import time

from bench.corpus import append_pcm
from bench.peers import PEERS, Peer
from bench.plain_server import served
from bench.soak import pinned

SESSIONS, SECONDS, ROUNDS = 100, 5.0, 2
FEWER = {"openai": 25}
"""A hundred sessions of OpenAI's SDK fill a core and fall behind; the cost of each is the same."""
CHUNK_MS = 20


async def speak(peer: Peer, offset: float) -> None:
    """Send audio in real time, as the task does that reads a microphone."""
    audio = append_pcm()
    loop = asyncio.get_running_loop()
    due = loop.time() + offset
    for _ in range(round(SECONDS * 1000 / CHUNK_MS)):
        await peer.append(audio)
        due += CHUNK_MS / 1000
        await asyncio.sleep(max(0.0, due - loop.time()))


async def measure(kind: str, url: str) -> None:
    """Print the CPU seconds of a session-hour."""
    sessions = FEWER.get(kind, SESSIONS)
    peers = [PEERS[kind]() for _ in range(sessions)]
    for peer in peers:
        await peer.open(f"{url}/talking")
    gc.collect()
    gc.freeze()
    received = sum(peer.deltas for peer in peers)
    began, used = time.perf_counter(), time.process_time()
    offsets = [number * CHUNK_MS / 1000 / sessions for number in range(sessions)]
    await asyncio.gather(*map(speak, peers, offsets))
    used, took = time.process_time() - used, time.perf_counter() - began
    received = sum(peer.deltas for peer in peers) - received
    expected = took * 25 * sessions
    assert abs(received / expected - 1) < 0.1, f"{received} of {expected:.0f} deltas"
    assert took < SECONDS * 1.2, f"{took:.1f} s: this machine is too slow for {kind}"
    for peer in peers:
        await peer.close()
    print(used / (sessions * took / 3600))


def run() -> dict[str, object]:
    found: dict[str, list[float]] = {kind: [] for kind in PEERS}
    with served() as url:
        for _ in range(ROUNDS):
            for kind, figures in found.items():
                client = pinned(1, "bench.duplex", kind, url)
                done = subprocess.run(client, stdout=subprocess.PIPE, check=True, text=True)
                figures.append(float(done.stdout))
    hours = {kind: statistics.median(figures) for kind, figures in found.items()}
    return {
        "CPU seconds of a session-hour, bare picows and msgspec": round(hours["bare"], 1),
        "CPU seconds of a session-hour": round(hours["ours"], 1),
        "CPU seconds of a session-hour, OpenAI's SDK": round(hours["openai"], 1),
        "over the bare one's (<= 1.25)": round(hours["ours"] / hours["bare"], 2),
        "OpenAI's SDK over ours": round(hours["openai"] / hours["ours"], 1),
    }


if __name__ == "__main__":
    asyncio.run(measure(*sys.argv[1:]))

"""The memory of a connected session in which nothing happens, against OpenAI's SDK and a bare one.

Resident memory of a fresh process, so that what libraries allocate outside Python counts as well.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
from pathlib import Path

from bench.peers import PEERS, Peer
from bench.plain_server import served
from bench.soak import pinned

WARM, SESSIONS, ROUNDS = 50, 300, 3


def resident_kb() -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmRSS")).split()[1])


async def measure(kind: str, url: str) -> None:
    """Print the KB of a session."""
    peers: list[Peer] = []

    async def open_sessions(count: int) -> int:
        for _ in range(count):
            peers.append(PEERS[kind]())
            await peers[-1].open(f"{url}/idle")
        gc.collect()
        return resident_kb()

    before = await open_sessions(WARM)
    after = await open_sessions(SESSIONS)
    for peer in peers:
        await peer.close()
    print((after - before) / SESSIONS)


def run() -> dict[str, object]:
    found: dict[str, list[float]] = {kind: [] for kind in PEERS}
    with served() as url:
        for _ in range(ROUNDS):
            for kind, figures in found.items():
                client = pinned(1, "bench.idle", kind, url)
                done = subprocess.run(client, stdout=subprocess.PIPE, check=True, text=True)
                figures.append(float(done.stdout))
    sizes = {kind: statistics.median(figures) for kind, figures in found.items()}
    return {
        "memory of an idle session, bare picows and msgspec, KB": round(sizes["bare"], 1),
        "memory of an idle session, KB (<= 34)": round(sizes["ours"], 1),
        "memory of an idle session, OpenAI's SDK, KB": round(sizes["openai"], 1),
    }


if __name__ == "__main__":
    asyncio.run(measure(*sys.argv[1:]))

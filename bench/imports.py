"""Import time, against the most common WebSocket library (bar: 1.4 x)."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15


def cpu_ms(code: str) -> float:
    """Return the CPU time that an interpreter needs for a statement, in milliseconds."""
    measured = f"import time\nb = time.process_time()\n{code}\nprint(time.process_time() - b)"
    out = subprocess.run([sys.executable, "-c", measured], capture_output=True, check=True)
    return float(out.stdout) * 1000


def command_ms(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return (time.perf_counter() - began) * 1000


def run() -> dict[str, object]:
    ours: list[float] = []
    peers: list[float] = []
    types: list[float] = []
    bare: list[float] = []
    version: list[float] = []
    for _ in range(ROUNDS):  # interleaved: a slow moment of the machine hits all alike
        ours.append(cpu_ms("from duologue import RealtimeClient"))
        peers.append(cpu_ms("import websockets.asyncio.client"))
        types.append(cpu_ms("import duologue.protocol.ga"))
        bare.append(cpu_ms("import msgspec"))
        version.append(command_ms([sys.executable, "-m", "duologue.cli", "--version"]))
    median = statistics.median
    return {
        "RealtimeClient over websockets.asyncio.client (<= 1.4)": round(
            median(ours) / median(peers), 2
        ),
        "protocol.ga over bare msgspec, ms (<= 20)": round(median(types) - median(bare), 1),
        "duologue --version, ms (<= 120)": round(median(version)),
    }

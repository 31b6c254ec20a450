"""A hundred voice sessions for five minutes on one core, and how many one core could carry.

`SOAK_SECONDS=20 python -m bench soak` for a short run. Server and load have a core each.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

SECONDS = float(os.environ.get("SOAK_SECONDS", "300"))
CAPACITY_SECONDS = min(SECONDS, 24.0)
SESSIONS = 100
CAPACITY_SESSIONS = 400


class Watch(threading.Thread):
    """Notes the memory of a process, in MB, every second of its life."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self._is_over = threading.Event()
        self.samples: list[float] = []

    def run(self) -> None:
        while not self._is_over.wait(1.0):
            line = next(x for x in self._status.read_text().splitlines() if x.startswith("VmRSS"))
            self.samples.append(int(line.split()[1]) / 1024)

    def stop(self) -> list[float]:
        self._is_over.set()
        self.join()
        return self.samples


def cpu_seconds(pid: int) -> float:
    """Return what a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pinned(core: int, *command: str) -> list[str]:
    return ["taskset", "-c", str(core), sys.executable, "-m", *command]


def put_under_load(kind: str, sessions: int, seconds: float, *flags: str) -> dict:
    """Return what the load found, the server's CPU seconds, and its memory second by second."""
    serving = pinned(0, "bench.soak_server", kind)
    with subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        watch = Watch(server.pid)
        watch.start()
        began = cpu_seconds(server.pid)
        load = pinned(1, "bench.load", url, str(sessions), str(seconds), *flags)
        done = subprocess.run(load, stdout=subprocess.PIPE, check=True, text=True)
        cpu = cpu_seconds(server.pid) - began
        memory = watch.stop()
        server.terminate()
    return {**json.loads(done.stdout), "cpu": cpu, "memory": memory}


def flatness(memory: list[float]) -> float:
    """Return by how many percent memory strays from what it was after the first minute."""
    settled = memory[min(60, len(memory) // 2) :]
    return 100 * max(abs(sample / settled[0] - 1) for sample in settled)


def per_core(found: dict) -> float:
    return found["sessions"] * found["seconds"] / found["cpu"]


def run() -> dict[str, object]:
    began = time.monotonic()
    voice = put_under_load("ours", SESSIONS, SECONDS)
    if voice["fault_count"]:
        sys.exit(f"{voice['fault_count']} faults, for example {voice['faults']}")
    silent = put_under_load("ours", CAPACITY_SESSIONS, CAPACITY_SECONDS, "--silent")
    echo = put_under_load("echo", CAPACITY_SESSIONS, CAPACITY_SECONDS, "--echo")
    hours = voice["sessions"] * voice["seconds"] / 3600
    return {
        "sessions, turns": f"{voice['sessions']}, {voice['turns']}",
        "errors and lost events (0)": voice["fault_count"],
        "memory after the first minute, ± % (<= 5)": round(flatness(voice["memory"]), 1),
        "memory of a session, MB": round((voice["memory"][-1] - voice["memory"][0]) / SESSIONS, 2),
        "silence rule met to speech_stopped, p50, ms": round(voice["wait_p50_ms"], 1),
        "silence rule met to speech_stopped, p99, ms (<= 20)": round(voice["wait_p99_ms"], 1),
        "CPU seconds of a session-hour of talk": round(voice["cpu"] / hours, 1),
        "sessions per core, talking": round(per_core(voice)),
        "sessions per core, silent (>= 400)": round(per_core(silent)),
        "CPU over a bare echo server's, silent (<= 2)": round(silent["cpu"] / echo["cpu"], 2),
        "minutes": round((time.monotonic() - began) / 60, 1),
    }

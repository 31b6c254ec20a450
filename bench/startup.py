"""How long the server takes to listen, and its memory (bars: 1 s scripted, 6 s local, 1.5 GB)."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path


def start(brain: str) -> tuple[float, float]:
    """Return seconds until `duologue serve` listens, and the memory that it holds then in MB."""
    command = [sys.executable, "-u", "-m", "duologue.cli", "serve", "--port", "0", "--brain", brain]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if "ws://" in line:
                break
        seconds = time.perf_counter() - began
        status = Path(f"/proc/{server.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        server.send_signal(signal.SIGINT)
    return seconds, int(found[1]) / 1024 if found else 0.0


def run() -> dict[str, object]:
    figures: dict[str, object] = {}
    for brain, bar in (("scripted", 1), ("local", 6)):
        runs = [start(brain) for _ in range(3)]
        seconds, memory = sorted(runs)[1]
        figures[f"{brain}: process start to listening, s (<= {bar})"] = round(seconds, 2)
        figures[f"{brain}: memory when listening, MB"] = round(memory)
    return figures

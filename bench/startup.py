"""The server's time to start, and its memory (bars: 1 s scripted, 6 s local, 1.5 GB)."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def start(brain: str) -> tuple[float, float]:
    """Return seconds until `duologue serve` listens, and its peak memory in MB after a talk."""
    command = [sys.executable, "-u", "-m", "duologue.cli", "serve", "--port", "0", "--brain", brain]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = next(word for line in server.stdout for word in line.split() if word[:5] == "ws://")
        seconds = time.perf_counter() - began
        with tempfile.TemporaryDirectory() as folder:
            talk = [sys.executable, "-m", "duologue.cli", "demo", "--fast", "--url", url]
            out = ["--out", str(Path(folder) / "reply.wav")]
            subprocess.run([*talk, *out], capture_output=True, check=True)
        status = Path(f"/proc/{server.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+)", status)
        server.send_signal(signal.SIGINT)
    return seconds, int(found[1]) / 1024 if found else 0.0


def run() -> dict[str, object]:
    figures: dict[str, object] = {}
    for brain, bar in (("scripted", 1), ("local", 6)):
        runs = [start(brain) for _ in range(3)]
        seconds, memory = sorted(runs)[1]
        figures[f"{brain}: process start to listening, s (<= {bar})"] = round(seconds, 2)
        figures[f"{brain}: peak memory after a talk, MB (<= 1500)"] = round(memory)
    return figures

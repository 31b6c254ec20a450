"""End of speech to first audio, stage by stage, in real time (bar: 750 ms local, median of 10)."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "src/duologue/cli/speech"
FIXTURES = ROOT / "tests/data/audio"
CLIPS = [
    SHIPPED / "hello.wav",
    SHIPPED / "lights_kitchen.wav",
    FIXTURES / "human_amiable.wav",
    FIXTURES / "human_young_man.wav",
    FIXTURES / "noisy_reminder.wav",
]
SILENCE_RULE_MS = 200


def talk(brain: str) -> dict[str, list[int]]:
    """Return what each step took in each turn of a conversation."""
    wavs = [argument for clip in CLIPS * 2 for argument in ("--wav", str(clip))]
    with tempfile.TemporaryDirectory() as folder:
        out = ["--out", str(Path(folder) / "reply.wav")]
        command = [sys.executable, "-m", "duologue.cli", "demo", "--brain", brain, "--json"]
        done = subprocess.run([*command, *out, *wavs], capture_output=True, check=True, text=True)
    steps: dict[str, list[int]] = {}
    for turn in json.loads(done.stdout)["turns"]:
        for step, ms in turn["latency_ms"].items():
            if ms is not None:
                steps.setdefault(step, []).append(ms)
    return steps


def run() -> dict[str, object]:
    figures: dict[str, object] = {}
    for brain in ("scripted", "local"):
        steps = talk(brain)
        for step, values in steps.items():
            figures[f"{brain}: end of speech to {step}, ms"] = round(statistics.median(values))
    over = round(figures["scripted: end of speech to first_audio, ms"]) - SILENCE_RULE_MS
    figures["scripted: first audio over the silence rule, ms (<= 300)"] = over
    return figures

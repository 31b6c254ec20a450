"""Run benchmarks by name, all of them by default; print and keep what they found."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

NAMES = (
    "imports",
    "decode",
    "encode",
    "startup",
    "mirror",
    "client_path",
    "duplex",
    "idle",
    "bystander",
    "latency",
    "voice",
    "soak",
)
RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> None:
    names = sys.argv[1:] or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}")
    RESULTS.parent.mkdir(exist_ok=True)
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        print(f"{name}: {module.__doc__.splitlines()[0]}")
        found[name] = module.run()
        for figure, value in found[name].items():
            print(f"  {figure:<58} {value}")
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


main()

"""Long runs of the fuzzers: `python -m tests.fuzz.run codec 10_000_000`.

Each input has a seed of its own, which a finding names: `... codec 1 --first 4711` repeats it. Two
things are findings here that a test cannot judge: an input that takes a second, and memory that
grows.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from tests.fuzz.client_target import client_sequence
from tests.fuzz.codec_target import codec_input
from tests.fuzz.connection_target import connection_sequence
from tests.fuzz.server_target import server_sequence

__all__ = ["TARGETS", "fuzz"]

TARGETS: Final[dict[str, Callable[[Random], None]]] = {
    "codec": codec_input,
    "client": client_sequence,
    "server": server_sequence,
    "connection": connection_sequence,
}

MAX_SECONDS: Final = 1.0
MAX_GROWTH_MB: Final = 64
REPORT_SECONDS: Final = 60.0


def fuzz(target: str, count: int, *, first: int = 0) -> float:
    """Check inputs one after the other; return the processor seconds of the slowest.

    Raises:
        BaseException: The first finding, with a note that says how to repeat it.
    """
    check, slowest = TARGETS[target], 0.0
    for number in range(first, first + count):
        began = time.thread_time()
        try:
            check(Random(f"{target} {number}"))  # to repeat it
        except BaseException as error:
            error.add_note(f"repeat it: python -m tests.fuzz.run {target} 1 --first {number}")
            raise
        slowest = max(slowest, time.thread_time() - began)
    return slowest


def memory_mb() -> float:
    """Return the memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main() -> None:
    """Fuzz, and print how far it got every minute."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    wanted = parser.parse_args()
    end, block = wanted.first + wanted.count, 1000
    began = shown = time.monotonic()
    slowest = settled = 0.0
    for number in range(wanted.first, end, block):
        took = fuzz(wanted.target, min(block, end - number), first=number)
        assert took < MAX_SECONDS, f"an input from {number} on took {took:.1f} s"
        slowest, done = max(slowest, took), min(number + block, end) - wanted.first
        if number - wanted.first == 20 * block:
            settled = memory_mb()
        assert not settled or memory_mb() < settled + MAX_GROWTH_MB, "memory grows"
        if time.monotonic() - shown > REPORT_SECONDS or done == wanted.count:
            shown = time.monotonic()
            rate = f"{done / (shown - began):.0f}/s, slowest {slowest * 1000:.0f} ms"
            memory = f"{memory_mb():.0f} MB, {memory_mb() - (settled or memory_mb()):+.1f}"
            print(f"{wanted.target}: {done:,} without a finding, {rate}, {memory}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

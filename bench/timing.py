"""Alternatives timed in turns, so that a slow moment of the machine hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

__all__ = ["interleaved"]


def interleaved(
    paths: dict[str, Callable[[], object]], *, rounds: int = 9, per_round: int = 1
) -> dict[str, float]:
    """Return the median CPU seconds of one call of each path."""
    taken: dict[str, list[float]] = {name: [] for name in paths}
    for path in paths.values():
        path()  # warm
    for _ in range(rounds):
        for name, path in paths.items():
            began = time.process_time()
            for _ in range(per_round):
                path()
            taken[name].append((time.process_time() - began) / per_round)
    return {name: statistics.median(values) for name, values in taken.items()}

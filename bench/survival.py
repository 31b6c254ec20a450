"""The reconnection drill, cell by cell, and the time to recover with a long conversation.

`make bench-survival` writes the table into docs/reliability.md. The cells are those of the tests.
"""

from __future__ import annotations

import asyncio
import logging
import re
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.survival.faults import FAULTS
from tests.survival.scenes import SCENES, Outcome, run_cell

from duologue import RealtimeClient, Reconnected
from duologue.protocol import ga
from duologue.server import LocalServer
from duologue.testing import ChaosProxy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.client.endpoint import DialectChoice

    Outcomes = Mapping[tuple[str, str], list[Outcome]]

PAGE: Final = Path(__file__).parents[1] / "docs" / "reliability.md"
DIALECTS: Final[tuple[DialectChoice, ...]] = ("ga", "beta")
ITEMS: Final = 200
LOSSES: Final = 10


async def play() -> dict[tuple[str, str], list[Outcome]]:
    """Play all cells, one after the other, in both dialects."""
    return {
        (fault, scene): [await run_cell(fault, scene, dialect) for dialect in DIALECTS]
        for fault in FAULTS
        for scene in SCENES
    }


async def recovery_times() -> list[tuple[float, float]]:
    """Return the times in ms from resets to `Reconnected` with a long conversation.

    Beside each, the CPU time of client, proxy and server together: they share this process.
    """
    times: list[tuple[float, float]] = []
    async with (
        LocalServer() as server,
        ChaosProxy(server.url) as proxy,
        RealtimeClient(url=proxy.url) as client,
    ):
        for number in range(ITEMS):
            text = ga.InputText(text=f"Sentence {number} of a conversation that is rather long.")
            await client.create_item(ga.Message(role="user", content=[text]))
        now = asyncio.get_running_loop().time
        for _ in range(LOSSES):
            struck_at, cpu_at = now(), time.process_time()
            proxy.reset()
            update = await client.wait_for_next(Reconnected, timeout=10)
            assert update.restored_items == ITEMS
            cpu = time.process_time() - cpu_at
            times.append(((now() - struck_at) * 1000, cpu * 1000))
            # Sessions that end at once make the client wait before it tries again.
            await asyncio.sleep(1.1)
    return times


async def half_open_seconds() -> float:
    """Return the time from the vanishing of a server to `Reconnected`, with the default pings."""
    async with (
        LocalServer() as server,
        ChaosProxy(server.url) as proxy,
        RealtimeClient(url=proxy.url) as client,
    ):
        await client.ask("Hello")
        began = asyncio.get_running_loop().time()
        proxy.half_open()
        await client.wait_for_next(Reconnected, timeout=60)
        return asyncio.get_running_loop().time() - began


def table(outcomes: Outcomes) -> list[str]:
    """Return the table: the slower dialect's time to recover in each cell, in milliseconds."""
    rows = [["", *FAULTS], ["---", *["--:"] * len(FAULTS)]]
    rows += [[scene, *(cell(outcomes[fault, scene]) for fault in FAULTS)] for scene in SCENES]
    return [f"| {' | '.join(row)} |" for row in rows]


def cell(outcomes: list[Outcome]) -> str:
    if not all(outcome.recovered and outcome.seconds is not None for outcome in outcomes):
        return "✗"
    return f"{max(outcome.seconds or 0.0 for outcome in outcomes) * 1000:.0f}"


def write(lines: list[str]) -> None:
    """Put lines between the page's markers."""
    page = PAGE.read_text(encoding="utf-8")
    text = "\n".join(["<!-- drill -->", *lines, "<!-- end -->"])
    page, found = re.subn("<!-- drill -->.*<!-- end -->", lambda _: text, page, flags=re.DOTALL)
    assert found == 1
    PAGE.write_text(page, encoding="utf-8")


def figures(
    outcomes: Outcomes, times: list[tuple[float, float]], half_open: float
) -> dict[str, object]:
    cells = [outcome for each in outcomes.values() for outcome in each]
    to_recover = f"reset to Reconnected, {ITEMS} items"
    return {
        "cells": len(cells),
        "cells that recovered": sum(outcome.recovered for outcome in cells),
        f"{to_recover}, median, ms (<= 150)": round(statistics.median(ms for ms, _ in times)),
        f"{to_recover}, CPU of both ends, ms": round(statistics.median(cpu for _, cpu in times)),
        "half-open to Reconnected, default pings, s (<= 5)": round(half_open, 1),
    }


async def measure() -> tuple[Outcomes, list[tuple[float, float]], float]:
    logging.getLogger("duologue").setLevel(logging.ERROR)
    return await play(), await recovery_times(), await half_open_seconds()


def run() -> dict[str, object]:
    return figures(*asyncio.run(measure()))


def main() -> None:
    measured = asyncio.run(measure())
    outcomes = measured[0]
    lines, found = table(outcomes), figures(*measured)
    print("\n".join(lines))
    for (fault, scene), each in outcomes.items():
        for dialect, outcome in zip(DIALECTS, each, strict=True):
            for complaint in outcome.complaints:
                print(f"{fault}, {scene}, {dialect}: {complaint}", file=sys.stderr)
    for name, value in found.items():
        print(f"  {name:<58} {value}")
    write([*lines, "", *(f"- {name}: {value}" for name, value in found.items())])
    sys.exit(found["cells"] != found["cells that recovered"])


if __name__ == "__main__":
    main()

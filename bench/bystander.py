"""The round trip of one client while another one floods the server, or sends the largest frames.

The bystander and the attacker share the second core, so its own wait for the processor counts, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from threading import Thread

from websockets.asyncio.client import connect as connect_async
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from bench.soak import pinned

CLEAR = b'{"type":"input_audio_buffer.clear"}'
RATE = 40_000
"""Events a second: 20 times what the server allows."""
SECONDS = 6.0


def item(part: bytes, size: int) -> bytes:
    """Return an event that adds an item of many equal parts."""
    head = b'{"type":"conversation.item.create","item":{"type":"message","role":"user","content":['
    return head + b",".join([part] * (size // (len(part) + 1))) + b"]}}"


LARGE = {
    "unknown parts, 19 MiB": item(b'{"type":"zz"}', 19 << 20),
    "unknown parts, 1 MB": item(b'{"type":"zz"}', 1_000_000),
    "text parts, 1 MB": item(b'{"type":"input_text","text":"a"}', 1_000_000),
}


def attack(url: str, kind: str) -> None:
    """Send as fast as asked, or as fast as the server reads, for a while."""
    with connect(url) as connection:
        if kind == "flood":
            flood(connection)
            return
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            connection.send(LARGE[kind].decode())
            connection.recv()
            time.sleep(0.2)


def flood(connection: ClientConnection) -> None:
    """Send `RATE` events a second, and read the answers."""
    Thread(target=lambda: all(connection), daemon=True).start()
    frames = Frame(Opcode.TEXT, CLEAR).serialize(mask=True) * (RATE // 100)
    connection.socket.settimeout(0.01)
    unsent = b""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        unsent = unsent or frames
        with contextlib.suppress(TimeoutError):  # the server reads more slowly
            unsent = unsent[connection.socket.send(unsent) :]
        time.sleep(0.01)


async def round_trips(url: str, seconds: float) -> list[float]:
    """Return the milliseconds of round trips, fifty a second at most."""
    found: list[float] = []
    async with connect_async(url) as connection:
        await connection.recv()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started = time.perf_counter()
            await connection.send(CLEAR.decode())
            while json.loads(await connection.recv())["type"] != "input_audio_buffer.cleared":
                pass
            found.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(0.02)
    return sorted(found)


def run() -> dict[str, float]:
    figures: dict[str, float] = {}
    with subprocess.Popen(
        pinned(0, "bench.soak_server", "ours"), stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for kind in ("alone", "flood", *LARGE):
            attacker = None
            if kind != "alone":
                attacker = subprocess.Popen(pinned(1, "bench.bystander", url, kind))
                time.sleep(1)
            trips = asyncio.run(round_trips(url, SECONDS - 2))
            figures[f"{kind}: p50 ms"] = round(trips[len(trips) // 2], 2)
            figures[f"{kind}: longest ms"] = round(trips[-1], 1)
            if attacker is not None:
                attacker.wait()
        server.terminate()
    return figures


if __name__ == "__main__":
    attack(*sys.argv[1:])

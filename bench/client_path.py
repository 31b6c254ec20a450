"""The whole way of an event, from the socket to a callback, against OpenAI's SDK."""

from __future__ import annotations

import asyncio
import base64
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from bench.corpus import PLACE, mixed
from bench.mirror import server
from duologue import ConversationUpdated, RealtimeClient

REPEATS = 15
FRAMES = mixed()
COUNT = len(FRAMES) * REPEATS
FIRST, SESSIONS = 4, 5
ROUNDS = 3
END = "input_audio_buffer.cleared"
"""The event that comes last."""


def opening() -> list[bytes]:
    """Return what begins a session in the middle of a response."""
    item = {"id": PLACE["item_id"], "type": "message", "role": "assistant", "content": []}
    item["status"] = "in_progress"
    about = {"response_id": PLACE["response_id"], "output_index": 0}
    return [
        server("session.created", session={"type": "realtime", "id": "sess_b"}),
        server("response.created", response={"id": PLACE["response_id"]}),
        server("response.output_item.added", **about, item=item),
        server("conversation.item.added", item=item),
    ]


def framed(message: bytes) -> bytes:
    """Return a WebSocket text message of a server."""
    size = len(message)
    if size < 126:
        head = bytes([0x81, size])
    elif size < 1 << 16:
        head = bytes([0x81, 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x81, 127]) + size.to_bytes(8, "big")
    return head + message


async def flood() -> None:
    """Serve the frames, as fast as they are read, to every client that asks."""
    blob = b"".join(map(framed, FRAMES))

    async def handle(connection: ServerConnection) -> None:
        for frame in opening():
            await connection.send(frame, text=True)
        await connection.recv()
        for _ in range(REPEATS):
            connection.transport.write(blob)
            while connection.transport.get_write_buffer_size():  # noqa: ASYNC110  # past the library
                await asyncio.sleep(0.001)
        await connection.send(server(END), text=True)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None) as listening:
        print(listening.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


async def ours(port: int, *, reads: bool) -> float:
    """Return the CPU seconds per event of our client, with its mirror and a callback."""
    url = f"ws://127.0.0.1:{port}/v1/realtime"
    async with RealtimeClient(url=url, api_key="none") as client:
        done = asyncio.Event()
        received = 0

        def on_update(update: ConversationUpdated) -> None:
            nonlocal received
            if reads and update.delta is not None and (audio := update.delta.audio):
                received += len(audio)

        client.on(ConversationUpdated, on_update)
        while len(client.conversation) == 0:
            await client.wait_for_next_item()
        client.on_next(END, lambda _: done.set())
        client.cancel_response()
        began = time.process_time()
        await done.wait()
        took = time.process_time() - began
        assert bool(received) is reads
    return took / COUNT


async def openai(port: int, *, reads: bool) -> float:
    """Return the same of OpenAI's SDK, which has no mirror."""
    from openai import AsyncOpenAI  # noqa: PLC0415  # not in our process

    base_url = f"ws://127.0.0.1:{port}/v1"
    async with (
        AsyncOpenAI(api_key="none", base_url=base_url, websocket_base_url=base_url) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        for _ in opening():
            await connection.recv()
        await connection.response.cancel()
        began = time.process_time()
        received = 0
        async for event in connection:
            if reads and event.type == "response.output_audio.delta":
                received += len(base64.b64decode(event.delta))
            if event.type == END:
                break
        took = time.process_time() - began
        assert bool(received) is reads
    return took / COUNT


PATHS: dict[str, Callable[[int], Awaitable[float]]] = {
    "ours": lambda port: ours(port, reads=False),
    "ours, audio read": lambda port: ours(port, reads=True),
    "openai": lambda port: openai(port, reads=False),
    "openai, audio read": lambda port: openai(port, reads=True),
}


def measure(name: str, port: int) -> None:
    """Print the CPU seconds per event of a path: the median of sessions after the first few."""
    took = [asyncio.run(_run(PATHS[name], port)) for _ in range(FIRST + SESSIONS)]
    print(statistics.median(took[FIRST:]))


def run() -> dict[str, object]:
    took: dict[str, list[float]] = {name: [] for name in PATHS}
    with _python("asyncio.run(bench.flood())") as flooding:
        assert flooding.stdout is not None
        port = int(flooding.stdout.readline())
        try:
            for _ in range(ROUNDS):
                for name in PATHS:  # in a process of its own: a heap is slower, the more is in it
                    with _python(f"bench.measure({name!r}, {port})") as measuring:
                        took[name].append(float(measuring.communicate()[0]))
        finally:
            flooding.terminate()
    us = {name: statistics.median(values) * 1e6 for name, values in took.items()}
    return {
        **{f"{name}, us per event": round(value, 2) for name, value in us.items()},
        "openai over ours (>= 10)": round(us["openai"] / us["ours"], 1),
        "openai over ours, audio read (>= 10)": round(
            us["openai, audio read"] / us["ours, audio read"], 1
        ),
    }


def _python(statement: str) -> subprocess.Popen[str]:
    code = f"import asyncio, bench.client_path as bench; {statement}"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


async def _run(path: Callable[[int], Awaitable[Any]], port: int) -> float:
    return float(await path(port))

"""A minimal server: greets, sends audio in real time if asked to, and ignores what it receives.

`python -m bench.plain_server` prints its URL. At `/talking` each session is in a response from its
beginning on, 25 deltas of 40 ms a second; at `/idle` nothing follows `session.created`.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server
from pybase64 import b64encode

from bench.corpus import PLACE, SESSION
from bench.soak import pinned

DELTA_MS = 40
SHIFTS = 10
"""The sessions are served in ten groups, spread over each delta's time."""


def event(kind: str, **fields: Any) -> bytes:
    body = {"type": kind, "event_id": "event_CG5nMGxQ0ubV6o9vN4NqM", **fields}
    return json.dumps(body, separators=(",", ":")).encode()


ITEM = {"id": PLACE["item_id"], "type": "message", "role": "assistant", "content": []}
ABOUT = {"response_id": PLACE["response_id"], "output_index": 0}
GREETING = event("session.created", session=SESSION)
BEGINNING = [
    event("response.created", response={"id": PLACE["response_id"], "status": "in_progress"}),
    event("response.output_item.added", **ABOUT, item=ITEM),
    event("conversation.item.added", previous_item_id=None, item=ITEM),
]
AUDIO = b64encode(random.Random(3).randbytes(DELTA_MS * 48)).decode()
DELTA = event("response.output_audio.delta", **PLACE, delta=AUDIO)


class Session(WSListener):
    """One client."""

    def __init__(self, groups: list[set[WSTransport]], *, talks: bool) -> None:
        self.group = min(groups, key=len) if talks else set[WSTransport]()
        self.talks = talks

    def on_ws_connected(self, transport: WSTransport) -> None:
        for frame in (GREETING, *(BEGINNING if self.talks else ())):
            transport.send(WSMsgType.TEXT, frame)
        self.group.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.group.discard(transport)


async def talk(groups: list[set[WSTransport]]) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        for group in groups:
            for transport in list(group):
                transport.send(WSMsgType.TEXT, DELTA)
            due += DELTA_MS / 1000 / SHIFTS
            await asyncio.sleep(max(0.0, due - loop.time()))


@contextmanager
def served() -> Generator[str]:
    """Run the server on the first core, and yield its URL."""
    command = pinned(0, "bench.plain_server")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


async def main() -> None:
    groups: list[set[WSTransport]] = [set() for _ in range(SHIFTS)]

    def open_session(request: WSUpgradeRequest) -> Session:
        return Session(groups, talks=request.path.startswith(b"/talking"))

    server = await ws_create_server(open_session, "127.0.0.1", 0)
    print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await talk(groups)


if __name__ == "__main__":
    asyncio.run(main())

"""The Autobahn test suite against both WebSocket clients and the server's WebSocket stack.

`python -m tests.autobahn.run path/to/wstest`: `wstest` needs Python 2.7 (`pip install
autobahntestsuite==0.8.2`), so this is no part of the tests. Left out are the suite's performance
(9) and compression (12, 13) cases, and for the clients the echo of binary messages (1.2): events
are text, and so the clients' transports send nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import tempfile
from collections import Counter
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from duologue.errors import DuologueError
from duologue.server import Listener
from duologue.transport.connect import ConnectOptions, open_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from duologue.errors import ConnectionLost
    from duologue.transport.base import Transport

EXCLUDED: Final = ["9.*", "12.*", "13.*"]
GOOD: Final = {"OK", "NON-STRICT", "INFORMATIONAL"}
CASE_SECONDS: Final = 60.0


class Echo:
    """Receiver that sends back what it receives."""

    def __init__(self) -> None:
        self.transport: Transport | None = None
        self.frames: list[bytes] = []
        self.closed: Final = asyncio.Event()
        self._early: list[bytes] = []

    def on_frame(self, frame: bytes) -> None:
        """Send a frame back."""
        self.frames.append(frame)
        if self.transport is None:
            self._early.append(frame)
            return
        with suppress(DuologueError):
            self.transport.send(frame)

    def on_close(self, error: ConnectionLost | None) -> None:
        """Note the end."""
        del error
        self.closed.set()

    def begin(self, transport: Transport) -> None:
        """Send back what came while the connection was opened."""
        self.transport = transport
        with suppress(DuologueError):
            for frame in self._early:
                transport.send(frame)


async def _visit(url: str, options: ConnectOptions, *, echoes: bool) -> list[bytes]:
    echo = Echo()
    opening = open_websocket(
        url, echo, options, headers={}, subprotocols=(), connect_timeout=CASE_SECONDS
    )
    try:
        transport = await opening
    except DuologueError:
        return []
    if echoes:
        echo.begin(transport)
    with suppress(TimeoutError):
        async with asyncio.timeout(CASE_SECONDS):
            await echo.closed.wait()
    await transport.close()
    return echo.frames


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


@asynccontextmanager
async def _wstest(
    wstest: list[str], mode: str, spec: dict[str, Any], folder: Path
) -> AsyncGenerator[asyncio.subprocess.Process]:
    path = folder / f"{mode}.json"
    path.write_text(json.dumps(spec))
    process = await asyncio.create_subprocess_exec(
        *wstest, "-m", mode, "-s", str(path), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def clients(wstest: list[str], folder: Path) -> dict[str, Any]:
    """Run each client against the suite's server, and return its report."""
    base = f"ws://127.0.0.1:{_free_port()}"
    excluded = [*EXCLUDED, "1.2.*"]
    spec = {"url": base, "outdir": str(folder), "cases": ["*"], "exclude-cases": excluded}
    async with _wstest(wstest, "fuzzingserver", spec, folder):
        count = b""
        for _ in range(100):
            found = await _visit(f"{base}/getCaseCount", {}, echoes=False)
            count = found[0] if found else b""
            if count:
                break
            await asyncio.sleep(0.1)
        for library in ("picows", "websockets"):
            options: ConnectOptions = {"transport": library, "keepalive": None}
            for case in range(1, int(count) + 1):
                url = f"{base}/runCase?case={case}&agent={library}"
                await _visit(url, options, echoes=True)
            await _visit(f"{base}/updateReports?agent={library}", options, echoes=False)
    report: dict[str, Any] = json.loads((folder / "index.json").read_text())
    return report


async def _serve(socket: WebSocket) -> None:
    await socket.accept()
    with suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])


async def server(wstest: list[str], folder: Path) -> dict[str, Any]:
    """Run the suite's client against the server's stack, and return the report."""
    listener = Listener()
    async with listener.serving(Starlette(routes=[WebSocketRoute("/v1/realtime", _serve)])):
        servers = [{"agent": "server", "url": listener.url}]
        spec = {"outdir": str(folder), "servers": servers, "cases": ["*"]}
        spec |= {"exclude-cases": EXCLUDED}
        async with _wstest(wstest, "fuzzingclient", spec, folder) as process:
            await process.wait()
    listener.close()
    report: dict[str, Any] = json.loads((folder / "index.json").read_text())
    return report


async def main() -> None:
    """Run everything, and print how many cases passed and which did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wstest", nargs="+", help="the command that runs wstest")
    command = parser.parse_args().wstest
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        reports = await clients(command, Path(one)) | await server(command, Path(two))
    for agent, cases in reports.items():
        counts = Counter(case["behavior"] for case in cases.values())
        failed = {name: c["behavior"] for name, c in cases.items() if c["behavior"] not in GOOD}
        closes = {n for n, c in cases.items() if c["behaviorClose"] not in GOOD}
        print(
            f"{agent}: {len(cases)} cases, {dict(counts)}; not passed: {failed}, closes: {closes}"
        )


if __name__ == "__main__":
    asyncio.run(main())

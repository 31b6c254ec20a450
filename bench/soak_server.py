"""The servers that are put under load: `ours` in real time, or a bare `echo` on the same stack."""

from __future__ import annotations

import asyncio
import signal
import sys

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from duologue.server import Listener, create_app
from duologue.server.engine.script import Script
from duologue.server.engine.scripted import scripted_engine


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        return


async def main(kind: str) -> None:
    if kind == "echo":
        app = Starlette(routes=[WebSocketRoute("/v1/realtime", echo)])
    else:
        app = create_app(scripted_engine(Script(pace=1.0)))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    listener = Listener()
    async with listener.serving(app):
        print(listener.url, flush=True)
        await stopped.wait()
    listener.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

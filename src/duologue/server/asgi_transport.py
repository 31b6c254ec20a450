"""Transport over the WebSocket of an ASGI server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from starlette.websockets import WebSocketDisconnect

from duologue.errors import Closed, ConnectionLost
from duologue.server.connection import SLOW_CODE, SLOW_REASON
from duologue.server.send_queue import SendQueue
from duologue.transport.base import MAX_UNSENT_BYTES
from duologue.transport.delivery import Delivery, connection_cut

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from duologue.server.connection import FrameReceiver

__all__ = ["BREAK_EXTENSION", "AsgiTransport"]

BREAK_EXTENSION: Final = "duologue.break"
"""Extension of our ASGI server's scope: `break` is a function that cuts the TCP connection."""

FLUSH_SECONDS: float = 10.0
"""Time for which `close` waits for a client that does not read what was sent before."""

CLOSE_SECONDS: float = 1.0
"""Time that sending the close frame may take."""

TURN_SECONDS: Final = 0.0005
"""Work on the frames of one client, after which it rests for as long: the others have their turn.

The ASGI server hands over all frames of a read at once. Receiving one that has arrived does not
suspend the task, so without this the frames of one client would be processed in one go.
"""


class AsgiTransport:
    """Implements `ServerTransport` for a WebSocket that the application has accepted."""

    def __init__(self, socket: WebSocket, receiver: FrameReceiver) -> None:
        self._socket: Final = socket
        self._loop: Final = asyncio.get_running_loop()
        self._receiver: Final = receiver
        self._delivery: Final = Delivery(receiver)
        self._queue: Final[SendQueue[str]] = SendQueue()
        self._may_read: Final = asyncio.Event()
        self._may_read.set()
        self._writing_since: float | None = None
        self._closing: asyncio.Task[None] | None = None
        self._tasks: Final = [
            asyncio.create_task(self._read()),
            asyncio.create_task(self._write()),
        ]

    def send(self, frame: bytes) -> None:
        """Queue one message; see `Transport.send`."""
        self._delivery.check_open()
        if self._closing is not None:
            raise Closed("the session is closed")
        if self._queue.size > MAX_UNSENT_BYTES:
            # `_drop` calls `on_close`, which must not happen inside `send`.
            self._delivery.end(ConnectionLost(SLOW_REASON, code=SLOW_CODE))
            self._queue.clear()
            self._closing = asyncio.create_task(self._drop())
            self._delivery.check_open()
        self._queue.put_nowait(frame.decode(), len(frame))

    async def drain(self) -> None:
        """Wait until the queue has room; see `Transport.drain`."""
        await self._queue.room()
        self._delivery.check_open()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Write what is queued, then close; see `Transport.close`."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(code, reason))
        await asyncio.shield(self._closing)

    async def abort(self) -> None:
        """Write what is queued, then cut the connection; other ASGI servers close with 1011."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._abort())
        await asyncio.shield(self._closing)

    def pause_reading(self) -> None:
        """Leave what the client sends unread, so that it must wait."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Read again."""
        self._may_read.set()

    def stop(self) -> None:
        """Stop all tasks, when the application is done with the socket."""
        self._finish(None)
        if self._closing is not None:
            self._closing.cancel()

    async def _read(self) -> None:
        worked = ended = 0.0
        while True:
            if worked > TURN_SECONDS:
                await asyncio.sleep(worked)
                worked = 0.0
            if not self._may_read.is_set():
                await self._may_read.wait()
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                code = int(message.get("code", 1005))
                self._finish(ConnectionLost("the client closed the connection", code=code))
                return
            if self._closing is None:
                text: str | None = message.get("text")
                started = self._loop.time()
                if started - ended > TURN_SECONDS:
                    worked = 0.0  # nothing had arrived: the others have had their turn
                if text is None:
                    self._receiver.on_binary_frame(len(message.get("bytes") or b""))
                else:
                    self._delivery.deliver(text.encode())
                ended = self._loop.time()
                worked += ended - started

    async def _write(self) -> None:
        try:
            while True:
                frame = await self._queue.take()
                self._writing_since = self._loop.time()
                await self._socket.send_text(frame)
                self._writing_since = None
        except (WebSocketDisconnect, RuntimeError):
            self._may_read.set()  # the client is gone; `_read` learns with which code

    async def _close(self, code: int, reason: str) -> None:
        if await self._is_flushed():
            await self._send_close(code, reason)
            self._finish(None)
        else:
            await self._drop()

    async def _abort(self) -> None:
        if not await self._is_flushed():
            await self._drop()
            return
        extension = self._socket.scope.get("extensions", {}).get(BREAK_EXTENSION)
        if extension is None:
            await self._send_close(1011, "")
            self._finish(ConnectionLost("the server broke the connection", code=1011))
        else:
            extension["break"]()
            self._finish(connection_cut())

    async def _is_flushed(self) -> bool:
        """Wait until everything is written; return whether the client has read it in time."""
        # A client that has been stuck for long already gets no more time.
        since = self._loop.time() if self._writing_since is None else self._writing_since
        try:
            async with asyncio.timeout_at(max(self._loop.time(), since + FLUSH_SECONDS)):
                await self._queue.emptied()
        except TimeoutError:
            return False
        return True

    async def _drop(self) -> None:
        await self._send_close(SLOW_CODE, SLOW_REASON)
        self._finish(ConnectionLost(SLOW_REASON, code=SLOW_CODE))

    async def _send_close(self, code: int, reason: str) -> None:
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(code, reason)

    def _finish(self, lost: ConnectionLost | None) -> None:
        self._delivery.end(lost)
        self._queue.clear()
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._delivery.report_end()

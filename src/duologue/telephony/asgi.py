"""The WebSocket of an ASGI server, as far as a phone's stream needs it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

__all__ = [
    "PhoneSocket",
    "Receive",
    "Scope",
    "Send",
    "answer_http",
    "answer_lifespan",
    "headers_of",
]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

CLOSE_SECONDS: Final = 2.0
"""Time that sending the close frame may take; a phone that does not read is cut by the server."""


class PhoneSocket:
    """One WebSocket, from its request to its end."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive: Final = receive
        self._send: Final = send
        self._is_gone = False

    async def accept(self) -> None:
        """Accept the connection."""
        await self._receive()  # websocket.connect
        await self._send({"type": "websocket.accept"})

    async def refuse(self) -> None:
        """Answer the request with HTTP 403."""
        await self._receive()  # websocket.connect
        await self._send({"type": "websocket.close", "code": 1008})

    async def receive(self) -> str | bytes | None:
        """Return the next message; `None` when the connection has ended."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            self._is_gone = True
            return None
        text: str | None = message.get("text")
        data: bytes | None = message.get("bytes")
        return text if text is not None else data or b""

    async def send(self, text: str) -> bool:
        """Send a message; return whether the connection is still there."""
        if not self._is_gone:
            try:
                await self._send({"type": "websocket.send", "text": text})
            except (OSError, RuntimeError):  # ASGI servers raise either when the peer is gone
                self._is_gone = True
        return not self._is_gone

    async def close(self, code: int) -> None:
        """Close the connection, unless it has ended."""
        if self._is_gone:
            return
        self._is_gone = True
        with contextlib.suppress(OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._send({"type": "websocket.close", "code": code})


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers of a request, with names in lower case."""
    pairs: list[tuple[bytes, bytes]] = scope.get("headers") or []
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in pairs}


async def answer_http(send: Send) -> None:
    """Answer a request that is not for a WebSocket."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"upgrade", b"websocket")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    body = b"A telephone provider connects a WebSocket here.\n"
    await send({"type": "http.response.body", "body": body})


async def answer_lifespan(receive: Receive, send: Send) -> None:
    """Confirm that the application starts and stops, when it is served by itself."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return

"""An OpenAI-compatible endpoint on a real socket, which answers what a test tells it to."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount

from duologue.server import Listener

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

__all__ = ["BREAK", "HOLD", "Asked", "Endpoint", "chat", "endpoint"]

HOLD = "hold"
"""Say nothing until the client hangs up."""
BREAK = "break"
"""Hang up."""


def chat(*deltas: dict[str, Any], finish: str | None = "stop", **last: Any) -> list[bytes]:
    """Return the chunks of a chat: a delta each, the reason for its end, and what comes last."""
    chunks: list[Any] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    if finish is not None:
        chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    if last:
        chunks.append({"choices": [], **last})
    events = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    return events if finish is None else [*events, b"data: [DONE]\n\n"]


@dataclass(frozen=True)
class Asked:
    """A request."""

    path: str
    query: str
    key: str
    body: Any
    """JSON, or the fields of a form; a file is its bytes."""


@dataclass
class Endpoint:
    """What answers, path by path, and what was asked."""

    url: str = ""
    answers: dict[str, tuple[int, str, list[Any]]] = field(
        default_factory=dict[str, tuple[int, str, list[Any]]]
    )
    asked: list[Asked] = field(default_factory=list[Asked])
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client hung up in the middle of an answer."""

    def answer(
        self, path: str, *pieces: Any, kind: str = "application/json", status: int = 200
    ) -> None:
        self.answers[path] = (status, kind, list(pieces))

    def chat(self, *pieces: Any) -> None:
        self.answer("/chat/completions", *pieces, kind="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        path = request.url.path.removeprefix("/v1")
        if "json" in request.headers["content-type"]:
            body: Any = await request.json()
        else:
            async with request.form() as form:
                body = {k: v if isinstance(v, str) else await v.read() for k, v in form.items()}
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.asked.append(Asked(path, request.url.query, key, body))
        status, kind, pieces = self.answers.get(path, (404, "application/json", [b"{}"]))
        headers = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for piece in pieces:
            if piece is BREAK:
                raise ConnectionError("as told")
            if piece is HOLD:
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.left.set()
                return
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def endpoint() -> AsyncGenerator[Endpoint]:
    """Serve an endpoint while the context lasts."""
    made = Endpoint()
    listener = Listener()
    async with listener.serving(Starlette(routes=[Mount("/v1", app=made)])):
        made.url = f"http://127.0.0.1:{listener.port}/v1"
        yield made
    listener.close()

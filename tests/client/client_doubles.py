"""Minimal server on the in-memory transport that records events and gives configured answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from duologue.client.client import RealtimeClient
from duologue.transport import MemoryTransport, memory_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.errors import ConnectionLost
    from duologue.transport import Receiver, Transport

SESSION = {"type": "realtime", "id": "sess_1", "model": "gpt-realtime"}


class MemoryServer:
    """Server of one session at a time; `answers` has a function for each event to answer."""

    def __init__(self, *, greets: bool = True, session: object = SESSION) -> None:
        self.received: list[dict[str, Any]] = []
        self.answers: dict[str, Callable[[dict[str, Any]], None]] = {
            "session.update": lambda event: self.send("session.updated", session=event["session"])
        }
        self.closed: ConnectionLost | None = None
        self.is_closed = asyncio.Event()
        self._greets = greets
        self._session = session
        self._arrived = asyncio.Event()
        self.end: MemoryTransport

    async def connect(self, receiver: Receiver) -> Transport:
        ours, self.end = memory_pair(receiver, self)
        if self._greets:
            self.send("session.created", session=self._session)
        return ours

    def on_frame(self, frame: bytes) -> None:
        event = msgspec.json.decode(frame)
        self.received.append(event)
        self._arrived.set()
        answer = self.answers.get(event["type"])
        if answer is not None:
            answer(event)

    def on_close(self, error: ConnectionLost | None) -> None:
        self.closed = error
        self.is_closed.set()

    def send(self, kind: str, **fields: object) -> None:
        self.end.send(msgspec.json.encode({"type": kind, "event_id": "event_s", **fields}))

    def refuse(self, event: dict[str, Any], code: str = "invalid_value") -> None:
        error = {"type": "invalid_request_error", "message": "no", "code": code}
        self.send("error", error=error | {"event_id": event["event_id"]})

    def types(self) -> list[str]:
        return [event["type"] for event in self.received]

    async def got(self, kind: str, times: int = 1) -> dict[str, Any]:
        """Return the last of `times` events of a type, as soon as they have arrived."""
        async with asyncio.timeout(5):
            while self.types().count(kind) < times:
                self._arrived.clear()
                await self._arrived.wait()
        return [event for event in self.received if event["type"] == kind][times - 1]

    def begin(self, response_id: str = "resp_1", **fields: object) -> None:
        response = {
            "id": response_id,
            "status": "in_progress",
            "conversation_id": "conv_1",
            **fields,
        }
        self.send("response.created", response=response)

    def say(self, text: str, response_id: str = "resp_1", item_id: str = "item_a") -> None:
        item: dict[str, object] = {
            "id": item_id,
            "type": "message",
            "role": "assistant",
            "content": [],
        }
        about = {"response_id": response_id, "output_index": 0}
        self.send("response.output_item.added", **about, item=item)
        self.send("conversation.item.added", item=item, previous_item_id=None)
        for word in text:
            self.send(
                "response.output_text.delta", **about, item_id=item_id, content_index=0, delta=word
            )

    def call(self, name: str, call_id: str = "call_1", response_id: str = "resp_1") -> None:
        """Send a function call of a response."""
        item = {"id": "item_c", "type": "function_call", "name": name, "call_id": call_id}
        item |= {"arguments": "{}", "status": "completed"}
        self.send("response.output_item.done", response_id=response_id, output_index=0, item=item)

    def finish(
        self, response_id: str = "resp_1", status: str = "completed", **more: object
    ) -> None:
        response = {"id": response_id, "status": status, "conversation_id": "conv_1", **more}
        self.send("response.done", response=response)

    def replies(self, text: str) -> None:
        """Answer every `response.create` with a text response."""

        def reply(_event: dict[str, Any]) -> None:
            self.begin()
            self.say(text)
            self.finish()

        self.answers["response.create"] = reply


def client_of(server: MemoryServer, **options: Any) -> RealtimeClient:
    return RealtimeClient(connector=server.connect, **options)

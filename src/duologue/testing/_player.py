"""Player of behaviour vectors: runs the real client over memory and records what it does."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from pybase64 import b64decode

from duologue.client.client import RealtimeClient
from duologue.errors import DuologueError
from duologue.protocol import beta, codec, ga
from duologue.protocol.codec import encode_model
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.model import UNSET, replace
from duologue.session.retention import KEEP_ALL
from duologue.session.updates import (
    ConversationUpdated,
    Interrupted,
    ItemAppended,
    ItemCompleted,
    RealtimeEvent,
)
from duologue.transport.memory import MemoryTransport, memory_pair

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from duologue.protocol.codec import Dialect
    from duologue.protocol.formats import Format
    from duologue.session.formatted import FormattedItem
    from duologue.session.updates import Delta
    from duologue.transport.base import Receiver, Transport

__all__ = ["CLIENT_TYPES", "Player", "json_of"]

Json = dict[str, Any]

CLIENT_TYPES: Final = frozenset(
    {
        "session.update",
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "conversation.item.truncate",
        "conversation.item.delete",
        "response.create",
        "response.cancel",
    }
)
"""Types of the events that the application sends, not the server."""

ROUNDS: Final = 20
"""Iterations of the event loop after each event; transport, tool and tool output need five."""

OURS: Final = "event_of_the_player"
"""Id of the server events that the player adds to those of the vector."""


class VectorServer:
    """Server of one vector: greets, confirms the first configuration, and keeps received frames."""

    def __init__(self, dialect: Dialect) -> None:
        self.frames: list[Json] = []
        self.keeps_greeting = False
        """Whether to keep the first configuration as well, because the vector itself connects."""
        self._kind = "realtime" if dialect == "ga" else None
        self._is_new = False
        self._end: MemoryTransport | None = None
        self._receiver: Receiver | None = None

    async def connect(self, receiver: Receiver) -> Transport:
        """Accept a connection; a `Connector`."""
        self._receiver = receiver
        ours, self._end = memory_pair(receiver, self)
        self._is_new = True
        self._send_session("session.created", {"id": "sess_1"})
        return ours

    def on_frame(self, frame: bytes) -> None:
        """Process a frame of the client."""
        event: Json = json.loads(frame)
        if self._is_new and event["type"] == "session.update":
            self._is_new = False
            self._send_session("session.updated", event["session"])
            if not self.keeps_greeting:
                return
        self.frames.append(event)

    def on_close(self, error: object) -> None:
        """Process the end of the connection."""
        del error
        self._end = None

    def send(self, event: Json) -> None:
        """Send a server event; after a close by the client it arrives late, as on a network."""
        frame = json.dumps(event).encode()
        if self._end is not None:
            self._end.send(frame)
        elif self._receiver is not None:
            self._receiver.on_frame(frame)

    def _send_session(self, event_type: str, session: Json) -> None:
        if self._kind is not None:
            session = {"type": self._kind, **session}
        self.send({"type": event_type, "event_id": OURS, "session": session})


class Player:
    """Plays one vector, once."""

    def __init__(self, vector: Json, dialect: Dialect) -> None:
        self.dialect: Final[Dialect] = dialect
        self.emitted: list[Json] = []
        self.log: list[str] = []
        self.raised: list[int] = []
        self._events: Final[list[Json]] = vector["events"]
        self._is_connected = not vector.get("disconnected", False)
        self._done: Final[list[asyncio.Event]] = [asyncio.Event() for _ in self._events]
        self._server: Final = VectorServer(dialect)
        self.client = RealtimeClient(
            connector=self._server.connect,
            dialect=dialect,
            session=self._session(vector.get("session", {}), is_start=True),
            retention=KEEP_ALL,
        )
        for tool in vector.get("tools", []):
            self.client.add_tool({"name": tool["name"]}, self._handler(tool))

    async def play(self) -> None:
        """Play all events in order."""
        try:
            if self._is_connected:
                await self.client.connect()
            self._watch()
            for index, event in enumerate(self._events):
                await self._play(index, event)
                self._done[index].set()
                await _settle()
        finally:
            await self.client.close()

    def sent(self) -> list[Json]:
        """Return the frames that the client sent by itself or by a call, without event ids."""
        given = {event.get("event_id") for event in self._events if event["type"] in CLIENT_TYPES}
        return [
            {name: value for name, value in frame.items() if name != "event_id"}
            for frame in self._server.frames
            if frame.get("event_id") not in given
        ]

    def items(self) -> list[Json]:
        """Return the conversation in the format of vectors."""
        return [self._item(item) for item in self.client.conversation]

    def responses(self) -> list[Json]:
        """Return the responses in the format of vectors."""
        states = self.client.responses
        return [{"id": s.id, "status": s.status, "output": list(s.output)} for s in states]

    async def _play(self, index: int, event: Json) -> None:
        if event["type"] == "@call":
            try:
                await self._call(event["name"], event.get("args", {}))
            except DuologueError:
                self.raised.append(index)
        elif event["type"] in CLIENT_TYPES:
            frame = json.dumps(event)
            if self.dialect == "beta":
                self.client.send(codec.decode(frame, dialect="beta", direction="client"))
            else:
                self.client.send(codec.decode(frame, direction="client"))
        else:
            self._server.send(event)

    async def _call(self, name: str, args: Json) -> None:
        client, server = self.client, self._server
        match name:
            case "connect":
                server.keeps_greeting = self.dialect == "beta"
                await client.connect()
            case "disconnect":
                await client.disconnect()
            case "reconnect":
                await client.disconnect()
                server.keeps_greeting = False
                await client.connect()
            case "cancel_response" if "id" in args:
                client.cancel_response(item_id=args["id"], heard_samples=args["sample_count"])
            case _:
                self._request(name, args)

    def _request(self, name: str, args: Json) -> None:
        client = self.client
        calls: dict[str, Callable[[], object]] = {
            "update_session": lambda: client.update_session(self._session(args)),
            "append_input_audio": lambda: client.append_input_audio(b64decode(args["audio"])),
            "create_response": client.create_response,
            "cancel_response": client.cancel_response,
            "delete_item": lambda: client.delete_item(args["id"]),
            "send_user_message_content": lambda: client.send_user_message_content(
                _content(args["content"])
            ),
            "add_tool": lambda: client.add_tool(args["definition"], self._handler({})),
            "remove_tool": lambda: client.remove_tool(args["name"]),
        }
        if name not in calls:
            raise ValueError(f"unknown call {name!r}")
        calls[name]()

    def _session(
        self, settings: Json, *, is_start: bool = False
    ) -> ga.RealtimeSession | beta.SessionConfig:
        """Return the session settings of a vector as a configuration of the dialect."""
        tools = [{"type": "function", **tool} for tool in settings.get("tools", [])]
        session = settings | ({"tools": tools} if tools else {})
        frame = json.dumps({"type": "session.update", "session": session})
        event = codec.decode(frame, dialect="beta", direction="client")
        if not isinstance(event, beta.SessionUpdateEvent):
            raise ValueError(f"not session settings: {settings}")  # noqa: TRY004  # the file is at fault
        if self.dialect == "beta":
            return event.session
        from duologue.protocol.dialects.beta import session_to_ga  # noqa: PLC0415  # one dialect

        wanted = session_to_ga(event.session)
        if is_start:
            wanted = dialect_adapter("beta").initial_session(wanted)
        return replace(wanted, extra=UNSET)  # fields that only beta has

    def _handler(self, tool: Json) -> Callable[[Json], Awaitable[object]]:
        async def handler(arguments: Json) -> object:
            if "after_event" in tool:
                index: int = tool["after_event"]
                await self._done[index].wait()
            if "raises" in tool:
                raise RuntimeError(tool["raises"])
            return {"args": arguments} if tool.get("echo") else tool.get("returns")

        return handler

    def _watch(self) -> None:
        client = self.client
        client.on(ConversationUpdated, lambda u: self._emit("updated", u.item, u.delta))
        client.on(ItemAppended, lambda u: self._emit("item.appended", u.item))
        client.on(ItemCompleted, lambda u: self._emit("item.completed", u.item))
        client.on(Interrupted, lambda _: self.emitted.append({"event": "conversation.interrupted"}))
        client.on(RealtimeEvent, self._note)

    def _note(self, update: RealtimeEvent) -> None:
        if getattr(update.event, "event_id", None) != OURS:
            self.log.append(f"{update.source}:{update.event.type}")

    def _emit(self, name: str, item: FormattedItem, delta: Delta | None = None) -> None:
        entry: Json = {"event": f"conversation.{name}", "item_id": item.id, "status": item.status}
        if name == "updated":
            entry["delta"] = None if delta is None else self._delta(delta)
        self.emitted.append(entry)

    def _delta(self, delta: Delta) -> Json:
        if delta.audio is not None:
            return {"audio_samples": self._format_of("assistant").samples(len(delta.audio))}
        texts = {"text": delta.text, "transcript": delta.transcript, "arguments": delta.arguments}
        return {name: value for name, value in texts.items() if value is not None}

    def _format_of(self, role: str | None) -> Format:
        is_users = role == "user"
        return self.client.input_format if is_users else self.client.conversation.output_format

    def _item(self, item: FormattedItem) -> Json:
        content = item.formatted
        audio = content.audio
        formatted: Json = {
            "text": content.text,
            "transcript": content.transcript,
            "audio_samples": self._format_of(item.role).samples(len(audio)),
        }
        if audio:
            formatted["audio_sha256"] = hashlib.sha256(audio).hexdigest()[:16]
        if content.tool is not None:
            tool = content.tool
            formatted["tool"] = {
                "type": tool.type,
                "name": tool.name,
                "call_id": tool.call_id,
                "arguments": tool.arguments,
            }
        if content.output is not None:
            formatted["output"] = content.output
        entry: Json = {"id": item.id, "type": item.type, "status": item.status}
        if item.role is not None:
            entry["role"] = item.role
        return entry | {"formatted": formatted, "content": [_part(part) for part in item.content]}


def json_of(model: Any) -> Json:  # noqa: ANN401  # any struct
    """Return a model as decoded JSON."""
    decoded: Json = json.loads(encode_model(model))
    return decoded


def _part(part: Any) -> Json:  # noqa: ANN401  # a content part
    fields = json_of(part)
    return {name: fields[name] for name in ("type", "text", "transcript") if name in fields}


def _content(parts: list[Json]) -> list[ga.ContentPart]:
    item = {"type": "message", "role": "user", "content": parts}
    frame = json.dumps({"type": "conversation.item.create", "item": item})
    event = codec.decode(frame, direction="client")
    if isinstance(event, ga.ConversationItemCreateEvent) and isinstance(event.item, ga.Message):
        return event.item.content
    raise ValueError(f"not the content of a message: {parts}")


async def _settle() -> None:
    for _ in range(ROUNDS):
        await asyncio.sleep(0)

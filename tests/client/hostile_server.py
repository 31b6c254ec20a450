"""Server that answers like a real one, except that chance disturbs every event of it."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any, Final

from tests.client.client_doubles import SESSION, MemoryServer
from tests.protocol.protocol_data import examples, is_array, is_object

if TYPE_CHECKING:
    import random

    from duologue.protocol.codec import Dialect

__all__ = ["HostileServer"]

Body = dict[str, Any]

JUNK: Final[list[Any]] = [
    None, True, -1, 0, 1.5, 3.0, 1e308, -1e308, 2**31, 2**63, 10**30, "", "x" * 3000, "completed",
    "\ud800", [], {}, [None], [[]], [{}], {"type": "zz"}, {"type": None}, {"type": "message"},
    float("nan"),
]  # fmt: skip

GARBAGE: Final = [
    b"", b"null", b"[]", b"{}", b"no json", b"\xff\xfe", b'{"type":5}', b'{"type":"error"}',
    b'{"type":"error","error":"words"}', b'{"type":"response.done"}', b"[" * 5000,
    b'{"type":"error","error":{"code":5,"param":[],"message":null}}', b'{"type":"new.event"}',
]  # fmt: skip

BETA_NAMES: Final = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "conversation.item.added": "conversation.item.created",
}


class HostileServer(MemoryServer):
    """Server of one session; with `chaos` 0 it keeps the protocol.

    Args:
        random: Decides everything.
        dialect: Dialect of its events.
    """

    def __init__(self, random: random.Random, dialect: Dialect) -> None:
        super().__init__()
        self.chaos = 0.0
        self._random: Final = random
        self._dialect: Final = dialect
        self._examples: Final = [
            each.payload
            for each in examples()
            if (each.dialect, each.direction, each.surface) == (dialect, "server", "realtime")
        ]
        self._ids: Final = ["", "item_1", "resp_1", "call_1"]
        self._count = 0
        self._late: list[bytes] = []

    def on_frame(self, frame: bytes) -> None:
        event = json.loads(frame)
        self.received.append(event)
        if event["type"] == "session.update" and self.chaos == 0:
            super().send("session.updated", session=SESSION | event["session"])
            return
        for answer in self._answers(event):
            self._send(answer)
        if self._random.random() < self.chaos / 2:
            self.disturb()

    def disturb(self) -> None:
        """Send what nothing asked for."""
        match self._random.randrange(4):
            case 0:
                self.end.send(self._random.choice(GARBAGE))
            case 1:
                self._send(self._error({"event_id": self._random.choice([None, "", "zz"])}))
            case _:
                self._send(self._with_known_ids(self._random.choice(self._examples)))

    def flush(self) -> None:
        """Send what was held back."""
        late, self._late = self._late, []
        for frame in late:
            self.end.send(frame)

    def _send(self, body: Body) -> None:
        """Send an event: whole, disturbed, twice, later, or not at all."""
        body.setdefault("event_id", self._new("event"))
        if self._dialect == "beta":
            body["type"] = BETA_NAMES.get(body["type"], body["type"])
        chance = self._random.random()
        if chance < self.chaos * 0.4:
            body = self._mutated(body)
        frame = json.dumps(body).encode()
        fate = self._random.random()
        if fate < self.chaos * 0.15:
            return
        if fate < self.chaos * 0.3:
            self._late.append(frame)
            return
        for _ in range(2 if fate < self.chaos * 0.4 else 1):
            self.end.send(frame)
        if self._late and fate > 1 - self.chaos * 0.2:
            self.flush()

    def _answers(self, event: Body) -> list[Body]:
        if self._random.random() < self.chaos * 0.2:
            return [self._error(event)] * self._random.choice([1, 1, 2])
        answer = {
            "conversation.item.create": self._item_created,
            "input_audio_buffer.commit": self._committed,
            "response.create": self._response,
        }.get(event["type"], _answer)
        return answer(event)

    def _item_created(self, event: Body) -> list[Body]:
        item = event["item"]
        item.setdefault("id", self._new("item"))
        self._ids.append(item["id"])
        return self._added(item)

    def _committed(self, _event: Body) -> list[Body]:
        item_id = self._new("item")
        committed = {"type": "input_audio_buffer.committed", "item_id": item_id}
        return [committed, *self._added(_message(item_id, "user"))]

    def _added(self, item: Body) -> list[Body]:
        added = {"type": "conversation.item.added", "previous_item_id": None, "item": item}
        done = added | {"type": "conversation.item.done"}
        return [added] if self._dialect == "beta" else [added, done]

    def _response(self, event: Body) -> list[Body]:
        response_id, item_id = self._new("resp"), self._new("item")
        call_id = self._new("call")
        self._ids.extend((response_id, item_id, call_id))
        conversation = None if "response" in event else "conv_1"
        response = {"id": response_id, "status": "in_progress", "conversation_id": conversation}
        about = {"response_id": response_id, "output_index": 0, "item_id": item_id}
        place = about | {"content_index": 0}
        if self._random.random() < 0.3 and self.chaos:
            item = {"id": item_id, "type": "function_call", "name": "look", "call_id": call_id}
            item |= {"arguments": '{"it": "a"}', "status": "completed"}
            middle = [
                {"type": "response.function_call_arguments.delta", "call_id": call_id, "delta": "{"}
                | about
            ]
        else:
            item = _message(item_id, "assistant")
            part = {"type": "text", "text": ""}
            middle = [
                {"type": "response.content_part.added", "part": part} | place,
                *(
                    {"type": f"response.output_{kind}.delta", "delta": "AAAA"} | place
                    for kind in ("text", "audio_transcript", "audio")
                ),
                {"type": "response.output_text.done", "text": "AAAA"} | place,
            ]
        done = response | {"status": "completed", "output": [item]}
        output = {"response_id": response_id, "output_index": 0, "item": item}
        return [
            {"type": "response.created", "response": response},
            {"type": "response.output_item.added"} | output,
            *self._added(item),
            *middle,
            {"type": "response.output_item.done"} | output,
            {"type": "response.done", "response": done},
        ]

    def _error(self, event: Body) -> Body:
        codes = [
            None, 5, "invalid_value", "item_not_found", "conversation_already_has_active_response",
            "input_audio_buffer_commit_empty", "response_cancel_not_active",
        ]  # fmt: skip
        error: Body = {
            "type": "invalid_request_error",
            "code": self._random.choice(codes),
            "message": "no",
            "param": self._random.choice([None, "item_id", 5]),
            "event_id": self._random.choice([event.get("event_id"), None]),
        }
        return {"type": "error", "error": error}

    def _mutated(self, body: Body) -> Body:
        """Return a copy in which one place has another value, or none."""
        whole: Body = copy.deepcopy(body)
        places: list[tuple[Any, Any]] = []
        _collect(whole, places)
        container, key = self._random.choice(places)
        match self._random.randrange(4):
            case 0 if is_object(container):
                del container[key]
            case 1:
                container[key] = self._random.choice(self._ids)
            case 2 if is_object(container):
                container[f"x_{key}"] = container.pop(key)
            case _:
                container[key] = copy.deepcopy(self._random.choice(JUNK))
        return whole

    def _with_known_ids(self, body: Body) -> Body:
        """Return a copy of an example that is about things of this session."""
        whole: Body = copy.deepcopy(body)
        places: list[tuple[Any, Any]] = []
        _collect(whole, places)
        for container, key in places:
            if is_object(container) and str(key).endswith("id") and self._random.random() < 0.7:
                container[key] = self._random.choice(self._ids)
        return whole

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_s{self._count}"


def _message(item_id: str, role: str) -> Body:
    return {"id": item_id, "type": "message", "role": role, "content": []}


def _answer(event: Body) -> list[Body]:
    """Return the answer to a command that changes nothing at the server."""
    item_id = event.get("item_id", "")
    answers: dict[str, Body] = {
        "session.update": {"session": SESSION | event.get("session", {})},
        "conversation.item.delete": {"item_id": item_id},
        "conversation.item.retrieve": {"item": _message(item_id, "user")},
        "conversation.item.truncate": {
            name: event.get(name) for name in ("item_id", "content_index", "audio_end_ms")
        },
        "input_audio_buffer.clear": {},
    }
    fields = answers.get(event["type"])
    if fields is None:
        return []
    past = re.sub("e?$", "ed", event["type"])  # deleted, retrieved, truncated, updated, cleared
    return [{"type": past, **fields}]


def _collect(value: object, places: list[tuple[Any, Any]]) -> None:
    """Add every place of a decoded JSON value: its container, and its key or index."""
    if is_object(value):
        pairs: list[tuple[Any, Any]] = list(value.items())
    elif is_array(value):
        pairs = list(enumerate(value))
    else:
        return
    for key, entry in pairs:
        places.append((value, key))
        _collect(entry, places)

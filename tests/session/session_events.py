"""Server events as a server would send them, and a core that counts its ids."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from duologue.protocol import codec
from duologue.session.client_session import ClientSession
from duologue.session.updates import RealtimeEvent

if TYPE_CHECKING:
    from duologue.protocol.ga import AnyServerEvent
    from duologue.session.updates import Update


def server(kind: str, **fields: object) -> AnyServerEvent:
    return codec.decode(msgspec.json.encode({"type": kind, "event_id": "event_s", **fields}))


def message(
    item_id: str, role: str = "user", text: str | None = None, **fields: object
) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [] if text is None else [{"type": kind, "text": text}]
    return {"id": item_id, "type": "message", "role": role, "content": content, **fields}


def added(item: dict[str, Any], after: str | None = None) -> AnyServerEvent:
    return server("conversation.item.added", item=item, previous_item_id=after)


def done(item: dict[str, Any]) -> AnyServerEvent:
    return server("conversation.item.done", item=item)


def part_event(
    kind: str, item_id: str = "item_a", response_id: str = "resp_1", **fields: object
) -> AnyServerEvent:
    about: dict[str, object] = {"item_id": item_id, "response_id": response_id}
    return server(kind, **about | {"output_index": 0, "content_index": 0} | fields)


def output_item(stage: str, item: dict[str, Any], response_id: str = "resp_1") -> AnyServerEvent:
    return server(
        f"response.output_item.{stage}", item=item, response_id=response_id, output_index=0
    )


def response(stage: str, response_id: str = "resp_1", **fields: object) -> AnyServerEvent:
    return server(f"response.{stage}", response={"id": response_id, **fields})


def new_core() -> ClientSession:
    numbers = itertools.count(1)
    return ClientSession(new_id=lambda kind: f"{kind}_{next(numbers)}")


def feed(core: ClientSession, *events: AnyServerEvent) -> list[Update]:
    """Return the updates of events, without the raw events."""
    updates = [update for event in events for update in core.receive(event, 1.0)]
    return [update for update in updates if not isinstance(update, RealtimeEvent)]

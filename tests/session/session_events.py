"""Server events as a server sends them, and a core whose effects can be taken by kind."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from duologue.protocol import codec
from duologue.session.client_session import ClientSession
from duologue.session.commands import Command
from duologue.session.effects import CancelTool, Notify, RunTool, SendFrame, Settled
from duologue.session.response_state import ResponseRequest
from duologue.session.updates import RealtimeEvent

if TYPE_CHECKING:
    from duologue.protocol.ga import AnyServerEvent
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.tool_calls import ToolCall
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


class Probe(ClientSession):
    """Core with numbered ids, whose effects are taken by kind."""

    def __init__(self, **options: Any) -> None:
        numbers = itertools.count(1)
        super().__init__(new_id=lambda kind: f"{kind}_{next(numbers)}", **options)
        self._taken: list[Any] = []

    def take(self, *kinds: type) -> list[Any]:
        """Return the effects of these kinds since the last call, in order."""
        self._pull()
        taken = [effect for effect in self._taken if isinstance(effect, kinds)]
        self._taken = [effect for effect in self._taken if not isinstance(effect, kinds)]
        return taken

    def take_updates(self) -> list[Update]:
        """Return the updates, without the raw events."""
        effects = self.take(Notify)
        updates = [update for effect in effects for update in effect.updates]
        return [update for update in updates if not isinstance(update, RealtimeEvent)]

    def events_to_send(self) -> list[Event | UnknownEvent]:
        frames = [effect.frame for effect in self.take(SendFrame)]
        return [codec.decode(frame, direction="client") for frame in frames]

    def _pull(self) -> None:
        self._taken += self.effects()

    def _settled(self, kind: type) -> list[Any]:
        effects = self.take(Settled)
        self._taken += [effect for effect in effects if not isinstance(effect.record, kind)]
        return [effect.record for effect in effects if isinstance(effect.record, kind)]

    def settled_commands(self) -> list[Command]:
        return self._settled(Command)

    def settled_requests(self) -> list[ResponseRequest]:
        return self._settled(ResponseRequest)

    def calls_to_run(self) -> list[ToolCall]:
        return [effect.call for effect in self.take(RunTool)]

    def calls_to_cancel(self) -> list[str]:
        return [effect.call_id for effect in self.take(CancelTool)]


def new_core(**options: Any) -> Probe:
    return Probe(**options)


def feed(core: Probe, *events: AnyServerEvent) -> list[Update]:
    """Process events; return their updates without the raw events."""
    core.take_updates()
    for event in events:
        core.receive(event, 1.0)
    return core.take_updates()

"""Restoring a conversation in a new session: what is sent, and which of it the server has.

The items of the conversation are created again, in order and with their ids. A server takes no
audio of the assistant, so its speech is restored as text, and the user's as its transcript, or as
audio where there is none. `History` chooses the items; `Restoration` is the exchange with the
server, which ends before the session core uses the new connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pybase64 import b64encode

from duologue.protocol import codec, ga
from duologue.protocol.model import UNSET, UnsetType, replace
from duologue.session._item_fields import id_of, words_of
from duologue.session.commands import ROOT
from duologue.session.error_reports import server_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from duologue.errors import ServerError
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.ga import ContentPart, Item, Session
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.items import ItemState

__all__ = ["History", "Restoration", "RestoredItem", "choose_history", "restored_item"]

MAX_ID_LENGTH: Final = 32
"""Longest id of an item that OpenAI accepts from a client."""


@dataclass(frozen=True, slots=True)
class RestoredItem:
    """An item of the conversation, as a client creates it in a new session."""

    item_id: str
    """Its id in the conversation."""
    item: Item


@dataclass(frozen=True, slots=True)
class History:
    """The items for a new session."""

    items: tuple[RestoredItem, ...]
    """In the order of the conversation."""
    left_out: tuple[ItemState, ...] = ()
    """The oldest items, which were too large together."""
    lost: tuple[str, ...] = ()
    """Ids of items that cannot be created: nothing is kept of them, or only a server makes them."""


def choose_history(states: Iterable[ItemState], limit_bytes: int) -> History:
    """Return the latest items that fit, never an output without its call."""
    chosen: list[tuple[ItemState, Item]] = []
    lost: list[str] = []
    for state in states:
        item = restored_item(state)
        if item is None:
            lost.append(state.id)
        else:
            chosen.append((state, item))
    sizes = [len(codec.encode_model(item)) for _, item in chosen]
    size, count = sum(sizes), 0
    while size > limit_bytes:
        size -= sizes[count]
        count += 1
    left_out = [state for state, _ in chosen[:count]]
    calls: set[object] = set()
    items: list[RestoredItem] = []
    for state, item in chosen[count:]:
        if isinstance(item, ga.FunctionCall):
            calls.add(item.call_id)
        if isinstance(item, ga.FunctionCallOutput) and item.call_id not in calls:
            left_out.append(state)
        else:
            items.append(RestoredItem(state.id, item))
    return History(tuple(items), tuple(left_out), tuple(lost))


def restored_item(state: ItemState) -> Item | None:
    """Return the item to create in a new session; `None` if an item cannot be restored."""
    item_id = state.id if len(state.id) <= MAX_ID_LENGTH else UNSET
    match state.wire:
        case ga.Message(role=role):
            content = _content(state)
            return ga.Message(id=item_id, role=role, content=content) if content else None
        case ga.FunctionCall() if state.response_id is not None and not state.is_completed:
            return None  # it was cut, and so did not run
        case ga.FunctionCall(name=name, call_id=call_id):
            tool = state.snapshot().formatted.tool
            arguments = "" if tool is None else tool.arguments
            return ga.FunctionCall(id=item_id, name=name, call_id=call_id, arguments=arguments)
        case ga.FunctionCallOutput(call_id=call_id, output=output):
            return ga.FunctionCallOutput(id=item_id, call_id=call_id, output=output)
        case _:
            return None


def _content(state: ItemState) -> list[ContentPart]:
    if state.heard_words is not None:  # it was cut: the server's own copy has no words any more
        return [ga.OutputText(text=state.heard_words)] if state.heard_words else []
    parts = (_part(state, part) for part in state.snapshot().content)
    return [part for part in parts if part is not None]


def _part(state: ItemState, part: ContentPart) -> ContentPart | None:
    match part:
        case ga.OutputText() | ga.OutputAudio():
            words = words_of(part)
            return ga.OutputText(text=words) if words else None
        case ga.InputImage(image_url=None | UnsetType()):
            return None  # the server's copy lacks it
        case ga.InputAudio():
            formatted = state.snapshot().formatted
            words = (words_of(part) or formatted.transcript).strip()
            if words:
                return ga.InputText(text=words)
            audio_bytes = formatted.audio
            return ga.InputAudio(audio=b64encode(audio_bytes).decode()) if audio_bytes else None
        case _:
            return part


class Restoration:
    """The exchange that makes a new session continue a conversation.

    Args:
        configuration: Event with the configuration that the session gets, if any.
        history: The items that it gets.
        dialect: Adapter of the dialect on the wire.
        new_id: Returns a new id of a kind.
    """

    def __init__(
        self,
        configuration: ga.SessionUpdateEvent | None,
        history: Iterable[RestoredItem],
        *,
        dialect: DialectAdapter[Any, Any],
        new_id: Callable[[str], str],
    ) -> None:
        self._new_id: Final = new_id
        self._dialect: Final = dialect
        self._events: list[Event] = []
        self._configuration_id: str | None = None
        self._unanswered: Final[dict[str, RestoredItem]] = {}  # by event id, in order
        self._loaded: Final[dict[str, Item]] = {}  # by their ids in the conversation
        self.session: Session | None = None
        """The configuration in force; `None` before `session.created`."""
        self.restored: Final[list[str]] = []
        """Ids of the items that the server has, as the conversation knows them."""
        self.refused: Final[list[tuple[str, ServerError]]] = []
        """Ids of the items that the server refused."""
        self.renamed: Final[dict[str, str]] = {}
        """Ids by which the server knows items, by theirs in the conversation; others are equal."""
        self.error: ServerError | None = None
        """Why the server refused the configuration: the session cannot be used."""
        if configuration is not None:
            self._configuration_id = new_id("event")
            self._events.append(replace(configuration, event_id=self._configuration_id))
        self.update(tuple(history))

    @property
    def is_configured(self) -> bool:
        """Whether the session has begun, in the wanted configuration."""
        return self.session is not None and self._configuration_id is None

    @property
    def is_complete(self) -> bool:
        """Whether the server has answered everything."""
        return self.is_configured and not self._unanswered

    def update(self, items: tuple[RestoredItem, ...]) -> bool:
        """Bring the session up to date with the conversation; return whether anything differed.

        Args:
            items: All items that the session is to have, in order.
        """
        wanted = {each.item_id: each.item for each in items}
        stale = [i for i, item in self._loaded.items() if wanted.get(i) != item]
        for item_id in stale:
            del self._loaded[item_id]
            if item_id in self.restored:
                self.restored.remove(item_id)
                known_id = self.renamed.pop(item_id, item_id)
                event_id = self._new_id("event")
                self._events.append(
                    ga.ConversationItemDeleteEvent(event_id=event_id, item_id=known_id)
                )
        added = [each for each in items if each.item_id not in self._loaded]
        is_appended = items[len(items) - len(added) :] == tuple(added)
        previous: str | None = None
        for each in items:
            if each.item_id not in self._loaded:
                self._create(each, UNSET if is_appended else previous or ROOT)
            previous = self.renamed.get(each.item_id, each.item_id)
        return bool(stale or added)

    def _create(self, item: RestoredItem, previous_item_id: str | UnsetType) -> None:
        event_id = self._new_id("event")
        self._loaded[item.item_id] = item.item
        self._unanswered[event_id] = item
        event = ga.ConversationItemCreateEvent(
            event_id=event_id, item=item.item, previous_item_id=previous_item_id
        )
        self._events.append(event)

    def take_frames(self) -> list[tuple[bytes, str]]:
        """Return the frames to send now, with their types: none before `session.created`."""
        if self.session is None:
            return []
        events, self._events = self._events, []
        wires = [w for event in events for w in self._dialect.client_event_to_wire(event)]
        return [(codec.encode(wire), wire.type) for wire in wires]

    def receive(self, event: Event | UnknownEvent) -> None:
        """Process a server event, in the dialect of the wire."""
        for meaning in self._dialect.server_event_to_ga(event) or (event,):
            match meaning:
                case ga.SessionCreatedEvent(session=session):
                    self.session = session
                case ga.SessionUpdatedEvent(session=session):
                    self.session, self._configuration_id = session, None
                case ga.ConversationItemAdded() | ga.ConversationItemCreatedEvent():
                    self._on_item(id_of(meaning.item))
                case ga.RealtimeErrorEvent():
                    self._refuse(server_error(meaning))
                case _:
                    pass

    def _on_item(self, added_id: str | None) -> None:
        """Count an item as restored: the one of this id, or else the next in line."""
        line = self._unanswered.items()
        exact = (event_id for event_id, item in line if item.item_id == added_id)
        event_id = next(exact, None)
        if event_id is None:
            if added_id in self.restored or added_id in self.renamed.values():
                return  # announced twice
            event_id = next(iter(self._unanswered), None)
        if event_id is None:
            return
        item_id = self._unanswered.pop(event_id).item_id
        self.restored.append(item_id)
        if added_id is not None and added_id != item_id:
            self.renamed[item_id] = added_id

    def _refuse(self, error: ServerError) -> None:
        """Count an item, or the configuration, as refused: the one that is named, or the next."""
        is_configuration = error.event_id in {None, self._configuration_id}
        if self._configuration_id is not None and is_configuration:
            self.error = error
            return
        event_id = error.event_id or next(iter(self._unanswered), "")
        item = self._unanswered.pop(event_id, None)
        if item is not None:
            self.refused.append((item.item_id, error))

"""The exchange that restores a conversation in a new session.

The items of the conversation are created again, in order and with their ids. The exchange ends
before the session core uses the new connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from duologue.protocol import codec, ga
from duologue.protocol.model import UNSET, UnsetType, replace
from duologue.session._item_fields import id_of
from duologue.session.commands import ROOT
from duologue.session.error_reports import server_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from duologue.errors import ServerError
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.ga import Item, Session
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.history import RestoredItem

__all__ = ["Restoration"]


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

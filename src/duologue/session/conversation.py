"""The mirror of the conversation: its items in order, and what each of them says.

Each event changes one item, at the same cost whatever the history. Events about items that nobody
announced change nothing. Items of a response that the conversation never took in (an out-of-band
response's, or a response's before they are added) are kept apart: only the response shows them.
Servers that announce what the user says, but not what a response makes, are common: an item of the
conversation's own response is in the conversation as soon as it has content.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from duologue.errors import ItemNotFound
from duologue.protocol.formats import PCM16, Format
from duologue.protocol.ga import (
    ConversationItemAdded,
    ConversationItemCreatedEvent,
    ConversationItemDeletedEvent,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompletedEvent,
    ConversationItemInputAudioTranscriptionDeltaEvent,
    ConversationItemTruncatedEvent,
    InputAudioBufferSpeechStartedEvent,
    ResponseAudioDeltaEvent,
    ResponseAudioTranscriptDeltaEvent,
    ResponseContentPartAddedEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseTextDeltaEvent,
)
from duologue.session.bounded import EarlyWords, remember
from duologue.session.commands import ROOT
from duologue.session.items import ItemState
from duologue.session.journal import ARGUMENTS, AUDIO, TEXT, TRANSCRIPT
from duologue.session.retention import KEEP_RECENT, KeptAudio, Retention
from duologue.session.updates import (
    ConversationUpdated,
    Delta,
    Interrupted,
    ItemAppended,
    ItemCompleted,
    Update,
)
from duologue.session.wire import content_part, id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from duologue.protocol.model import Event
    from duologue.session.formatted import FormattedItem

__all__ = ["RealtimeConversation"]

MAX_APART: Final = 256
"""Items kept apart: the open responses of a session have a handful."""


class RealtimeConversation:
    """What was said so far, as the server has told it; empty again for each new session.

    Args:
        clip_of: Returns, once, what the user said in a message.
        is_ours: Tells whether a response, by its id, is known to be one of the conversation.
        retention: How much is kept.
    """

    def __init__(
        self,
        *,
        clip_of: Callable[[str], bytes | None] = lambda _: None,
        is_ours: Callable[[str], bool] = lambda _: False,
        retention: Retention = KEEP_RECENT,
    ) -> None:
        self._output_format: Format = PCM16
        self._clip_of = clip_of
        self._is_ours = is_ours
        self._retention: Final = retention
        self._heard: Final = KeptAudio(retention.audio_bytes(PCM16.bytes_per_ms))
        self._spoken: Final = KeptAudio(_encoded(retention.audio_bytes(PCM16.bytes_per_ms)))
        self._items: dict[str, ItemState] = {}
        self._order: list[str] = []
        self._apart: dict[tuple[str, str], ItemState] = {}
        self._early: Final = EarlyWords()
        self.growth: Final[Mapping[type, Callable[[Any], ConversationUpdated | None]]] = {
            ResponseTextDeltaEvent: self._on_text,
            ResponseAudioTranscriptDeltaEvent: self._on_transcript,
            ResponseAudioDeltaEvent: self._on_audio,
            ResponseFunctionCallArgumentsDeltaEvent: self._on_arguments,
        }
        """The events that only add to an item, nearly all that come; what each of them tells."""

    @property
    def output_format(self) -> Format:
        """In which the assistant's audio comes; truncation counts in it."""
        return self._output_format

    @output_format.setter
    def output_format(self, told: Format) -> None:
        self._output_format = told
        self._spoken.limit = _encoded(self._retention.audio_bytes(told.bytes_per_ms))

    @property
    def items(self) -> tuple[FormattedItem, ...]:
        """All items, in the order of the conversation."""
        return tuple(self)

    def __iter__(self) -> Iterator[FormattedItem]:
        return iter([self._items[item_id].snapshot() for item_id in self._order])

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    def item(self, item_id: str) -> FormattedItem:
        """Return an item as it is now.

        Raises:
            ItemNotFound: If the conversation has none of this id.
        """
        state = self._items.get(item_id)
        if state is None:
            raise ItemNotFound(item_id)
        return state.snapshot()

    def find(self, item_id: str, response_id: str = "") -> ItemState | None:
        """Return the growing item of this id, also one that is kept apart for its response."""
        if self._apart:
            apart = self._apart.get((response_id, item_id))
            if apart is not None:
                return apart
        return self._items.get(item_id)

    def receive(self, event: Event, *, at_front: bool = False) -> list[Update]:
        """Take a server event; return what it changed.

        Args:
            event: What the server told.
            at_front: Whether a new item was sent to the front: the server's null does not tell.
        """
        grow = self.growth.get(type(event))
        if grow is not None:
            update = grow(event)
            return [] if update is None else [update]
        if at_front and isinstance(event, ConversationItemAdded | ConversationItemCreatedEvent):
            return self._on_added(event, at_front=True)
        handler = self.HANDLERS.get(type(event))
        return [] if handler is None else handler(self, event)

    def _on_added(
        self,
        event: ConversationItemAdded | ConversationItemCreatedEvent,
        *,
        at_front: bool = False,
    ) -> list[Update]:
        item_id = id_of(event.item)
        if item_id is None:
            return []
        known = self._items.get(item_id)
        if known is not None:
            return [ConversationUpdated(known.snapshot())]
        state = self._take_apart(item_id) or self._new(item_id, event)
        self._place(state, ROOT if at_front else event.previous_item_id)
        clip = self._clip_of(item_id)
        if clip is not None:
            state.attach_audio(clip)
        for index, words, is_final in self._early.take(item_id):
            state.hear(index, words, is_final=is_final)
        item = state.snapshot()
        if clip:
            self._heard.add(state, len(clip))
        completed = [ItemCompleted(item)] if state.is_completed else []
        return [ConversationUpdated(item), ItemAppended(item), *completed]

    def _new(
        self,
        item_id: str,
        event: ConversationItemAdded | ConversationItemCreatedEvent | ResponseOutputItemAddedEvent,
    ) -> ItemState:
        return ItemState(item_id, event.item, sample_bytes=self._output_format.sample_bytes)

    def _take_apart(self, item_id: str) -> ItemState | None:
        """Return the item of an open response, which the conversation now takes in."""
        for key in self._apart:
            if key[1] == item_id:
                return self._apart.pop(key)
        return None

    def _take_in(self, item_id: str, response_id: str) -> list[Update]:
        """Take in what a response of the conversation made, if the server did not announce it."""
        key = (response_id, item_id)
        if key not in self._apart or not self._is_ours(response_id):
            return []
        state = self._apart.pop(key)
        self._place(state, None)
        item = state.snapshot()
        return [ConversationUpdated(item), ItemAppended(item)]

    def _place(self, state: ItemState, previous_item_id: object) -> None:
        """Put an item after the one named; at the end when that is unknown."""
        order = self._order
        if previous_item_id == ROOT:
            order.insert(0, state.id)
        elif previous_item_id in self._items and order[-1] != previous_item_id:
            order.insert(order.index(str(previous_item_id)) + 1, state.id)
        else:
            order.append(state.id)
        self._items[state.id] = state
        state.is_mirrored = True
        if self._retention.items is not None and len(order) > self._retention.items:
            self._remove(self._items[order.pop(0)])

    def _on_item_done(self, event: ConversationItemDone) -> list[Update]:
        state = self._items.get(id_of(event.item) or "")
        if state is None:
            return []
        was_completed, state.has_ended = state.is_completed, True
        if not state.finish(event.item):
            return []
        item = state.snapshot()
        completed = [ItemCompleted(item)] if state.is_completed and not was_completed else []
        return [ConversationUpdated(item), *completed]

    def _on_output_item_added(self, event: ResponseOutputItemAddedEvent) -> list[Update]:
        item_id = id_of(event.item)
        if item_id is None:
            return []
        known = self._items.get(item_id)
        if known is not None and known.response_id in {None, event.response_id}:
            known.response_id = event.response_id
        elif (event.response_id, item_id) not in self._apart:
            state = self._new(item_id, event)
            state.response_id = event.response_id
            remember(self._apart, (event.response_id, item_id), state, MAX_APART)
        return []

    def _on_output_item_done(self, event: ResponseOutputItemDoneEvent) -> list[Update]:
        item_id = id_of(event.item) or ""
        taken_in = self._take_in(item_id, event.response_id)
        state = self.find(item_id, event.response_id)
        if state is None:
            return []
        is_changed = state.finish(event.item)
        if not state.is_mirrored or (state.has_ended and not is_changed):
            return taken_in
        item = state.snapshot()
        completed = [ItemCompleted(item)] if state.is_completed and not state.has_ended else []
        return [*taken_in, ConversationUpdated(item), *completed]

    def _on_part_added(self, event: ResponseContentPartAddedEvent) -> list[Update]:
        state = self.find(event.item_id, event.response_id)
        if state is None:
            return []
        state.add_part(event.content_index, content_part(event.part))
        return self._take_in(event.item_id, event.response_id)

    def _on_text(self, event: ResponseTextDeltaEvent) -> ConversationUpdated | None:
        state = self.find(event.item_id, event.response_id)
        if state is None:
            return None
        item = state.grow(TEXT, event.content_index, event.delta)
        return ConversationUpdated(item, Delta(event.delta)) if state.is_mirrored else None

    def _on_transcript(
        self, event: ResponseAudioTranscriptDeltaEvent
    ) -> ConversationUpdated | None:
        state = self.find(event.item_id, event.response_id)
        if state is None:
            return None
        item = state.grow(TRANSCRIPT, event.content_index, event.delta)
        return ConversationUpdated(item, Delta(None, event.delta)) if state.is_mirrored else None

    def _on_audio(self, event: ResponseAudioDeltaEvent) -> ConversationUpdated | None:
        state = self.find(event.item_id, event.response_id)
        if state is None:
            return None
        self._spoken.add(state, len(event.delta) - 2)  # without its quotes
        item = state.grow(AUDIO, event.content_index, event.delta)
        journal = state.journal
        delta = Delta(None, None, None, event.delta, journal, len(journal.entries) - 1)
        return ConversationUpdated(item, delta) if state.is_mirrored else None

    def _on_arguments(
        self, event: ResponseFunctionCallArgumentsDeltaEvent
    ) -> ConversationUpdated | None:
        state = self.find(event.item_id, event.response_id)
        if state is None:
            return None
        item = state.grow(ARGUMENTS, 0, event.delta)
        delta = Delta(None, None, event.delta)
        return ConversationUpdated(item, delta) if state.is_mirrored else None

    def _on_heard(
        self, event: ConversationItemInputAudioTranscriptionCompletedEvent
    ) -> list[Update]:
        return self._hear(event.item_id, event.content_index, event.transcript, is_final=True)

    def _on_hearing(self, event: ConversationItemInputAudioTranscriptionDeltaEvent) -> list[Update]:
        return self._hear(
            event.item_id, event.content_index or 0, event.delta or "", is_final=False
        )

    def _hear(self, item_id: str, index: int, words: str, *, is_final: bool) -> list[Update]:
        state = self._items.get(item_id)
        if state is None:
            self._early.put(item_id, index, words, is_final=is_final)
            return []
        state.hear(index, words, is_final=is_final)
        return [ConversationUpdated(state.snapshot(), Delta(transcript=words))]

    def _on_truncated(self, event: ConversationItemTruncatedEvent) -> list[Update]:
        state = self._items.get(event.item_id)
        if state is None:
            return []
        state.truncate(event.content_index, self._output_format.bytes(event.audio_end_ms))
        return [ConversationUpdated(state.snapshot())]

    def _on_deleted(self, event: ConversationItemDeletedEvent) -> list[Update]:
        state = self._items.get(event.item_id)
        if state is None:
            return []
        self._order.remove(event.item_id)
        self._remove(state)
        return [ConversationUpdated(state.snapshot())]

    def _remove(self, state: ItemState) -> None:
        del self._items[state.id]
        state.is_mirrored = False
        self._heard.release(state)
        self._spoken.release(state)

    def _on_speech_started(self, event: InputAudioBufferSpeechStartedEvent) -> list[Update]:
        return [Interrupted(event.item_id, event.audio_start_ms)]

    HANDLERS: ClassVar[Mapping[type, Callable[[Any, Any], list[Update]]]] = {
        ConversationItemAdded: _on_added,
        ConversationItemCreatedEvent: _on_added,
        ConversationItemDone: _on_item_done,
        ConversationItemTruncatedEvent: _on_truncated,
        ConversationItemDeletedEvent: _on_deleted,
        ConversationItemInputAudioTranscriptionDeltaEvent: _on_hearing,
        ConversationItemInputAudioTranscriptionCompletedEvent: _on_heard,
        InputAudioBufferSpeechStartedEvent: _on_speech_started,
        ResponseOutputItemAddedEvent: _on_output_item_added,
        ResponseOutputItemDoneEvent: _on_output_item_done,
        ResponseContentPartAddedEvent: _on_part_added,
    }
    """What is done with the events that `receive` heeds, beside those of `growth`."""


def _encoded(size: int | None) -> int | None:
    """Return how much base64 so many bytes are: what is spoken is counted as it came."""
    return None if size is None else size * 4 // 3

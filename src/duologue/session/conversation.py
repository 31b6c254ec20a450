"""The mirror of the conversation: its items in order, and what each of them says.

Each event changes one item, at the same cost whatever the history. Events about items that nobody
announced change nothing. Items of a response that the conversation never took in (an out-of-band
response's, or a response's before they are added) are kept apart: only the response shows them.
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
from duologue.session.items import ItemState
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
    """What was said so far, as the server has told it; empty again for each new session."""

    def __init__(self, *, clip_of: Callable[[str], bytes | None] = lambda _: None) -> None:
        self.output_format: Format = PCM16
        """In which the assistant's audio comes; truncation counts in it."""
        self._clip_of = clip_of
        self._items: dict[str, ItemState] = {}
        self._order: list[str] = []
        self._apart: dict[str, ItemState] = {}
        self._early = EarlyWords()

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

    def find(self, item_id: str) -> ItemState | None:
        """Return the growing item of this id, also one that is kept apart."""
        return self._items.get(item_id) or self._apart.get(item_id)

    def receive(self, event: Event) -> list[Update]:
        """Take a server event; return what it changed.

        Raises:
            DecodeError: If its audio is not base64; nothing has changed then.
        """
        handler = self._HANDLERS.get(type(event))
        return [] if handler is None else handler(self, event)

    def _on_added(
        self, event: ConversationItemAdded | ConversationItemCreatedEvent
    ) -> list[Update]:
        item_id = id_of(event.item)
        if item_id is None:
            return []
        known = self._items.get(item_id)
        if known is not None:
            return [ConversationUpdated(known.snapshot())]
        state = self._apart.pop(item_id, None) or ItemState(item_id, event.item)
        self._place(state, event.previous_item_id)
        clip = self._clip_of(item_id)
        if clip is not None:
            state.attach_audio(clip)
        for index, words, is_final in self._early.take(item_id):
            state.hear(index, words, is_final=is_final)
        item = state.snapshot()
        completed = [ItemCompleted(item)] if state.is_completed else []
        return [ConversationUpdated(item), ItemAppended(item), *completed]

    def _place(self, state: ItemState, previous_item_id: object) -> None:
        """Put an item after the one named; at the end when that is unknown."""
        order = self._order
        if previous_item_id in self._items and order[-1] != previous_item_id:
            order.insert(order.index(str(previous_item_id)) + 1, state.id)
        else:
            order.append(state.id)
        self._items[state.id] = state

    def _on_item_done(self, event: ConversationItemDone) -> list[Update]:
        state = self._items.get(id_of(event.item) or "")
        if state is None:
            return []
        was_completed = state.is_completed
        is_changed = state.finish(event.item)
        if not is_changed:
            return []
        item = state.snapshot()
        if not state.is_completed or was_completed:
            return [ConversationUpdated(item)]
        state.is_announced_done = True
        return [ConversationUpdated(item), ItemCompleted(item)]

    def _on_output_item_added(self, event: ResponseOutputItemAddedEvent) -> list[Update]:
        item_id = id_of(event.item)
        if item_id is not None and self.find(item_id) is None:
            remember(self._apart, item_id, ItemState(item_id, event.item), MAX_APART)
        return []

    def _on_output_item_done(self, event: ResponseOutputItemDoneEvent) -> list[Update]:
        item_id = id_of(event.item) or ""
        state = self.find(item_id)
        if state is None:
            return []
        is_changed = state.finish(event.item)
        is_told, state.is_announced_done = state.is_announced_done, False
        if item_id not in self._items or (is_told and not is_changed):
            return []
        item = state.snapshot()
        completed = [ItemCompleted(item)] if state.is_completed and not is_told else []
        return [ConversationUpdated(item), *completed]

    def _on_part_added(self, event: ResponseContentPartAddedEvent) -> list[Update]:
        state = self.find(event.item_id)
        if state is not None:
            state.add_part(event.content_index, content_part(event.part))
        return []

    def _on_text(self, event: ResponseTextDeltaEvent) -> list[Update]:
        state = self.find(event.item_id)
        if state is None:
            return []
        state.add_text(event.content_index, event.delta)
        return self._grown(state, Delta(text=event.delta))

    def _on_transcript(self, event: ResponseAudioTranscriptDeltaEvent) -> list[Update]:
        state = self.find(event.item_id)
        if state is None:
            return []
        state.add_transcript(event.content_index, event.delta)
        return self._grown(state, Delta(transcript=event.delta))

    def _on_audio(self, event: ResponseAudioDeltaEvent) -> list[Update]:
        state = self.find(event.item_id)
        if state is None:
            return []
        sample_bytes = self.output_format.sample_bytes
        audio = state.add_audio(event.content_index, event.audio_data, sample_bytes)
        return self._grown(state, Delta(audio=audio))

    def _on_arguments(self, event: ResponseFunctionCallArgumentsDeltaEvent) -> list[Update]:
        state = self.find(event.item_id)
        if state is None:
            return []
        state.add_arguments(event.delta)
        return self._grown(state, Delta(arguments=event.delta))

    def _grown(self, state: ItemState, delta: Delta) -> list[Update]:
        if state.id not in self._items:
            return []
        return [ConversationUpdated(state.snapshot(), delta)]

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
        state.truncate(event.content_index, self.output_format.bytes(event.audio_end_ms))
        return [ConversationUpdated(state.snapshot())]

    def _on_deleted(self, event: ConversationItemDeletedEvent) -> list[Update]:
        state = self._items.pop(event.item_id, None)
        if state is None:
            return []
        self._order.remove(event.item_id)
        return [ConversationUpdated(state.snapshot())]

    def _on_speech_started(self, event: InputAudioBufferSpeechStartedEvent) -> list[Update]:
        return [Interrupted(event.item_id, event.audio_start_ms)]

    _HANDLERS: ClassVar[Mapping[type, Callable[[Any, Any], list[Update]]]] = {
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
        ResponseTextDeltaEvent: _on_text,
        ResponseAudioTranscriptDeltaEvent: _on_transcript,
        ResponseAudioDeltaEvent: _on_audio,
        ResponseFunctionCallArgumentsDeltaEvent: _on_arguments,
    }

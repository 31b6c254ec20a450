"""The mirror of the conversation: its items in order, and their content.

Each event changes one item, at the same cost whatever the history. Events about unknown items
change nothing. Items of a response that are not in the conversation (those of an out-of-band
response, and any before they are added) are kept apart: only the response shows them. Many servers
announce the user's items but not those of a response, so an item of a response of the conversation
enters the conversation as soon as it has content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from duologue.errors import ItemNotFound, LocalProtocolError
from duologue.protocol.formats import PCM16, Format
from duologue.protocol.ga import (
    Message,
    OutputAudio,
    OutputText,
    ResponseAudioDeltaEvent,
    ResponseAudioTranscriptDeltaEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseTextDeltaEvent,
)
from duologue.protocol.model import Event, replace
from duologue.session._item_fields import audio_of, content_part, id_of
from duologue.session.commands import ROOT
from duologue.session.history import saved_history
from duologue.session.items import ItemState
from duologue.session.journal import ARGUMENTS, AUDIO, TEXT, TRANSCRIPT
from duologue.session.retention import KEEP_RECENT, AudioRetention, Retention, remember
from duologue.session.transcript import Transcript, transcript_of
from duologue.session.updates import (
    ConversationUpdated,
    Delta,
    Interrupted,
    ItemAppended,
    ItemCompleted,
    Update,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from os import PathLike

    from duologue.protocol.ga import (
        ConversationItemAdded,
        ConversationItemCreatedEvent,
        ConversationItemDeletedEvent,
        ConversationItemDone,
        ConversationItemTruncatedEvent,
        InputAudioBufferSpeechStartedEvent,
        Item,
        ResponseAudioTranscriptDoneEvent,
        ResponseContentPartAddedEvent,
        ResponseContentPartDoneEvent,
        ResponseFunctionCallArgumentsDoneEvent,
        ResponseOutputItemAddedEvent,
        ResponseOutputItemDoneEvent,
        ResponseTextDoneEvent,
    )
    from duologue.protocol.model import UnknownEvent
    from duologue.session.formatted import FormattedItem, ItemSpeech
    from duologue.session.items import SpeechSpan

__all__ = ["ConversationMirror", "RealtimeConversation"]

EventT = TypeVar("EventT", bound=Event)

MAX_APART: Final = 256
"""Items kept apart from the conversation: the open responses of a session have a handful."""

MAX_EARLY_ITEMS: Final = 64
"""Items of which a transcript or a successor came first: they follow within a second, or never."""

MAX_EARLY_PIECES: Final = 4096
"""Pieces of transcript kept for one such item: more than a server sends in a minute."""


class RealtimeConversation:
    """The items of a conversation, as the server has sent them; empty again in each new session."""

    def __init__(self) -> None:
        self._output_format: Format = PCM16
        self._items: Final[dict[str, ItemState]] = {}
        self._order: Final[list[str]] = []
        self._queued_audio: bytes | None = None

    @property
    def output_format(self) -> Format:
        """Format of the assistant's audio; truncation is counted in it."""
        return self._output_format

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
            ItemNotFound: If the conversation has no item of this id.
        """
        state = self._items.get(item_id)
        if state is None:
            raise ItemNotFound(item_id)
        return state.snapshot()

    def transcript(self) -> Transcript:
        """Return what was said until now, in spoken order; see `Transcript`."""
        return transcript_of(self._states())

    def to_json(self) -> bytes:
        """Return the conversation as JSON that another client can continue: see `save`."""
        return saved_history(self._states())

    def save(self, path: str | PathLike[str]) -> None:
        """Write the conversation to a file, which `RealtimeClient(resume=path)` continues.

        The file has the words of all items, the calls of tools and their outputs, and the user's
        audio where it has no transcript. A file that exists is replaced as a whole.

        Raises:
            OSError: If it cannot be written.
        """
        target = Path(path)
        whole = target.with_name(f".{target.name}.new")
        whole.write_bytes(self.to_json())
        whole.replace(target)

    def clear(self) -> None:
        """Forget all items here; the server's conversation stays as it is."""
        for state in self._states():
            self._drop(state)

    def queue_input_audio(self, audio: bytes) -> None:
        """Set the audio of the next user message that is added without audio that was recorded."""
        self._queued_audio = audio

    def process_event(
        self, event: Event | UnknownEvent
    ) -> tuple[FormattedItem | None, Delta | None]:
        """Process a server event as if it had arrived; the client does that for those that arrive.

        Args:
            event: In the dialect of the connection.

        Returns:
            The item that it changed and what it added, if anything.

        Raises:
            LocalProtocolError: If this is not the conversation of a client.
        """
        raise LocalProtocolError(f"{event.type} needs the conversation of a client")

    def _states(self) -> list[ItemState]:
        return [self._items[item_id] for item_id in self._order]

    def _drop(self, state: ItemState) -> None:
        self._order.remove(state.id)
        self._remove(state)

    def _remove(self, state: ItemState) -> None:
        del self._items[state.id]


class ConversationMirror(RealtimeConversation):
    """The conversation with the reactions that change it; applications see its base class.

    Args:
        updates: Where updates are appended, in order.
        clip_of: Returns the audio of a user's message, once.
        is_of_conversation: Returns whether the items of a response, by its id, belong here.
        speech_of: Returns when the user spoke a message; called before `clip_of`.
        span_of: The same on the conversation's audio clock.
        clock: Returns the milliseconds on that clock.
        process: Processes an event as if the server had sent it.
        retention: How much is kept.
    """

    def __init__(
        self,
        updates: list[Update],
        *,
        clip_of: Callable[[str], bytes | None],
        is_of_conversation: Callable[[str], bool],
        speech_of: Callable[[str], ItemSpeech | None] = lambda _item_id: None,
        span_of: Callable[[str], SpeechSpan | None] = lambda _item_id: None,
        clock: Callable[[], float] = lambda: 0.0,
        process: Callable[[Event | UnknownEvent], None] = lambda _event: None,
        retention: Retention = KEEP_RECENT,
    ) -> None:
        super().__init__()
        self.updates: list[Update] = updates
        """Where updates are appended, in order; the core replaces it when it has taken them."""
        self._clip_of: Final = clip_of
        self._speech_of: Final = speech_of
        self._span_of: Final = span_of
        self._clock: Final = clock
        self._beginnings = 0
        self._speech_began: Final[dict[str, int]] = {}  # by item id, until the message is added
        self._is_of_conversation: Final = is_of_conversation
        self._process: Final = process
        self._retention: Final = retention
        limit = retention.audio_bytes(PCM16.bytes_per_ms)
        self._input_audio: Final = AudioRetention(limit)
        self._output_audio: Final = AudioRetention(_base64_length(limit))
        self._apart: Final[dict[tuple[str, str], ItemState]] = {}
        self._aliases: dict[str, str] = {}  # ids of this session's server, where they differ
        self._early: Final[dict[str, list[tuple[int, str, bool]]]] = {}
        """Pieces of transcript whose item has not come yet: index, words, whether they are all."""
        self._followers: Final[dict[str, str]] = {}
        """Items that came before the item that they follow, by the id of that."""
        self.growth: Final[Mapping[type, Callable[[Any], ConversationUpdated | None]]] = {
            ResponseTextDeltaEvent: self._on_text,
            ResponseAudioTranscriptDeltaEvent: self._on_transcript,
            ResponseAudioDeltaEvent: self._on_audio,
            ResponseFunctionCallArgumentsDeltaEvent: self._on_arguments,
        }
        """Handlers of the events that only add to an item: most of a session's events.

        Each returns its update, if the conversation has the item."""

    def process_event(
        self, event: Event | UnknownEvent
    ) -> tuple[FormattedItem | None, Delta | None]:
        """Process a server event; see the base class."""
        count = len(self.updates)
        self._process(event)
        changes = [u for u in self.updates[count:] if isinstance(u, ConversationUpdated)]
        return (changes[-1].item, changes[-1].delta) if changes else (None, None)

    def states(self) -> list[ItemState]:
        """Return the states of all items, in order."""
        return self._states()

    def set_output_format(self, output_format: Format) -> None:
        """Switch to another format of the assistant's audio."""
        self._output_format = output_format
        limit = self._retention.audio_bytes(output_format.bytes_per_ms)
        self._output_audio.limit = _base64_length(limit)

    def own_id(self, item_id: str) -> str:
        """Return the id in the conversation of an item that the server may know by another."""
        state = self._items.get(item_id) if self._aliases else None
        return item_id if state is None else state.id

    def with_server_ids(self, event: EventT) -> EventT:
        """Return an event of ours with the ids by which the server knows its items."""
        return _with_ids(event, self._aliases) if self._aliases else event

    def with_own_ids(self, event: EventT) -> EventT:
        """Return an event of the server's with the ids of the conversation."""
        if not self._aliases:
            return event
        return _with_ids(event, {alias: item_id for item_id, alias in self._aliases.items()})

    def rename(self, aliases: Mapping[str, str]) -> None:
        """Begin a session whose server knows some items by other ids."""
        for alias in self._aliases.values():
            self._items.pop(alias, None)
        self._aliases = {i: alias for i, alias in aliases.items() if i in self._items}
        for item_id, alias in self._aliases.items():
            self._items[alias] = self._items[item_id]

    def cut_off(self, unwanted: Collection[str]) -> None:
        """End the items that were in progress when the connection was lost, as incomplete.

        Args:
            unwanted: Items to remove, because their response is requested again.
        """
        self._apart.clear()
        for state in self.states():
            if state.id in unwanted:
                self._order.remove(state.id)
                self._remove(state)
            elif state.status == "in_progress":
                state.has_ended = True
            else:
                continue
            state.status = "incomplete"
            self.updates.append(ConversationUpdated(state.snapshot()))

    def find(self, item_id: str, response_id: str = "") -> ItemState | None:
        """Return the state of an item, including one that is kept apart for its response."""
        if self._apart:
            apart = self._apart.get((response_id, item_id))
            if apart is not None:
                return apart
        return self._items.get(item_id)

    def received_ms(self, item_id: str) -> int | None:
        """Return how much audio of an assistant's item has been received, in milliseconds.

        `None` if the conversation does not have its audio: it was dropped, or travels another way
        (WebRTC, telephone).
        """
        state = self._items.get(item_id)
        item = None if state is None else state.snapshot()
        if item is None or item.role != "assistant" or not item.formatted.audio_bytes:
            return None
        return self._output_format.ms(item.formatted.audio_bytes)

    def is_apart(self, item_id: str) -> bool:
        """Return whether an item is known from a response but not in the conversation."""
        return any(key[1] == item_id for key in self._apart)

    # Items come, are completed, change and go.

    def on_item_added(
        self,
        event: ConversationItemAdded | ConversationItemCreatedEvent,
        *,
        created: Item | None = None,
        at_front: bool = False,
    ) -> None:
        """Insert an item.

        Args:
            event: The server's announcement.
            created: The item as we created it, if we did: the server's copy lacks its audio.
            at_front: Whether we inserted it at the front: the server's null does not say so.
        """
        item_id = event.item.id
        if not isinstance(item_id, str):
            return
        known = self._items.get(item_id)
        if known is not None:
            self.updates.append(ConversationUpdated(known.snapshot()))
            return
        state = self._take_apart(item_id) if self._apart else None
        if state is None:
            state = self._new(item_id, event)
        self._insert(state, ROOT if at_front else event.previous_item_id)
        state.speech, state.span = self._speech_of(item_id), self._span_of(item_id)
        state.began = self._speech_began.pop(item_id, state.began)
        clip = self._clip_of(item_id)
        if clip is None:
            clip = self._audio_of(event.item, created)
        if clip is not None:
            state.attach_audio(clip)
        # A whole transcript is part of the item from the start; words that stream follow it.
        early = self._early.pop(item_id, [])
        is_streamed = not all(is_final for _, _, is_final in early)
        for index, words, is_final in () if is_streamed else early:
            state.add_user_words(index, words, is_final=is_final)
        item = state.snapshot()
        if clip:
            self._input_audio.add(state, len(clip))
        self.updates.append(ConversationUpdated(item))
        self.updates.append(ItemAppended(item))
        for index, words, is_final in early if is_streamed else ():
            self.on_user_words(item_id, index, words, is_final=is_final)
        if state.is_completed:
            self.updates.append(ItemCompleted(state.snapshot()))

    def _audio_of(self, item: Item, created: Item | None) -> bytes | None:
        """Return the audio of a new item that was not recorded: queued, or as it was sent."""
        if self._queued_audio is not None and isinstance(item, Message) and item.role == "user":
            clip, self._queued_audio = self._queued_audio, None
            return clip
        return audio_of(created) if isinstance(created, Message) else None

    def on_item_done(self, event: ConversationItemDone) -> None:
        """Complete an item."""
        state = self._items.get(id_of(event.item) or "")
        if state is None:
            return
        was_completed, state.has_ended = state.is_completed, True
        if state.finish(event.item):
            self._report_done(state, is_new=state.is_completed and not was_completed)

    def on_item_truncated(self, event: ConversationItemTruncatedEvent) -> None:
        """Cut an item's audio, and drop its transcript."""
        state = self._items.get(event.item_id)
        if state is not None:
            state.truncate(event.content_index, self._output_format.bytes(event.audio_end_ms))
            self.updates.append(ConversationUpdated(state.snapshot()))

    def on_item_deleted(self, event: ConversationItemDeletedEvent) -> None:
        """Remove an item."""
        state = self._items.get(event.item_id)
        if state is not None:
            self._order.remove(state.id)
            self._remove(state)
            self.updates.append(ConversationUpdated(state.snapshot()))

    # The end of a part carries the whole: some servers send no deltas.

    def on_text_done(self, event: ResponseTextDoneEvent) -> None:
        """Add what the deltas of a text lacked."""
        self._complete(TEXT, event.item_id, event.response_id, event.content_index, event.text)

    def on_transcript_done(self, event: ResponseAudioTranscriptDoneEvent) -> None:
        """Add what the deltas of a transcript lacked."""
        place = event.item_id, event.response_id, event.content_index
        self._complete(TRANSCRIPT, *place, event.transcript)

    def on_arguments_done(self, event: ResponseFunctionCallArgumentsDoneEvent) -> None:
        """Add what the deltas of a call's arguments lacked."""
        self._complete(ARGUMENTS, event.item_id, event.response_id, 0, event.arguments)

    def on_part_done(self, event: ResponseContentPartDoneEvent) -> None:
        """Add what the deltas of a content part lacked."""
        part = content_part(event.part)
        place = event.item_id, event.response_id, event.content_index
        if isinstance(part, OutputText) and isinstance(part.text, str):
            self._complete(TEXT, *place, part.text)
        elif isinstance(part, OutputAudio) and isinstance(part.transcript, str):
            self._complete(TRANSCRIPT, *place, part.transcript)

    def _complete(self, kind: int, item_id: str, response_id: str, index: int, words: str) -> None:
        state = self.find(item_id, response_id)
        completed = None if state is None else state.complete_words(kind, index, words)
        if state is None or completed is None:
            return
        item, missing = completed
        self._adopt(item_id, response_id)
        if state.is_mirrored:
            self.updates.append(ConversationUpdated(item, _DELTA_OF[kind](missing or None)))

    def on_user_words(self, item_id: str, index: int, words: str, *, is_final: bool) -> None:
        """Add to the transcript of a user's message, or set it.

        Args:
            item_id: The message; the words are kept if it has not come yet.
            index: Its content part.
            words: More words, or all of them.
            is_final: Whether they are all.
        """
        state = self._items.get(item_id)
        if state is None:
            pieces = self._early.get(item_id)
            if pieces is None:
                pieces = remember(self._early, item_id, [], MAX_EARLY_ITEMS)
            if len(pieces) < MAX_EARLY_PIECES or is_final:
                pieces.append((index, words, is_final))
            return
        added = state.new_user_words(words) if is_final else words
        state.add_user_words(index, words, is_final=is_final)
        self.updates.append(ConversationUpdated(state.snapshot(), Delta(transcript=added)))

    def on_speech_started(self, event: InputAudioBufferSpeechStartedEvent) -> None:
        """Report that the user interrupts, and note that the turn begins."""
        remember(self._speech_began, event.item_id, self._next_beginning(), MAX_EARLY_ITEMS)
        self.updates.append(Interrupted(event.item_id, event.audio_start_ms))

    # Items of a response, which the server may never announce as the conversation's.

    def on_output_item_added(
        self, event: ResponseOutputItemAddedEvent | ResponseOutputItemDoneEvent
    ) -> ItemState | None:
        """Begin an item of a response, and return its state."""
        item_id = id_of(event.item)
        if item_id is None:
            return None
        known = self._items.get(item_id)
        if known is not None and known.response_id in {None, event.response_id}:
            known.response_id = event.response_id
            return known
        key = (event.response_id, item_id)
        if key not in self._apart:
            state = self._new(item_id, event)
            state.response_id = event.response_id
            remember(self._apart, key, state, MAX_APART)
        return self._apart[key]

    def on_part_added(self, event: ResponseContentPartAddedEvent) -> None:
        """Begin a content part."""
        state = self.find(event.item_id, event.response_id)
        if state is not None:
            state.add_part(event.content_index, content_part(event.part))
            self._adopt(event.item_id, event.response_id)

    def on_output_item_done(self, event: ResponseOutputItemDoneEvent) -> None:
        """Complete an item of a response."""
        item_id = id_of(event.item) or ""
        self._adopt(item_id, event.response_id)
        state = self.find(item_id, event.response_id)
        if state is None:
            return
        is_changed = state.finish(event.item)
        if state.is_mirrored and (is_changed or not state.has_ended):
            self._report_done(state, is_new=state.is_completed and not state.has_ended)

    # Deltas: the fast way. `find` is called only if there may be another item of this id.

    def _on_text(self, event: ResponseTextDeltaEvent) -> ConversationUpdated | None:
        state = self._items.get(event.item_id)
        if state is None or self._apart:
            state = self.find(event.item_id, event.response_id)
            if state is None:
                return None
        if not state.is_mirrored:
            self._adopt(event.item_id, event.response_id)
        item = state.grow(TEXT, event.content_index, event.delta)
        return ConversationUpdated(item, Delta(event.delta)) if state.is_mirrored else None

    def _on_transcript(
        self, event: ResponseAudioTranscriptDeltaEvent
    ) -> ConversationUpdated | None:
        state = self._items.get(event.item_id)
        if state is None or self._apart:
            state = self.find(event.item_id, event.response_id)
            if state is None:
                return None
        if not state.is_mirrored:
            self._adopt(event.item_id, event.response_id)
        item = state.grow(TRANSCRIPT, event.content_index, event.delta)
        return ConversationUpdated(item, Delta(None, event.delta)) if state.is_mirrored else None

    def _on_audio(self, event: ResponseAudioDeltaEvent) -> ConversationUpdated | None:
        state = self._items.get(event.item_id)
        if state is None or self._apart:
            state = self.find(event.item_id, event.response_id)
            if state is None:
                return None
        sound = event.delta
        self._output_audio.add(state, len(sound) - 2)  # without its quotes
        if not state.is_mirrored:
            self._adopt(event.item_id, event.response_id)
        item = state.grow(AUDIO, event.content_index, sound)
        if not state.is_mirrored:
            return None
        journal = state.journal
        delta = Delta(None, None, None, sound, journal, len(journal.entries) - 1)
        return ConversationUpdated(item, delta)

    def _on_arguments(
        self, event: ResponseFunctionCallArgumentsDeltaEvent
    ) -> ConversationUpdated | None:
        state = self._items.get(event.item_id)
        if state is None or self._apart:
            state = self.find(event.item_id, event.response_id)
            if state is None:
                return None
        if not state.is_mirrored:
            self._adopt(event.item_id, event.response_id)
        item = state.grow(ARGUMENTS, 0, event.delta)
        return (
            ConversationUpdated(item, Delta(None, None, event.delta)) if state.is_mirrored else None
        )

    # Placing.

    def _new(
        self,
        item_id: str,
        event: ConversationItemAdded
        | ConversationItemCreatedEvent
        | ResponseOutputItemAddedEvent
        | ResponseOutputItemDoneEvent,
    ) -> ItemState:
        state = ItemState(item_id, event.item, sample_bytes=self._output_format.sample_bytes)
        state.bytes_per_ms = self._output_format.bytes_per_ms
        state.began, state.began_ms = self._next_beginning(), self._clock()
        return state

    def _next_beginning(self) -> int:
        self._beginnings += 1
        return self._beginnings

    def _take_apart(self, item_id: str) -> ItemState | None:
        """Remove an item from those kept apart, and return it."""
        for key in self._apart:
            if key[1] == item_id:
                return self._apart.pop(key)
        return None

    def _adopt(self, item_id: str, response_id: str) -> None:
        """Append an item of the conversation's own response that the server has not announced."""
        key = (response_id, item_id)
        if key not in self._apart or not self._is_of_conversation(response_id):
            return
        state = self._apart.pop(key)
        self._insert(state, None)
        item = state.snapshot()
        self.updates.append(ConversationUpdated(item))
        self.updates.append(ItemAppended(item))

    def _insert(self, state: ItemState, previous_item_id: object) -> None:
        """Insert an item after the given one; if that is unknown, at the end for now."""
        order = self._order
        follower = self._followers.pop(state.id, None)
        if previous_item_id == ROOT:
            order.insert(0, state.id)
        elif previous_item_id in self._items and order[-1] != previous_item_id:
            previous = self._items[str(previous_item_id)]
            order.insert(order.index(previous.id) + 1, state.id)
        elif follower in self._items:
            order.insert(order.index(self._items[str(follower)].id), state.id)
        else:
            order.append(state.id)
        if isinstance(previous_item_id, str) and previous_item_id not in self._items:
            remember(self._followers, previous_item_id, state.id, MAX_EARLY_ITEMS)
        self._items[state.id] = state
        state.is_mirrored = True
        if self._retention.items is not None and len(order) > self._retention.items:
            self._remove(self._items[order.pop(0)])

    def _remove(self, state: ItemState) -> None:
        del self._items[state.id]
        alias = self._aliases.pop(state.id, None)
        if alias is not None:
            self._items.pop(alias, None)
        state.is_mirrored = False
        self._input_audio.release(state)
        self._output_audio.release(state)

    def _report_done(self, state: ItemState, *, is_new: bool) -> None:
        item = state.snapshot()
        self.updates.append(ConversationUpdated(item))
        if is_new:
            self.updates.append(ItemCompleted(item))


def _with_ids(event: EventT, ids: Mapping[str, str]) -> EventT:
    """Return an event with other ids of its items."""
    changes: dict[str, Any] = {}
    for name in ("item_id", "previous_item_id"):
        if getattr(event, name, None) in ids:
            changes[name] = ids[getattr(event, name)]
    item: Any = getattr(event, "item", None)
    if getattr(item, "id", None) in ids:
        changes["item"] = replace(item, id=ids[item.id])
    return replace(event, **changes) if changes else event


_DELTA_OF: Final[Mapping[int, Callable[[str | None], Delta]]] = {
    TEXT: lambda words: Delta(text=words),
    TRANSCRIPT: lambda words: Delta(transcript=words),
    ARGUMENTS: lambda words: Delta(arguments=words),
}


def _base64_length(size: int | None) -> int | None:
    """Return the base64 length of `size` bytes: output audio is kept encoded."""
    return None if size is None else size * 4 // 3

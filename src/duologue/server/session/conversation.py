"""The conversation: its items in order, and the audio behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from duologue.protocol.codec import encode_model
from duologue.protocol.formats import PCM16
from duologue.protocol.ga import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    Item,
    Message,
    OutputAudio,
    OutputText,
)
from duologue.protocol.model import replace
from duologue.server.session.validation import InvalidRequest

__all__ = [
    "MAX_AUDIO_BYTES", "AudioStore", "ServerConversation", "StoredItem", "id_is_taken",
    "set_transcript",
]  # fmt: skip

MAX_ITEMS: Final = 10_000
"""Items that a conversation holds at most; a model reads a fraction of them."""

MAX_BYTES: Final = 64 << 20
"""Size of its items as JSON, without audio, at most: three times the largest event."""

MAX_AUDIO_BYTES: Final = 128 << 20
"""Audio that a server keeps at most: 46 minutes of speech, of all sessions together."""

Segment = tuple[int, str]
"""The end of a stretch of speech, in bytes of the item's audio, and its words."""


@dataclass(slots=True, eq=False)
class StoredItem:
    """An item, its audio, and what is needed to truncate and measure it."""

    item: Item
    audio: bytearray = field(default_factory=bytearray)
    """PCM16 at 24 kHz of the item's audio part; empty once it is forgotten."""
    audio_bytes: int = 0
    """Size of the item's audio, forgotten or not."""
    segments: list[Segment] = field(default_factory=list[Segment])
    """Words of the assistant's speech, so that a truncation can find those that were heard."""
    size: int = 0
    """Size as JSON without audio, when the item joined the conversation."""
    is_truncated: bool = False
    words: list[str] | None = None
    """Words so far of a message that is in progress; joined only when somebody reads them."""

    @property
    def current(self) -> Item:
        """The item with its words so far."""
        item = self.item
        if self.words is None or self.is_truncated or not isinstance(item, Message):
            return item
        words = "".join(self.words)
        parts = [
            replace(part, text=words)
            if isinstance(part, OutputText)
            else replace(part, transcript=words)
            for part in item.content
            if isinstance(part, OutputText | OutputAudio)
        ]
        return replace(item, content=parts)

    def add_audio(self, pcm: bytes) -> None:
        """Append audio, unless the item was truncated."""
        if self.is_truncated:
            return
        self.audio += pcm
        self.audio_bytes += len(pcm)

    def forget_audio(self) -> None:
        """Forget the audio, and with it the place of each word in it."""
        self.audio = bytearray()
        if self.segments:
            self.segments = [(self.audio_bytes, "".join(words for _, words in self.segments))]


class AudioStore:
    """The audio behind the items of all sessions of a server, bounded as a whole.

    Audio is kept only for `conversation.item.retrieve`, so the oldest may be forgotten; the newest
    item always keeps its own. Words are never forgotten.
    """

    def __init__(self, max_bytes: int = MAX_AUDIO_BYTES) -> None:
        self._max_bytes: Final = max_bytes
        self._sizes: Final[dict[StoredItem, int]] = {}  # oldest first
        self._bytes = 0

    def keep(self, stored: StoredItem) -> None:
        """Count the audio of an item that is new or has grown; forget older audio if need be."""
        size = len(stored.audio)
        self._bytes += size - self._sizes.get(stored, 0)
        self._sizes[stored] = size
        while self._bytes > self._max_bytes and len(self._sizes) > 1:
            oldest = next(iter(self._sizes))
            self.forget(oldest)
            oldest.forget_audio()

    def forget(self, stored: StoredItem) -> None:
        """Stop counting the audio of an item that is gone."""
        self._bytes -= self._sizes.pop(stored, 0)


class ServerConversation:
    """Items in order, with bounds on their number and size."""

    def __init__(self, audio_store: AudioStore) -> None:
        self._stored: Final[dict[str, StoredItem]] = {}
        self._order: Final[list[str]] = []
        self._bytes = 0
        self._audio_store: Final = audio_store

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._stored

    @property
    def last_id(self) -> str | None:
        """Id of the last item; `None` if there are no items."""
        return self._order[-1] if self._order else None

    def items(self) -> list[Item]:
        """Return the items in order."""
        return [stored.current for stored in self.stored()]

    def stored(self) -> list[StoredItem]:
        """Return the items in order, with their audio."""
        return [self._stored[item_id] for item_id in self._order]

    def get(self, item_id: str, *, param: str = "item_id") -> StoredItem:
        """Return an item.

        Raises:
            InvalidRequest: If there is no item with this id.
        """
        stored = self._stored.get(item_id)
        if stored is None:
            code = "item_retrieve_invalid_item_id"
            message = f"Item with item_id '{item_id}' not found."
            raise InvalidRequest(code, message, param)
        return stored

    def insert(self, item: Item, *, after: str | None) -> StoredItem:
        """Add an item after another, at the front (`root`), or at the end (`None`).

        Raises:
            InvalidRequest: If the id is taken, `after` names no item, an output answers no call,
                or the conversation is full.
        """
        item_id = item.id
        if not isinstance(item_id, str):
            raise AssertionError("an item gets its id before it is stored")  # noqa: TRY004  # narrows
        if item_id in self._stored:
            raise id_is_taken(item_id)
        if isinstance(item, FunctionCallOutput) and not self._holds_call(item.call_id):
            message = f"Tool call ID '{item.call_id}' not found in conversation."
            raise InvalidRequest("invalid_tool_call_id", message)
        if len(self._order) >= MAX_ITEMS:
            message = f"The conversation is full: it holds {MAX_ITEMS} items. Delete some."
            raise InvalidRequest("conversation_full", message, "item")
        size = len(encode_model(item))
        if self._bytes + size > MAX_BYTES:
            message = (
                f"The conversation is full: it holds {MAX_BYTES >> 20} MiB. Delete some items."
            )
            raise InvalidRequest("conversation_full", message, "item")
        if after is None:
            place = len(self._order)
        elif after == "root":
            place = 0
        elif after in self._stored:
            place = self._order.index(after) + 1
        else:
            message = f"Previous item with ID '{after}' not found."
            raise InvalidRequest("invalid_value", message, "previous_item_id")
        stored = StoredItem(item, size=size)
        self._bytes += size
        self._stored[item_id] = stored
        self._order.insert(place, item_id)
        return stored

    def _holds_call(self, call_id: str) -> bool:
        items = (stored.item for stored in self._stored.values())
        return any(isinstance(item, FunctionCall) and item.call_id == call_id for item in items)

    def before(self, item_id: str) -> str | None:
        """Return the id of the item before another; `None` for the first."""
        place = self._order.index(item_id)
        return self._order[place - 1] if place else None

    def keep_audio(self, stored: StoredItem) -> None:
        """Count audio that was added to an item; the server's oldest may be forgotten for it."""
        if stored.audio and self._stored.get(str(stored.item.id)) is stored:
            self._audio_store.keep(stored)

    def close(self) -> None:
        """Stop counting the audio of this conversation."""
        for stored in self._stored.values():
            self._audio_store.forget(stored)

    def delete(self, item_id: str) -> None:
        """Delete an item.

        Raises:
            InvalidRequest: If there is no item with this id.
        """
        stored = self.get(item_id)
        self._audio_store.forget(stored)
        self._bytes -= stored.size
        del self._stored[item_id]
        self._order.remove(item_id)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Cut an assistant message to the audio that was heard, and to its words.

        Raises:
            InvalidRequest: If the item has no such audio, or less of it.
        """
        stored = self.get(item_id)
        item = stored.item
        part = None
        if isinstance(item, Message) and 0 <= content_index < len(item.content):
            part = item.content[content_index]
        if not isinstance(item, Message) or not isinstance(part, OutputAudio):
            message = "Only model output audio messages can be truncated."
            raise InvalidRequest("unsupported_content_type", message, "item_id")
        held_ms = PCM16.ms(stored.audio_bytes)
        if audio_end_ms < 0 or audio_end_ms > held_ms:
            message = f"Audio content of {held_ms}ms is already shorter than {audio_end_ms}ms"
            raise InvalidRequest("invalid_value", message, "audio_end_ms")
        heard = PCM16.bytes(audio_end_ms)
        stored.segments = _heard(stored.segments, heard)
        words = "".join(text for _, text in stored.segments).rstrip()
        del stored.audio[heard:]
        self.keep_audio(stored)
        stored.audio_bytes = heard
        stored.is_truncated = True
        parts = list(item.content)
        parts[content_index] = replace(part, transcript=words)
        stored.item = replace(item, content=parts)


def _heard(segments: list[Segment], heard_bytes: int) -> list[Segment]:
    """Return the stretches that were heard.

    It is unknown when each word of a stretch is spoken, so a stretch that is cut keeps as large a
    share of its words as of its audio. Words at the end without audio were not spoken yet.
    """
    kept: list[Segment] = []
    start = 0
    for end, text in segments:
        if end > heard_bytes or (end == heard_bytes == start):
            share = max(0, heard_bytes - start) / max(1, end - start)
            pieces = re.findall(r"\s*\S+", text)
            kept.append((heard_bytes, "".join(pieces[: int(len(pieces) * share)])))
            break
        kept.append((end, text))
        start = end
    return kept


def id_is_taken(item_id: str) -> InvalidRequest:
    """Return the refusal of an item that has the id of another."""
    return InvalidRequest("item_already_exists", f"Item '{item_id}' already exists.", "item.id")


def set_transcript(stored: StoredItem, transcript: str) -> None:
    """Write the transcript of a user's audio into its item."""
    item = stored.item
    if not isinstance(item, Message):
        return
    parts = [
        replace(part, transcript=transcript) if isinstance(part, InputAudio) else part
        for part in item.content
    ]
    stored.item = replace(item, content=parts)

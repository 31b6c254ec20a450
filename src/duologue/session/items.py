"""Mutable state of one item: the item as the server sent it, and the content that deltas add."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.protocol.formats import PCM16
from duologue.protocol.ga import (
    FunctionCall,
    InputAudio,
    Message,
    OutputAudio,
    OutputText,
)
from duologue.session._item_fields import first_status, is_text, last_status, words_of
from duologue.session.formatted import FormattedItem, ItemSpeech
from duologue.session.journal import ARGUMENTS, AUDIO, TEXT, TRANSCRIPT, Entry, Journal, PartState

if TYPE_CHECKING:
    from duologue.protocol.ga import ContentPart, Item
    from duologue.protocol.model import Raw

__all__ = ["ItemCut", "ItemState", "SpeechSpan", "first_words"]

_EMPTY_TEXT: Final = OutputText(text="")
_EMPTY_SPEECH: Final = OutputAudio(transcript="")

_NO_WORDS: Final = " "
"""Transcript of speech without words, as in the reference client: empty means none as yet."""

_WORD: Final = re.compile(r"\w[\w'\u2019]*")


@dataclass(frozen=True, slots=True)
class SpeechSpan:
    """Place of a user's speech on the conversation's audio clock."""

    start_ms: float
    end_ms: float
    is_measured: bool
    """Whether turn detection measured it; otherwise it is the audio of a commit."""


@dataclass(frozen=True, slots=True)
class ItemCut:
    """Result of the truncation of an item."""

    words: str
    """All words that it had."""
    received_bytes: int
    """Size of the audio that it had; 0 if that travels another way."""
    heard_bytes: int
    """Size of the audio that was heard."""


class ItemState:
    """An item of the conversation, or of an out-of-band response."""

    __slots__ = (
        "_is_streamed",
        "began",
        "began_ms",
        "bytes_per_ms",
        "cut",
        "has_ended",
        "heard_words",
        "id",
        "is_mirrored",
        "is_transcribed",
        "journal",
        "response_id",
        "span",
        "speech",
        "status",
        "wire",
    )

    def __init__(self, item_id: str, wire: Item, *, sample_bytes: int = 2) -> None:
        self.id: Final = item_id
        self.wire = wire
        self.status = first_status(wire)
        """`in_progress`, `completed`, `incomplete`, or another status of the server."""
        self.response_id: str | None = None
        """Id of the response that generates it, once known."""
        self.speech: ItemSpeech | None = None
        """When the user spoke it, if turn detection has measured that."""
        self.span: SpeechSpan | None = None
        """Its place on the conversation's audio clock, also without turn detection."""
        self.began: int = 0
        """Position among the beginnings of all items: a turn begins with its speech."""
        self.began_ms: float = 0.0
        """The conversation's audio clock at that time."""
        self.bytes_per_ms: int = PCM16.bytes_per_ms
        """Bytes per millisecond of its audio."""
        self.is_transcribed: bool = False
        """Whether the transcript of the user's audio is complete."""
        self.cut: ItemCut | None = None
        """The result of its truncation, if it was cut."""
        self.heard_words: str | None = None
        """The words of that, estimated."""
        self.is_mirrored: bool = False
        """Whether it is in the conversation."""
        self.has_ended: bool = False
        """Whether `conversation.item.done` has arrived; `response.output_item.done` then repeats
        it."""
        arguments = wire.arguments if isinstance(wire, FunctionCall) else ""
        self.journal: Journal = Journal(arguments=arguments, sample_bytes=sample_bytes)
        """The content so far."""
        self._is_streamed = False
        self._read_content(wire)

    @property
    def is_completed(self) -> bool:
        """Whether the item's status is `completed`."""
        return self.status == "completed"

    @property
    def is_assistants(self) -> bool:
        """Whether the item is a message of the assistant."""
        return isinstance(self.wire, Message) and self.wire.role == "assistant"

    def grow(self, kind: int, index: int, chunk: Raw | str) -> FormattedItem:
        """Add a delta and return a snapshot; audio is not decoded."""
        journal = self.journal
        # Deltas may arrive before `response.content_part.added`, or without it.
        if index not in journal.parts and kind != ARGUMENTS:
            journal.add_part(index, _EMPTY_TEXT if kind == TEXT else _EMPTY_SPEECH, "")
        entries = journal.entries
        entries.append(Entry(kind, index, chunk))
        return FormattedItem(self.id, self.wire, self.status, journal, len(entries), self.speech)

    def add_part(self, index: int, part: ContentPart) -> None:
        """Begin a content part, unless its deltas have arrived first."""
        if index not in self.journal.parts:
            self.journal.add_part(index, part, words_of(part))

    def new_user_words(self, transcript: str) -> str:
        """Return what a whole transcript adds to the words so far.

        What an application appends, delta after delta, must be the transcript once: servers send
        the whole after its deltas, and some send it several times.
        """
        so_far = self._joined(TRANSCRIPT)
        if transcript.startswith(so_far):
            return transcript.removeprefix(so_far)
        rest = _continuation(so_far, transcript)
        if rest is not None:
            return rest
        is_streamed = any(entry.kind == TRANSCRIPT for entry in self.journal.entries)
        return "" if is_streamed else transcript  # the deltas said nearly the same; a new whole

    def add_user_words(self, index: int, words: str, *, is_final: bool) -> None:
        """Extend the transcript of the user's audio, or with `is_final` replace it."""
        if not is_final:
            self.journal.entries.append(Entry(TRANSCRIPT, index, words))
            return
        self.is_transcribed = True
        self._fold(transcript=words or _NO_WORDS)
        part = self.journal.parts.get(index)
        if part is not None and isinstance(part.base, InputAudio):
            self.journal.parts[index] = PartState(part.base, words, 0)

    def complete_words(self, kind: int, index: int, words: str) -> tuple[FormattedItem, str] | None:
        """Set the whole text, transcript or arguments of a part.

        Returns:
            A snapshot, and what the deltas lacked (empty if they said something else); `None` if
            they lacked nothing.
        """
        so_far = self._joined(kind) if kind == ARGUMENTS else self.journal.part_words(index) or ""
        if not words or words == so_far:
            return None
        if words.startswith(so_far):
            missing = words.removeprefix(so_far)
            return self.grow(kind, index, missing), missing
        if kind == ARGUMENTS:
            self._fold(arguments=words)
            return self.snapshot(), ""
        return None  # the item's end says which of the two holds

    def attach_audio(self, audio: bytes) -> None:
        """Set the audio of a user message."""
        self._fold(audio=audio)

    def truncate(self, index: int, size_bytes: int) -> None:
        """Cut the audio to `size_bytes`, and drop the transcript.

        The transcript has no timing, so the words that were heard can only be estimated.
        """
        audio = self.journal.audio(len(self.journal.entries))
        words = self._joined(TEXT) + self._joined(TRANSCRIPT)
        received = self.journal.received_bytes
        if self.cut is not None:  # it is cut again: the first time it had everything
            words, received = self.cut.words, self.cut.received_bytes
        heard = min(size_bytes, received) if received else size_bytes
        self.cut = ItemCut(words, received, heard)
        self.heard_words = first_words(words, heard / received if received else 0.0)
        self._fold(transcript="", audio=audio[:size_bytes])
        part = self.journal.parts.get(index)
        if part is not None and isinstance(part.base, InputAudio | OutputAudio):
            self.journal.parts[index] = PartState(part.base, "", 0)

    def finish(self, wire: Item) -> bool:
        """Complete the item with the server's final copy; return whether anything changed.

        Streamed content stays as it was streamed; the rest is read from the copy.
        """
        self.wire = wire
        status = last_status(wire) or self.status
        is_changed = status != self.status
        self.status = status
        arguments = wire.arguments if isinstance(wire, FunctionCall) else ""
        if arguments and arguments != self._joined(ARGUMENTS):
            self._fold(arguments=arguments)
            is_changed = True
        if self.cut is None:  # the copy may still have the words that truncation dropped
            is_changed |= self._read_content(wire)
        return is_changed

    def snapshot(self) -> FormattedItem:
        """Return an immutable snapshot of the item as it is now."""
        journal = self.journal
        length = len(journal.entries)
        return FormattedItem(self.id, self.wire, self.status, journal, length, self.speech)

    def _joined(self, kind: int) -> str:
        return self.journal.words(kind, len(self.journal.entries))

    def _fold(self, *, audio: bytes | None = None, **words: str) -> None:
        self._is_streamed = self._has_streamed()
        self.journal = self.journal.folded(audio=audio, **words)

    def _has_streamed(self) -> bool:
        streamed = {TEXT, TRANSCRIPT, AUDIO}
        return self._is_streamed or any(entry.kind in streamed for entry in self.journal.entries)

    def _read_content(self, wire: Item) -> bool:
        """Adopt a message's parts that are new or have different words; return whether any are."""
        if not isinstance(wire, Message):
            return False
        journal = self.journal
        parts = {index: (base, words_of(base)) for index, base in enumerate(wire.content)}
        changed = {
            index: part
            for index, part in parts.items()
            if index not in journal.parts or (part[1] and part[1] != journal.part_words(index))
        }
        if not changed:
            return False
        is_streamed = self._has_streamed()
        self._fold()  # earlier snapshots keep the old journal, and with it their parts
        for index, (base, words) in changed.items():
            self.journal.parts[index] = PartState(base, words, 0)
        if not is_streamed:
            self._format()
        return True

    def _format(self) -> None:
        """Set the text and transcript of `formatted` from the parts."""
        content = self.journal.content(len(self.journal.entries))
        text = "".join(words_of(part) or "" for part in content if is_text(part))
        transcript = "".join(words_of(part) or "" for part in content if not is_text(part))
        self._fold(text=text, transcript=transcript or self._joined(TRANSCRIPT))


def _continuation(said: str, whole: str) -> str | None:
    """Return what a transcript adds to words that it repeats with other case or punctuation.

    `None` if it does not repeat them.
    """
    before = [word.casefold() for word in _WORD.findall(said)]
    words = list(_WORD.finditer(whole))
    if not before or [word[0].casefold() for word in words[: len(before)]] != before:
        return None
    return whole[words[len(before) - 1].end() :].lstrip(",.;:!?…")


def first_words(words: str, share: float) -> str:
    """Return the whole words of about this share of a text."""
    cut = int(len(words) * share)
    if cut >= len(words):
        return words
    return words[:cut] if words[cut].isspace() else words[: words.rfind(" ", 0, cut) + 1].rstrip()

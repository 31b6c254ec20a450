"""One item while it grows: what the server said of it whole, and what its deltas added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.protocol.ga import (
    FunctionCall,
    InputAudio,
    InputText,
    Message,
    OutputAudio,
    OutputText,
)
from duologue.session.formatted import FormattedItem
from duologue.session.journal import ARGUMENTS, AUDIO, TEXT, TRANSCRIPT, Entry, Journal, Part
from duologue.session.wire import first_status, last_status

if TYPE_CHECKING:
    from duologue.protocol.ga import ContentPart, Item
    from duologue.protocol.model import Raw

__all__ = ["ItemState"]

_EMPTY_TEXT: Final = OutputText(text="")
_EMPTY_SPEECH: Final = OutputAudio(transcript="")


class ItemState:
    """An item of the conversation, or of a response beside it."""

    __slots__ = (
        "_is_streamed",
        "_is_truncated",
        "has_ended",
        "id",
        "is_mirrored",
        "journal",
        "response_id",
        "status",
        "wire",
    )

    def __init__(self, item_id: str, wire: Item, *, sample_bytes: int = 2) -> None:
        self.id: Final = item_id
        self.wire = wire
        self.status = first_status(wire)
        """`in_progress`, `completed`, `incomplete`, or what the server says."""
        self.response_id: str | None = None
        """The response that makes it, once that is told."""
        self.is_mirrored: bool = False
        """Whether the conversation holds it."""
        self.has_ended: bool = False
        """Whether `conversation.item.done` came; `response.output_item.done` is no news then."""
        arguments = wire.arguments if isinstance(wire, FunctionCall) else ""
        self.journal: Journal = Journal(arguments=arguments, sample_bytes=sample_bytes)
        """What was said so far."""
        self._is_streamed = self._is_truncated = False
        self._read_content(wire)

    @property
    def is_completed(self) -> bool:
        """Whether the item is whole."""
        return self.status == "completed"

    def grow(self, kind: int, index: int, chunk: Raw | str) -> FormattedItem:
        """Take a delta of a kind, audio without decoding it; return the item with it."""
        journal = self.journal
        if index not in journal.parts and kind != ARGUMENTS:
            journal.add_part(index, _EMPTY_TEXT if kind == TEXT else _EMPTY_SPEECH, "")
        entries = journal.entries
        entries.append(Entry(kind, index, chunk))
        return FormattedItem(self.id, self.wire, self.status, journal, len(entries))

    def add_part(self, index: int, part: ContentPart) -> None:
        """Take the announcement of a part, unless deltas were faster."""
        if index not in self.journal.parts:
            self.journal.add_part(index, part, _words(part))

    def hear(self, index: int, words: str, *, is_final: bool) -> None:
        """Take words of the user's transcript, or all of it."""
        if not is_final:
            self.journal.entries.append(Entry(TRANSCRIPT, index, words))
            return
        self._fold(transcript=words or " ")
        part = self.journal.parts.get(index)
        if part is not None and isinstance(part.base, InputAudio):
            self.journal.parts[index] = Part(part.base, words, 0)

    def attach_audio(self, audio: bytes) -> None:
        """Set what the user was heard to say."""
        self._fold(audio=audio)

    def truncate(self, index: int, size_bytes: int) -> None:
        """Cut the audio, and drop the words: nobody knows which of them were heard."""
        self._is_truncated = True
        audio = self.journal.audio(len(self.journal.entries))
        self._fold(transcript="", audio=audio[:size_bytes])
        part = self.journal.parts.get(index)
        if part is not None and isinstance(part.base, InputAudio | OutputAudio):
            self.journal.parts[index] = Part(part.base, "", 0)

    def finish(self, wire: Item) -> bool:
        """Take the item as it ended; return whether that changed anything.

        What was streamed stays as it was streamed; what was not is read from the item.
        """
        self.wire = wire
        status = last_status(wire) or self.status
        is_changed = status != self.status
        self.status = status
        arguments = wire.arguments if isinstance(wire, FunctionCall) else ""
        if arguments and arguments != self._said(ARGUMENTS):
            self._fold(arguments=arguments)
            is_changed = True
        if not self._is_truncated:
            is_changed |= self._read_content(wire)
        return is_changed

    def snapshot(self) -> FormattedItem:
        """Return the item as it is now, for good."""
        journal = self.journal
        return FormattedItem(self.id, self.wire, self.status, journal, len(journal.entries))

    def _said(self, kind: int) -> str:
        return self.journal.words(kind, len(self.journal.entries))

    def _fold(self, *, audio: bytes | None = None, **words: str) -> None:
        self._is_streamed = self._has_streamed()
        self.journal = self.journal.folded(audio=audio, **words)

    def _has_streamed(self) -> bool:
        streamed = {TEXT, TRANSCRIPT, AUDIO}
        return self._is_streamed or any(entry.kind in streamed for entry in self.journal.entries)

    def _read_content(self, wire: Item) -> bool:
        """Take over the parts of a whole message that say more than what was streamed."""
        if not isinstance(wire, Message):
            return False
        journal = self.journal
        told = {index: (base, _words(base)) for index, base in enumerate(wire.content)}
        told = {
            index: part
            for index, part in told.items()
            if index not in journal.parts or (part[1] and part[1] != journal.part_words(index))
        }
        if not told:
            return False
        is_streamed = self._has_streamed()
        self._fold()
        for index, (base, words) in told.items():
            self.journal.parts[index] = Part(base, words, 0)
        if not is_streamed:
            self._format()
        return True

    def _format(self) -> None:
        """Say in `formatted` what the parts say."""
        content = self.journal.content(len(self.journal.entries))
        text = "".join(_words(part) or "" for part in content if _is_text(part))
        spoken = "".join(_words(part) or "" for part in content if not _is_text(part))
        self._fold(text=text, transcript=spoken or self._said(TRANSCRIPT))


def _is_text(part: ContentPart) -> bool:
    return isinstance(part, InputText | OutputText)


def _words(part: ContentPart) -> str | None:
    """Return the text or transcript of a part, if it can have one."""
    match part:
        case InputText(text=str(words)) | OutputText(text=str(words)):
            return words
        case InputAudio(transcript=str(words)) | OutputAudio(transcript=str(words)):
            return words
        case _:
            return None

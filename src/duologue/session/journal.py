"""Append-only list of an item's deltas, from which its content at any moment can be read.

Each delta is one entry. The first `n` entries are the content after `n` deltas, so a snapshot of
the item is the number `n`, and costs the same after a minute of speech as at its start. Text is
joined, and audio decoded, only when it is read, and the result is cached.

A cache holds the longest content read so far and the number of its entries, so that reading on
joins only the new ones. Reading an older snapshot joins from the start again and leaves the cache
alone, because the newest content is read most often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from msgspec import Struct

from duologue.errors import DecodeError
from duologue.protocol.ga import (
    InputAudio,
    InputText,
    OutputAudio,
    OutputText,
)
from duologue.protocol.model import Raw, read_audio, replace

if TYPE_CHECKING:
    from duologue.protocol.ga import ContentPart

__all__ = [
    "ARGUMENTS",
    "AUDIO",
    "PART",
    "TEXT",
    "TRANSCRIPT",
    "Entry",
    "Journal",
    "PartState",
    "Sound",
]

TEXT: Final = 0
TRANSCRIPT: Final = 1
AUDIO: Final = 2
ARGUMENTS: Final = 3
PART: Final = 4
"""Kinds of entry; `PART` marks the beginning of a content part. Integers, because they are compared
for every entry when content is read."""


Sound: TypeAlias = Raw | bytes
"""Audio, as received (JSON string of base64) or decoded."""


# gc=False: thousands of entries would slow down the garbage collector, and none can be part of a
# reference cycle.
class Entry(Struct, frozen=True, gc=False):
    """A delta, or the beginning of a content part."""

    kind: int
    index: int
    """Index of the content part."""
    chunk: Raw | bytes | str | None
    """The delta; audio is decoded when it is first read. `None` for the beginning of a part."""


class PartState(NamedTuple):
    """A content part as it began, and its position in the journal."""

    base: ContentPart
    words: str | None
    """Text or transcript at the beginning; `None` if the part has neither."""
    since: int
    """Number of entries up to its beginning; later entries of the part add to it."""


class Journal:
    """The content of one item as a list of deltas.

    Args:
        text: Text before the first entry.
        transcript: Transcript before the first entry.
        arguments: Arguments of the function call before the first entry.
        audio: Audio before the first entry.
        sample_bytes: Bytes per sample of the audio.
    """

    __slots__ = (
        "_audio",
        "_dropped_bytes",
        "_forgotten",
        "_joined",
        "_measured",
        "_start_audio",
        "_starts",
        "entries",
        "is_forgotten",
        "parts",
        "sample_bytes",
    )

    def __init__(
        self,
        *,
        text: str = "",
        transcript: str = "",
        arguments: str = "",
        audio: bytes = b"",
        sample_bytes: int = 2,
    ) -> None:
        self.entries: list[Entry] = []
        """The deltas, in order."""
        self.parts: dict[int, PartState] = {}
        self.sample_bytes: Final = sample_bytes
        self.is_forgotten: bool = False
        """Whether the audio was dropped to save memory."""
        self._starts: Final = {TEXT: text, TRANSCRIPT: transcript, ARGUMENTS: arguments}
        self._start_audio = audio
        # Caches, each with the number of entries it covers: the words by kind and part, the audio,
        # and the audio's size, which is asked for at every delta, mostly without the audio itself.
        self._joined: Final[dict[tuple[int, int], tuple[int, str]]] = {}
        self._audio = (0, audio)
        self._measured = (0, len(audio))
        self._forgotten = 0  # the number of entries whose audio has been dropped
        self._dropped_bytes = 0  # the size of that audio

    def add_part(self, index: int, base: ContentPart, words: str | None) -> None:
        """Begin a content part."""
        self.entries.append(Entry(PART, index, None))
        self.parts[index] = PartState(base, words, len(self.entries))

    def words(self, kind: int, length: int) -> str:
        """Return the text, transcript or arguments after `length` entries."""
        return self._join(kind, -1, 0, self._starts[kind], length)

    def content(self, length: int) -> tuple[ContentPart, ...]:
        """Return the content parts after `length` entries."""
        parts = list(self.parts.items())  # a copy: another thread may read while the session adds
        indices = sorted(index for index, part in parts if part.since <= length)
        return tuple(self._part(index, length) for index in indices)

    def part_words(self, index: int) -> str | None:
        """Return the current text or transcript of a part; `None` if it has none or is unknown."""
        match self._part(index, len(self.entries)) if index in self.parts else None:
            case InputText(text=str(words)) | OutputText(text=str(words)):
                return words
            case InputAudio(transcript=str(words)) | OutputAudio(transcript=str(words)):
                return words
            case _:
                return None

    def audio(self, length: int) -> bytes:
        """Return the audio after `length` entries; empty if it was dropped."""
        if self.is_forgotten:
            return b""
        known, whole = self._audio
        is_older = known > length
        if is_older:
            known, whole = 0, self._start_audio
        chunks = [self._chunk(at) for at in self._audio_positions(known, length)]
        if chunks:
            whole = b"".join([whole, *chunks])
        if not is_older:
            self._audio = (length, whole)
        return whole

    def audio_bytes(self, length: int) -> int:
        """Return the size of `audio(length)` without joining it."""
        if self.is_forgotten:
            return 0
        known, size = self._measured
        is_older = known > length
        if is_older:
            known, size = 0, len(self._start_audio)
        for at in range(known, length):
            if self.entries[at].kind == AUDIO:
                size += len(self._chunk(at))
        if not is_older:
            self._measured = (length, size)
        return size

    @property
    def received_bytes(self) -> int:
        """Size of all audio so far, including audio that was dropped to save memory."""
        length = len(self.entries)
        if not self.is_forgotten:
            return self.audio_bytes(length)
        later = self._audio_positions(self._forgotten, length)
        return self._dropped_bytes + sum(len(self._chunk(at)) for at in later)

    def samples_of(self, position: int, sound: Sound) -> bytes:
        """Return the whole samples that an audio entry completes.

        A delta may end within a sample: its first bytes are then returned with the next delta, so
        that a player always receives whole samples.

        Args:
            position: Position of the entry.
            sound: Its audio; the entry may have dropped it since.

        Raises:
            DecodeError: If the audio is not valid base64.
        """
        entry = self.entries[position]
        added = entry.chunk
        if type(added) is not bytes or not added:  # not decoded yet, dropped, or invalid base64
            added = read_audio(sound) if type(sound) is Raw else sound
            if type(entry.chunk) is Raw:  # keep the result: `audio` need not decode it again
                self.entries[position] = Entry(AUDIO, entry.index, added)
        before = self.audio_bytes(position)
        if self._measured[0] == position:  # the usual case: each delta is read as it arrives
            self._measured = (position + 1, before + len(added))
        split = before % self.sample_bytes  # bytes of a sample that began in earlier deltas
        if not split and not len(added) % self.sample_bytes:
            return added
        whole = self._before(position, split) + added
        return whole[: len(whole) - len(whole) % self.sample_bytes]

    def drop_audio(self) -> None:
        """Drop all audio, including audio that arrives later."""
        self._dropped_bytes = self.received_bytes
        self.is_forgotten = True
        self._start_audio = b""
        self._audio = (0, b"")
        length = len(self.entries)
        # The entries stay, without their audio: positions in snapshots must remain valid.
        for at in self._audio_positions(self._forgotten, length):
            self.entries[at] = Entry(AUDIO, self.entries[at].index, b"")
        self._forgotten = length

    def folded(self, *, audio: bytes | None = None, **words: str | None) -> Journal:
        """Return a new journal that begins with the content of this one.

        Content that is replaced, not extended, needs a new journal: the snapshots keep the old one,
        and so never change.

        Args:
            audio: New audio; `None` keeps it.
            words: New `text`, `transcript` or `arguments`; those left out or `None` are kept.
        """
        length = len(self.entries)
        kinds = {"text": TEXT, "transcript": TRANSCRIPT, "arguments": ARGUMENTS}
        starts = {
            name: self.words(kind, length) if words.get(name) is None else str(words[name])
            for name, kind in kinds.items()
        }
        start_audio = self._start_audio if audio is None else audio
        journal = Journal(**starts, audio=start_audio, sample_bytes=self.sample_bytes)
        journal.is_forgotten = self.is_forgotten and audio is None
        journal._dropped_bytes = self._dropped_bytes if audio is None else 0  # ours
        if audio is None:  # as entries: joining would decode audio that is never read
            journal.entries += [self.entries[at] for at in self._audio_positions(0, length)]
        for index, part in self.parts.items():
            journal.parts[index] = PartState(part.base, self.part_words(index), 0)
        return journal

    def _audio_positions(self, start: int, end: int) -> list[int]:
        """Return the positions of the audio entries in a range of the journal."""
        return [at for at in range(start, end) if self.entries[at].kind == AUDIO]

    def _chunk(self, at: int) -> bytes:
        """Return the decoded audio of an entry; invalid base64 counts as no audio."""
        entry = self.entries[at]
        if not isinstance(entry.chunk, Raw):
            return entry.chunk if isinstance(entry.chunk, bytes) else b""
        try:
            audio = read_audio(entry.chunk)
        except DecodeError:
            audio = b""
        self.entries[at] = Entry(AUDIO, entry.index, audio)
        return audio

    def _before(self, position: int, count: int) -> bytes:
        """Return the last `count` bytes of audio before an entry."""
        tail = b""
        for at in range(position - 1, -1, -1):
            if len(tail) >= count:
                break
            if self.entries[at].kind == AUDIO:
                tail = self._chunk(at) + tail
        else:
            tail = self._start_audio + tail
        return tail[len(tail) - count :]

    def _part(self, index: int, length: int) -> ContentPart:
        base, words, since = self.parts[index]
        match base:
            case InputText() | OutputText():
                joined = self._join(TEXT, index, since, words or "", length)
                return base if words is None and not joined else replace(base, text=joined)
            case InputAudio() | OutputAudio():
                joined = self._join(TRANSCRIPT, index, since, words or "", length)
                return base if words is None and not joined else replace(base, transcript=joined)
            case _:
                return base

    def _join(self, kind: int, index: int, since: int, start: str, length: int) -> str:
        """Return the joined words of a kind, of one part or (`index` -1) of all parts."""
        known, whole = self._joined.get((kind, index), (since, start))
        is_older = known > length
        if is_older:
            known, whole = since, start
        chunks = [
            entry.chunk
            for entry in self.entries[known:length]
            if entry.kind == kind and index in {-1, entry.index} and isinstance(entry.chunk, str)
        ]
        if chunks:
            whole = _with_pairs_joined("".join([whole, *chunks]))
        if not is_older:
            self._joined[kind, index] = (length, whole)
        return whole


def _with_pairs_joined(text: str) -> str:
    """Return a text in which surrogate pairs are joined to characters.

    JSON escapes a character outside the basic plane as a pair of surrogates, and a delta may end
    between them.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:  # there are surrogates: UTF-16 joins pairs and keeps single ones
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text

"""The deltas of a response, read from the journals of its items: nothing is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.session.journal import ARGUMENTS, TEXT, TRANSCRIPT, Journal
from duologue.session.updates import Delta

if TYPE_CHECKING:
    from duologue.session.items import ItemState
    from duologue.session.response_state import ResponseRequest

__all__ = ["ResponseStream"]


class _Reading:
    """Position of a reader within an item."""

    __slots__ = ("journal", "length")

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.length = 0


class ResponseStream:
    """Reads a response from its beginning, at the reader's own pace.

    Several items are read in turn. An item that has been rewritten since (truncated) is read as it
    is now.
    """

    def __init__(self, request: ResponseRequest) -> None:
        self._request: Final = request
        self._readings: dict[ItemState, _Reading] = {}

    def take(self) -> list[Delta]:
        """Return the deltas since the last call."""
        response = self._request.response
        items = [] if response is None else response.items
        return [delta for item in items for delta in self._take_of(item)]

    def _take_of(self, item: ItemState) -> list[Delta]:
        reading = self._readings.get(item)
        deltas: list[Delta] = []
        if reading is None:
            reading = self._readings[item] = _Reading(item.journal)
            deltas = [
                _words(kind, words) for kind in _KINDS if (words := item.journal.words(kind, 0))
            ]
        deltas += _read(reading)
        if reading.journal is not item.journal:
            deltas += _advance(reading, item.journal)
        return deltas


_KINDS: Final = (TEXT, TRANSCRIPT, ARGUMENTS)


def _read(reading: _Reading) -> list[Delta]:
    journal, start = reading.journal, reading.length
    reading.length = len(journal.entries)
    deltas = (_delta(journal, position) for position in range(start, reading.length))
    return [delta for delta in deltas if delta is not None]


def _advance(reading: _Reading, journal: Journal) -> list[Delta]:
    """Continue in the journal that replaced the one that was read; return its additional deltas."""
    read, end = reading.journal, len(journal.entries)
    more: list[Delta] = []
    for kind in _KINDS:
        before, after = read.words(kind, reading.length), journal.words(kind, end)
        if after != before and after.startswith(before):
            more.append(_words(kind, after.removeprefix(before)))
    reading.journal, reading.length = journal, end
    return more


def _delta(journal: Journal, position: int) -> Delta | None:
    entry = journal.entries[position]
    kind, added = entry.kind, entry.chunk
    if added is None:  # a part began
        return None
    if isinstance(added, str):
        return _words(kind, added)
    return Delta(_sound=added, _journal=journal, _position=position)


def _words(kind: int, words: str) -> Delta:
    if kind == TEXT:
        return Delta(text=words)
    return Delta(transcript=words) if kind == TRANSCRIPT else Delta(arguments=words)

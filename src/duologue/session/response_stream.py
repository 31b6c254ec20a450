"""What a response says, delta by delta: read from its items' journals, nothing is queued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.session.journal import ARGUMENTS, TEXT, TRANSCRIPT, Journal
from duologue.session.updates import Delta

if TYPE_CHECKING:
    from duologue.session.items import ItemState
    from duologue.session.response_state import ResponseRequest

__all__ = ["ResponseStream"]


class _Place:
    """How far one item was read."""

    __slots__ = ("journal", "position")

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.position = 0


class ResponseStream:
    """Reads a response from its beginning, at the reader's own pace.

    Several items take turns. What has been rewritten since (a truncated item) is read as it is now.
    """

    def __init__(self, request: ResponseRequest) -> None:
        self._request: Final = request
        self._places: dict[ItemState, _Place] = {}

    def take(self) -> list[Delta]:
        """Return what came since the last call."""
        response = self._request.response
        items = [] if response is None else response.items
        return [delta for item in items for delta in self._take_of(item)]

    def _take_of(self, item: ItemState) -> list[Delta]:
        place = self._places.get(item)
        deltas: list[Delta] = []
        if place is None:
            place = self._places[item] = _Place(item.journal)
            deltas = [
                _words(kind, said) for kind in _KINDS if (said := item.journal.words(kind, 0))
            ]
        deltas += _read(place)
        if place.journal is not item.journal:
            deltas += _advance(place, item.journal)
        return deltas


_KINDS: Final = (TEXT, TRANSCRIPT, ARGUMENTS)


def _read(place: _Place) -> list[Delta]:
    journal, start = place.journal, place.position
    place.position = len(journal.entries)
    deltas = (_delta(journal, position) for position in range(start, place.position))
    return [delta for delta in deltas if delta is not None]


def _advance(place: _Place, journal: Journal) -> list[Delta]:
    """Go on in a journal that took the other's place; return what it says beyond that."""
    read, end = place.journal, len(journal.entries)
    more: list[Delta] = []
    for kind in _KINDS:
        before, after = read.words(kind, place.position), journal.words(kind, end)
        if after != before and after.startswith(before):
            more.append(_words(kind, after.removeprefix(before)))
    place.journal, place.position = journal, end
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

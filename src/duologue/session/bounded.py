"""What is remembered for a while: the oldest is forgotten rather than growing without end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["EarlyWords", "remember"]

MAX_EARLY_ITEMS: Final = 64
"""Items that have words before they exist: they follow within a second, or never."""

MAX_EARLY_WORDS: Final = 4096
"""Pieces of transcript of one such item: more than a server says in a minute."""

K = TypeVar("K")
V = TypeVar("V")


def remember(mapping: MutableMapping[K, V], key: K, value: V, limit: int) -> V:
    """Set an entry, drop the oldest beyond `limit`, and return the new one's value."""
    mapping[key] = value
    while len(mapping) > limit:
        del mapping[next(iter(mapping))]
    return value


class EarlyWords:
    """Transcripts of the user's audio whose item has not come yet."""

    def __init__(self) -> None:
        self._by_item: dict[str, list[tuple[int, str, bool]]] = {}

    def put(self, item_id: str, index: int, words: str, *, is_final: bool) -> None:
        """Keep what was heard."""
        pieces = self._by_item.get(item_id)
        if pieces is None:
            pieces = remember(self._by_item, item_id, [], MAX_EARLY_ITEMS)
        if len(pieces) < MAX_EARLY_WORDS or is_final:
            pieces.append((index, words, is_final))

    def take(self, item_id: str) -> list[tuple[int, str, bool]]:
        """Return what was kept for an item, in order, and forget it."""
        return self._by_item.pop(item_id, [])

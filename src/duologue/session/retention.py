"""Limits on memory: nothing grows without a bound unless the application asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from duologue.session.items import ItemState

__all__ = [
    "KEEP_ALL", "KEEP_NO_AUDIO", "KEEP_RECENT", "AudioRetention", "Retention", "remember",
]  # fmt: skip

K = TypeVar("K")
V = TypeVar("V")


def remember(mapping: MutableMapping[K, V], key: K, value: V, limit: int) -> V:
    """Set an entry, drop the oldest ones beyond `limit`, and return the value."""
    mapping[key] = value
    while len(mapping) > limit:
        del mapping[next(iter(mapping))]
    return value


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a conversation the client keeps.

    Audio is dropped first, item by item from the oldest; the words stay. Deltas and clips are
    delivered in any case.
    """

    audio_minutes: float | None = 10.0
    """Minutes of audio kept for each side of the conversation; `None` keeps all of it."""
    items: int | None = 50_000
    """Items kept; beyond it the oldest are dropped. `None` keeps all of them."""

    def audio_bytes(self, bytes_per_ms: int) -> int | None:
        """Return how many bytes of audio are kept per side; `None` means all of it."""
        return (
            None if self.audio_minutes is None else int(self.audio_minutes * 60_000 * bytes_per_ms)
        )


KEEP_RECENT: Final = Retention()
"""The default."""

KEEP_ALL: Final = Retention(audio_minutes=None, items=None)
"""Everything, for as long as the session lasts: for recordings and tests."""

KEEP_NO_AUDIO: Final = Retention(audio_minutes=0)
"""Words only; audio is available while it arrives."""


class AudioRetention:
    """The items of one side that have audio, oldest first; drops the oldest audio over a limit.

    Args:
        limit: In bytes; `None` means unlimited.
    """

    __slots__ = ("_sizes", "limit", "size")

    def __init__(self, limit: int | None) -> None:
        self.limit: int | None = limit
        self.size: int = 0
        """Bytes of audio that the items have."""
        self._sizes: Final[dict[ItemState, int]] = {}

    def add(self, item: ItemState, size: int) -> None:
        """Record that an item gets more audio; drop the oldest audio beyond the limit."""
        self.size += size
        if self.limit is not None and self.size > self.limit:
            self._drop(self.size - self.limit)
        self._sizes[item] = self._sizes.get(item, 0) + size

    def release(self, item: ItemState) -> None:
        """Record that an item is gone."""
        self.size -= self._sizes.pop(item, 0)

    def _drop(self, surplus: int) -> None:
        for item in list(self._sizes):
            if surplus <= 0:
                return
            surplus -= self._sizes[item]
            item.journal.drop_audio()
            self.release(item)

"""Memory limits: nothing grows without a bound unless the application asks for it."""

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
    """Set an entry, drop the oldest entries beyond `limit`, and return the value."""
    mapping[key] = value
    while len(mapping) > limit:
        del mapping[next(iter(mapping))]  # the oldest, as mappings keep the order of insertion
    return value


@dataclass(frozen=True, slots=True)
class Retention:
    """Limits on the part of a conversation that the client keeps.

    Audio is dropped first, from the oldest item on; text and transcripts stay. Deltas are delivered
    in any case.
    """

    audio_minutes: float | None = 10.0
    """Minutes of audio kept for each side of the conversation; `None` keeps all audio."""
    items: int | None = 50_000
    """Number of items kept, beyond which the oldest are dropped; `None` keeps all items."""

    def audio_bytes(self, bytes_per_ms: int) -> int | None:
        """Return the number of bytes of audio kept per side; `None` means no limit."""
        if self.audio_minutes is None:
            return None
        return int(self.audio_minutes * 60_000 * bytes_per_ms)


KEEP_RECENT: Final = Retention()
"""The default: ten minutes of audio per side, and 50,000 items."""

KEEP_ALL: Final = Retention(audio_minutes=None, items=None)
"""No limits for the length of the session; useful for recordings and tests."""

KEEP_NO_AUDIO: Final = Retention(audio_minutes=0)
"""No audio, only text and transcripts; audio can be read from deltas as it arrives."""


class AudioRetention:
    """Audio budget of one side of the conversation; drops the audio of the oldest items beyond it.

    Args:
        limit: Limit in bytes; `None` means no limit.
    """

    __slots__ = ("_sizes", "limit", "size")

    def __init__(self, limit: int | None) -> None:
        self.limit: int | None = limit
        self.size: int = 0
        """Bytes of audio in all items."""
        self._sizes: Final[dict[ItemState, int]] = {}  # oldest first

    def add(self, item: ItemState, size: int) -> None:
        """Record that an item receives more audio; drop the oldest audio beyond the limit."""
        self.size += size
        if self.limit is not None and self.size > self.limit:
            self._drop(self.size - self.limit)
        self._sizes[item] = self._sizes.get(item, 0) + size

    def release(self, item: ItemState) -> None:
        """Record that an item or its audio has been removed."""
        self.size -= self._sizes.pop(item, 0)

    def _drop(self, surplus: int) -> None:
        for item in list(self._sizes):
            if surplus <= 0:
                return
            surplus -= self._sizes[item]
            item.journal.drop_audio()
            self.release(item)

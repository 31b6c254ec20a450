"""How much of a conversation is kept: memory is bounded unless the application asks otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from duologue.session.items import ItemState

__all__ = ["KEEP_ALL", "KEEP_NO_AUDIO", "KEEP_RECENT", "KeptAudio", "Retention"]


@dataclass(frozen=True, slots=True)
class Retention:
    """What the mirror remembers.

    Audio goes first: whole items lose it, the oldest first; their words stay. Deltas and clips are
    told before, whatever is kept.
    """

    audio_minutes: float | None = 10.0
    """Of what the user said, and as much of what the assistant said; `None`: all of it."""
    items: int | None = 50_000
    """The oldest are forgotten beyond this; `None`: none is."""

    def audio_bytes(self, bytes_per_ms: int) -> int | None:
        """Return how much audio of a format is kept per direction; `None`: all of it."""
        return (
            None if self.audio_minutes is None else int(self.audio_minutes * 60_000 * bytes_per_ms)
        )


KEEP_RECENT: Final = Retention()
"""The default."""

KEEP_ALL: Final = Retention(audio_minutes=None, items=None)
"""Everything, for as long as the session lasts: recordings and tests."""

KEEP_NO_AUDIO: Final = Retention(audio_minutes=0)
"""Words only; audio is there while it arrives."""


class KeptAudio:
    """The items of one direction that have audio, oldest first."""

    __slots__ = ("_sizes", "limit", "size")

    def __init__(self, limit: int | None) -> None:
        self.limit: int | None = limit
        """In bytes; `None`: without end."""
        self.size: int = 0
        """What the items have, in bytes."""
        self._sizes: dict[ItemState, int] = {}

    def add(self, item: ItemState, size: int) -> None:
        """Note that an item gets more; forget the oldest audio beyond the limit."""
        self.size += size
        if self.limit is not None and self.size > self.limit:
            self._forget(self.size - self.limit)
        self._sizes[item] = self._sizes.get(item, 0) + size

    def release(self, item: ItemState) -> None:
        """Note that an item is gone."""
        self.size -= self._sizes.pop(item, 0)

    def _forget(self, surplus: int) -> None:
        for item in list(self._sizes):
            if surplus <= 0:
                return
            surplus -= self._sizes[item]
            item.journal.forget_audio()
            self.release(item)

"""The audio behind the items of every session of a server, with one bound for all of it.

Words stay for ever; audio is only kept for `conversation.item.retrieve`, so the oldest may go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from duologue.server.session.conversation import StoredItem

__all__ = ["MAX_AUDIO_BYTES", "AudioStore"]

MAX_AUDIO_BYTES: Final = 128 << 20
"""What a server keeps: 46 minutes of speech, of all sessions together."""


class AudioStore:
    """Forgets the oldest audio when there is too much; the newest always stays."""

    def __init__(self, max_bytes: int = MAX_AUDIO_BYTES) -> None:
        self._max_bytes = max_bytes
        self._sizes: dict[StoredItem, int] = {}  # in the order in which the items came
        self._bytes = 0

    def keep(self, stored: StoredItem) -> None:
        """Count an item's audio, which is new or has grown."""
        size = len(stored.audio)
        self._bytes += size - self._sizes.get(stored, 0)
        self._sizes[stored] = size
        while self._bytes > self._max_bytes and len(self._sizes) > 1:
            oldest = next(iter(self._sizes))
            self.forget(oldest)
            oldest.forget_audio()

    def forget(self, stored: StoredItem) -> None:
        """Count an item's audio no more: the item is gone."""
        self._bytes -= self._sizes.pop(stored, 0)

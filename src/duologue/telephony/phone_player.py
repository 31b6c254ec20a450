"""The assistant's audio on its way to the phone: frames, marks, and what was heard of it.

Each frame is followed by a mark that is named by its position. The phone returns a mark when it has
played what is before it, so the last one says, to 20 ms, how much was heard. Nothing here waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.session.playback import PlaybackCut, PlaybackLedger
from duologue.telephony.messages import FRAME_MS

if TYPE_CHECKING:
    from duologue.protocol.formats import Format
    from duologue.session.updates import ConversationUpdated
    from duologue.telephony.messages import PhoneDialect
    from duologue.telephony.phone_audio import FrameEncoder

__all__ = ["PhonePlayer"]


class PhonePlayer:
    """Makes the messages that play the conversation on a phone.

    Args:
        dialect: Writes the messages.
        encoder: Makes the frames.
        format: Format of the session's output audio.
    """

    def __init__(self, dialect: PhoneDialect, encoder: FrameEncoder, format: Format) -> None:  # noqa: A002  # as `PlaybackLedger`
        self._dialect: Final = dialect
        self._encoder: Final = encoder
        self._ledger: Final = PlaybackLedger(format)
        self._frame_samples: Final = format.rate_hz * FRAME_MS // 1000
        self._heard = self._marked = 0
        """Positions of the last mark that was returned, and of the last one that was sent."""
        self._is_complete = True
        self._must_clear = False
        self.item_id: str = ""
        """The item whose audio came last."""

    @property
    def is_idle(self) -> bool:
        """Whether all audio was heard, and no more of it is expected at once."""
        is_heard = self._heard >= self._ledger.position
        return self._is_complete and not self._ledger.waiting and is_heard

    def receive(self, update: ConversationUpdated) -> bool:
        """Process an update of the conversation; return whether there may be more to send."""
        if update.item.role != "assistant":
            return False
        has_audio = self._ledger.receive(update)
        if has_audio:
            self.item_id = update.item.id
        if update.item.id == self.item_id:
            self._is_complete = update.item.status != "in_progress"
        return has_audio or self._is_complete

    def next_messages(self) -> list[str]:
        """Return the messages of the next frame; none if there is nothing to send now."""
        if self._must_clear:
            self._must_clear = False
            return [self._dialect.clear()]
        frames: list[bytes] = []
        while not frames:
            samples = min(self._ledger.waiting, self._frame_samples)
            frames += self._encoder.feed(self._ledger.take(samples)) if samples else []
            if not self._ledger.waiting:
                # In the middle of an item, part of a frame waits for the rest.
                frames += self._encoder.finish() if self._is_complete else []
                break
        if not frames:
            return []
        self._marked = self._ledger.position - self._encoder.lag
        mark = self._dialect.mark(str(self._marked))
        return [*map(self._dialect.media, frames), mark]

    def on_mark(self, name: str) -> None:
        """Record that the phone has returned a mark."""
        if name.isascii() and name.isdigit() and len(name) < 19:
            self._heard = max(self._heard, min(int(name), self._marked))

    def interrupt(self) -> list[PlaybackCut]:
        """Stop playing; return the cuts for `client.truncate_items`.

        The phone returns the marks of what it clears as well. They come too late to count.
        """
        position = self._ledger.position
        cuts = self._ledger.interrupt(unheard=position - self._heard)
        self._encoder.reset()
        self._must_clear |= self._marked > self._heard
        self._heard = self._marked = position
        self._is_complete = True
        return cuts

"""What the listener has heard of what the assistant said, to the sample.

A server sends speech faster than it is spoken. When the user interrupts, the model has said things
that nobody heard; the server must be told, or goes on as if they had been.

Audio is added as it comes and taken as it is played. Taking is the only clock, so a sound card, a
telephone that reports its marks and a virtual clock count alike. Heard is what was taken, without
what is still under way in the player.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from duologue.protocol.formats import PCM16, Format
from duologue.protocol.ga import OutputAudio
from duologue.session.retention import remember

if TYPE_CHECKING:
    from duologue.session.formatted import FormattedItem
    from duologue.session.updates import ConversationUpdated

__all__ = ["PlaybackCut", "PlaybackLedger"]

MAX_WAITING_MINUTES: Final = 10
"""Audio that waits to be played: as much as the mirror keeps, and more than a response can last."""

MAX_ITEMS: Final = 64
"""Items that are remembered: a response has a handful, and all but the last were heard."""

MAX_SPANS: Final = 256
"""Stretches that may still be under way: one for each item, and for each time it ran dry."""


@dataclass(frozen=True, slots=True)
class PlaybackCut:
    """Something that was not heard to its end."""

    item_id: str
    content_index: int
    """Which part of the item."""
    heard_samples: int
    """What was heard, from the part's beginning; never more than was received."""
    audio_end_ms: int
    """The same in whole milliseconds, rounded down: what the server is told."""


@dataclass(slots=True, eq=False)
class _Clip:
    """The speech of one content part."""

    item_id: str
    content_index: int
    received_bytes: int = 0
    waiting: bytearray = field(default_factory=bytearray)
    taken: int = 0
    is_full: bool = False
    """Whether some of it was refused; what comes later would leave a hole, and is refused, too."""
    is_ended: bool = False


@dataclass(slots=True)
class _Span:
    """A stretch of the player's time in which one clip was played without a gap."""

    clip: _Clip
    start: int
    end: int


class PlaybackLedger:
    """What is to be played next, and what has been heard.

    Give it every update with `client.on(ConversationUpdated, ledger.receive)`, play what `take`
    returns, and when the user interrupts pass on what `interrupt` returns to
    `client.truncate_items`. One ledger lasts for any number of sessions.

    It is not locked: a sound card that calls on a thread of its own needs a lock around its calls
    and yours. At most ten minutes wait to be played; what comes beyond is not played, and counts as
    not heard. An item is forgotten when 64 newer ones have come.

    Args:
        format: In which the session's audio comes: `client.conversation.output_format`.
    """

    def __init__(self, format: Format = PCM16) -> None:  # noqa: A002  # the wire's own word
        self._format: Final = format
        self._max_bytes: Final = MAX_WAITING_MINUTES * 60_000 * format.bytes_per_ms
        self._position = 0
        self._clips: dict[tuple[str, int], _Clip] = {}
        self._spans: deque[_Span] = deque(maxlen=MAX_SPANS)
        self._interrupted: deque[str] = deque(maxlen=MAX_ITEMS)

    @property
    def position(self) -> int:
        """How many samples were taken so far, silence included: a name for a telephone's mark."""
        return self._position

    @property
    def waiting(self) -> int:
        """How many samples wait to be taken."""
        return sum(self._format.samples(len(clip.waiting)) for clip in self._clips.values())

    def receive(self, update: ConversationUpdated) -> bool:
        """Take an update of the conversation; return whether there is more to be played.

        Raises:
            DecodeError: If the server sent audio that is not base64.
        """
        item, delta = update.item, update.delta
        if item.role != "assistant":
            return False
        audio = None if delta is None else delta.audio
        is_speech = delta is not None and (audio is not None or delta.transcript is not None)
        is_more = is_speech and self.add(item.id, audio or b"", _audio_index(item))
        if item.status != "in_progress":
            self.end(item.id)
        return is_more

    def add(self, item_id: str, audio: bytes, content_index: int = 0) -> bool:
        """Add audio of an item behind all that it has; return whether there is more to be played.

        `receive` does it for who has updates. Audio may be cut anywhere, also within a sample.
        Nothing of an item that was interrupted is played any more. Without audio the item is only
        announced: words of it may come first.
        """
        if item_id in self._interrupted:
            return False
        key = (item_id, content_index)
        clip = self._clips.get(key)
        if clip is None:
            self.end(item_id)  # its parts are spoken one after the other
            clip = remember(self._clips, key, _Clip(item_id, content_index), MAX_ITEMS)
        clip.received_bytes += len(audio)
        waiting_bytes = sum(len(each.waiting) for each in self._clips.values())
        clip.is_full |= waiting_bytes + len(audio) > self._max_bytes
        if clip.is_full:
            return False
        clip.waiting += audio
        return len(audio) > 0

    def end(self, item_id: str) -> None:
        """Note that no more comes of an item: once all of it is heard there is nothing to cut."""
        for clip in self._clips.values():
            if clip.item_id == item_id:
                clip.is_ended = True

    def take(self, samples: int | None = None) -> bytes:
        """Return what is played next, item after item.

        Args:
            samples: How many the player needs: exactly so many are returned, silence where there is
                nothing to play, because a player's time goes on. `None`: all there is, for a player
                that has a queue of its own.
        """
        wanted = self.waiting if samples is None else max(0, samples)
        size = self._format.sample_bytes
        played = bytearray()
        for clip in self._clips.values():
            room = wanted * size - len(played)
            whole = min(room, len(clip.waiting) // size * size)
            if whole:
                played += clip.waiting[:whole]
                del clip.waiting[:whole]
                self._note(clip, whole // size)
        silent = wanted - len(played) // size
        self._position += silent
        return bytes(played) + silent * self._format.silence

    def interrupt(self, *, unheard: int = 0) -> list[PlaybackCut]:
        """Stop: nothing that was received is played any more. Return what was not heard, in order.

        What was heard to its end is not in it. An item that comes now is played: cancel the
        response first, if the server has not.

        Args:
            unheard: How many of the samples that were taken last have not come out of the
                loudspeaker: the latency of the device, or `position` less the last mark.
        """
        since = self._position - max(0, unheard)
        lost: Counter[_Clip] = Counter()
        for span in self._spans:
            lost[span.clip] += max(0, span.end - max(span.start, since))
        cuts: list[PlaybackCut] = []
        for clip in self._clips.values():
            heard = clip.taken - lost[clip]
            if heard < self._format.samples(clip.received_bytes) or not clip.is_ended:
                end_ms = heard * 1000 // self._format.rate_hz
                cuts.append(PlaybackCut(clip.item_id, clip.content_index, heard, end_ms))
        self._interrupted.extend(dict.fromkeys(clip.item_id for clip in self._clips.values()))
        self._clips.clear()
        self._spans.clear()
        return cuts

    def _note(self, clip: _Clip, samples: int) -> None:
        """Note that a clip is played from now on for so long."""
        start, self._position = self._position, self._position + samples
        clip.taken += samples
        last = self._spans[-1] if self._spans else None
        if last is not None and last.clip is clip and last.end == start:
            last.end = self._position
        else:
            self._spans.append(_Span(clip, start, self._position))


def _audio_index(item: FormattedItem) -> int:
    """Return the place of the part that is being spoken: the last one so far."""
    parts = enumerate(item.content)
    return max((index for index, part in parts if isinstance(part, OutputAudio)), default=0)

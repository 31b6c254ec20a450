"""Playback: queue of the assistant's audio that counts, to the sample, how much has been heard.

A server sends speech faster than real time. When the user interrupts, the conversation contains
audio that the user has not heard. It must be truncated, or the model assumes that the user knows
all of it.

Audio is added as it arrives and taken as it is played. `take` is the only clock: no time is
measured, so a sound card, a telephone that reports marks and a test in virtual time all give exact
results. Audio counts as heard once it has been taken and has left the player's own buffer.
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
"""Limit of the audio that waits: as much as the mirror keeps, and more than a response can last."""

MAX_ITEMS: Final = 64
"""Limit of the items that are remembered; a response has a handful, nearly all heard to the end."""

MAX_SPANS: Final = 256
"""Limit of the spans that are remembered. Each item makes one, and each gap in it one more; only
those in the player's buffer matter, a few seconds."""


@dataclass(frozen=True, slots=True)
class PlaybackCut:
    """A content part that was not heard to its end."""

    item_id: str
    content_index: int
    """Index of the content part in the item."""
    heard_samples: int
    """Samples that were heard, from the beginning of the part; never more than were received."""
    audio_end_ms: int
    """The same in whole milliseconds, rounded down, for `conversation.item.truncate`."""


@dataclass(slots=True, eq=False)
class _Clip:
    """The audio of one content part."""

    item_id: str
    content_index: int
    received_bytes: int = 0
    waiting: bytearray = field(default_factory=bytearray)
    """Audio that has not been taken."""
    taken: int = 0
    """Samples that have been taken."""
    is_full: bool = False
    """Whether audio was refused; all later audio is refused too, as it would follow a gap."""
    is_ended: bool = False
    """Whether all of its audio has arrived."""


@dataclass(slots=True)
class _Span:
    """A range of positions at which samples of one clip were taken without a gap."""

    clip: _Clip
    start: int
    end: int


class PlaybackLedger:
    """Queue of audio to play, and record of the audio that has been heard.

    Pass it every update with `client.on(ConversationUpdated, ledger.receive)`, and play the audio
    that `take` returns. When the user interrupts, pass the result of `interrupt` to
    `client.truncate_items`. One ledger can serve any number of sessions.

    It has no lock: if a sound card calls `take` on its own thread, hold a lock for all calls. At
    most ten minutes of audio wait to be played; audio beyond that is not played, and counts as not
    heard. Only the last 64 content parts are remembered.

    Args:
        format: Format of the session's audio: `client.conversation.output_format`.
    """

    def __init__(self, format: Format = PCM16) -> None:  # noqa: A002  # the wire's own word
        self._format: Final = format
        self._max_bytes: Final = MAX_WAITING_MINUTES * 60_000 * format.bytes_per_ms
        self._position = 0
        # In order of arrival, which is the order of playback.
        self._clips: Final[dict[tuple[str, int], _Clip]] = {}
        self._spans: Final[deque[_Span]] = deque(maxlen=MAX_SPANS)
        self._interrupted: Final[deque[str]] = deque(maxlen=MAX_ITEMS)
        self.is_paused: bool = False
        """Whether audio waits; `take` returns silence meanwhile. Set it to pause and go on."""

    @property
    def position(self) -> int:
        """Number of samples taken so far, including silence; use it to name a telephone's mark."""
        return self._position

    @property
    def waiting(self) -> int:
        """Number of samples that wait to be taken."""
        return sum(self._format.samples(len(clip.waiting)) for clip in self._clips.values())

    def receive(self, update: ConversationUpdated) -> bool:
        """Process an update of the conversation; return whether it added audio to play.

        Raises:
            DecodeError: If the audio is not valid base64.
        """
        item, delta = update.item, update.delta
        if item.role != "assistant":
            return False
        audio = None if delta is None else delta.audio
        is_speech = delta is not None and (audio is not None or delta.transcript is not None)
        has_added = is_speech and self.add(item.id, audio or b"", _audio_index(item))
        if item.status != "in_progress":
            self.end(item.id)
        return has_added

    def add(self, item_id: str, audio: bytes, content_index: int = 0) -> bool:
        """Append audio of an item; return whether it will be played.

        `receive` calls this; call it yourself if you have no updates. Audio may be split anywhere,
        even within a sample. Audio of an interrupted item is dropped. Empty audio registers the
        item, so that `interrupt` cuts it even if its transcript arrives before its audio.
        """
        if item_id in self._interrupted:
            return False
        key = (item_id, content_index)
        clip = self._clips.get(key)
        if clip is None:
            self.end(item_id)  # the parts of an item are generated one after the other
            clip = remember(self._clips, key, _Clip(item_id, content_index), MAX_ITEMS)
        clip.received_bytes += len(audio)
        waiting_bytes = sum(len(each.waiting) for each in self._clips.values())
        clip.is_full |= waiting_bytes + len(audio) > self._max_bytes
        if clip.is_full:
            return False
        clip.waiting += audio
        return len(audio) > 0

    def end(self, item_id: str) -> None:
        """Mark an item as complete: once all of its audio is heard, it needs no cut."""
        for clip in self._clips.values():
            if clip.item_id == item_id:
                clip.is_ended = True

    def take(self, samples: int | None = None) -> bytes:
        """Return the next audio to play, item after item.

        Args:
            samples: Number of samples that the player needs. Exactly this number is returned, with
                silence at the end if less audio waits, because a player never pauses. `None`
                returns all waiting audio, for a player with its own queue.
        """
        waiting = 0 if self.is_paused else self.waiting
        wanted = waiting if samples is None else max(0, samples)
        size = self._format.sample_bytes
        played = bytearray()
        for clip in () if self.is_paused else self._clips.values():
            room = wanted * size - len(played)
            whole = min(room, len(clip.waiting) // size * size)
            if whole:
                played += clip.waiting[:whole]
                del clip.waiting[:whole]
                self._record(clip, whole // size)
        silent = wanted - len(played) // size
        self._position += silent
        return bytes(played) + silent * self._format.silence

    def drop(self, item_id: str) -> None:
        """Stop playing one item, which has left the conversation; it needs no cut."""
        for key in [key for key in self._clips if key[0] == item_id]:
            del self._clips[key]
        if item_id not in self._interrupted:
            self._interrupted.append(item_id)

    def heard_samples(self, item_id: str, *, unheard: int = 0) -> int:
        """Return how much of an item's audio was heard so far; 0 once it was interrupted.

        Args:
            item_id: The item.
            unheard: As in `interrupt`.
        """
        lost = self._unheard(unheard)
        clips = (clip for clip in self._clips.values() if clip.item_id == item_id)
        return sum(clip.taken - lost[clip] for clip in clips)

    def interrupt(self, *, unheard: int = 0) -> list[PlaybackCut]:
        """Stop playing all items received so far; return those not heard to their end, in order.

        Items that begin later are played again, so cancel the response first, unless the server
        has done so.

        Args:
            unheard: Number of the samples taken last that the loudspeaker has not played yet: the
                latency of the device, or `position` minus the last mark.
        """
        lost = self._unheard(unheard)
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

    def _unheard(self, samples: int) -> Counter[_Clip]:
        """Return how many samples of each clip are among the last ones, still in the player."""
        since = self._position - max(0, samples)
        # Counting back from the last sample of each clip would be wrong, as silence may have been
        # taken in between.
        lost: Counter[_Clip] = Counter()
        for span in self._spans:
            lost[span.clip] += max(0, span.end - max(span.start, since))
        return lost

    def _record(self, clip: _Clip, samples: int) -> None:
        """Record that samples of a clip are taken at the current position, and advance it."""
        start, self._position = self._position, self._position + samples
        clip.taken += samples
        last = self._spans[-1] if self._spans else None
        if last is not None and last.clip is clip and last.end == start:
            last.end = self._position  # one span however small the pieces are
        else:
            self._spans.append(_Span(clip, start, self._position))


def _audio_index(item: FormattedItem) -> int:
    """Return the index of the audio part being generated: the last one so far."""
    parts = enumerate(item.content)
    return max((index for index, part in parts if isinstance(part, OutputAudio)), default=0)

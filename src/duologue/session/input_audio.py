"""Record of the input audio that was sent, on the session's audio clock.

The server counts milliseconds of audio from the first byte of the session. Clearing and committing
do not reset this clock; a new session does. The recorded audio is cut into the clips of the user's
messages: with turn detection from the start to the end of speech, without it from the last commit
or clear to the commit.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.protocol.formats import PCM16, Format
from duologue.session.formatted import ItemSpeech
from duologue.session.items import SpeechSpan
from duologue.session.retention import KEEP_RECENT, Retention, remember

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.protocol.ga import (
        InputAudioBufferCommittedEvent,
        InputAudioBufferSpeechStartedEvent,
        InputAudioBufferSpeechStoppedEvent,
    )

__all__ = ["MARK_SECONDS", "Resent", "SentAudio"]

MAX_UNPLACED: Final = 32
"""Limit of the chunks that wait for `SentAudio.place`, and so are kept whatever the retention."""

MAX_UNPLACED_BYTES: Final = 16 * 1024
"""Size of a chunk from which on it does not wait: a recording may come in pieces of 15 MB."""

MARK_SECONDS: Final = 0.25
"""Seconds between two marks of how much was appended."""

MAX_MARKS: Final = 40
"""Marks that are kept: of ten seconds."""

MAX_TURNS: Final = 64
"""Limit of the turns that have no message yet; usually there is one."""


@dataclass(slots=True)
class _Turn:
    """Range of a turn in the recorded input, in bytes since the session began."""

    start: int
    end: int | None = None
    """`None` while the user speaks."""
    start_ms: int | None = None
    end_ms: int | None = None
    """The same on the session's clock, if turn detection has measured it."""
    is_committed: bool = False
    """Whether the server has committed it, so that its message follows."""
    is_ours: bool = False
    """Whether we committed it: a new session does not do that by itself."""


@dataclass(frozen=True, slots=True)
class Resent:
    """The audio that a new session gets again."""

    before_commits: dict[str, bytes]
    """Audio before each commit that is sent again, by its event id, in order."""
    recommitted: tuple[str, ...]
    """Those of them that were answered, but have no message yet: their ids are new."""
    rest: bytes
    """Audio after the last of them."""
    lost_ms: float
    """Milliseconds of a turn that are not kept any more."""


class SentAudio:
    """The input audio of one session.

    Args:
        retention: Limits the audio that is kept to cut clips from.
        resend_seconds: Seconds of audio that are kept in any case, for a new session.
    """

    def __init__(self, retention: Retention = KEEP_RECENT, *, resend_seconds: float = 0.0) -> None:
        self._retention: Final = retention
        self._resend_ms: Final = int(resend_seconds * 1000)
        self.format: Format = PCM16
        """Format of the audio that is appended from now on."""
        self.detects_turns: bool = True
        """Whether the server finds the turns in it; otherwise the client commits them."""
        self.unplaced: Final[list[bytes]] = []
        """Audio that was appended but has no position on the clock yet.

        A microphone appends fifty times a second, and the position of a chunk is needed only when
        a turn begins or ends, so `place` computes it then."""
        self.placed_bytes: int = 0
        """Bytes that have a position on the clock."""
        self._session_began_ms = 0.0  # on the conversation's clock
        self._sent_ms_before = 0.0  # on the clock, before the format last changed
        self._format_since = 0  # byte at which the format last changed
        self._uncommitted_since = 0  # byte after the last commit or clear
        self._added_to = 0  # byte up to which the turns have become messages
        # Parallel lists, so that `bisect` finds a chunk by the position of its first byte.
        self._chunks: Final[list[bytes]] = []
        self._starts: Final[list[int]] = []
        self.next_mark: float = float("-inf")
        """When the next entry of `marks` is due."""
        self.marks: Final[list[tuple[float, int]]] = []
        """Times, and the bytes that were appended by then; made by whoever appends."""
        self._turns: Final[dict[str, _Turn]] = {}  # by item id, until the message is added
        self._commits: list[tuple[str, _Turn]] = []  # not answered yet, with their event ids

    @property
    def sent_ms(self) -> float:
        """Milliseconds of audio appended since the session began."""
        return self._ms(self.sent_bytes)

    @property
    def conversation_ms(self) -> float:
        """The conversation's audio clock: as `sent_ms`, but it goes on in each new session."""
        return self._session_began_ms + self.sent_ms

    @property
    def uncommitted_bytes(self) -> int:
        """Bytes appended since the last commit or clear."""
        return self.sent_bytes - self._uncommitted_since

    @property
    def has_turn(self) -> bool:
        """Whether turn detection has found a turn that is not a message yet."""
        return bool(self._turns)

    def set_format(self, format: Format) -> None:  # noqa: A002  # the wire's own word
        """Switch the format of the audio that is appended from now on; the clock keeps running."""
        if format is not self.format:
            self._sent_ms_before = self.sent_ms
            self._format_since = self.sent_bytes
            self.format = format

    @property
    def sent_bytes(self) -> int:
        """Bytes appended since the session began."""
        if self.unplaced:
            self.place()
        return self.placed_bytes

    @property
    def uncommitted(self) -> bytes:
        """The audio after the last commit or clear, as far as it is kept."""
        return self._read(self._uncommitted_since, self.sent_bytes)

    def append(self, audio: bytes) -> None:
        """Record audio that is being sent."""
        self.unplaced.append(audio)
        if len(self.unplaced) > MAX_UNPLACED or len(audio) > MAX_UNPLACED_BYTES:
            self.place()

    def sent_by(self, time: float) -> int:
        """Return how many bytes were appended by a time of the last ten seconds, at least."""
        return max((sent for when, sent in self.marks if when <= time), default=0)

    def place(self) -> None:
        """Assign positions on the clock to the appended audio, and drop the oldest."""
        for audio in self.unplaced:
            self._starts.append(self.placed_bytes)
            self._chunks.append(audio)
            self.placed_bytes += len(audio)
        self.unplaced.clear()
        del self.marks[:-MAX_MARKS]
        self._forget()

    def commit(self, event_id: str) -> None:
        """Record that a commit is being sent; the uncommitted audio belongs to its message."""
        turn = _Turn(self._uncommitted_since, self.sent_bytes, is_ours=True)
        self._commits.append((event_id, turn))
        self._uncommitted_since = self.sent_bytes
        if len(self._commits) > MAX_TURNS:
            self._commits.pop(0)

    def clear(self) -> None:
        """Record that a clear is being sent."""
        self._uncommitted_since = self.sent_bytes

    def refuse_commit(self, event_id: str) -> None:
        """Forget a commit that the server refused."""
        self._commits = [commit for commit in self._commits if commit[0] != event_id]

    def speech_of(self, item_id: str) -> ItemSpeech | None:
        """Return when the user spoke a message that has not been added yet."""
        turn = self._turns.get(item_id)
        if turn is None or (turn.start_ms is None and turn.end_ms is None):
            return None
        return ItemSpeech(turn.start_ms, turn.end_ms)

    def span_of(self, item_id: str) -> SpeechSpan | None:
        """Return where the audio of a message is that has not been added yet."""
        turn = self._turns.get(item_id)
        if turn is None:
            return None
        start_ms, end_ms = self._ms(turn.start), self._ms(self._end_of(turn))
        if turn.start_ms is not None:
            start_ms = turn.start_ms
        if turn.end_ms is not None:
            end_ms = turn.end_ms
        began_ms = self._session_began_ms
        is_measured = turn.start_ms is not None
        return SpeechSpan(began_ms + start_ms, began_ms + max(start_ms, end_ms), is_measured)

    def take_clip(self, item_id: str) -> bytes | None:
        """Remove and return the audio of a user message; `None` if it was not recorded."""
        turn = self._turns.pop(item_id, None)
        if turn is None:
            return None
        end = self._end_of(turn)
        self._added_to = max(self._added_to, end)
        return self._read(turn.start, end)

    def on_speech_started(self, event: InputAudioBufferSpeechStartedEvent) -> None:
        """Begin the clip of a turn."""
        start_ms = event.audio_start_ms
        turn = _Turn(self._offset(start_ms), start_ms=start_ms)
        remember(self._turns, event.item_id, turn, MAX_TURNS)

    def on_speech_stopped(self, event: InputAudioBufferSpeechStoppedEvent) -> None:
        """End the clip of a turn."""
        end = self._offset(event.audio_end_ms)
        turn = self._turns.get(event.item_id)
        if turn is None:  # there was no `speech_started`: an empty clip
            turn = remember(self._turns, event.item_id, _Turn(end), MAX_TURNS)
        turn.end, turn.end_ms = end, event.audio_end_ms

    def on_committed(self, event: InputAudioBufferCommittedEvent) -> None:
        """Assign audio to the message of a commit, of the client or of turn detection."""
        # The event does not name the commit that it answers; the server answers them in order.
        commit = self._commits.pop(0)[1] if self._commits else None
        turn = self._turns.get(event.item_id)
        if turn is None and commit is not None:
            turn = remember(self._turns, event.item_id, commit, MAX_TURNS)
        elif turn is not None and commit is None:  # turn detection committed up to the turn's end
            self._uncommitted_since = self._end_of(turn)
        if turn is not None:
            self._forget_open_turns(before=event.item_id)
            turn.is_committed = True

    def on_cleared(self) -> None:
        """Forget the turns that were discarded with their audio."""
        self._forget_open_turns()

    def _forget_open_turns(self, *, before: str | None = None) -> None:
        """Forget the turns that will not be committed: all, or those before one that was."""
        for item_id, turn in list(self._turns.items()):
            if item_id == before:
                return
            if not turn.is_committed:
                del self._turns[item_id]

    def is_announced(self, item_id: str) -> bool:
        """Return whether the server announced that audio becomes a message of this id."""
        return item_id in self._turns

    def begin_session(self, heard_to: int, *, now: float, new_id: Callable[[], str]) -> Resent:
        """Begin the clock of a new session, at the first byte that it gets.

        It gets what the last session had not made a message: the commits that were not answered, or
        whose messages had not come, and the turn under way. Where turn detection has found no
        speech, that is the audio in which speech may have begun.

        Args:
            heard_to: Bytes of the audio in which the last server has found all speech.
            now: Monotonic seconds, at which what is sent again counts as appended.
            new_id: Returns an id for a commit that is sent again.
        """
        self.place()
        turns = self._unfinished_turns()
        recommitted = [(new_id(), t) for t in turns if t.is_committed and t.is_ours]
        self._commits[:0] = recommitted
        turns += [turn for _, turn in self._commits]
        start = min((turn.start for turn in turns), default=self._uncommitted_since)
        if not turns and self.detects_turns:
            start = max(start, heard_to)
        kept = self._starts[0] if self._starts else self.sent_bytes
        bytes_per_ms = self.format.bytes_per_ms
        earliest = self.sent_bytes - self._resend_ms * bytes_per_ms
        first = min(max(start, kept, earliest), self.sent_bytes)
        before_commits: dict[str, bytes] = {}
        position = first
        for event_id, turn in self._commits:
            end = self._end_of(turn)
            before_commits[event_id] = self._read(max(turn.start, position), end)
            position = max(position, end)
        self._turns.clear()
        self.marks[:] = [mark for mark in self.marks if mark[1] <= first]
        self.marks.append((now, self.sent_bytes))
        self._uncommitted_since = position
        self._session_began_ms += self._ms(first)
        self._format_since, self._sent_ms_before = first, 0.0
        return Resent(
            before_commits,
            recommitted=tuple(event_id for event_id, _ in recommitted),
            rest=self._read(position, self.sent_bytes),
            lost_ms=(first - start) / bytes_per_ms if turns or not self.detects_turns else 0.0,
        )

    def _unfinished_turns(self) -> list[_Turn]:
        """Return the turns of which the server has made no message, oldest first."""
        for turn in self._turns.values():
            if not turn.is_committed:  # it may have begun before the end of the last, or a clear
                turn.start = max(turn.start, self._uncommitted_since)
        return [t for t in self._turns.values() if t.end is None or t.end > self._added_to]

    def _end_of(self, turn: _Turn) -> int:
        return self.sent_bytes if turn.end is None else turn.end

    def _ms(self, offset: int) -> float:
        """Return the time on the session's clock of a byte offset."""
        return self._sent_ms_before + (offset - self._format_since) / self.format.bytes_per_ms

    def _offset(self, ms: int) -> int:
        """Return the byte offset of a time on the session's clock."""
        if ms >= self.sent_ms:  # no server's clock is ahead of what was sent, whatever it says
            return self.sent_bytes
        return self._format_since + self.format.bytes(ms - self._sent_ms_before)

    def _read(self, start: int, end: int) -> bytes:
        end = min(end, self.sent_bytes)
        if not self._starts:
            return b""
        start = max(start, self._starts[0])
        if end <= start:
            return b""
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end)
        base = self._starts[first]
        return b"".join(self._chunks[first:last])[start - base : end - base]

    def _forget(self) -> None:
        """Drop the audio beyond the retention's limit."""
        kept_bytes = self._retention.audio_bytes(self.format.bytes_per_ms)
        if kept_bytes is None:
            return
        kept_bytes = max(kept_bytes, self._resend_ms * self.format.bytes_per_ms)
        # Only when a quarter more is kept: deleting from the front of a list moves all the rest.
        if self._starts and self.placed_bytes - self._starts[0] > kept_bytes * 5 // 4:
            old = bisect_right(self._starts, self.placed_bytes - kept_bytes) - 1
            del self._starts[:old], self._chunks[:old]

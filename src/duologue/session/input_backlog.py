"""Input audio that waits because the network does not take it.

A microphone does not wait, and what a transport has accepted cannot be taken back. So while more
than `ROOM_BYTES` are unsent, audio waits here, and the oldest is dropped when it is too late to be
of use. Audio counts as sent when it leaves: the session's clock and the clips of messages do not
contain what was dropped.

Only audio waits. Other events overtake it, except those that the audio before them belongs to: a
commit and a change of the session send what waits first, and a clear discards it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from duologue.session.updates import InputAudioDropped

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.session.input_audio import SentAudio

__all__ = ["CHECK_BYTES", "DEFAULT_INPUT_DELAY", "InputBacklog"]

DEFAULT_INPUT_DELAY: Final = 5.0
"""Seconds that audio may wait. A peer that has vanished is noticed in less; then nothing is dropped
and the next session gets what waits."""

ROOM_BYTES: Final = 128 * 1024
"""Unsent data from which on audio waits: two seconds of pcm16 in base64, and twice what makes
`Transport.drain` wait, so that a program that awaits it never comes here."""

CHECK_BYTES: Final = 16 * 1024
"""Audio between two looks at the unsent data: a third of a second of pcm16."""

LOOK_SECONDS: Final = 0.02
"""Time between two looks while audio waits: six megabytes a second pass at most."""

MAX_WAITING_BYTES: Final = 48 * 1024 * 1024
"""Limit of the audio that waits, whatever its age: the transport's `MAX_UNSENT_BYTES` in base64.

A recording may be appended at once, and is not late until it could have been spoken."""


class _Chunk(NamedTuple):
    audio: bytes
    spoken_at: float
    """When a live source would have appended its end, in monotonic seconds."""
    is_shown: bool


class InputBacklog:
    """The audio that waits, oldest first.

    Args:
        input_audio: Records the audio that is sent.
        send: Sends audio, and shows the event to the application if the second argument is true.
        report: Reports that audio was dropped.
        unsent_bytes: Returns how much the transport has accepted and not sent.
        limit: Seconds that audio may wait; `None`: audio never waits, the transport gets all.
    """

    __slots__ = (
        "_bytes", "_chunks", "_dropped_in_episode", "_input_audio", "_limit", "_report", "_send",
        "_spoken_at", "_unsent_bytes", "deadline", "dropped_ms", "unchecked_bytes",
    )  # fmt: skip

    def __init__(
        self,
        *,
        input_audio: SentAudio,
        send: Callable[[bytes, bool], None],
        report: Callable[[InputAudioDropped], None],
        unsent_bytes: Callable[[], int],
        limit: float | None,
    ) -> None:
        self.unchecked_bytes: int = 0
        """Audio appended since the last look. Beyond `CHECK_BYTES`, `hold` must be called."""
        self.deadline: float | None = None
        """When `expire` is due."""
        self.dropped_ms: float = 0.0
        """Milliseconds of audio that were dropped."""
        self._input_audio: Final = input_audio
        self._send: Final = send
        self._report: Final = report
        self._unsent_bytes: Final = unsent_bytes
        self._limit: Final = limit
        self._chunks: deque[_Chunk] = deque()
        self._bytes = 0
        self._spoken_at = 0.0
        self._dropped_in_episode = 0.0

    def __len__(self) -> int:
        """Return the number of bytes that wait."""
        return self._bytes

    @property
    def waiting_ms(self) -> float:
        """Milliseconds of audio that wait."""
        return self._bytes / self._input_audio.format.bytes_per_ms

    def hold(self, audio: bytes, now: float, *, is_shown: bool) -> bool:
        """Keep audio if the network does not take it; return whether it was kept."""
        if self._limit is None or not (self._chunks or self._unsent_bytes() > ROOM_BYTES):
            self.unchecked_bytes = 0
            return False
        if not self._chunks:
            self.deadline = now + LOOK_SECONDS
        seconds = len(audio) / self._input_audio.format.bytes_per_ms / 1000
        self._spoken_at = max(now, self._spoken_at) + seconds
        self._chunks.append(_Chunk(audio, self._spoken_at, is_shown))
        self._bytes += len(audio)
        self._drop_late(now, self._limit)
        return True

    def expire(self, now: float) -> None:
        """Send what the transport has room for."""
        self._drop_late(now, self._limit or 0.0)
        room = ROOM_BYTES - self._unsent_bytes()
        while self._chunks and room > 0:
            room -= len(self._chunks[0].audio) * 4 // 3  # as base64
            self._send_oldest()
        if self._chunks:
            self.deadline = now + LOOK_SECONDS
        else:
            self._end_episode()

    def flush(self) -> None:
        """Send all that waits, room or not: what follows belongs to it."""
        while self._chunks:
            self._send_oldest()
        self._end_episode()

    def clear(self) -> None:
        """Discard what waits, unreported: it is not wanted any more."""
        self._chunks.clear()
        self._bytes = 0
        self._end_episode()

    def _send_oldest(self) -> None:
        chunk = self._chunks.popleft()
        self._bytes -= len(chunk.audio)
        self._send(chunk.audio, chunk.is_shown)

    def _drop_late(self, now: float, limit: float) -> None:
        dropped = 0
        while self._chunks and (
            self._chunks[0].spoken_at < now - limit or self._bytes > MAX_WAITING_BYTES
        ):
            size = len(self._chunks.popleft().audio)
            self._bytes -= size
            dropped += size
        if dropped:
            milliseconds = dropped / self._input_audio.format.bytes_per_ms
            is_first = not self._dropped_in_episode
            self.dropped_ms += milliseconds
            self._dropped_in_episode += milliseconds
            if is_first:
                self._report(InputAudioDropped(milliseconds=milliseconds, is_over=False))

    def _end_episode(self) -> None:
        self.deadline = None
        self.unchecked_bytes = 0
        self._spoken_at = 0.0
        if self._dropped_in_episode:
            self._report(InputAudioDropped(milliseconds=self._dropped_in_episode, is_over=True))
            self._dropped_in_episode = 0.0

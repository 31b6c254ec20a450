"""The input audio buffer: what the client sent and has not committed, as PCM16 at 24 kHz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.protocol.formats import PCM16
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_BUFFER_MS", "MIN_COMMIT_MS", "InputAudioBuffer"]

MIN_COMMIT_MS: Final = 100
"""A commit of less is refused (DIALECTS.md §4, limits)."""

MAX_BUFFER_MS: Final = 15 * 60_000
"""One session's audio is bounded: 15 minutes hold 43 MB."""

_MS_BYTES: Final = PCM16.bytes_per_ms  # a property's price fifty times a second


class InputAudioBuffer:
    """Audio on the session's clock, which starts with the session and never jumps."""

    def __init__(self, *, frame_bytes: int) -> None:
        self._frame_bytes = frame_bytes
        self._audio = bytearray()
        self._start = 0  # where the buffer begins on the clock, in bytes
        self._judged = 0  # how far frames were handed out, in bytes on the clock

    @property
    def start_ms(self) -> int:
        """Where the buffer begins on the clock."""
        return self._start // _MS_BYTES

    @property
    def end_ms(self) -> int:
        """What the clock shows: where the buffer ends."""
        return (self._start + len(self._audio)) // _MS_BYTES

    @property
    def held_ms(self) -> int:
        """How much audio the buffer holds."""
        return len(self._audio) // _MS_BYTES

    def check(self, pcm: bytes) -> None:
        """Refuse audio that cannot be added.

        Raises:
            InvalidRequest: If samples are cut in half, or the buffer is full.
        """
        if len(pcm) % PCM16.sample_bytes:
            raise InvalidRequest(
                "invalid_value", "Invalid audio: PCM16 needs an even number of bytes.", "audio"
            )
        if len(self._audio) + len(pcm) > MAX_BUFFER_MS * _MS_BYTES:
            minutes = MAX_BUFFER_MS // 60_000
            message = (
                f"The input audio buffer is full: it holds {minutes} minutes. Commit or clear."
            )
            raise InvalidRequest("input_audio_buffer_full", message, "audio")

    def append(self, pcm: bytes) -> None:
        """Add audio."""
        self._audio += pcm

    def frames(self) -> Iterator[tuple[bytes, int]]:
        """Yield each whole frame that was not yet judged, and where it ends in milliseconds."""
        size = self._frame_bytes
        end = self._start + len(self._audio)
        while self._judged + size <= end:
            offset = self._judged - self._start
            self._judged += size
            yield bytes(self._audio[offset : offset + size]), self._judged // _MS_BYTES

    def skip_frames(self) -> None:
        """Count what was not yet judged as judged: nobody wants to know."""
        self._judged = self._start + len(self._audio)

    def keep_last(self, ms: int) -> None:
        """Forget what lies further back than so long before the end; frames not yet judged stay."""
        self.keep_from(self.end_ms - ms)

    def keep_from(self, ms: int) -> None:
        """Forget what lies before a time on the clock; frames not yet judged stay."""
        cut = min(ms * _MS_BYTES, self._judged) - self._start
        if cut > 0:
            del self._audio[:cut]
            self._start += cut

    def peek(self, until_ms: int) -> bytes:
        """Return the audio up to a time on the clock, and keep it."""
        return bytes(self._audio[: self._offset(until_ms)])

    def take(self, *, until_ms: int | None = None) -> bytes:
        """Empty the buffer, up to a time on the clock, and return its audio."""
        end = self._offset(until_ms)
        taken = bytes(self._audio[:end])
        del self._audio[:end]
        self._start += end
        self._judged = max(self._judged, self._start)
        return taken

    def _offset(self, until_ms: int | None) -> int:
        end = len(self._audio)
        return end if until_ms is None else min(end, max(0, until_ms * _MS_BYTES - self._start))

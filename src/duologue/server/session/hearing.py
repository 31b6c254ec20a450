"""How a session hears: its input buffer and its turn detector, as configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from duologue.protocol import ga
from duologue.protocol.model import UNSET
from duologue.server.session.input_audio import MIN_COMMIT_MS, InputBuffer
from duologue.server.session.refusal import Refusal
from duologue.server.session.turns import TurnChange, TurnDetector

__all__ = ["FRAME_MS", "Hearing", "Score"]

Score = Callable[[bytes], float]
"""Returns the likelihood of speech, 0 to 1, of a frame of `FRAME_MS` of PCM16 at 24 kHz."""

FRAME_MS: Final = 16
"""Length of the frames that are scored."""

ONSET_MARGIN_MS: Final = 200
"""Kept beyond the prefix padding while nobody speaks: detection looks back this far at most."""


class Hearing:
    """The user's audio, from bytes to turns."""

    def __init__(self, score: Score, *, notices_pauses: bool = False) -> None:
        self._score = score
        self._notices_pauses = notices_pauses
        self._buffer = InputBuffer(frame_bytes=FRAME_MS * 48)
        self._turns: TurnDetector | None = None
        self.transcription: ga.AudioTranscription | None = None
        """What the client wants to be told of the user's words; `None`: nothing."""

    @property
    def responds(self) -> bool:
        """Whether the end of a turn asks for a response."""
        return self._turns is not None and self._turns.config.create_response is not False

    @property
    def interrupts(self) -> bool:
        """Whether the user's speech cancels the response in progress."""
        return self._turns is not None and self._turns.config.interrupt_response is not False

    def configure(self, session: ga.RealtimeSession) -> None:
        """Follow the session's configuration; an open turn goes on."""
        audio = session.audio
        wanted = audio.input if audio is not UNSET and audio.input is not UNSET else ga.AudioInput()
        heard = wanted.transcription
        self.transcription = heard if isinstance(heard, ga.AudioTranscription) else None
        detection = wanted.turn_detection
        if not isinstance(detection, ga.ServerVad):
            self._turns = None
        elif self._turns is None:
            self._turns = TurnDetector(
                detection, frame_ms=FRAME_MS, notices_pauses=self._notices_pauses
            )
        else:
            self._turns.config = detection

    def append(self, pcm: bytes) -> Iterator[TurnChange]:
        """Add audio, and tell where turns begin and end in it.

        Each change must be acted on before the next is asked for.

        Raises:
            Refusal: If the buffer cannot take it.
        """
        self._buffer.append(pcm)
        for frame, end_ms in self._buffer.frames():
            if self._turns is None:
                continue
            change = self._turns.feed(self._score(frame), end_ms)
            if change is not None:
                yield change
            elif not self._turns.is_speaking:
                self._buffer.keep_from(end_ms - self._padding_ms() - ONSET_MARGIN_MS)

    def open_turn(self, onset_ms: int) -> int:
        """Begin a turn's audio at the onset less the prefix padding, or where the buffer begins.

        Returns:
            That place on the session's clock, in milliseconds.
        """
        self._buffer.keep_from(max(0, onset_ms - self._padding_ms()))
        return self._buffer.start_ms

    def peek(self, until_ms: int) -> bytes:
        """Return the buffer's audio up to a time on the clock, and keep it."""
        return self._buffer.peek(until_ms)

    def take(self, *, until_ms: int | None = None) -> bytes:
        """Empty the buffer and return its audio."""
        return self._buffer.take(until_ms=until_ms)

    def commit(self) -> bytes:
        """Empty the buffer at the client's wish, and forget an open turn.

        Raises:
            Refusal: If it holds less than 100 ms.
        """
        held = self._buffer.held_ms
        if held < MIN_COMMIT_MS:
            raise Refusal(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least"
                f" {MIN_COMMIT_MS}ms of audio, but buffer only has {held:.2f}ms of audio.",
            )
        return self.clear()

    def clear(self) -> bytes:
        """Empty the buffer and forget an open turn."""
        if self._turns is not None:
            self._turns.reset()
        return self._buffer.take()

    def _padding_ms(self) -> int:
        padding = UNSET if self._turns is None else self._turns.config.prefix_padding_ms
        return padding if isinstance(padding, int) else 300

"""How a session hears: its input format, its input buffer and its turn detection, as configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from duologue.audio.streams import AudioStream, decoder
from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.server.session.audio_formats import format_of, input_of
from duologue.server.session.input_audio import MIN_COMMIT_MS, InputAudioBuffer
from duologue.server.session.turn_detection import (
    WORDLESS,
    SpeechStopped,
    TurnChange,
    TurnTracker,
    rule_of,
)
from duologue.server.session.validation import InvalidRequest

__all__ = ["FRAME_MS", "InputAudioProcessor", "JudgeWords", "Score", "Silence"]

Score = Callable[[bytes], float]
"""Returns the likelihood of speech, 0 to 1, of a frame of `FRAME_MS` of PCM16 at 24 kHz."""

JudgeWords = Callable[[str], float]
"""Returns the likelihood, 0 to 1, that a speaker who said these words has finished."""

FRAME_MS: Final = 16
"""Length of the frames that are scored."""

ONSET_MARGIN_MS: Final = 200
"""Kept beyond the prefix padding while nobody speaks: detection looks back this far at most."""

MAX_KEPT_MS: Final = 60_000
"""Kept while nobody speaks, whatever padding the client asks for."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Audio in which nobody spoke, and where it lies on the session's clock."""

    start_ms: int
    end_ms: int
    pcm: bytes


class InputAudioProcessor:
    """The user's audio, from bytes to turns."""

    def __init__(
        self,
        score: Score,
        *,
        judge_words: JudgeWords | None = None,
        notices_pauses: bool = False,
    ) -> None:
        """Hear with a voice activity detector.

        Args:
            score: The detector; asked once for each frame.
            judge_words: Tells under `semantic_vad` whether a turn is over; `None`: silence alone.
            notices_pauses: Whether pauses are told under `server_vad` as well.
        """
        self._score = score
        self._score_words = judge_words
        self._notices_pauses = notices_pauses
        self.format = PCM16
        self._stream: AudioStream = decoder(PCM16)
        self._buffer = InputAudioBuffer(frame_bytes=FRAME_MS * PCM16.bytes_per_ms)
        self._turns = TurnTracker(rule_of(ga.ServerVad()), frame_ms=FRAME_MS)
        self._detection: ga.ServerVad | ga.SemanticVad | None = None
        self._padding_ms = 0
        self._kept_ms = 0
        self._idle_ms = 0
        self.transcription: ga.AudioTranscription | None = None
        """What the client wants to be told of the user's words; `None`: nothing."""

    @property
    def responds(self) -> bool:
        """Whether the end of a turn asks for a response."""
        return self._detection is not None and self._detection.create_response is not False

    @property
    def interrupts(self) -> bool:
        """Whether the user's speech cancels the response in progress."""
        return self._detection is not None and self._detection.interrupt_response is not False

    @property
    def clock_ms(self) -> int:
        """How much audio the client has sent since the session began."""
        return self._buffer.end_ms

    def configure(self, session: ga.RealtimeSession | ga.TranscriptionSession) -> None:
        """Follow the session's configuration; an open turn goes on, even without detection."""
        wanted = input_of(session)
        heard = wanted.transcription
        self.transcription = heard if isinstance(heard, ga.AudioTranscription) else None
        self._follow_format(wanted)
        detection = wanted.turn_detection
        if not isinstance(detection, ga.ServerVad | ga.SemanticVad):
            self._detection = None
            return
        self._detection = detection
        reads_words = isinstance(detection, ga.SemanticVad) and self._score_words is not None
        rule = rule_of(detection, reads_words=reads_words)
        self._turns.follow(rule, notices_pauses=reads_words or self._notices_pauses)
        self._padding_ms = rule.padding_ms
        idle_ms = detection.idle_timeout_ms if isinstance(detection, ga.ServerVad) else None
        self._idle_ms = idle_ms if isinstance(idle_ms, int) else 0
        self._kept_ms = min(max(rule.padding_ms + ONSET_MARGIN_MS, self._idle_ms), MAX_KEPT_MS)

    def append(self, audio: bytes) -> Iterator[TurnChange]:
        """Add audio in the session's format, and tell where turns begin and end in it.

        Each change must be acted on before the next is asked for.

        Raises:
            InvalidRequest: If the buffer cannot take it.
        """
        pcm = self._stream.feed(audio)
        self._buffer.check(pcm)
        self._buffer.append(pcm)
        if self._detection is None:
            self._buffer.skip_frames()
            return
        score, feed = self._score, self._turns.feed
        for frame, end_ms in self._buffer.frames():
            change = feed(score(frame), end_ms)
            if change is not None:
                yield change
        if not self._turns.is_speaking:
            self._buffer.keep_last(self._kept_ms)

    def judge_words(self, words: str) -> SpeechStopped | None:
        """Take the words of the turn so far into account: its pause may end it, now or sooner."""
        if self._score_words is None or not isinstance(self._detection, ga.SemanticVad):
            return None
        return self._turns.expect(self._score_words(words) if words else WORDLESS)

    def open_turn(self, onset_ms: int) -> int:
        """Begin a turn's audio at the onset less the prefix padding, or where the buffer begins.

        Returns:
            That place on the session's clock, in milliseconds.
        """
        self._buffer.keep_from(onset_ms - self._padding_ms)
        return self._buffer.start_ms

    def peek(self, until_ms: int) -> bytes:
        """Return the buffer's audio up to a time on the clock, and keep it."""
        return self._buffer.peek(until_ms)

    def take(self, *, until_ms: int | None = None) -> bytes:
        """Empty the buffer and return its audio."""
        return self._buffer.take(until_ms=until_ms)

    def take_silence(self) -> Silence:
        """Empty the buffer, and return what it holds of the last `idle_timeout_ms`."""
        end_ms = self._buffer.end_ms
        self._buffer.keep_last(self._idle_ms)
        return Silence(self._buffer.start_ms, end_ms, self._buffer.take(until_ms=end_ms))

    def commit(self) -> bytes:
        """Empty the buffer at the client's wish, and close an open turn.

        Raises:
            InvalidRequest: If it holds less than 100 ms.
        """
        self._buffer.append(self._stream.finish())
        held = self._buffer.held_ms
        if held < MIN_COMMIT_MS:
            raise InvalidRequest(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. Expected at least"
                f" {MIN_COMMIT_MS}ms of audio, but buffer only has {held:.2f}ms of audio.",
            )
        return self.clear()

    def clear(self) -> bytes:
        """Empty the buffer and forget an open turn."""
        self._buffer.append(self._stream.finish())
        self._turns.reset()
        return self._buffer.take()

    def _follow_format(self, wanted: ga.AudioInput) -> None:
        format_ = format_of(wanted.format)
        if format_ is not self.format:
            self._buffer.append(self._stream.finish())
            self._stream, self.format = decoder(format_), format_

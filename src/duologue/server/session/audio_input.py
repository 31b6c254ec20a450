"""Input audio: decoded, buffered, and cut into the user's turns.

The session's audio clock starts with the session and counts the audio that the client has sent;
every `..._ms` of an event is a time on it. Inside the server all audio is PCM16 at 24 kHz.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from duologue.audio.streams import AudioStream, decoder
from duologue.errors import MissingExtra
from duologue.protocol import ga
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format
from duologue.protocol.model import UNSET, UnsetType
from duologue.server.session.turn_detection import (
    WORDLESS,
    SpeechStopped,
    TurnChange,
    TurnTracker,
    rule_of,
)
from duologue.server.session.validation import InvalidRequest

__all__ = [
    "FRAME_MS",
    "MAX_BUFFER_MS",
    "MIN_COMMIT_MS",
    "InputAudioBuffer",
    "InputAudioProcessor",
    "JudgeWords",
    "Score",
    "Silence",
    "check_format",
    "format_of",
    "input_of",
    "output_of",
]

Score = Callable[[bytes], float]
"""Returns the likelihood of speech, 0 to 1, of a frame of `FRAME_MS` of PCM16 at 24 kHz."""

JudgeWords = Callable[[str], float]
"""Returns the likelihood, 0 to 1, that a speaker has finished after these words."""

FRAME_MS: Final = 16
"""Length of the frames that the voice activity detector scores."""

MIN_COMMIT_MS: Final = 100
"""Least audio that can be committed.

Source: Realtime API reference, `input_audio_buffer.commit`.
"""

MAX_BUFFER_MS: Final = 15 * 60_000
"""Audio that the buffer holds at most: 15 minutes, 43 MB."""

ONSET_MARGIN_MS: Final = 200
"""Audio that is kept beyond the prefix padding in silence: an onset is noticed up to this late."""

MAX_KEPT_MS: Final = 60_000
"""Audio that is kept in silence at most, whatever padding the client configures."""

_MS_BYTES: Final = PCM16.bytes_per_ms  # read fifty times a second, and a property is slower

_FORMATS: Final[dict[type, Format]] = {
    ga.AudioPcm: PCM16,
    ga.AudioPcmu: G711_ULAW,
    ga.AudioPcma: G711_ALAW,
}


def format_of(configured: ga.AudioFormat | UnsetType) -> Format:
    """Return the format that a configuration names; PCM16 if it names none."""
    return _FORMATS.get(type(configured), PCM16)


def input_of(session: ga.RealtimeSession | ga.TranscriptionSession) -> ga.AudioInput:
    """Return the configuration of a session's input audio; empty if it is unset."""
    audio = session.audio
    return ga.AudioInput() if audio is UNSET or audio.input is UNSET else audio.input


def output_of(session: ga.RealtimeSession) -> ga.AudioOutput:
    """Return the configuration of a session's output audio; empty if it is unset."""
    audio = session.audio
    return ga.AudioOutput() if audio is UNSET or audio.output is UNSET else audio.output


def check_format(configured: ga.AudioFormat | UnsetType, param: str) -> None:
    """Check that this server can convert a format.

    Raises:
        InvalidRequest: If the packages for it are not installed; the message names them.
    """
    try:
        decoder(format_of(configured))
    except MissingExtra as missing:
        raise InvalidRequest("invalid_value", f"{missing}.", param) from missing


class InputAudioBuffer:
    """Audio that the client has sent and not committed, placed on the session's clock."""

    def __init__(self, *, frame_bytes: int) -> None:
        self._frame_bytes: Final = frame_bytes
        self._audio = bytearray()
        self._start = 0  # where the buffer begins on the clock, in bytes
        self._scored = 0  # how far frames were scored, in bytes on the clock

    @property
    def start_ms(self) -> int:
        """The beginning of the buffer on the clock."""
        return self._start // _MS_BYTES

    @property
    def end_ms(self) -> int:
        """The present time on the clock, where the buffer ends."""
        return (self._start + len(self._audio)) // _MS_BYTES

    @property
    def held_ms(self) -> int:
        """Length of the buffered audio."""
        return len(self._audio) // _MS_BYTES

    def check(self, pcm: bytes) -> None:
        """Check that audio can be added.

        Raises:
            InvalidRequest: If a sample is cut in half, or the buffer is full.
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
        """Yield each whole frame that was not scored yet, and where it ends in milliseconds."""
        size = self._frame_bytes
        end = self._start + len(self._audio)
        while self._scored + size <= end:
            offset = self._scored - self._start
            self._scored += size
            yield bytes(self._audio[offset : offset + size]), self._scored // _MS_BYTES

    def skip_frames(self) -> None:
        """Skip the frames that were not scored yet: turn detection is off."""
        self._scored = self._start + len(self._audio)

    def keep_last(self, ms: int) -> None:
        """Forget all but the last `ms` of the audio; frames that were not scored yet stay."""
        self.keep_from(self.end_ms - ms)

    def keep_from(self, ms: int) -> None:
        """Forget the audio before a time on the clock; frames that were not scored yet stay."""
        cut = min(ms * _MS_BYTES, self._scored) - self._start
        if cut > 0:
            del self._audio[:cut]
            self._start += cut

    def peek(self, until_ms: int) -> bytes:
        """Return the audio up to a time on the clock, and keep it."""
        return bytes(self._audio[: self._offset(until_ms)])

    def take(self, *, until_ms: int | None = None) -> bytes:
        """Remove the audio, up to a time on the clock, and return it."""
        end = self._offset(until_ms)
        taken = bytes(self._audio[:end])
        del self._audio[:end]
        self._start += end
        self._scored = max(self._scored, self._start)
        return taken

    def _offset(self, until_ms: int | None) -> int:
        end = len(self._audio)
        return end if until_ms is None else min(end, max(0, until_ms * _MS_BYTES - self._start))


@dataclass(frozen=True, slots=True)
class Silence:
    """Audio without speech, and its place on the session's clock."""

    start_ms: int
    end_ms: int
    pcm: bytes


class InputAudioProcessor:
    """Turns the client's audio into changes of the user's speech."""

    def __init__(
        self,
        score: Score,
        *,
        judge_words: JudgeWords | None = None,
        notices_pauses: bool = False,
    ) -> None:
        """Create a processor with the default configuration.

        Args:
            score: The voice activity detector; called once for each frame.
            judge_words: Judges under `semantic_vad` whether a turn is over; `None`: silence alone.
            notices_pauses: Whether to report pauses under `server_vad` as well.
        """
        self._score: Final = score
        self._score_words: Final = judge_words
        self._notices_pauses: Final = notices_pauses
        self.format: Format = PCM16
        """Format of the client's audio."""
        self._stream: AudioStream = decoder(PCM16)
        self._buffer: Final = InputAudioBuffer(frame_bytes=FRAME_MS * PCM16.bytes_per_ms)
        self._turns: Final = TurnTracker(rule_of(ga.ServerVad()), frame_ms=FRAME_MS)
        self._detection: ga.ServerVad | ga.SemanticVad | None = None
        self._padding_ms = 0
        self._kept_ms = 0
        self._idle_ms = 0
        self.transcription: ga.AudioTranscription | None = None
        """Transcription as the client configured it; `None`: off."""

    @property
    def responds(self) -> bool:
        """Whether the end of a turn creates a response."""
        return self._detection is not None and self._detection.create_response is not False

    @property
    def interrupts(self) -> bool:
        """Whether the user's speech cancels the response in progress."""
        return self._detection is not None and self._detection.interrupt_response is not False

    @property
    def clock_ms(self) -> int:
        """The present time on the session's audio clock."""
        return self._buffer.end_ms

    def configure(self, session: ga.RealtimeSession | ga.TranscriptionSession) -> None:
        """Apply the session's configuration; an open turn stays open, even without detection."""
        config = input_of(session)
        transcription = config.transcription
        self.transcription = (
            transcription if isinstance(transcription, ga.AudioTranscription) else None
        )
        self._set_format(format_of(config.format))
        detection = config.turn_detection
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
        """Add audio in the session's format, and yield the changes of speech in it.

        The caller must react to each change before it asks for the next one: the reaction to the
        end of a turn takes the turn's audio out of the buffer.

        Raises:
            InvalidRequest: If the buffer is full, or the audio is cut within a sample.
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
        """Judge the words of the turn so far; return its end if it is over."""
        if self._score_words is None or not isinstance(self._detection, ga.SemanticVad):
            return None
        return self._turns.expect(self._score_words(words) if words else WORDLESS)

    def open_turn(self, onset_ms: int) -> int:
        """Let a turn begin at its onset less the prefix padding, or where the buffer begins.

        Returns:
            The beginning on the session's clock, in milliseconds.
        """
        self._buffer.keep_from(onset_ms - self._padding_ms)
        return self._buffer.start_ms

    def peek(self, until_ms: int) -> bytes:
        """Return the buffered audio up to a time on the clock, and keep it."""
        return self._buffer.peek(until_ms)

    def take(self, *, until_ms: int | None = None) -> bytes:
        """Remove the buffered audio, up to a time on the clock, and return it."""
        return self._buffer.take(until_ms=until_ms)

    def take_silence(self) -> Silence:
        """Empty the buffer, and return its part of the last `idle_timeout_ms`."""
        end_ms = self._buffer.end_ms
        self._buffer.keep_last(self._idle_ms)
        return Silence(self._buffer.start_ms, end_ms, self._buffer.take(until_ms=end_ms))

    def commit(self) -> bytes:
        """Empty the buffer on the client's request, and end an open turn.

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
        """Empty the buffer, and forget an open turn."""
        self._buffer.append(self._stream.finish())
        self._turns.reset()
        return self._buffer.take()

    def _set_format(self, format_: Format) -> None:
        if format_ is not self.format:
            self._buffer.append(self._stream.finish())
            self._stream, self.format = decoder(format_), format_

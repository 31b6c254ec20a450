"""Speech to text by Whisper, through faster-whisper and CTranslate2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

from duologue.server.engine.local.native import load_whisper
from duologue.server.engine.local.sharing import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["WhisperTranscriber"]

RATE_HZ: Final = 16_000
"""Whisper's sample rate."""

SHORTEST: Final = RATE_HZ // 10
"""Shorter audio than 100 ms holds no word."""

WINDOW: Final = 10 * RATE_HZ
"""Whisper pads audio to 30 s. A window of 10 s takes a third of the time, and gives the same words
as long as the audio leaves 2 s free; in a fuller window, Whisper repeats itself."""

WINDOW_FITS: Final = 8 * RATE_HZ
"""The longest audio for that window."""

NO_SPEECH: Final = 0.7
"""Above this likelihood of silence, Whisper invents words: for noise it is 0.86, and the text is
"Thank you."."""

LANGUAGE_SURE: Final = 0.8
"""A less likely language is taken for English."""

MAX_TOKENS: Final = 100
"""More tokens than 8 s of speech; the limit ends a transcript that repeats itself."""

PROMPT_CHARS: Final = 300
"""Only the end of the client's prompt is used. Whisper's own limit is 223 tokens."""


class WhisperTranscriber:
    """Whisper model that transcribes one turn at a time.

    A turn of up to 8 s is one piece; a longer one is split into segments. If the client sets no
    language, it is detected, which takes 11 ms. The English models transcribe only English.
    """

    def __init__(self, path: Path, *, threads: int = 2) -> None:
        """Load the model; blocks for a second.

        Args:
            path: The folder with `config.json`, `model.bin`, `tokenizer.json`, `vocabulary.txt`.
            threads: Number of cores for one transcription.

        Raises:
            MissingExtra: If faster-whisper is not installed.
            ModelUnavailable: If a file is missing or broken.
        """
        self._whisper: Final = load_whisper(path, threads=threads)
        self._worker: Final = Worker("duologue-transcriber")

    def close(self) -> None:
        """Finish the running transcription and refuse new ones; blocks."""
        self._worker.close()

    def warm(self) -> None:
        """Transcribe silence, because the first run is slow; blocks."""
        self._short(np.zeros(RATE_HZ, np.float32), "en", None)

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        """Yield the transcript: in one piece for a short turn, by segments for a long one.

        Cancelling takes effect at the end of the current segment.
        """
        code = self._known(language)
        hint = prompt[-PROMPT_CHARS:].strip() if prompt else None
        audio = _resample(pcm)
        if audio.size < SHORTEST:
            return
        if audio.size <= WINDOW_FITS:
            if text := await self._worker.run(self._short, audio, code, hint):
                yield text
            return
        segments = self._long(audio, code, hint)
        while text := await self._worker.run(_next, segments):
            yield text

    def _known(self, language: str | None) -> str | None:
        """Return the language's code if the model supports it; `None`: it must be detected."""
        if not self._whisper.net.is_multilingual:
            return "en"
        code = (language or "").lower().partition("-")[0]
        return code if code in self._whisper.languages else None

    def _short(self, audio: NDArray[np.float32], language: str | None, hint: str | None) -> str:
        # The encoder does most of the work. Its output serves to detect the language as well.
        encoded = self._encode(audio)
        tokenizer = self._whisper.tokenizer(language or self._detect(encoded))
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        if hint:
            # The prompt takes the place of the previous window's text.
            start = [tokenizer.sot_prev, *tokenizer.encode(f" {hint}"), *start]
        result = self._whisper.net.generate(
            encoded,
            [start],
            beam_size=1,
            max_length=len(start) + MAX_TOKENS,
            return_no_speech_prob=True,
        )[0]
        if result.no_speech_prob > NO_SPEECH:
            return ""
        return tokenizer.decode(result.sequences_ids[0]).strip()

    def _long(
        self, audio: NDArray[np.float32], language: str | None, hint: str | None
    ) -> Iterator[str]:
        segments, _ = self._whisper.transcribe(
            audio,
            language=language or self._detect(self._encode(audio[:WINDOW_FITS])),
            beam_size=1,
            temperature=0.0,
            initial_prompt=hint,
            condition_on_previous_text=False,  # or one repetition leads to the next
            no_speech_threshold=None,  # checked below instead
        )
        lead = ""
        for segment in segments:
            text = segment.text.strip()
            if text and segment.no_speech_prob <= NO_SPEECH:
                yield lead + text
                lead = " "

    def _encode(self, audio: NDArray[np.float32]) -> object:
        window = np.zeros(WINDOW, np.float32)
        window[: audio.size] = audio
        # One column per 160 samples; the extractor adds one more at the end.
        spectrogram = self._whisper.log_mel(window)[np.newaxis, :, : WINDOW // 160]
        view = self._whisper.view(np.ascontiguousarray(spectrogram, np.float32))
        return self._whisper.net.encode(view)

    def _detect(self, encoded: object) -> str:
        token, likelihood = self._whisper.net.detect_language(encoded)[0][0]
        return token.strip("<|>") if likelihood >= LANGUAGE_SURE else "en"


def _resample(pcm: bytes) -> NDArray[np.float32]:
    """Return 24 kHz PCM16 as floats at 16 kHz; a turn takes under 1 ms, so this needs no thread."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(1 / 32_768)
    resampled: NDArray[np.float32] = soxr.resample(samples, 24_000, RATE_HZ, "MQ")
    return resampled


def _next(segments: Iterator[str]) -> str:
    return next(segments, "")

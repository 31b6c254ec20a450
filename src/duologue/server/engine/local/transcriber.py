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
"""What Whisper hears."""

SHORTEST: Final = RATE_HZ // 10
"""Less than 100 ms holds no word."""

WINDOW: Final = 10 * RATE_HZ
"""Whisper pads to 30 s. A window of 10 s takes a third of the time and gives the same words for
audio with two seconds to spare; tighter windows make it loop (MODELS, appendix 2)."""

WINDOW_FITS: Final = 8 * RATE_HZ

NO_SPEECH: Final = 0.7
"""Above this likelihood of silence the words are invented: noise gives 0.86 and "Thank you."."""

LANGUAGE_SURE: Final = 0.8
"""A detected language counts from this likelihood on; below it the words are taken for English."""

MAX_TOKENS: Final = 100
"""More than anybody says in 8 s; it ends a transcript that repeats itself."""

PROMPT_CHARS: Final = 300
"""How much of the client's hint is used: its end. Whisper's own limit is 223 tokens."""


class WhisperTranscriber:
    """Transcribes one turn at a time.

    A turn up to 8 s is one piece; a longer one comes in segments. Without a language named it is
    detected, which takes 11 ms; the English models always hear English.
    """

    def __init__(self, path: Path, *, threads: int = 2) -> None:
        """Load the model; blocks for a second.

        Args:
            path: The folder with `config.json`, `model.bin`, `tokenizer.json`, `vocabulary.txt`.
            threads: Cores for one transcription.

        Raises:
            MissingExtra: If faster-whisper is not installed.
            ModelUnavailable: If a file is missing or broken.
        """
        self._whisper = load_whisper(path, threads=threads)
        self._worker = Worker("duologue-transcriber")

    def close(self) -> None:
        """Let the running transcription end and refuse others; blocks until then."""
        self._worker.close()

    def warm(self) -> None:
        """Run the model once, so that the first turn is not the slow one; blocks."""
        self._short(np.zeros(RATE_HZ, np.float32), "en", None)

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        """Yield the transcript: at once for a short turn, by segments for a long one.

        Cancelling takes effect at the end of the segment that the model is at.
        """
        code = self._known(language)
        hint = prompt[-PROMPT_CHARS:].strip() if prompt else None
        audio = _heard(pcm)
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
        """Return the language's code if the model knows it, or None: to be detected."""
        if not self._whisper.net.is_multilingual:
            return "en"
        code = (language or "").lower().partition("-")[0]
        return code if code in self._whisper.languages else None

    def _short(self, audio: NDArray[np.float32], language: str | None, hint: str | None) -> str:
        encoded = self._encode(audio)
        tokenizer = self._whisper.tokenizer(language or self._detect(encoded))
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        if hint:
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
            condition_on_previous_text=False,
            no_speech_threshold=None,  # the gate below is ours
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
        spectrogram = self._whisper.log_mel(window)[np.newaxis, :, : WINDOW // 160]
        view = self._whisper.view(np.ascontiguousarray(spectrogram, np.float32))
        return self._whisper.net.encode(view)

    def _detect(self, encoded: object) -> str:
        token, likelihood = self._whisper.net.detect_language(encoded)[0][0]
        return token.strip("<|>") if likelihood >= LANGUAGE_SURE else "en"


def _heard(pcm: bytes) -> NDArray[np.float32]:
    """Return 24 kHz PCM16 as Whisper hears it; under a millisecond for a turn, so done inline."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(1 / 32_768)
    resampled: NDArray[np.float32] = soxr.resample(samples, 24_000, RATE_HZ, "MQ")
    return resampled


def _next(segments: Iterator[str]) -> str:
    return next(segments, "")

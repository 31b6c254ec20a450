"""Text to speech by hibari, whose package contains one English voice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from duologue.server.engine.local.native import load_voice
from duologue.server.engine.local.sharing import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

__all__ = ["HibariSynthesizer"]

CHUNK_SAMPLES: Final = 24_000 // 5
"""200 ms: short enough to be sent soon, long enough that its event is mostly audio."""

SLOWEST: Final = 0.5
FASTEST: Final = 2.0
"""The speeds that the model is trained for; the API allows 0.25 to 1.5."""

SEED: Final = 0
"""Fixed, so that the same words always sound the same, and recordings can be compared."""


class HibariSynthesizer:
    """Speech model that synthesizes one clause at a time, much faster than real time.

    Every voice of the API sounds the same: hibari's package has one voice, and would download
    others.
    """

    def __init__(self) -> None:
        """Load the voice; blocks for 0.8 s.

        Raises:
            MissingExtra: If hibari is not installed.
        """
        self._voice: Final = load_voice()
        self._worker: Final = Worker("duologue-synthesizer")

    def close(self) -> None:
        """Finish the running sentence and refuse new ones; blocks."""
        self._worker.close()

    def warm(self) -> None:
        """Synthesize a word, because the first run is slow; blocks."""
        for _ in self._voice.stream("Hello.", 1.0, SEED):
            pass

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        """Yield the clause as PCM16 at 24 kHz in chunks of 200 ms; the last one may be shorter.

        Text without a letter or digit yields nothing. `voice` has no effect.
        """
        del voice
        if not any(c.isalnum() for c in text):
            return
        pace = min(max(speed, SLOWEST), FASTEST)
        sentences = self._voice.stream(text, pace, SEED)
        while (sound := await self._worker.run(_next, sentences)) is not None:
            for start in range(0, sound.size, CHUNK_SAMPLES):
                yield _pcm16(sound[start : start + CHUNK_SAMPLES])


def _next(sentences: Iterator[NDArray[np.float32]]) -> NDArray[np.float32] | None:
    return next(sentences, None)


def _pcm16(sound: NDArray[np.float32]) -> bytes:
    return (np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes()

"""Text to speech by hibari, whose one English voice is inside its package."""

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
"""200 ms: small enough to be sent at once, large enough that its event is mostly audio."""

SLOWEST: Final = 0.5
FASTEST: Final = 2.0
"""What the model was made for; the API allows 0.25 to 1.5."""

SEED: Final = 0
"""The same words always sound the same, so a recorded conversation can be compared."""


class HibariSynthesizer:
    """Speaks one clause at a time, much faster than it sounds.

    Every voice of the API is the same voice here: hibari has one, and others would be downloaded.
    """

    def __init__(self) -> None:
        """Load the voice; blocks for 0.8 s.

        Raises:
            MissingExtra: If hibari is not installed.
        """
        self._voice = load_voice()
        self._worker = Worker("duologue-synthesizer")

    def close(self) -> None:
        """Let the running sentence end and refuse others; blocks until then."""
        self._worker.close()

    def warm(self) -> None:
        """Speak a word to nobody, so that the first clause is not the slow one; blocks."""
        for _ in self._voice.stream("Hello.", 1.0, SEED):
            pass

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncIterator[bytes]:
        """Yield the clause as PCM16 at 24 kHz in chunks of 200 ms; the last one may be shorter.

        Text without a letter or digit is silent: nothing is yielded. `voice` makes no difference.
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

"""Another sample rate for audio that comes in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Resampler"]

QUALITY: Final = "LQ"
"""soxr's 16-bit filter is 12 ms late; its 20-bit one 43 ms, which every turn would pay for."""


class Resampler:
    """One direction of one stream. Cut into any pieces, it sounds the same."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        # Not int16: soxr would dither it, and no two runs were the same.
        self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality=QUALITY)

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return what is ready: (m,) int16 for (n,) int16; some is held back for the next call."""
        return _rounded(self._stream.resample_chunk(samples.astype(np.float32)))

    def finish(self) -> NDArray[np.int16]:
        """Return what was held back, so that nothing of the stream is missing; begin another."""
        rest = _rounded(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        self._stream.clear()
        return rest


def _rounded(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.rint(samples).clip(-32_768, 32_767).astype(np.int16)

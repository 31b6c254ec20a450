"""Voice activity detection by earshot, a small recurrent network whose package has the weights.

earshot scores frames of 256 samples at 16 kHz, which is 16 ms; a session has 24 kHz. The rates are
2 to 3, so every 3 samples become 2 by two fixed filters, and a frame of 384 samples becomes exactly
256. One matrix product resamples a frame. The last samples of a frame are kept for the next one, so
that the filters see a continuous stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from duologue.server.engine.local.native import new_detector
from duologue.server.engine.stages import VAD_FRAME_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EarshotVad", "FrameResampler"]

TAPS: Final = 48
"""Length of the filters: flat up to 6.3 kHz, -60 dB above 8.1 kHz, with a delay of 1 ms."""

CUTOFF_HZ: Final = 7_200
"""Below 8 kHz, half the target rate: what lies above would alias into speech."""

_KAISER_BETA: Final = 5.65


def _kernel() -> NDArray[np.float32]:
    """Return the filters for the two output samples per three inputs: (TAPS, 2) float32.

    Each is a Kaiser-windowed sinc. It scales PCM16 to -1..1 as well.
    """
    centre = (TAPS - 3) / 2
    taps = np.arange(TAPS)
    columns: list[NDArray[np.float64]] = []
    for offset in (-0.75, 0.75):  # the outputs lie 1.5 input samples apart
        distance = taps - (centre + offset)
        shape = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (2 * distance / TAPS) ** 2, 0, None)))
        column = np.sinc(2 * CUTOFF_HZ / 24_000 * distance) * shape
        columns.append(column / column.sum() / 32_768)
    return np.stack(columns, axis=1).astype(np.float32)


_KERNEL: Final = _kernel()
_FRAME_SAMPLES: Final = VAD_FRAME_BYTES // 2


class FrameResampler:
    """Converter of frames of 24 kHz PCM16 to 16 kHz floats, for one continuous stream.

    soxr is as fast (4 to 5 µs), but returns 0 to 526 samples a frame, and earshot needs 256.
    """

    def __init__(self) -> None:
        self._stream: Final[NDArray[np.float32]] = np.zeros(TAPS - 3 + _FRAME_SAMPLES, np.float32)
        # A view: row i is the input of output samples 2i and 2i + 1. It follows `_stream`.
        self._windows: Final = np.lib.stride_tricks.sliding_window_view(self._stream, TAPS)[::3]

    def feed(self, frame: bytes) -> NDArray[np.float32]:
        """Return 256 samples, -1 to 1, for the next `VAD_FRAME_BYTES` of the stream."""
        stream = self._stream
        stream[: TAPS - 3] = stream[_FRAME_SAMPLES:]
        stream[TAPS - 3 :] = np.frombuffer(frame, "<i2")
        samples: NDArray[np.float32] = (self._windows @ _KERNEL).ravel()
        # The filters can overshoot; earshot expects samples from -1 to 1.
        np.minimum(samples, 1, out=samples)
        np.maximum(samples, -1, out=samples)
        return samples


class EarshotVad:
    """Detector of one session; 10 KB of memory, and 11 µs a frame, so it needs no thread."""

    def __init__(self) -> None:
        self._detector: Final = new_detector()
        self._resampler: Final = FrameResampler()

    def score(self, frame: bytes) -> float:
        """Return the likelihood of speech, 0 to 1, in the next frame of the stream."""
        if len(frame) != VAD_FRAME_BYTES:
            raise AssertionError(f"a frame is {VAD_FRAME_BYTES} bytes, not {len(frame)}")
        return self._detector.predict_f32(self._resampler.feed(frame))

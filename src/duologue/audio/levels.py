"""Levels of audio in dBFS: 0 is full scale, and every 6 less is half of the amplitude.

A square wave at full scale has an RMS level of 0 dBFS, a sine 3 less. Speech near a microphone has
an RMS level of about -30 to -20, a quiet room one below -60.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from duologue.audio.samples import FULL_SCALE, Samples, check_samples, int16_samples

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["peak_dbfs", "rms_dbfs"]


def rms_dbfs(audio: Buffer | Samples) -> float:
    """Return the root mean square of PCM16 or samples, in dBFS; `-inf` for silence.

    Raises:
        ConfigurationError: If it is neither PCM16 nor an array of samples.
    """
    samples, full_scale = _samples(audio)
    if not samples.size:
        return -math.inf
    squares = np.square(samples, dtype=np.float64)
    return _dbfs(math.sqrt(float(squares.mean())) / full_scale)


def peak_dbfs(audio: Buffer | Samples) -> float:
    """Return the largest amplitude of PCM16 or samples, in dBFS; `-inf` for silence.

    Raises:
        ConfigurationError: If it is neither PCM16 nor an array of samples.
    """
    samples, full_scale = _samples(audio)
    if not samples.size:
        return -math.inf
    # As floats: -32768 has no positive counterpart.
    return _dbfs(max(float(samples.max()), -float(samples.min())) / full_scale)


def _samples(audio: Buffer | Samples) -> tuple[Samples, float]:
    samples = audio if isinstance(audio, np.ndarray) else int16_samples(audio)
    check_samples(samples, {"float32", "int16"})
    return samples, float(FULL_SCALE) if samples.dtype == np.int16 else 1.0


def _dbfs(amplitude: float) -> float:
    return 20 * math.log10(amplitude) if amplitude else -math.inf

"""Samples: their conversion from and to the formats of the protocol, and their levels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from duologue.audio.g711 import ALAW, ULAW
from duologue.protocol.formats import G711_ALAW, PCM16, Format

if TYPE_CHECKING:
    from duologue.devices.audio_device import Int16Samples

__all__ = ["SILENCE_DB", "decode", "encode", "gain_of", "level_db"]

SILENCE_DB: Final = -96.0
"""Level of digital silence: the smallest step of 16 bits."""


def decode(audio: bytes, format_: Format) -> Int16Samples:
    """Return the samples of audio in a format of the protocol, (n,) int16."""
    if format_ is PCM16:
        return np.frombuffer(audio, np.int16)
    return (ALAW if format_ is G711_ALAW else ULAW).decode(audio)


def encode(samples: Int16Samples, format_: Format) -> bytes:
    """Return samples of the format's rate, (n,) int16, as audio."""
    if format_ is PCM16:
        return samples.tobytes()
    return (ALAW if format_ is G711_ALAW else ULAW).encode(samples)


def level_db(samples: Int16Samples) -> float:
    """Return the root mean square of samples, 0 for full scale, at least `SILENCE_DB`."""
    if not samples.size:
        return SILENCE_DB
    wide = samples.astype(np.float64).ravel()
    mean_square = float(wide @ wide) / wide.size / 32_768**2
    return max(SILENCE_DB, 10 * math.log10(mean_square)) if mean_square else SILENCE_DB


def gain_of(db: float) -> float:
    """Return the factor of a change of level: -6 halves, roughly."""
    return float(10.0 ** (db / 20))

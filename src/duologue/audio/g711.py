"""G.711: a sample in eight bits and 8000 a second, by the two laws of telephony.

Both laws keep a sign, one of eight segments that double in width, and four bits within it. Tables
of all values are made once: of 256 for reading, of 65,536 for writing.

Source: ITU-T G.711; checked against `audioop`, which Python 3.13 no longer has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from duologue.audio.resample import Resampler
from duologue.protocol.formats import G711_ULAW, PCM16, Format

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["ALAW", "ULAW", "G711Decoder", "G711Encoder", "Law"]


class Law:
    """One of the two laws: PCM16 samples to bytes and back."""

    def __init__(self, expand: Callable[[int], int]) -> None:
        """Make the tables.

        Args:
            expand: Returns the sample of a byte.
        """
        self._samples = np.array([expand(code) for code in range(256)], np.int16)
        order = np.argsort(self._samples, kind="stable")
        levels = self._samples[order].astype(np.int32)
        every = np.arange(-32_768, 32_768)
        nearest = np.searchsorted((levels[:-1] + levels[1:]) / 2, every, "right")  # 0 is +0
        self._codes = np.roll(order[nearest].astype(np.uint8), 32_768)  # by the sample as unsigned

    def decode(self, data: bytes) -> NDArray[np.int16]:
        """Return the samples of bytes: (n,) int16."""
        return self._samples[np.frombuffer(data, np.uint8)]

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Return the byte of each sample whose level lies nearest."""
        return self._codes[samples.view(np.uint16)].tobytes()


def _ulaw(code: int) -> int:
    code = ~code
    segment, step = code >> 4 & 7, code & 15
    size = ((step << 3) + 0x84 << segment) - 0x84
    return -size if code & 0x80 else size


def _alaw(code: int) -> int:
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    size = (step << 4) + 8 if segment == 0 else (step << 4) + 0x108 << segment - 1
    return size if code & 0x80 else -size


ULAW: Final = Law(_ulaw)
ALAW: Final = Law(_alaw)


def _law(format_: Format) -> Law:
    return ULAW if format_ is G711_ULAW else ALAW


class G711Decoder:
    """One stream of G.711 to PCM16 at 24 kHz."""

    def __init__(self, format_: Format) -> None:
        self._law = _law(format_)
        self._resampler = Resampler(format_.rate_hz, PCM16.rate_hz)

    def feed(self, audio: bytes) -> bytes:
        """Return what is ready; up to 40 ms are held back."""
        return self._resampler.feed(self._law.decode(audio)).tobytes()

    def finish(self) -> bytes:
        """Return what was held back, and begin another stream."""
        return self._resampler.finish().tobytes()


class G711Encoder:
    """One stream of PCM16 at 24 kHz, in whole samples, to G.711."""

    def __init__(self, format_: Format) -> None:
        self._law = _law(format_)
        self._resampler = Resampler(PCM16.rate_hz, format_.rate_hz)

    def feed(self, audio: bytes) -> bytes:
        """Return what is ready; up to 40 ms are held back."""
        return self._law.encode(self._resampler.feed(np.frombuffer(audio, np.int16)))

    def finish(self) -> bytes:
        """Return what was held back, and begin another stream."""
        return self._law.encode(self._resampler.finish())

"""G.711, the audio format of telephony: 8-bit samples at 8 kHz, in µ-law or A-law.

Both laws encode a sign, one of eight segments that double in width, and four bits within the
segment. Tables of all values are built once: 256 entries to decode, 65,536 to encode. With them,
numpy converts a chunk in one indexing operation.

Source: ITU-T G.711; the tests compare with `audioop`, which Python 3.13 removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import soxr

from duologue.protocol.formats import G711_ULAW, PCM16, Format

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["ALAW", "ULAW", "G711Decoder", "G711Encoder", "Law", "StreamResampler"]

QUALITY: Final = "LQ"
"""Quality of soxr's 16-bit filter: it delays by 12 ms. The 20-bit filter's 43 ms would be added to
every turn."""


class Law:
    """One of the two laws: converts PCM16 samples to bytes and back."""

    def __init__(self, expand: Callable[[int], int]) -> None:
        """Build the tables.

        Args:
            expand: Returns the sample that a byte encodes.
        """
        self._samples: Final = np.array([expand(code) for code in range(256)], np.int16)
        order = np.argsort(self._samples, kind="stable")
        levels = self._samples[order].astype(np.int32)
        every = np.arange(-32_768, 32_768)
        # "right": halfway between two levels goes to the upper one, so 0 becomes +0, not -0.
        nearest = np.searchsorted((levels[:-1] + levels[1:]) / 2, every, "right")
        # Rolled by half, so that the sample's bits as unsigned are the index: -1 is at 65,535.
        self._codes: Final = np.roll(order[nearest].astype(np.uint8), 32_768)

    def decode(self, data: bytes) -> NDArray[np.int16]:
        """Return the samples, (n,) int16."""
        return self._samples[np.frombuffer(data, np.uint8)]

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """Return the byte whose level is nearest, for each sample."""
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


class StreamResampler:
    """Sample rate converter for one stream; how the stream is cut into chunks changes nothing."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        # float32, because soxr dithers int16: no two runs would give the same samples.
        self._stream: Final = soxr.ResampleStream(
            from_hz, to_hz, 1, dtype="float32", quality=QUALITY
        )

    def feed(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the samples that are ready, (m,) int16; the filter keeps the last ones."""
        return _rounded(self._stream.resample_chunk(samples.astype(np.float32)))

    def finish(self) -> NDArray[np.int16]:
        """Return the rest of the stream, and start a new one."""
        rest = _rounded(self._stream.resample_chunk(np.zeros(0, np.float32), last=True))
        self._stream.clear()
        return rest


_LOWEST: Final = np.float32(-32_768)
_HIGHEST: Final = np.float32(32_767)


def _rounded(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    # In place, and without `clip`: a chunk of 20 ms takes soxr 11 µs, `clip` another microsecond.
    np.rint(samples, out=samples)
    np.maximum(samples, _LOWEST, out=samples)
    np.minimum(samples, _HIGHEST, out=samples)
    return samples.astype(np.int16)


class G711Decoder:
    """Decoder of one stream, from G.711 to PCM16 at 24 kHz."""

    def __init__(self, format_: Format) -> None:
        self._law: Final = _law(format_)
        self._resampler: Final = StreamResampler(format_.rate_hz, PCM16.rate_hz)

    def feed(self, audio: bytes) -> bytes:
        """Return the audio that is ready; the filter keeps up to 40 ms."""
        return self._resampler.feed(self._law.decode(audio)).tobytes()

    def finish(self) -> bytes:
        """Return the rest of the stream, and start a new one."""
        return self._resampler.finish().tobytes()


class G711Encoder:
    """Encoder of one stream, from PCM16 at 24 kHz in whole samples to G.711."""

    def __init__(self, format_: Format) -> None:
        self._law: Final = _law(format_)
        self._resampler: Final = StreamResampler(PCM16.rate_hz, format_.rate_hz)

    def feed(self, audio: bytes) -> bytes:
        """Return the audio that is ready; the filter keeps up to 40 ms."""
        return self._law.encode(self._resampler.feed(np.frombuffer(audio, np.int16)))

    def finish(self) -> bytes:
        """Return the rest of the stream, and start a new one."""
        return self._law.encode(self._resampler.finish())

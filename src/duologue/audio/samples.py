"""Samples: PCM16 as bytes and as arrays, and the channels in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "Samples", "check_samples", "float32_to_pcm16", "int16_samples", "mix_to_mono",
    "pcm16_to_float32",
]  # fmt: skip

Samples: TypeAlias = NDArray[np.int16] | NDArray[np.float32]
"""Samples of one channel, `(n,)`, or of several, `(n, channels)`."""

FULL_SCALE: Final = 32_768
"""The sample of PCM16 that is -1.0; the largest one, 32767, is just below 1.0."""


def int16_samples(pcm: Buffer, channels: int = 1) -> NDArray[np.int16]:
    """Return PCM16 as an array that shares its memory: `(n,)`, or `(n, channels)` of interleaved.

    Raises:
        ConfigurationError: If the bytes are not whole samples of all channels.
    """
    data = memoryview(pcm).cast("B")
    if channels < 1 or len(data) % (2 * channels):
        text = f"{len(data)} bytes are not whole PCM16 samples of {channels} channels"
        raise ConfigurationError(f"{text}: keep the rest, and pass it with the next bytes")
    samples = np.frombuffer(data, "<i2")
    return samples if channels == 1 else samples.reshape(-1, channels)


def pcm16_to_float32(pcm: Buffer, channels: int = 1) -> NDArray[np.float32]:
    """Return PCM16 as `float32` from -1 to 1: `(n,)`, or `(n, channels)` of interleaved channels.

    Raises:
        ConfigurationError: If the bytes are not whole samples of all channels.
    """
    return int16_samples(pcm, channels).astype(np.float32) / np.float32(FULL_SCALE)


def float32_to_pcm16(samples: NDArray[np.float32]) -> bytes:
    """Return `float32` samples as PCM16, rounded, and clipped beyond full scale.

    What `pcm16_to_float32` returns becomes the same bytes again. Several channels are interleaved.

    Raises:
        ConfigurationError: If the samples are not `float32`, or have more than two dimensions.
    """
    check_samples(samples, {"float32"})
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    pcm: NDArray[np.int16] = scaled.clip(-FULL_SCALE, FULL_SCALE - 1).astype("<i2")
    return pcm.tobytes()


def mix_to_mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of all channels, `(n,)`.

    Raises:
        ConfigurationError: If the samples are not `float32`, or have more than two dimensions.
    """
    check_samples(samples, {"float32"})
    return samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)


_FIXES: Final = {
    "float64": "use `samples.astype('float32')`",
    "int16": "use `pcm16_to_float32(samples.tobytes())`",
    "float32": "use `int16_samples(float32_to_pcm16(samples))`",
}


def check_samples(samples: NDArray[Any], dtypes: set[str]) -> None:
    """Check the type of an array's samples, and its shape.

    Raises:
        ConfigurationError: If one of them is wrong.
    """
    found: object = getattr(samples, "dtype", type(samples).__name__)
    if str(found) not in dtypes:
        fix = _FIXES.get(str(found), "use `float32` from -1 to 1")
        raise ConfigurationError(
            f"samples must be {' or '.join(sorted(dtypes))}, not {found}: {fix}"
        )
    if samples.ndim not in {1, 2}:
        raise ConfigurationError(
            f"samples must have the shape (n,) or (n, channels), not {samples.shape}"
        )

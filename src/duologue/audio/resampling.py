"""Conversion of sample rates, of whole recordings and of streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

import numpy as np
import soxr

from duologue.audio.samples import FULL_SCALE, check_samples
from duologue.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Quality", "Resampler", "resample"]

S = TypeVar("S", np.int16, np.float32)

Quality = Literal["low_delay", "high"]
"""`low_delay` has soxr's 16-bit filter, `high` its 20-bit filter."""

_FLOAT32: Final = np.dtype(np.float32)
_INT16: Final = np.dtype(np.int16)
_MIN: Final = np.float32(-FULL_SCALE)
_MAX: Final = np.float32(FULL_SCALE - 1)

_QUALITIES: Final = {"low_delay": "LQ", "high": "HQ"}


def resample(samples: NDArray[S], from_hz: int, to_hz: int) -> NDArray[S]:
    """Return a whole recording at another rate, in high quality.

    Args:
        samples: `int16` or `float32`; `(n,)` or `(n, channels)`.
        from_hz: Its rate.
        to_hz: The other rate.

    Returns:
        Samples of the same type: exactly `floor(n * to_hz / from_hz + 1/2)`.

    Raises:
        ConfigurationError: If the samples or rates cannot be used.
    """
    check_samples(samples, {"float32", "int16"})
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    stream = Resampler(from_hz, to_hz, channels=channels, quality="high")
    ready = stream.feed(samples)
    rest = stream.finish(samples.dtype.type).reshape(-1, *samples.shape[1:])
    return np.concatenate([ready, rest])


class Resampler:
    """Sample rate converter of a stream; how the stream is cut into chunks changes nothing.

    The filter keeps the last samples until those after them arrive: with 24 kHz and 8 kHz on either
    side 12 ms of audio with `low_delay`, and 43 ms with `high`. The counts are exact, so that a
    position in the output can be mapped to the input: after `finish`, the output has exactly
    `floor(samples_in * to_hz / from_hz + 1/2)` samples.

    Args:
        from_hz: Rate of the samples that are fed.
        to_hz: Rate of the samples that are returned.
        channels: Number of channels; samples of several have the shape `(n, channels)`.
        quality: Of the filter.

    Raises:
        ConfigurationError: If a rate or the number of channels cannot be used.
    """

    def __init__(
        self, from_hz: int, to_hz: int, *, channels: int = 1, quality: Quality = "low_delay"
    ) -> None:
        if min(from_hz, to_hz, channels) < 1:
            text = f"cannot convert {channels} channels from {from_hz} to {to_hz} Hz"
            raise ConfigurationError(f"{text}: all three must be at least 1")
        if quality not in _QUALITIES:
            known = " or ".join(map(repr, _QUALITIES))
            raise ConfigurationError(f"quality must be {known}, not {quality!r}")
        self.from_hz: Final = from_hz
        self.to_hz: Final = to_hz
        self.channels: Final = channels
        self.samples_in: int = 0
        """Samples of each channel that were fed to this stream."""
        self.samples_out: int = 0
        """Samples of each channel that were returned from it."""
        # float32, because soxr dithers int16: no two runs would give the same samples.
        self._shape: Final = () if channels == 1 else (channels,)
        self._stream: Final = soxr.ResampleStream(
            from_hz, to_hz, channels, dtype="float32", quality=_QUALITIES[quality]
        )

    @property
    def delay(self) -> float:
        """Seconds of audio that the filter keeps."""
        return self.samples_in / self.from_hz - self.samples_out / self.to_hz

    def feed(self, samples: NDArray[S]) -> NDArray[S]:
        """Return the samples that are ready, of the type of those that are fed.

        Raises:
            ConfigurationError: If they are not `int16` or `float32`, or have other channels.
        """
        dtype: object = getattr(samples, "dtype", None)
        is_float = dtype is _FLOAT32  # by identity: this runs for every frame of a sound card
        if not (is_float or dtype is _INT16) or samples.shape[1:] != self._shape:
            return self._feed_checked(samples)
        self.samples_in += len(samples)
        ready = self._stream.resample_chunk(samples if is_float else samples.astype(np.float32))
        self.samples_out += len(ready)
        return ready if is_float else _rounded(ready)

    def _feed_checked(self, samples: NDArray[S]) -> NDArray[S]:
        check_samples(samples, {"float32", "int16"})
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        if channels != self.channels:
            text = f"the samples have {channels} channels, this stream has {self.channels}"
            raise ConfigurationError(f"{text}: pass `channels={channels}` to Resampler")
        native = samples.astype(samples.dtype.type)
        if channels == 1:  # a column, or a row with a dtype that only equals ours
            return self.feed(native.reshape(-1)).reshape(-1, *samples.shape[1:])
        return self.feed(native)

    @overload
    def finish(self) -> NDArray[np.int16]: ...

    @overload
    def finish(self, dtype: type[S]) -> NDArray[S]: ...

    def finish(self, dtype: type[Any] = np.int16) -> NDArray[Any]:
        """Return the rest of the stream, and start a new one.

        Args:
            dtype: Type of the samples that are returned: that of those that were fed.
        """
        empty = np.zeros(0 if self.channels == 1 else (0, self.channels), np.float32)
        rest = self._stream.resample_chunk(empty, last=True)
        self._stream.clear()
        self.samples_in = self.samples_out = 0
        return rest if dtype is np.float32 else _rounded(rest)


def _rounded(samples: NDArray[np.float32]) -> NDArray[Any]:
    """Return samples as `int16`, clipped; `samples` is overwritten."""
    np.rint(samples, out=samples)
    np.minimum(samples, _MAX, out=samples)
    np.maximum(samples, _MIN, out=samples)
    return samples.astype(np.int16)

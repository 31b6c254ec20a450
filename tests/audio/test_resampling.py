"""Sample rates: exact counts, and the same samples however a stream is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.audio import Resampler, resample
from duologue.errors import ConfigurationError

RATES = st.sampled_from([8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])


def noise(count: int, channels: int = 1) -> np.ndarray[Any, np.dtype[np.float32]]:
    shape = count if channels == 1 else (count, channels)
    return np.random.default_rng(1).uniform(-0.9, 0.9, shape).astype(np.float32)


@given(RATES, RATES, st.lists(st.integers(0, 700), max_size=8))
def test_the_counts_are_exact(from_hz: int, to_hz: int, sizes: list[int]) -> None:
    stream, fed, returned = Resampler(from_hz, to_hz), 0, 0
    for size in sizes:
        returned += len(stream.feed(noise(size)))
        fed += size
        assert (stream.samples_in, stream.samples_out) == (fed, returned)
        assert stream.delay == pytest.approx(fed / from_hz - returned / to_hz)
    returned += len(stream.finish(np.float32))
    assert returned == (2 * fed * to_hz + from_hz) // (2 * from_hz)
    assert (stream.samples_in, stream.samples_out, stream.delay) == (0, 0, 0.0)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("quality", ["low_delay", "high"])
def test_any_chunking_gives_the_same_samples(dtype: Any, channels: int, quality: Any) -> None:
    whole: Any = noise(5000, channels)
    if dtype is np.int16:
        whole = (whole * 32_767).astype(np.int16)
    at_once = Resampler(48_000, 24_000, channels=channels, quality=quality)
    expected = np.concatenate([at_once.feed(whole), at_once.finish(dtype)])
    assert expected.dtype == dtype
    assert expected.shape == ((2500,) if channels == 1 else (2500, channels))
    stream = Resampler(48_000, 24_000, channels=channels, quality=quality)
    parts = [stream.feed(whole[at : at + 333]) for at in range(0, 5000, 333)]
    assert (np.concatenate([*parts, stream.finish(dtype)]) == expected).all()


def test_a_tone_keeps_its_pitch_and_level() -> None:
    tone = np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000).astype(np.float32)
    there = resample(tone, 48_000, 16_000)
    expected = np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000)
    assert abs(there - expected)[200:-200].max() < 1e-4


@pytest.mark.parametrize(("quality", "most_ms"), [("low_delay", 13), ("high", 44)])
def test_the_filter_delays_by_no_more_than_is_documented(quality: Any, most_ms: int) -> None:
    for from_hz, to_hz in ((24_000, 8000), (8000, 24_000)):
        stream = Resampler(from_hz, to_hz, quality=quality)
        delays = []
        for _ in range(20):
            stream.feed(noise(from_hz // 50))
            delays.append(stream.delay * 1000)
        assert min(delays) <= most_ms


def test_loud_int16_is_clipped_instead_of_wrapped() -> None:
    square = np.repeat(np.array([32_767, -32_768] * 20, np.int16), 60)
    assert abs(np.diff(resample(square, 24_000, 48_000).astype(int))).max() < 50_000


def test_one_column_is_one_channel() -> None:
    column = noise(4800)[:, np.newaxis]
    assert resample(column, 48_000, 24_000).shape == (2400, 1)


def test_a_whole_recording_has_an_exact_length() -> None:
    assert len(resample(noise(12_345), 44_100, 24_000)) == 6718
    assert len(resample(noise(0), 44_100, 24_000)) == 0


def test_what_cannot_be_converted_is_refused_with_the_fix() -> None:
    with pytest.raises(ConfigurationError, match="1 channels from 0 to 8000 Hz"):
        Resampler(0, 8000)
    with pytest.raises(ConfigurationError, match="'low_delay' or 'high', not 'best'"):
        Resampler(1, 1, quality="best")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match="pass `channels=2` to Resampler"):
        Resampler(48_000, 24_000).feed(noise(4, 2))
    with pytest.raises(ConfigurationError, match="float32 or int16, not float64"):
        resample(np.zeros(2), 1, 2)  # type: ignore[type-var]  # on purpose

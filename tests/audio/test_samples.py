"""PCM16 as bytes and arrays, its channels and its levels."""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.audio import (
    float32_to_pcm16,
    int16_samples,
    mix_to_mono,
    pcm16_to_float32,
    peak_dbfs,
    rms_dbfs,
)
from duologue.errors import ConfigurationError

EVERY_SAMPLE = np.arange(-32_768, 32_768).astype("<i2").tobytes()


def test_every_sample_survives_the_way_to_float_and_back() -> None:
    assert float32_to_pcm16(pcm16_to_float32(EVERY_SAMPLE)) == EVERY_SAMPLE


def test_full_scale_is_one() -> None:
    samples = pcm16_to_float32(array("h", [-32_768, 0, 16_384]).tobytes())
    assert samples.dtype == np.float32
    assert samples.tolist() == [-1.0, 0.0, 0.5]


def test_what_is_too_loud_is_clipped() -> None:
    loud = np.array([-1.5, 1.0, 2.0], np.float32)
    assert array("h", float32_to_pcm16(loud)).tolist() == [-32_768, 32_767, 32_767]


def test_samples_are_rounded() -> None:
    between = np.array([0.4, 0.6, -0.6], np.float32) / np.float32(32_768)
    assert array("h", float32_to_pcm16(between)).tolist() == [0, 1, -1]


@given(st.lists(st.floats(-1, 1, width=32), max_size=50))
def test_no_sample_moves_by_more_than_half_a_step(values: list[float]) -> None:
    samples = np.array([min(value, 32_767 / 32_768) for value in values], np.float32)
    back = pcm16_to_float32(float32_to_pcm16(samples))
    assert (abs(back - samples) <= 0.5 / 32_768).all()


def test_channels_are_columns() -> None:
    pcm = array("h", [1, 2, 3, 4]).tobytes()
    assert int16_samples(pcm, channels=2).tolist() == [[1, 2], [3, 4]]
    assert float32_to_pcm16(pcm16_to_float32(pcm, channels=2)) == pcm


@pytest.mark.parametrize(("size", "channels"), [(5, 1), (6, 2), (4, 0)])
def test_parts_of_samples_are_refused(size: int, channels: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{size} bytes are not whole PCM16 samples"):
        pcm16_to_float32(bytes(size), channels)


def test_mono_is_the_mean() -> None:
    stereo = np.array([[1.0, 0.0], [0.5, -0.5]], np.float32)
    assert mix_to_mono(stereo).tolist() == [0.5, 0.0]
    mono = np.zeros(3, np.float32)
    assert mix_to_mono(mono) is mono


@pytest.mark.parametrize(
    ("samples", "fix"),
    [
        (np.zeros(2), r"float64: use `samples.astype\('float32'\)`"),
        (np.zeros(2, np.int16), r"int16: use `pcm16_to_float32\(samples.tobytes\(\)\)`"),
        (np.zeros(2, np.int32), "int32: use `float32` from -1 to 1"),
        ([0.0], "list: use `float32`"),
        (np.zeros((1, 1, 1), np.float32), r"the shape \(n,\) or \(n, channels\), not \(1, 1, 1\)"),
    ],
)
def test_other_arrays_are_refused_with_the_fix(samples: Any, fix: str) -> None:
    for convert in (float32_to_pcm16, mix_to_mono):
        with pytest.raises(ConfigurationError, match=fix):
            convert(samples)


def test_levels_are_relative_to_full_scale() -> None:
    square = array("h", [-32_768, -32_768]).tobytes()
    assert (rms_dbfs(square), peak_dbfs(square)) == (0.0, 0.0)
    half = np.array([0.5, -0.5], np.float32)
    assert rms_dbfs(half) == peak_dbfs(half) == pytest.approx(-6.0206, abs=1e-4)
    sine = np.sin(np.arange(24_000) * 2 * np.pi / 240).astype(np.float32)
    assert rms_dbfs(sine) == pytest.approx(-3.0103, abs=1e-4)
    assert peak_dbfs(sine) == pytest.approx(0, abs=1e-3)
    assert rms_dbfs(np.array([16_384, 16_384], np.int16)) == pytest.approx(-6.0206, abs=1e-4)


@pytest.mark.parametrize("silence", [b"", bytes(4), np.zeros(0, np.float32)])
def test_silence_has_no_level(silence: Any) -> None:
    assert (rms_dbfs(silence), peak_dbfs(silence)) == (-math.inf, -math.inf)


def test_a_level_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="float32 or int16, not float64"):
        rms_dbfs(np.zeros(2))  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match="3 bytes are not whole"):
        peak_dbfs(b"abc")

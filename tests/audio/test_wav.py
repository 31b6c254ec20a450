from __future__ import annotations

import struct
import wave
from array import array
from pathlib import Path

import pytest

from duologue.audio.wav import read_wav, write_wav
from duologue.errors import ConfigurationError


def write(path: Path, data: bytes, *, rate: int, width: int, channels: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(data)
    return path


def loudest(pcm: bytes) -> int:
    return max(array("h", pcm), key=abs)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    pcm = array("h", range(-3000, 3000)).tobytes()
    write_wav(tmp_path / "a.wav", pcm)
    assert read_wav(tmp_path / "a.wav") == pcm


@pytest.mark.parametrize(
    ("width", "sample"),
    [
        (1, b"\xc0"),
        (2, struct.pack("<h", 16384)),
        (3, struct.pack("<i", 1 << 30)[1:]),
        (4, struct.pack("<i", 1 << 30)),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_every_shape_becomes_mono_at_24_khz(
    tmp_path: Path, width: int, sample: bytes, channels: int, rate: int
) -> None:
    path = write(
        tmp_path / "a.wav", sample * channels * rate, rate=rate, width=width, channels=channels
    )
    pcm = read_wav(path)
    assert len(pcm) == 48_000  # a second
    assert abs(array("h", pcm)[12_000] - 16384) < 200  # half of full scale, away from the edges


def test_two_channels_become_their_mean(tmp_path: Path) -> None:
    data = struct.pack("<hh", 8000, -8000) * 24_000
    path = write(tmp_path / "a.wav", data, rate=24_000, width=2, channels=2)
    assert abs(loudest(read_wav(path))) <= 1


def test_a_file_cut_in_a_sample_loses_that_sample_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", bytes(100), rate=24_000, width=2, channels=1)
    path.write_bytes(path.read_bytes()[:-1])
    assert len(read_wav(path)) == 98


def test_a_folder_that_is_not_there_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot write"):
        write_wav(tmp_path / "nowhere" / "a.wav", b"")

"""Audio files of any format, and the names of the package."""

from __future__ import annotations

import subprocess
import sys
import wave
from array import array
from pathlib import Path

import numpy as np
import pytest

import duologue.audio
from duologue.audio import read_audio, read_samples, rms_dbfs, wav_bytes, write_wav
from duologue.errors import ConfigurationError, MissingExtra

AUDIO = Path(__file__).parents[1] / "data" / "audio"


def tone(rate_hz: int, channels: int = 1) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return half a second."""
    wave_ = 0.5 * np.sin(np.arange(rate_hz // 2) * 2 * np.pi * 440 / rate_hz)
    return np.tile(wave_[:, np.newaxis], (1, channels)).astype(np.float32)


def test_a_wav_file_is_read_as_it_is() -> None:
    pcm = read_audio(AUDIO / "hello.wav")
    assert pcm == duologue.audio.read_wav(str(AUDIO / "hello.wav"))
    assert -40 < rms_dbfs(pcm) < -10


@pytest.mark.parametrize(
    ("name", "rate_hz", "channels"),
    [
        ("a.flac", 44_100, 2),
        ("a.ogg", 48_000, 1),
        ("a.mp3", 22_050, 2),
        ("a.aiff", 16_000, 1),
        ("float.wav", 48_000, 2),
        ("ulaw.wav", 8000, 1),
    ],
)
def test_other_formats_become_mono_at_24_khz(
    tmp_path: Path, name: str, rate_hz: int, channels: int
) -> None:
    soundfile = pytest.importorskip("soundfile")
    subtype = {"float.wav": "FLOAT", "ulaw.wav": "ULAW"}.get(name)
    path = tmp_path / name
    soundfile.write(path, tone(rate_hz, channels), rate_hz, subtype=subtype)
    pcm = read_audio(path)
    lossy = 2400 if name.endswith(("mp3", "ogg")) else 0  # padding of the encoder
    assert abs(len(pcm) - 24_000) <= lossy
    assert rms_dbfs(pcm[4000:20_000]) == pytest.approx(-9.03, abs=0.3)
    samples, rate = read_samples(path)
    assert (samples.dtype, samples.shape[1], rate) == (np.float32, channels, rate_hz)


def test_samples_of_a_wav_file_keep_rate_and_channels(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    pcm = array("h", [16_384, -16_384, 8192, 0]).tobytes()
    write_wav(path, pcm, rate_hz=44_100, channels=2)
    samples, rate_hz = read_samples(path)
    assert (samples.tolist(), rate_hz) == ([[0.5, -0.5], [0.25, 0.0]], 44_100)
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (44_100, 2, 2)


def test_parts_of_samples_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="6 bytes are not whole PCM16 samples of 2"):
        write_wav(tmp_path / "a.wav", bytes(6), channels=2)
    with pytest.raises(ConfigurationError, match="of 0 channels"):
        wav_bytes(bytes(6), channels=0)


def test_what_is_no_audio_is_refused_with_the_fix(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    path = tmp_path / "notes.txt"
    path.write_text("no audio")
    with pytest.raises(ConfigurationError, match=r"convert it first: ffmpeg -i notes\.txt"):
        read_audio(path)


def test_a_file_without_samples_is_refused(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "empty.aiff"
    soundfile.write(path, np.zeros((0, 1), np.float32), 24_000)
    with pytest.raises(ConfigurationError, match=r"empty\.aiff holds no audio"):
        read_audio(path)


def test_a_file_that_is_not_there_is_one_clear_sentence(tmp_path: Path) -> None:
    for read in (read_audio, read_samples):
        with pytest.raises(ConfigurationError, match=r"cannot read .*a\.flac: no such file"):
            read(tmp_path / "a.flac")


def test_without_soundfile_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    with pytest.raises(MissingExtra, match=r"a\.flac, .* pip install 'duologue\[audio\]'"):
        read_audio(tmp_path / "a.flac")


def test_every_name_is_exported() -> None:
    assert duologue.audio.__all__ == sorted(duologue.audio.__all__, key=_as_ruff_sorts)
    for name in duologue.audio.__all__:
        assert getattr(duologue.audio, name) is not None
    assert {*duologue.audio.__all__} <= {*dir(duologue.audio)}
    with pytest.raises(AttributeError, match="no attribute 'loudness'"):
        duologue.audio.loudness  # type: ignore[attr-defined]  # noqa: B018  # on purpose


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_without_numpy_only_what_needs_it_is_missing(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", bytes(480))
    script = f"""
import sys
sys.modules["numpy"] = sys.modules["soxr"] = None
import duologue.audio as audio
print(len(audio.read_audio({str(tmp_path / "a.wav")!r})), audio.PCM16.rate_hz)
try:
    audio.resample
except audio.MissingExtra as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    fix = "duologue.audio.resample needs more packages: pip install 'duologue[audio]'"
    assert done.stdout.splitlines() == ["480 24000", fix]

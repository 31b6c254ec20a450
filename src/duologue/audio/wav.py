"""WAV files, read and written as mono PCM16 at 24 kHz, the protocol's default format."""

from __future__ import annotations

import io
import os
import wave
from typing import TYPE_CHECKING, Final

from duologue.errors import ConfigurationError, MissingExtra
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_writable", "read_wav", "wav_of", "write_wav"]

MAX_RATE_HZ: Final = 768_000
"""The highest rate of any audio interface; a higher one in a header is damage."""


def check_writable(path: Path) -> None:
    """Check that a file can be written, before there is anything to write.

    Raises:
        ConfigurationError: If the folder does not exist, or the file or folder is not writable.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"cannot write {path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigurationError(f"cannot write {path}: permission denied")


def read_wav(path: Path) -> bytes:
    """Return a file's audio as mono PCM16 at 24 kHz, converted if necessary.

    Raises:
        ConfigurationError: If the file cannot be read, is not a PCM WAV file, or holds no audio.
        MissingExtra: If the audio needs conversion and the packages for that are not installed.
    """
    try:
        with path.open("rb") as raw, wave.open(raw, "rb") as file:
            rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            data = file.readframes(file.getnframes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot read {path}: {reason}") from error
    except (wave.Error, EOFError) as error:
        fix = f"convert it first: ffmpeg -i {path.name} -ar 24000 -ac 1 -c:a pcm_s16le speech.wav"
        reason = str(error) or "the file ends in its header"
        raise ConfigurationError(f"{path} is not a PCM WAV file ({reason}); {fix}") from error
    if not (0 < rate <= MAX_RATE_HZ and 1 <= width <= 4 and channels > 0):
        shape = f"{rate} Hz, {8 * width} bits, {channels} channels"
        raise ConfigurationError(f"{path} is not a playable WAV file: {shape}")
    # A recording that was cut off may end in the middle of a frame.
    data = data[: len(data) - len(data) % (width * channels)]
    if not data:
        raise ConfigurationError(f"{path} holds no audio")
    if (rate, width, channels) == (PCM16.rate_hz, PCM16.sample_bytes, 1):
        return data
    return _converted(data, rate=rate, width=width, channels=channels)


def write_wav(path: Path, pcm: bytes) -> None:
    """Write mono PCM16 at 24 kHz to a file.

    Raises:
        ConfigurationError: If the file cannot be written.
    """
    try:
        path.write_bytes(wav_of(pcm))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot write {path}: {reason}") from error


def wav_of(pcm: bytes) -> bytes:
    """Return mono PCM16 at 24 kHz as the contents of a WAV file."""
    with io.BytesIO() as raw:
        with wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(PCM16.sample_bytes)
            file.setframerate(PCM16.rate_hz)
            file.writeframes(pcm)
        return raw.getvalue()


def _converted(data: bytes, *, rate: int, width: int, channels: int) -> bytes:
    try:
        import numpy as np  # noqa: PLC0415  # an extra
        import soxr  # noqa: PLC0415  # an extra
    except ImportError as error:
        what = f"Audio of {rate} Hz, {8 * width} bits and {channels} channels"
        raise MissingExtra("audio", what) from error
    if width == 1:  # the only unsigned width
        samples = np.frombuffer(data, np.uint8).astype(np.float32) / 128 - 1
    else:
        # numpy has no 24-bit type: put the bytes of each sample at the top of 32 bits.
        wide = np.zeros((len(data) // width, 4), np.uint8)
        wide[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
        samples = wide.view("<i4")[:, 0].astype(np.float32) / 2**31
    mono = samples.reshape(-1, channels).mean(axis=1)
    resampled = soxr.resample(mono, rate, PCM16.rate_hz)
    pcm: bytes = (np.clip(resampled, -1, 1) * 32767).astype("<i2").tobytes()
    return pcm

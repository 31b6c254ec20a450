"""WAV files of PCM samples, read and written with the standard library."""

from __future__ import annotations

import io
import os
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from duologue.errors import ConfigurationError, MissingExtra
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from os import PathLike

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

__all__ = [
    "WavFile", "check_writable", "is_wav", "read_wav", "wav_bytes", "write_wav",
]  # fmt: skip

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


def is_wav(path: Path) -> bool:
    """Return whether a file is a WAV file of PCM samples, or none that can be opened."""
    try:
        with path.open("rb") as raw, wave.open(raw, "rb"):
            return True
    except OSError:
        return True  # reading it says why
    except (wave.Error, EOFError):
        return False


@dataclass(frozen=True, slots=True)
class WavFile:
    """The audio of a WAV file of PCM samples."""

    path: Path
    rate_hz: int
    sample_bytes: int
    channels: int
    data: bytes
    """Whole samples of all channels."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            ConfigurationError: If it cannot be read, is not a PCM WAV file, or holds no audio.
        """
        try:
            with path.open("rb") as raw, wave.open(raw, "rb") as file:
                rate, width, channels = (
                    file.getframerate(),
                    file.getsampwidth(),
                    file.getnchannels(),
                )
                data = file.readframes(file.getnframes())
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigurationError(f"cannot read {path}: {reason}") from error
        except (wave.Error, EOFError) as error:
            fix = (
                f"convert it first: ffmpeg -i {path.name} -ar 24000 -ac 1 -c:a pcm_s16le speech.wav"
            )
            reason = str(error) or "the file ends in its header"
            raise ConfigurationError(f"{path} is not a PCM WAV file ({reason}); {fix}") from error
        if not (0 < rate <= MAX_RATE_HZ and 1 <= width <= 4 and channels > 0):
            shape = f"{rate} Hz, {8 * width} bits, {channels} channels"
            raise ConfigurationError(f"{path} is not a playable WAV file: {shape}")
        # A recording that was cut off may end in the middle of a frame.
        data = data[: len(data) - len(data) % (width * channels)]
        if not data:
            raise ConfigurationError(f"{path} holds no audio")
        return cls(path, rate, width, channels, data)

    def pcm(self) -> bytes:
        """Return it as mono PCM16 at 24 kHz.

        Raises:
            MissingExtra: If it needs conversion and the packages for that are not installed.
        """
        if (self.rate_hz, self.sample_bytes, self.channels) == (PCM16.rate_hz, 2, 1):
            return self.data
        try:
            from duologue.audio.resampling import resample  # noqa: PLC0415  # an extra
            from duologue.audio.samples import float32_to_pcm16, mix_to_mono  # noqa: PLC0415  # as above
        except ImportError as error:
            raise self._missing() from error
        mono = mix_to_mono(self.samples())
        return float32_to_pcm16(resample(mono, self.rate_hz, PCM16.rate_hz))

    def samples(self) -> NDArray[np.float32]:
        """Return the samples, `(n, channels)` from -1 to 1.

        Raises:
            MissingExtra: If the packages for that are not installed.
        """
        try:
            import numpy as np  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise self._missing() from error
        width = self.sample_bytes
        if width == 1:  # the only unsigned width
            narrow = np.frombuffer(self.data, np.uint8).astype(np.float32)
            samples = narrow / np.float32(128) - np.float32(1)
        else:
            # numpy has no 24-bit type: put the bytes of each sample at the top of 32 bits.
            wide = np.zeros((len(self.data) // width, 4), np.uint8)
            wide[:, 4 - width :] = np.frombuffer(self.data, np.uint8).reshape(-1, width)
            samples = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
        return samples.reshape(-1, self.channels)

    def _missing(self) -> MissingExtra:
        shape = f"{self.rate_hz} Hz, {8 * self.sample_bytes} bits and {self.channels} channels"
        return MissingExtra("audio", f"Audio of {shape}")


def read_wav(path: str | PathLike[str]) -> bytes:
    """Return a WAV file's audio as mono PCM16 at 24 kHz, converted if necessary.

    `read_audio` reads other formats, too.

    Raises:
        ConfigurationError: If the file cannot be read, is not a PCM WAV file, or holds no audio.
        MissingExtra: If the audio needs conversion and the packages for that are not installed.
    """
    return WavFile.read(Path(path)).pcm()


def write_wav(
    path: str | PathLike[str], pcm: Buffer, *, rate_hz: int = PCM16.rate_hz, channels: int = 1
) -> None:
    """Write PCM16 to a file.

    Args:
        path: The file; it is replaced if it exists.
        pcm: PCM16, interleaved if there are several channels.
        rate_hz: Its rate.
        channels: Its channels.

    Raises:
        ConfigurationError: If the file cannot be written.
    """
    try:
        Path(path).write_bytes(wav_bytes(pcm, rate_hz=rate_hz, channels=channels))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"cannot write {path}: {reason}") from error


def wav_bytes(pcm: Buffer, *, rate_hz: int = PCM16.rate_hz, channels: int = 1) -> bytes:
    """Return PCM16 as the contents of a WAV file; see `write_wav`.

    Raises:
        ConfigurationError: If the bytes are not whole samples of all channels.
    """
    if channels < 1 or memoryview(pcm).nbytes % (PCM16.sample_bytes * channels):
        size = memoryview(pcm).nbytes
        raise ConfigurationError(f"{size} bytes are not whole PCM16 samples of {channels} channels")
    with io.BytesIO() as raw:
        with wave.open(raw, "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(PCM16.sample_bytes)
            file.setframerate(rate_hz)
            file.writeframes(pcm)
        return raw.getvalue()

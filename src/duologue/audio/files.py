"""Audio files of any format: WAV by the standard library, the others by soundfile (libsndfile)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from duologue.audio.wav import WavFile, is_wav, read_wav
from duologue.errors import ConfigurationError, MissingExtra
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from os import PathLike

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["read_audio", "read_samples"]


def read_audio(path: str | PathLike[str]) -> bytes:
    """Return a file's audio as mono PCM16 at 24 kHz, the protocol's default.

    A WAV file in this form needs no packages; conversion and other formats need the extra `audio`:
    FLAC, MP3, Ogg Vorbis and Opus, AIFF, AU, and WAV files with floating-point or µ-law samples.

    Raises:
        ConfigurationError: If the file cannot be read, or holds no audio.
        MissingExtra: If the packages for that are not installed.
    """
    file = Path(path)
    if is_wav(file):
        return read_wav(file)
    samples, rate_hz = read_samples(file)
    from duologue.audio.resampling import resample  # noqa: PLC0415  # an extra
    from duologue.audio.samples import float32_to_pcm16, mix_to_mono  # noqa: PLC0415  # as above

    return float32_to_pcm16(resample(mix_to_mono(samples), rate_hz, PCM16.rate_hz))


def read_samples(path: str | PathLike[str]) -> tuple[NDArray[np.float32], int]:
    """Return a file's samples, `(n, channels)` from -1 to 1, and its rate in Hz.

    Raises:
        ConfigurationError: If the file cannot be read, or holds no audio.
        MissingExtra: If the packages for that are not installed.
    """
    file = Path(path)
    if is_wav(file):
        wav = WavFile.read(file)
        return wav.samples(), wav.rate_hz
    try:
        import numpy as np  # noqa: PLC0415  # an extra
        import soundfile  # noqa: PLC0415  # as above
    except ImportError as error:
        raise MissingExtra("audio", f"{file}, which is not a PCM WAV file,") from error
    except OSError as error:  # the wheel for this platform has no libsndfile
        fix = "install it, for Debian: apt-get install libsndfile1"
        raise ConfigurationError(f"cannot read {file}: libsndfile is missing; {fix}") from error
    try:
        samples, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".").lower()
        fix = f"convert it first: ffmpeg -i {file.name} -ar 24000 -ac 1 -c:a pcm_s16le speech.wav"
        raise ConfigurationError(f"{file} cannot be read as audio ({reason}); {fix}") from error
    if not len(samples):
        raise ConfigurationError(f"{file} holds no audio")
    return np.asarray(samples, np.float32), rate_hz

"""Audio helpers: files, samples, sample rates, G.711 and levels.

Audio is one of two things. `bytes` are PCM16: signed 16-bit little-endian samples, as on the wire.
An array has samples as `float32` from -1 to 1, or as `int16`, in the shape `(n,)` for one channel
and `(n, channels)` for several.

Names are imported on first use: most need NumPy, which the extra `audio` installs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from duologue.errors import MissingExtra

if TYPE_CHECKING:
    from duologue.audio.files import read_audio, read_samples
    from duologue.audio.g711 import alaw_to_pcm16, pcm16_to_alaw, pcm16_to_ulaw, ulaw_to_pcm16
    from duologue.audio.levels import peak_dbfs, rms_dbfs
    from duologue.audio.resampling import Resampler, resample
    from duologue.audio.samples import (
        Samples,
        float32_to_pcm16,
        int16_samples,
        mix_to_mono,
        pcm16_to_float32,
    )
    from duologue.audio.streams import AudioStream, decoder, encoder
    from duologue.audio.wav import check_writable, read_wav, wav_bytes, write_wav
    from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format, format_named

__all__ = [
    "G711_ALAW",
    "G711_ULAW",
    "PCM16",
    "AudioStream",
    "Format",
    "Resampler",
    "Samples",
    "alaw_to_pcm16",
    "check_writable",
    "decoder",
    "encoder",
    "float32_to_pcm16",
    "format_named",
    "int16_samples",
    "mix_to_mono",
    "pcm16_to_alaw",
    "pcm16_to_float32",
    "pcm16_to_ulaw",
    "peak_dbfs",
    "read_audio",
    "read_samples",
    "read_wav",
    "resample",
    "rms_dbfs",
    "ulaw_to_pcm16",
    "wav_bytes",
    "write_wav",
]

_MODULES: Final = {
    "duologue.audio.files": ("read_audio", "read_samples"),
    "duologue.audio.g711": ("alaw_to_pcm16", "pcm16_to_alaw", "pcm16_to_ulaw", "ulaw_to_pcm16"),
    "duologue.audio.levels": ("peak_dbfs", "rms_dbfs"),
    "duologue.audio.resampling": ("Resampler", "resample"),
    "duologue.audio.samples": (
        "Samples",
        "float32_to_pcm16",
        "int16_samples",
        "mix_to_mono",
        "pcm16_to_float32",
    ),
    "duologue.audio.streams": ("AudioStream", "decoder", "encoder"),
    "duologue.audio.wav": ("check_writable", "read_wav", "wav_bytes", "write_wav"),
    "duologue.protocol.formats": ("G711_ALAW", "G711_ULAW", "PCM16", "Format", "format_named"),
}
_HOME: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'duologue.audio' has no attribute {name!r}")
    try:
        value: object = getattr(import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if error.name not in {"numpy", "soxr"}:
            raise
        raise MissingExtra("audio", f"duologue.audio.{name}") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Audio formats of the protocol, and conversions between bytes, samples and milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["G711_ALAW", "G711_ULAW", "PCM16", "Format", "format_named"]


@dataclass(frozen=True, slots=True)
class Format:
    """A mono audio format on the wire.

    Source: session object, `audio.input.format` (GA), `input_audio_format` (beta).
    """

    name: str
    """The GA name: `audio/pcm`."""
    beta_name: str
    """The beta name: `pcm16`."""
    rate_hz: int
    """Samples per second."""
    sample_bytes: int
    """Bytes per sample."""
    silence: bytes
    """One sample of silence."""

    @property
    def bytes_per_ms(self) -> int:
        """Bytes per millisecond, a whole number in every format of the protocol."""
        return self.rate_hz * self.sample_bytes // 1000

    def ms(self, size_bytes: int) -> int:
        """Return the duration of `size_bytes`, in whole milliseconds."""
        return size_bytes // self.bytes_per_ms

    def bytes(self, ms: float) -> int:
        """Return the size of the samples that begin within the first `ms` milliseconds."""
        return int(ms * self.rate_hz / 1000) * self.sample_bytes

    def samples(self, size_bytes: int) -> int:
        """Return the number of whole samples in `size_bytes`."""
        return size_bytes // self.sample_bytes


PCM16: Final = Format("audio/pcm", "pcm16", 24_000, 2, b"\0\0")
"""16-bit little-endian PCM at 24 kHz: the default."""
G711_ULAW: Final = Format("audio/pcmu", "g711_ulaw", 8_000, 1, b"\xff")
"""G.711 µ-law, used by telephony in North America and Japan."""
G711_ALAW: Final = Format("audio/pcma", "g711_alaw", 8_000, 1, b"\xd5")
"""G.711 A-law, used by telephony elsewhere."""

_BY_NAME: Final = {
    name: format_
    for format_ in (PCM16, G711_ULAW, G711_ALAW)
    for name in (format_.name, format_.beta_name)
}


def format_named(name: str) -> Format | None:
    """Return the format with a GA or beta name, or `None` if the name is unknown."""
    return _BY_NAME.get(name)

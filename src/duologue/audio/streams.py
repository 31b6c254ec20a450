"""The protocol's audio formats to PCM16 at 24 kHz and back, piece by piece.

Source: session object, `audio.input.format` and `audio.output.format`.
"""

from __future__ import annotations

from typing import Protocol

from duologue.errors import MissingExtra
from duologue.protocol.formats import PCM16, Format

__all__ = ["AudioStream", "decoder", "encoder"]


class AudioStream(Protocol):
    """One direction of one stream of audio, from one format to another."""

    def feed(self, audio: bytes) -> bytes:
        """Return what is ready of the audio so far; some milliseconds may be held back."""
        ...

    def finish(self) -> bytes:
        """Return what was held back, and begin another stream."""
        ...


def decoder(source: Format) -> AudioStream:
    """Return a stream from a format to PCM16 at 24 kHz.

    Raises:
        MissingExtra: If the packages that G.711 needs are not installed.
    """
    if source is PCM16:
        return _Unchanged()
    try:
        from duologue.audio.g711 import G711Decoder  # noqa: PLC0415  # needs an extra
    except ImportError as error:
        raise _missing(source) from error
    return G711Decoder(source)


def encoder(target: Format) -> AudioStream:
    """Return a stream from PCM16 at 24 kHz, in whole samples, to a format.

    Raises:
        MissingExtra: If the packages that G.711 needs are not installed.
    """
    if target is PCM16:
        return _Unchanged()
    try:
        from duologue.audio.g711 import G711Encoder  # noqa: PLC0415  # needs an extra
    except ImportError as error:
        raise _missing(target) from error
    return G711Encoder(target)


def _missing(format_: Format) -> MissingExtra:
    return MissingExtra("audio", f"Audio in {format_.name}")


class _Unchanged:
    def feed(self, audio: bytes) -> bytes:
        return audio

    def finish(self) -> bytes:
        return b""

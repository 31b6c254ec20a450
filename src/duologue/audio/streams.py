"""Conversion of audio streams between the protocol's formats and PCM16 at 24 kHz.

Source: session object, `audio.input.format` and `audio.output.format`.
"""

from __future__ import annotations

from typing import Protocol

from duologue.errors import MissingExtra
from duologue.protocol.formats import PCM16, Format

__all__ = ["AudioStream", "decoder", "encoder"]


class AudioStream(Protocol):
    """Converter of one stream of audio, chunk by chunk."""

    def feed(self, audio: bytes) -> bytes:
        """Return the audio that is ready; a filter may keep some milliseconds."""
        ...

    def finish(self) -> bytes:
        """Return the rest of the stream, and start a new one."""
        ...


def decoder(source: Format) -> AudioStream:
    """Return a converter from a format to PCM16 at 24 kHz.

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
    """Return a converter from PCM16 at 24 kHz, in whole samples, to a format.

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

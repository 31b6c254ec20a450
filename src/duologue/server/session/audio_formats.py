"""Which formats a session's audio is in, each way; inside the server it is PCM16 at 24 kHz."""

from __future__ import annotations

from typing import Final

from duologue.audio.streams import decoder
from duologue.errors import MissingExtra
from duologue.protocol import ga
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format
from duologue.protocol.model import UNSET, UnsetType
from duologue.server.session.validation import InvalidRequest

__all__ = ["check_format", "format_of", "input_of", "output_of"]

_FORMATS: Final[dict[type, Format]] = {
    ga.AudioPcm: PCM16,
    ga.AudioPcmu: G711_ULAW,
    ga.AudioPcma: G711_ALAW,
}


def format_of(asked: ga.AudioFormat | UnsetType) -> Format:
    """Return the format that a configuration names; PCM16 when it names none."""
    return _FORMATS.get(type(asked), PCM16)


def input_of(session: ga.RealtimeSession | ga.TranscriptionSession) -> ga.AudioInput:
    """Return how a session's audio comes in."""
    audio = session.audio
    return ga.AudioInput() if audio is UNSET or audio.input is UNSET else audio.input


def output_of(session: ga.RealtimeSession) -> ga.AudioOutput:
    """Return how a session's audio goes out, where a response does not choose its own way."""
    audio = session.audio
    return ga.AudioOutput() if audio is UNSET or audio.output is UNSET else audio.output


def check_format(asked: ga.AudioFormat | UnsetType, param: str) -> None:
    """Refuse a format that cannot be converted here.

    Raises:
        InvalidRequest: If its packages are not installed; the message says which.
    """
    try:
        decoder(format_of(asked))
    except MissingExtra as missing:
        raise InvalidRequest("invalid_value", f"{missing}.", param) from missing

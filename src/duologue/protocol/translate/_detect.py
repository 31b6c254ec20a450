"""Telling the dialect of a server by its first words."""

from __future__ import annotations

from typing import Final

from duologue.protocol import codec, ga
from duologue.protocol.model import UnknownEvent

__all__ = ["detect_dialect"]

_FLAT: Final = frozenset(
    {
        "modalities",
        "input_audio_format",
        "output_audio_format",
        "max_response_output_tokens",
        "temperature",
    }
)
"""Fields that a beta session has and no other: half-beta servers flatten the rest, too."""


def detect_dialect(frame: bytes | bytearray | memoryview | str) -> codec.Dialect | None:
    """Return the dialect of a server's first frame; `None` if it may be either.

    `session.created` and `transcription_session.created` tell; so does the `error` of a GA server
    that was called with the beta header. Other errors do not, and a sideband socket begins with
    any event.

    Raises:
        DecodeError: If the frame is no event.
    """
    event = codec.decode(frame)
    match event:
        case ga.SessionCreatedEvent() | ga.SessionUpdatedEvent():
            if not isinstance(event.session, ga.UnknownSession):
                return "ga"
            return "ga" if _FLAT.isdisjoint(event.session.raw) else "beta"
        case ga.RealtimeErrorEvent():
            return "ga" if event.error.code == "beta_api_shape_disabled" else None
        case UnknownEvent():
            return "beta" if event.type in _BETA_TYPES else None
        case _:
            return "ga" if event.type in _GA_TYPES else None


_GA_TYPES: Final = frozenset(
    {
        "conversation.item.added",
        "conversation.item.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_audio.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    }
)
_BETA_TYPES: Final = frozenset(
    {
        "transcription_session.created",
        "response.text.delta",
        "response.text.done",
        "response.audio.delta",
        "response.audio.done",
        "response.audio_transcript.delta",
        "response.audio_transcript.done",
    }
)

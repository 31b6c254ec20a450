"""Detection of a server's dialect by its first frame."""

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
"""Fields of beta sessions only. Some servers mix the dialects and flatten other fields, too."""


def detect_dialect(frame: bytes | bytearray | memoryview | str) -> codec.Dialect | None:
    """Return the dialect of a server's first frame; `None` if it may be either.

    A connection usually begins with `session.created` or `transcription_session.created`, which
    differ. The `error` that a GA server sends in answer to the beta header is recognised; other
    errors are the same in both dialects. A sideband connection may begin with any event.

    Raises:
        DecodeError: If the frame is not an event.
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

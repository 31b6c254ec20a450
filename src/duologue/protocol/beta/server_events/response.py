"""Server events of a response, its output items and their parts.

Source: Realtime API reference, server events (beta).
"""

from __future__ import annotations

from duologue.protocol.beta.items import Item
from duologue.protocol.beta.responses import Response
from duologue.protocol.ga.server_events.base import OutputEvent, PartEvent, ServerEvent
from duologue.protocol.ga.server_events.response import (
    Part,
    PartType,
    ResponseContentPartAddedEvent,
    ResponseContentPartDoneEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseFunctionCallArgumentsDoneEvent,
)
from duologue.protocol.model import UNSET, Raw, UnsetType, audio_of

__all__ = [
    "Part",
    "PartType",
    "ResponseAudioDeltaEvent",
    "ResponseAudioDoneEvent",
    "ResponseAudioTranscriptDeltaEvent",
    "ResponseAudioTranscriptDoneEvent",
    "ResponseContentPartAddedEvent",
    "ResponseContentPartDoneEvent",
    "ResponseCreatedEvent",
    "ResponseDoneEvent",
    "ResponseFunctionCallArgumentsDeltaEvent",
    "ResponseFunctionCallArgumentsDoneEvent",
    "ResponseOutputItemAddedEvent",
    "ResponseOutputItemDoneEvent",
    "ResponseTextDeltaEvent",
    "ResponseTextDoneEvent",
]


class ResponseCreatedEvent(ServerEvent, frozen=True, kw_only=True, tag="response.created"):
    """A response began."""

    response: Response


class ResponseDoneEvent(ServerEvent, frozen=True, kw_only=True, tag="response.done"):
    """A response ended, well or not; always the last event of it."""

    response: Response


class ResponseOutputItemAddedEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.added"
):
    """A response began an item."""

    item: Item


class ResponseOutputItemDoneEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.done"
):
    """An item is whole, or was cut: see its status."""

    item: Item


class ResponseTextDeltaEvent(PartEvent, frozen=True, kw_only=True, tag="response.text.delta"):
    """More text."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis, from GA servers."""


class ResponseTextDoneEvent(PartEvent, frozen=True, kw_only=True, tag="response.text.done"):
    """The text, whole."""

    text: str


class ResponseAudioTranscriptDeltaEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.audio_transcript.delta"
):
    """More words of what is being said; they run ahead of the audio."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis, from GA servers."""


class ResponseAudioTranscriptDoneEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.audio_transcript.done"
):
    """The words of what was said, whole."""

    transcript: str


class ResponseAudioDeltaEvent(PartEvent, frozen=True, kw_only=True, tag="response.audio.delta"):
    """More speech, faster than it can be heard."""

    delta: Raw
    """Base64 in the session's output format, still a JSON string; `audio_data` decodes it."""

    @property
    def audio_data(self) -> bytes:
        """The audio, decoded.

        Raises:
            DecodeError: If it is not base64.
        """
        return audio_of(self, self.delta)


class ResponseAudioDoneEvent(PartEvent, frozen=True, kw_only=True, tag="response.audio.done"):
    """The speech is whole; it is not repeated here."""

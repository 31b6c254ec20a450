"""Server events of a response, its output items and their parts.

Source: Realtime API reference, server events (GA).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.ga.items import Item
from duologue.protocol.ga.responses import Response
from duologue.protocol.ga.server_events.base import OutputEvent, PartEvent, ServerEvent
from duologue.protocol.model import UNSET, Model, Open, Raw, UnsetType, audio_of

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


class PartType(StrEnum):
    """Kinds of part that a response makes, by names of their own."""

    TEXT = "text"
    AUDIO = "audio"


class Part(Model, frozen=True, kw_only=True):
    """A part in the `content_part` events, where GA still says `text` and `audio`."""

    type: Open[PartType] | UnsetType = UNSET
    text: str | UnsetType = UNSET
    transcript: str | UnsetType = UNSET
    audio: str | UnsetType = UNSET
    """Base64."""


class ResponseContentPartAddedEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.content_part.added"
):
    """A part began, still empty."""

    part: Part
    content: Part | UnsetType = UNSET
    """Azure says it twice."""


class ResponseContentPartDoneEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.content_part.done"
):
    """A part is whole."""

    part: Part
    content: Part | UnsetType = UNSET
    """Azure says it twice."""


class ResponseTextDeltaEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.output_text.delta"
):
    """More text."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis."""


class ResponseTextDoneEvent(PartEvent, frozen=True, kw_only=True, tag="response.output_text.done"):
    """The text, whole."""

    text: str


class ResponseAudioTranscriptDeltaEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.delta"
):
    """More words of what is being said; they run ahead of the audio."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis."""


class ResponseAudioTranscriptDoneEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"
):
    """The words of what was said, whole."""

    transcript: str


class ResponseAudioDeltaEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio.delta"
):
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


class ResponseAudioDoneEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio.done"
):
    """The speech is whole; it is not repeated here."""


class ResponseFunctionCallArgumentsDeltaEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    """More of a call's arguments."""

    item_id: str
    call_id: str
    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis."""


class ResponseFunctionCallArgumentsDoneEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """A call's arguments, whole."""

    item_id: str
    call_id: str
    arguments: str
    name: str | UnsetType = UNSET
    """Official types demand it; old recordings lack it."""

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
    """A response was created."""

    response: Response


class ResponseDoneEvent(ServerEvent, frozen=True, kw_only=True, tag="response.done"):
    """A response ended, successfully or not: its last event."""

    response: Response


class ResponseOutputItemAddedEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.added"
):
    """A response started an output item."""

    item: Item


class ResponseOutputItemDoneEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.done"
):
    """An output item is complete or was interrupted; see its status."""

    item: Item


class PartType(StrEnum):
    """Kinds of part in the `content_part` events."""

    TEXT = "text"
    AUDIO = "audio"


class Part(Model, frozen=True, kw_only=True):
    """A part in the `content_part` events, which use `text` and `audio` as types in GA, too."""

    type: Open[PartType] | UnsetType = UNSET
    text: str | UnsetType = UNSET
    transcript: str | UnsetType = UNSET
    audio: str | UnsetType = UNSET
    """Base64."""


class ResponseContentPartAddedEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.content_part.added"
):
    """A content part started; it is still empty."""

    part: Part
    content: Part | UnsetType = UNSET
    """A copy of `part`, from Azure."""


class ResponseContentPartDoneEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.content_part.done"
):
    """A content part is complete."""

    part: Part
    content: Part | UnsetType = UNSET
    """A copy of `part`, from Azure."""


class ResponseTextDeltaEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.output_text.delta"
):
    """More of the output text."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis."""


class ResponseTextDoneEvent(PartEvent, frozen=True, kw_only=True, tag="response.output_text.done"):
    """The complete output text."""

    text: str


class ResponseAudioTranscriptDeltaEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.delta"
):
    """More of the transcript of output audio. It runs ahead of the audio."""

    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis."""


class ResponseAudioTranscriptDoneEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"
):
    """The complete transcript of output audio."""

    transcript: str


class ResponseAudioDeltaEvent(
    PartEvent, frozen=True, kw_only=True, tag="response.output_audio.delta"
):
    """More output audio, faster than real time."""

    delta: Raw
    """Base64 in the session's output format, as a JSON string; `audio_data` decodes it."""

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
    """The output audio is complete. It is not repeated here."""


class ResponseFunctionCallArgumentsDeltaEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    """More arguments of a function call."""

    item_id: str
    call_id: str
    delta: str
    obfuscation: str | UnsetType = UNSET
    """Padding against traffic analysis."""


class ResponseFunctionCallArgumentsDoneEvent(
    OutputEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """The complete arguments of a function call."""

    item_id: str
    call_id: str
    arguments: str
    name: str | UnsetType = UNSET
    """Absent from old recordings, although the official types require it."""

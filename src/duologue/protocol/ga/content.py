"""Content parts of messages: text, audio and images.

Source: Realtime API reference, conversation item, `content` (GA).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.model import UNSET, Open, TaggedModel, Unknown, UnsetType

__all__ = [
    "ContentDetail",
    "ContentPart",
    "InputAudio",
    "InputImage",
    "InputText",
    "OutputAudio",
    "OutputText",
    "UnknownPart",
]


class ContentDetail(StrEnum):
    """Level of detail at which the model processes an image."""

    AUTO = "auto"
    LOW = "low"
    HIGH = "high"


class InputText(TaggedModel, frozen=True, kw_only=True, tag="input_text"):
    """Text of the user or the system."""

    text: str | UnsetType = UNSET


class InputAudio(TaggedModel, frozen=True, kw_only=True, tag="input_audio"):
    """Audio of the user."""

    audio: str | UnsetType = UNSET
    """Base64 in the session's input format. The server returns it in `retrieved` items only."""
    transcript: str | None | UnsetType = UNSET
    """Null until transcribed. The server ignores the transcript of a client."""


class InputImage(TaggedModel, frozen=True, kw_only=True, tag="input_image"):
    """An image of the user."""

    image_url: str | UnsetType = UNSET
    """A `data:` URL of a PNG or JPEG."""
    detail: Open[ContentDetail] | UnsetType = UNSET


class OutputText(TaggedModel, frozen=True, kw_only=True, tag="output_text"):
    """Text of the assistant."""

    text: str | UnsetType = UNSET


class OutputAudio(TaggedModel, frozen=True, kw_only=True, tag="output_audio"):
    """Audio of the assistant."""

    audio: str | UnsetType = UNSET
    """Base64 in the session's output format; in `retrieved` items only."""
    transcript: str | None | UnsetType = UNSET
    """Null only from beta servers."""


class UnknownPart(Unknown, frozen=True, kw_only=True):
    """An unknown kind of content part."""


ContentPart = InputText | InputAudio | InputImage | OutputText | OutputAudio | UnknownPart

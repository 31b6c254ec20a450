"""Parts of a message: what was typed, said or shown.

Source: Realtime API reference, conversation item, `content` (GA).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.model import UNSET, Model, Open, Unknown, UnsetType

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
    """How closely the model looks at an image."""

    AUTO = "auto"
    LOW = "low"
    HIGH = "high"


class InputText(Model, frozen=True, kw_only=True, tag_field="type", tag="input_text"):
    """Text from the user or the system."""

    text: str | UnsetType = UNSET


class InputAudio(Model, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    """Speech from the user."""

    audio: str | UnsetType = UNSET
    """Base64 in the session's input format; the server sends it back only in `retrieved` items."""
    transcript: str | None | UnsetType = UNSET
    """Null until transcribed; the server ignores one that is sent."""


class InputImage(Model, frozen=True, kw_only=True, tag_field="type", tag="input_image"):
    """A picture from the user."""

    image_url: str | UnsetType = UNSET
    """A `data:` URL of a PNG or JPEG."""
    detail: Open[ContentDetail] | UnsetType = UNSET


class OutputText(Model, frozen=True, kw_only=True, tag_field="type", tag="output_text"):
    """Text of the assistant."""

    text: str | UnsetType = UNSET


class OutputAudio(Model, frozen=True, kw_only=True, tag_field="type", tag="output_audio"):
    """Speech of the assistant."""

    audio: str | UnsetType = UNSET
    """Base64 in the session's output format; only in `retrieved` items."""
    transcript: str | None | UnsetType = UNSET
    """Null only from beta servers."""


class UnknownPart(Unknown, frozen=True, kw_only=True):
    """A kind of content that this version does not know."""


ContentPart = InputText | InputAudio | InputImage | OutputText | OutputAudio | UnknownPart

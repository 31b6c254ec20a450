"""Content parts of messages: text and audio.

Source: Realtime API reference, conversation item, `content` (beta).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.ga.content import (
    ContentDetail,
    InputAudio,
    InputImage,
    InputText,
    UnknownPart,
)
from duologue.protocol.model import UNSET, TaggedModel, UnsetType

__all__ = [
    "Audio",
    "ContentDetail",
    "ContentPart",
    "ContentType",
    "InputAudio",
    "InputImage",
    "InputText",
    "ReferencePart",
    "Text",
    "UnknownPart",
]


class ContentType(StrEnum):
    """Kinds of content part. `item_reference` is used in the `input` of a response only."""

    INPUT_TEXT = "input_text"
    INPUT_AUDIO = "input_audio"
    ITEM_REFERENCE = "item_reference"
    TEXT = "text"
    AUDIO = "audio"


class Text(TaggedModel, frozen=True, kw_only=True, tag="text"):
    """Text of the assistant."""

    text: str | UnsetType = UNSET


class Audio(TaggedModel, frozen=True, kw_only=True, tag="audio"):
    """Audio of the assistant."""

    audio: str | UnsetType = UNSET
    """Base64 in the session's output format; in `retrieved` items only."""
    transcript: str | None | UnsetType = UNSET


class ReferencePart(TaggedModel, frozen=True, kw_only=True, tag="item_reference"):
    """A reference to an item of the conversation, in the `input` of a response."""

    id: str | UnsetType = UNSET
    """Id of the item, which must be of the same session."""


ContentPart = InputText | InputAudio | InputImage | Text | Audio | ReferencePart | UnknownPart
"""All kinds of content part. Images are GA's; they are included for items translated from GA."""

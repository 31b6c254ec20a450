"""Parts of a message: what was typed or said.

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
from duologue.protocol.model import UNSET, Model, UnsetType

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
    """Kinds of part; `item_reference` only in the `input` of a response."""

    INPUT_TEXT = "input_text"
    INPUT_AUDIO = "input_audio"
    ITEM_REFERENCE = "item_reference"
    TEXT = "text"
    AUDIO = "audio"


class Text(Model, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """Text of the assistant."""

    text: str | UnsetType = UNSET


class Audio(Model, frozen=True, kw_only=True, tag_field="type", tag="audio"):
    """Speech of the assistant."""

    audio: str | UnsetType = UNSET
    """Base64 in the session's output format; only in `retrieved` items."""
    transcript: str | None | UnsetType = UNSET


class ReferencePart(Model, frozen=True, kw_only=True, tag_field="type", tag="item_reference"):
    """An item of the conversation, in the `input` of a response."""

    id: str | UnsetType = UNSET
    """The item's; a server takes ids of this session only."""


ContentPart = InputText | InputAudio | InputImage | Text | Audio | ReferencePart | UnknownPart
"""Pictures are GA's; they stand here so that a translated item keeps them."""

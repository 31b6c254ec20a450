"""Fields of items and content parts as they are on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pybase64 import b64decode

from duologue.protocol.formats import format_named
from duologue.protocol.ga import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Message,
    OutputAudio,
    OutputText,
    UnknownItem,
    UnknownPart,
)
from duologue.protocol.model import UnsetType

if TYPE_CHECKING:
    from duologue.protocol.formats import Format
    from duologue.protocol.ga import AudioFormat, ContentPart, Item, Part

__all__ = [
    "audio_of", "content_part", "first_status", "format_of", "id_of", "is_text", "last_status",
    "type_of", "words_of",
]  # fmt: skip

_FINAL: Final = frozenset({"completed", "incomplete"})


def id_of(item: Item) -> str | None:
    """Return the id of an item, if it has one."""
    return item.id if isinstance(item.id, str) else None


def format_of(audio_format: AudioFormat | UnsetType) -> Format | None:
    """Return the format that a configuration names, if it names one."""
    tag = None if isinstance(audio_format, UnsetType) else audio_format.__struct_config__.tag
    return format_named(tag) if isinstance(tag, str) else None


def type_of(wire: Item) -> str | None:
    """Return the type of an item, including one that this version does not know."""
    tag = wire.type if isinstance(wire, UnknownItem) else wire.__struct_config__.tag
    return tag if isinstance(tag, str) else None


def _wire_status(wire: Item) -> str | None:
    match wire:
        case Message() | FunctionCall() | FunctionCallOutput():
            status: object = wire.status
        case UnknownItem():
            status = wire.raw.get("status")
        case _:
            status = wire.extra.get("status") if isinstance(wire.extra, dict) else None
    return status if isinstance(status, str) else None


def first_status(wire: Item) -> str | None:
    """Return the status of a new item; an item of the application is complete at once."""
    status = _wire_status(wire)
    if _is_from_application(wire):
        return "completed"
    if isinstance(wire, Message | FunctionCall) and status not in _FINAL:
        return "in_progress"
    return status


def last_status(wire: Item) -> str | None:
    """Return the status of an item that has ended; some servers leave it out."""
    status = _wire_status(wire)
    is_left_out = status is None and isinstance(wire, Message | FunctionCall)
    return "completed" if is_left_out or _is_from_application(wire) else status


def _is_from_application(wire: Item) -> bool:
    return isinstance(wire, FunctionCallOutput) or (
        isinstance(wire, Message) and wire.role == "user"
    )


def audio_of(message: Message) -> bytes | None:
    """Return the audio that an application puts into a message, if it does."""
    encoded = [p.audio for p in message.content if isinstance(p, InputAudio)]
    try:
        return b"".join(b64decode(a) for a in encoded if isinstance(a, str)) or None
    except ValueError:  # the server says so
        return None


def content_part(part: Part) -> ContentPart:
    """Return the content part that a part event announces: GA names the part types differently."""
    match part.type:
        case "text" | "output_text":
            return OutputText(text=part.text or "")
        case "audio" | "output_audio":
            return OutputAudio(transcript=part.transcript or "")
        case kind:
            return UnknownPart(raw={"type": kind} if isinstance(kind, str) else {})


def is_text(part: ContentPart) -> bool:
    """Return whether a content part is text; otherwise it is audio, an image or unknown."""
    return isinstance(part, InputText | OutputText)


def words_of(part: ContentPart) -> str | None:
    """Return the text or transcript of a part; `None` if it has neither."""
    match part:
        case InputText(text=str(words)) | OutputText(text=str(words)):
            return words
        case InputAudio(transcript=str(words)) | OutputAudio(transcript=str(words)):
            return words
        case _:
            return None

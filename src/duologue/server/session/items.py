"""Items that a client puts into the conversation: checked, completed, and their audio read."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pybase64 import b64decode, b64encode

from duologue.audio.streams import decoder, encoder
from duologue.protocol import ga
from duologue.protocol.model import UNSET, Unknown, replace
from duologue.server.session.validation import InvalidRequest

if TYPE_CHECKING:
    from duologue.protocol.formats import Format

__all__ = ["prepared", "with_audio"]


def prepared(
    item: ga.Item, source: Format, *, new_id: Callable[[str], str], path: str = "item"
) -> tuple[ga.Item, bytes]:
    """Return an item as the server keeps it, with an id, and the audio that it brought as PCM16.

    Args:
        item: What the client sent.
        source: What its audio is in: the session's input format.
        new_id: Returns a fresh id for a prefix.
        path: Where the item stands in its event.

    Raises:
        InvalidRequest: If a client may not create such an item; it names the place below `path`.
    """
    if isinstance(item, Unknown | ga.ItemReference):
        message = "Item references belong in response.input."
        raise InvalidRequest("invalid_value", message, f"{path}.type")
    if item.id is UNSET:
        item = replace(item, id=new_id("item"))
    if isinstance(item, ga.FunctionCall) and item.call_id is UNSET:
        item = replace(item, call_id=new_id("call"))
    if not isinstance(item, ga.Message):
        return item, b""
    pcm = b""
    parts: list[ga.ContentPart] = []
    for index, part in enumerate(item.content):
        here = f"{path}.content[{index}]"
        _check(item.role, part, here)
        if isinstance(part, ga.InputAudio) and isinstance(part.audio, str):
            pcm += _read(part.audio, source, f"{here}.audio")
            part = replace(part, audio=UNSET)  # noqa: PLW2901  # kept beside the item
        parts.append(part)
    return replace(item, content=parts, status="completed", object="realtime.item"), pcm


def with_audio(item: ga.Item, pcm: bytes, target: Format) -> ga.Item:
    """Return an item with its audio, in a format, in the part that it belongs to.

    Source: content part, `audio`: in the session's input format for the user, else in the output's.
    """
    if not pcm or not isinstance(item, ga.Message):
        return item
    stream = encoder(target)
    audio = b64encode(stream.feed(pcm) + stream.finish()).decode()
    parts = [
        replace(part, audio=audio) if isinstance(part, ga.InputAudio | ga.OutputAudio) else part
        for part in item.content
    ]
    return replace(item, content=parts)


_PARTS = {
    "user": (ga.InputText, ga.InputAudio, ga.InputImage),
    "system": (ga.InputText,),
    "assistant": (ga.OutputText, ga.OutputAudio),
}


def _check(role: str, part: ga.ContentPart, path: str) -> None:
    allowed = _PARTS.get(role, ())
    if not isinstance(part, allowed):
        kinds = ", ".join(f"'{kind.__struct_config__.tag}'" for kind in allowed)
        text = f"Invalid content type for role '{role}'. Supported values are: {kinds}."
        raise InvalidRequest("invalid_value", text, f"{path}.type")
    if isinstance(part, ga.InputImage) and isinstance(part.image_url, str):
        _check_image(part.image_url, f"{path}.image_url")
    if isinstance(part, ga.OutputAudio):
        text = f"Missing required parameter: '{path}.text'."
        raise InvalidRequest("missing_required_parameter", text, f"{path}.text")


_IMAGE: Final = re.compile(r"data:image/(png|jpe?g)(;[\w=-]+)*;base64,", re.IGNORECASE)


def _check_image(url: str, path: str) -> None:
    if re.match("https://.", url, re.IGNORECASE):
        return
    message = "Invalid image: expected an https: URL, or a data: URL of a PNG or JPEG in base64."
    begin = _IMAGE.match(url)
    if begin is None:
        raise InvalidRequest("invalid_value", message, path)
    try:
        seen = b64decode(url[begin.end() :], validate=True)
    except ValueError:
        raise InvalidRequest("invalid_value", message, path) from None
    if not seen:
        raise InvalidRequest("invalid_value", message, path)


def _read(audio: str, source: Format, path: str) -> bytes:
    try:
        sent = b64decode(audio, validate=True)
    except ValueError:
        raise InvalidRequest("invalid_value", "Invalid audio: not base64.", path) from None
    stream = decoder(source)
    pcm = stream.feed(sent) + stream.finish()
    return pcm[: len(pcm) & ~1]

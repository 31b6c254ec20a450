"""Limits on a client's frame, checked before it is decoded: one frame must not hold up the others.

Only audio is large: an append may have 15 MiB of it, and costs little, because it is neither parsed
nor echoed. Other frames are decoded, validated, translated, stored and sent back, at up to a second
for 21 MiB. They may have 1 MiB of text, or 8 MiB if the rest is base64: audio and images of items.
"""

from __future__ import annotations

import re
import string
from typing import Final

import msgspec

from duologue.protocol.model import UNSET, UnsetType

__all__ = ["MAX_FRAME_BYTES", "MAX_TEXT_BYTES", "event_id_of", "oversize"]

MAX_TEXT_BYTES: Final = 1 << 20
"""Size of a frame without its base64."""

MAX_FRAME_BYTES: Final = 8 << 20
"""Size of a frame that is not an append."""

_AUDIO_KEY: Final = re.compile(rb'"audio"\s{0,8}:\s{0,8}"')

_MAX_HEAD_BYTES: Final = 4096
"""Size of an append without its audio."""

_EVENT_ID: Final = re.compile(rb'"event_id"\s{0,8}:\s{0,8}"([^"\\]{1,512})"')

_BASE64: Final = (string.ascii_letters + string.digits + "+/=").encode()


class _Append(msgspec.Struct, forbid_unknown_fields=True):
    """An append whose audio has been cut out."""

    type: str
    audio: str
    event_id: str | None = None


def oversize(frame: bytes) -> str | None:
    """Return how a frame exceeds the limits, as a sentence; `None` if it does not."""
    size = len(frame)
    if size <= MAX_TEXT_BYTES or _is_append(frame):
        return None
    if size > MAX_FRAME_BYTES:
        limit = MAX_FRAME_BYTES >> 20
        return f"The event has {size} bytes; only appended audio may have more than {limit} MiB."
    if len(frame.translate(None, _BASE64)) > MAX_TEXT_BYTES:
        return f"The event has more than {MAX_TEXT_BYTES >> 20} MiB of text."
    return None


def event_id_of(frame: bytes) -> str | UnsetType:
    """Return the `event_id` near the start or the end of a frame that is too large to decode."""
    found = _EVENT_ID.search(frame[:_MAX_HEAD_BYTES]) or _EVENT_ID.search(frame[-_MAX_HEAD_BYTES:])
    return UNSET if found is None else found[1].decode(errors="replace")


def _is_append(frame: bytes) -> bool:
    """Return whether a frame appends audio, and has nothing else that is large."""
    key = _AUDIO_KEY.search(frame, 0, _MAX_HEAD_BYTES)
    if key is None:
        return False
    end = frame.find(b'"', key.end())
    if end < 0 or len(frame) - (end - key.end()) > _MAX_HEAD_BYTES:
        return False
    try:
        head = msgspec.json.decode(frame[: key.end()] + frame[end:], type=_Append)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return head.type.endswith("input_audio_buffer.append")

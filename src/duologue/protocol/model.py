"""Base classes of all types on the wire: `Model` for objects, `Event` for frames.

Three rules hold for all of them:

- Absent and null differ: an absent field is `UNSET`, a null field is `None`.
- Unknown fields are kept in `extra` and written back on encoding.
- An unknown member of a union becomes the union's `Unknown` type, and an unknown value of an enum
  stays a string.

So whatever a server adds tomorrow, decoding does not fail and nothing is lost.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from pybase64 import b64decode, b64encode

from duologue.errors import DecodeError

__all__ = [
    "EXTRA_KEY",
    "UNKNOWN_TAG",
    "UNSET",
    "Event",
    "Json",
    "Model",
    "Open",
    "Raw",
    "TaggedModel",
    "Unknown",
    "UnknownEvent",
    "UnsetType",
    "audio_field",
    "audio_of",
    "read_audio",
    "replace",
]

_SECRET: Final = os.urandom(8).hex()  # new in each process, so no peer can forge the marks

EXTRA_KEY: Final = f"\ufdd0extra {_SECRET}"
"""Key of `extra` between the codec's two passes.

It is never sent. A peer that sent it would have to guess the random part, and U+FDD0 is a
noncharacter, which ordinary text does not contain.
"""

UNKNOWN_TAG: Final = f"\ufdd0unknown {_SECRET}"
"""Tag of every `Unknown` type, protected in the same way."""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""Any decoded JSON."""

if TYPE_CHECKING:
    E = TypeVar("E")
    Open: TypeAlias = E | str
    """An open enum: the value of a known member, or any other string."""
else:

    class Open:
        """At run time an open enum is a string, annotated with its known values."""

        def __class_getitem__(cls, enum: type) -> object:
            return Annotated[str, enum]


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, repr_omit_defaults=True):
    """An object on the wire."""

    extra: dict[str, Any] | UnsetType = msgspec.field(name=EXTRA_KEY, default=UNSET)
    """Unknown fields by their wire names; written back on encoding."""


class TaggedModel(Model, frozen=True, kw_only=True, tag_field="type"):
    """A model that its `type` on the wire identifies."""

    @property
    def type(self) -> str:
        """The `type` on the wire."""
        tag = self.__struct_config__.tag
        return tag if isinstance(tag, str) else ""


class Unknown(Model, frozen=True, kw_only=True, tag_field="type", tag=UNKNOWN_TAG):
    """A member of a union that this version does not know."""

    raw: dict[str, Any]
    """The whole object, as received."""

    @property
    def type(self) -> str | None:
        """The `type` on the wire; `None` if there is none."""
        kind = self.raw.get("type")
        return kind if isinstance(kind, str) else None


class Event(TaggedModel, frozen=True, kw_only=True, dict=True):
    """A frame in either direction."""

    @property
    def raw(self) -> bytes | None:
        """The frame that this event was decoded from; `None` if it was built or changed here."""
        return self.__dict__.get("raw")


class UnknownEvent(Struct, frozen=True, kw_only=True):
    """An event of an unknown type, or one that does not fit its own type."""

    type: str
    """The `type` on the wire."""
    raw: bytes
    """The whole frame."""
    event_id: str | UnsetType = UNSET
    reason: str | None = None
    """The missing or mistyped field of a known type; `None` for an unknown type."""
    path: str | None = None
    """Path of that field, such as `session.audio.input`."""


M = TypeVar("M", bound=Struct)

_QUOTE: Final = ord('"')


def replace(model: M, **changes: object) -> M:
    """Return a copy with some fields changed. All others, `extra` included, are kept.

    The copy of an event has no `raw`, so encoding it builds a new frame.
    """
    return msgspec.structs.replace(model, **changes)


def audio_field(audio: bytes | bytearray | memoryview) -> Raw:
    """Return audio as a JSON string of base64, ready for an event's field."""
    return Raw(b'"' + b64encode(audio) + b'"')


def audio_of(event: Event, field: Raw) -> bytes:
    """Return the decoded audio of an event's field, and keep it for the next call.

    This implements the `audio_data` properties. `functools.cached_property` is no alternative:
    before Python 3.12 its lock costs as much as the decoding.

    Raises:
        DecodeError: If the field is not a string of valid base64.
    """
    cache = vars(event)
    audio: bytes | None = cache.get("audio_data")
    if audio is None:
        audio = cache["audio_data"] = read_audio(field)
    return audio


def read_audio(field: Raw) -> bytes:
    """Return the audio of a JSON string of base64, which may contain JSON escapes.

    Raises:
        DecodeError: If the field is not a string of valid base64.
    """
    text = memoryview(field)
    try:
        if text[0] == _QUOTE:
            return b64decode(text[1:-1], validate=True)
    except (IndexError, ValueError):
        pass  # it may only be escaped: some encoders write `/` as `\/`
    try:
        return b64decode(msgspec.json.decode(field, type=str), validate=True)
    except ValueError as error:  # of msgspec, or of bad base64
        raise DecodeError("the audio of an event is not base64", excerpt=str(error)) from None

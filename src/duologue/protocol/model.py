"""What every type on the wire is made of: `Model` for objects, `Event` for frames.

Three rules hold for all of them. Absent and null differ: an absent field is `UNSET`, a null is
`None`. Unknown fields are kept in `extra` and written back. Unknown members of a union become the
union's `Unknown` type, unknown enum values stay the strings that they are. So nothing that a server
invents tomorrow raises, and nothing of it is lost.
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
    "Unknown",
    "UnknownEvent",
    "UnsetType",
    "audio_field",
    "audio_of",
    "read_audio",
    "replace",
]

_SECRET: Final = os.urandom(8).hex()  # new in each process, so that no peer can guess it

EXTRA_KEY: Final = f"\ufdd0extra {_SECRET}"
"""Where `extra` travels between the codec's passes; never sent, not understood if it comes."""

UNKNOWN_TAG: Final = f"\ufdd0unknown {_SECRET}"
"""The tag of every `Unknown` type, in the same way."""

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
"""Any decoded JSON."""

if TYPE_CHECKING:
    E = TypeVar("E")
    Open: TypeAlias = E | str
    """An enum that stays open: a known member's value, or any other string."""
else:

    class Open:
        """At run time an open enum is a string, annotated with the values known today."""

        def __class_getitem__(cls, enum: type) -> object:
            return Annotated[str, enum]


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, repr_omit_defaults=True):
    """An object on the wire."""

    extra: dict[str, Any] | UnsetType = msgspec.field(name=EXTRA_KEY, default=UNSET)
    """Fields that this type does not know, by their wire names; written back on encoding."""


class Unknown(Model, frozen=True, kw_only=True, tag_field="type", tag=UNKNOWN_TAG):
    """A member of a union that this version does not know."""

    raw: dict[str, Any]
    """The whole object as it came."""

    @property
    def type(self) -> str | None:
        """The `type` on the wire, if it has one."""
        kind = self.raw.get("type")
        return kind if isinstance(kind, str) else None


class Event(Model, frozen=True, kw_only=True, dict=True, tag_field="type"):
    """A frame in either direction."""

    @property
    def type(self) -> str:
        """The event's `type` on the wire."""
        tag = self.__struct_config__.tag
        return tag if isinstance(tag, str) else ""

    @property
    def raw(self) -> bytes | None:
        """The frame that this event was decoded from; `None` for one built or changed here."""
        return self.__dict__.get("raw")


class UnknownEvent(Struct, frozen=True, kw_only=True):
    """An event that has no type here, or does not fit the type it claims."""

    type: str
    """The `type` on the wire."""
    raw: bytes
    """The whole frame."""
    event_id: str | UnsetType = UNSET
    reason: str | None = None
    """Why a known type was not used: what is missing or mistyped; `None` for an unknown type."""
    path: str | None = None
    """Where the fault is: `session.audio.input`."""


M = TypeVar("M", bound=Struct)

_QUOTE: Final = ord('"')


def replace(model: M, **changes: object) -> M:
    """Return a copy with some fields changed; what is not named, `extra` included, stays.

    The copy of an event has no `raw` and is encoded anew.
    """
    return msgspec.structs.replace(model, **changes)


def audio_field(audio: bytes | bytearray | memoryview) -> Raw:
    """Return audio as the base64 JSON string in which it travels."""
    return Raw(b'"' + b64encode(audio) + b'"')


def audio_of(event: Event, field: Raw) -> bytes:
    """Return the audio of an event's field, decoded once; for an event's `audio_data`.

    Not `functools.cached_property`: before Python 3.12 its lock costs as much as the decoding.

    Raises:
        DecodeError: If the field is not a string of valid base64.
    """
    cache = vars(event)
    audio: bytes | None = cache.get("audio_data")
    if audio is None:
        audio = cache["audio_data"] = read_audio(field)
    return audio


def read_audio(field: Raw) -> bytes:
    """Return the audio of a base64 JSON string, however it is escaped.

    Raises:
        DecodeError: If the field is not a string of valid base64.
    """
    text = memoryview(field)
    try:
        if text[0] == _QUOTE:
            return b64decode(text[1:-1], validate=True)
    except (IndexError, ValueError):
        pass  # perhaps only escaped: `\/` is legal JSON
    try:
        return b64decode(msgspec.json.decode(field, type=str), validate=True)
    except ValueError as error:  # msgspec's errors and bad base64 alike
        raise DecodeError("the audio of an event is not base64", excerpt=str(error)) from None

"""Hypothesis strategies for valid events of every type, derived from the structs.

Strings of open enums are mostly known values; unions are drawn with their unknown members; unknown
fields appear everywhere. What the reference restricts further stands in `RESTRICTED`.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

from duologue.protocol import beta, ga
from duologue.protocol.model import UNSET, Raw, Unknown, UnsetType, audio_field

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.protocol.codec import Dialect, Direction
    from duologue.protocol.model import Event

    Strategy = st.SearchStrategy[Any]

FEW: Final = settings(max_examples=12, deadline=None, derandomize=True, database=None)

UNIONS: Final[dict[tuple[Dialect, Direction], Any]] = {
    ("ga", "client"): ga.KnownClientEvent,
    ("ga", "server"): ga.KnownServerEvent,
    ("beta", "client"): beta.KnownClientEvent,
    ("beta", "server"): beta.KnownServerEvent,
}

text: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
whole: Final = st.integers(0, 1 << 40)
number: Final = st.integers(-1000, 1000).map(lambda value: value / 8)
scalar: Final[Strategy] = st.none() | st.booleans() | whole | number | text
json_values: Final[Strategy] = (
    scalar | st.lists(scalar, max_size=2) | st.dictionaries(text, scalar, max_size=2)
)
unknown_fields: Final = st.dictionaries(
    st.sampled_from(["x_new", "x_newer"]), json_values, min_size=1, max_size=2
)
unknown_member: Final = st.fixed_dictionaries(
    {"type": st.just("invented")}, optional={"x_new": json_values}
)
limits: Final = st.integers(1, 4096) | st.just("inf")

RESTRICTED: Final[dict[tuple[type, str], Strategy]] = {
    (ga.AudioPcm, "rate"): st.just(24000),
    (ga.AudioPcm, "extra"): st.just(UNSET),
    (ga.AudioPcmu, "extra"): st.just(UNSET),
    (ga.AudioPcma, "extra"): st.just(UNSET),
    (ga.UnknownAudioFormat, "raw"): st.just({"type": "audio/opus"}),
    (beta.ResponseCreateParams, "max_output_tokens"): st.just(UNSET),
}
"""A format is one word in beta, and a response's limit has one name: tests of their own say so."""

BY_NAME: Final[dict[str, Strategy]] = {
    "output_modalities": st.sampled_from([["audio"], ["text"]]),
    "modalities": st.sampled_from([["text", "audio"], ["text"]]),
    "max_output_tokens": limits,
    "max_response_output_tokens": limits,
}


def classes(dialect: Dialect, direction: Direction) -> list[type[Event]]:
    """Return the classes of all events of a dialect."""
    return list(get_args(UNIONS[dialect, direction]))


@cache
def instances(kind: type[msgspec.Struct]) -> Strategy:
    """Return a strategy for a struct: required fields always, others sometimes."""
    fields = {
        field.name: _field(kind, field.name, hint)
        for field in msgspec.structs.fields(kind)
        for hint in [_hints(kind)[field.name]]
        if not (field.name == "extra" and issubclass(kind, Unknown))
    }
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}
    return st.fixed_dictionaries(
        {name: fields[name] for name in fields if name in required},
        optional={name: fields[name] for name in fields if name not in required},
    ).map(lambda given: kind(**given))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _field(kind: type, name: str, hint: object) -> Strategy:
    if (kind, name) in RESTRICTED:
        return RESTRICTED[kind, name]
    if name == "extra":
        return unknown_fields
    if issubclass(kind, Unknown) and name == "raw":
        return unknown_member
    return BY_NAME[name] if name in BY_NAME else _of(hint)


SCALARS: Final[dict[object, Callable[[], Strategy]]] = {
    str: lambda: text,
    int: lambda: whole,
    float: lambda: number,
    bool: st.booleans,
    NoneType: st.none,
    Any: lambda: json_values,
    Raw: lambda: st.binary(max_size=6).map(audio_field),
}


def _of(hint: Any) -> Strategy:
    if hint in SCALARS:
        return SCALARS[hint]()
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _open_enum(args[1])
    if origin in (Union, UnionType):
        return st.one_of([_of(member) for member in args if member is not UnsetType])
    if origin is list:
        return st.lists(_of(args[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(text, _of(args[1]), max_size=2)
    return instances(hint)


def _open_enum(enum: type[Enum]) -> Strategy:
    known = [str(member.value) for member in enum]
    return st.sampled_from([*known, *known, "invented"])

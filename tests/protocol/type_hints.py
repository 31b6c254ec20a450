"""Inspection of our types: fields of structs, members of unions."""

from __future__ import annotations

from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UnsetType


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """Return the annotations of a struct, enums of open strings included."""
    return get_type_hints(kind, include_extras=True)


def members(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union but null and unset; of anything else, itself."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(
            one
            for member in get_args(hint)
            if member not in (UnsetType, NoneType)
            for one in members(member)
        )
    return (hint,)


def is_nullable(hint: Any) -> bool:
    """Say whether null fits."""
    return hint is Any or NoneType in get_args(hint) or Any in get_args(hint)


def structs(hint: Any) -> list[type[msgspec.Struct]]:
    """Return the structs anywhere in an annotation."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return [hint]
    if get_origin(hint) is Annotated:
        return []
    return [kind for member in get_args(hint) for kind in structs(member)]


def enums(hint: Any) -> list[type]:
    """Return the enums of open strings anywhere in an annotation, but not inside structs."""
    if get_origin(hint) is Annotated:
        return [get_args(hint)[1]]
    return [kind for member in get_args(hint) for kind in enums(member)]

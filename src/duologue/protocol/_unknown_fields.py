"""Second pass over a frame that does not fit the types: unknown content moves to where it is kept.

- Unknown fields go into `extra`, and so does a null that a field's type forbids.
- An unknown member of a union becomes the union's `Unknown` type.
- A whole number that is written as a float, `1.0`, becomes an integer if a float is exact there.

The result fits the types unless a known field is missing or mistyped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import inspect

from duologue.protocol.model import EXTRA_KEY, UNKNOWN_TAG

if TYPE_CHECKING:
    from duologue.protocol.model import Json

__all__ = [
    "EXACT_FLOATS",
    "explain",
    "keep_unknown",
    "member_of",
    "structs_of",
    "tags",
    "type_info",
]

EXACT_FLOATS: Final = 2**53
"""Up to it, floats are exact. A larger one (`1e308`) is not an integer that somebody meant."""


@cache
def tags(union: Any) -> dict[str, type]:  # noqa: ANN401  # a union is no type
    """Return the structs of a tagged union, by tag."""
    return {str(member.tag): member.cls for member in structs_of(inspect.type_info(union))}


def keep_unknown(value: Json, struct: type) -> Json:
    """Return a decoded JSON object in the form from which `struct` is decoded without loss."""
    keep = _keeper_of(struct)
    return value if keep is None else keep(value)


Keeper = Callable[["Json"], "Json"]
"""`keep_unknown` for the values of a type; made once, because looking at the type takes longer."""


@cache
def _keeper_of(struct: Any) -> Keeper | None:  # noqa: ANN401  # or a union
    return _keeper(type_info(struct))


@cache
def type_info(struct: type) -> inspect.Type:
    """Return the description of a struct's fields and their types."""
    return inspect.type_info(struct)


def structs_of(info: inspect.Type) -> list[inspect.StructType]:
    """Return the structs among the members of a union, or the one struct."""
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [member for member in members if isinstance(member, inspect.StructType)]


def _keeper(info: inspect.Type) -> Keeper | None:
    """Return the function for a type; `None` if its values stay as they are."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    keep_object = _object_keeper(info)
    items = member_of(info, inspect.ListType)
    keep_item = None if items is None else _keeper(items.item_type)
    is_whole = member_of(info, inspect.IntType) and not member_of(info, inspect.FloatType)
    if keep_object is None and keep_item is None and not is_whole:
        return None

    def keep_value(value: Json) -> Json:
        if isinstance(value, dict):
            return value if keep_object is None else keep_object(value)
        if isinstance(value, list):
            return value if keep_item is None else [keep_item(item) for item in value]
        if is_whole and isinstance(value, float) and value.is_integer():
            return int(value) if abs(value) <= EXACT_FLOATS else value
        return value

    return keep_value


def _object_keeper(info: inspect.Type) -> Callable[[dict[str, Json]], Json] | None:
    structs = structs_of(info)
    if structs:
        return partial(_keep_member, _Union(structs))
    mapping = member_of(info, inspect.DictType)
    keep_entry = None if mapping is None else _keeper(mapping.value_type)
    if keep_entry is None:
        return None
    return lambda value: {key: keep_entry(entry) for key, entry in value.items()}


class _Union:
    """The structs that a value may be."""

    __slots__ = ("classes", "is_open", "tag_field")

    def __init__(self, structs: list[inspect.StructType]) -> None:
        self.classes: Final = {struct.tag: struct.cls for struct in structs}
        self.tag_field: Final = structs[0].tag_field
        self.is_open: Final = UNKNOWN_TAG in self.classes
        """Whether one of the members is an `Unknown` type."""


def _keep_member(union: _Union, value: dict[str, Json]) -> Json:
    tag = None if union.tag_field is None else value.get(union.tag_field)
    cls = union.classes.get(tag) if tag is None or isinstance(tag, str) else None
    if cls is not None:
        return _keep_fields(value, _layout(cls))
    return {"type": UNKNOWN_TAG, "raw": value} if union.is_open else value


class _Layout:
    """The fields of a struct by their names on the wire."""

    __slots__ = ("keepers", "never_null", "tag_field")

    def __init__(self, struct: inspect.StructType) -> None:
        self.tag_field: Final = struct.tag_field
        self.keepers: Final = {field.encode_name: _keeper(field.type) for field in struct.fields}
        self.never_null: Final = {
            field.encode_name
            for field in struct.fields
            if not field.required and not _nullable(field.type)
        }


@cache
def _layout(cls: type) -> _Layout:
    return _Layout(cast("inspect.StructType", type_info(cls)))


def _keep_fields(value: dict[str, Json], layout: _Layout) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    extra: dict[str, Json] = {}
    for key, item in value.items():
        if key == layout.tag_field:
            kept[key] = item
        elif key not in layout.keepers or (item is None and key in layout.never_null):
            extra[key] = item  # unknown, or a null where the type has no place for one
        else:
            keep_item = layout.keepers[key]
            kept[key] = item if keep_item is None else keep_item(item)
    if extra:
        kept[EXTRA_KEY] = extra
    return kept


def _nullable(info: inspect.Type) -> bool:
    kinds = (inspect.NoneType, inspect.AnyType)
    return any(member_of(info, kind) is not None for kind in kinds)


def member_of(info: inspect.Type, kind: type[Any]) -> Any:  # noqa: ANN401  # an instance of `kind`
    """Return a type, or the member of a union, if it is of a kind; `None` otherwise."""
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    return next((member for member in members if isinstance(member, kind)), None)


def explain(error: msgspec.ValidationError) -> tuple[str, str | None]:
    """Return the message of a validation error, and the path of the field that it is about."""
    reason, _, where = str(error).partition(" - at `$")
    path = (
        where.rstrip("`").partition("[...]")[0].strip(".")
    )  # msgspec does not name the key of a mapping
    missing = re.search(r"required field `([^`]+)`", reason)
    if missing:
        path = f"{path}.{missing[1]}" if path else missing[1]
    return reason, path or None

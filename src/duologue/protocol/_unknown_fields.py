"""Second pass over a frame that does not fit the types: unknown content is moved, not lost.

- Unknown fields go into `extra`, and so does a null that a field's type forbids.
- An unknown member of a union becomes the union's `Unknown` type.
- A whole number that is written as a float, `1.0`, becomes an integer.

The result fits the types unless a known field is missing or mistyped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import inspect

from duologue.protocol.model import EXTRA_KEY, UNKNOWN_TAG

if TYPE_CHECKING:
    from duologue.protocol.model import Json

Defaults = Mapping[str, "Json"]

MAX_WHOLE: Final = 1 << 63
"""Floats from here on stay floats: integers have 64 bits."""

__all__ = ["explain", "keep_unknown", "tags"]


@cache
def tags(union: Any) -> dict[str, type]:  # noqa: ANN401  # a union is no type
    """Return the structs of a tagged union, by tag."""
    return {str(member.tag): member.cls for member in _structs(inspect.type_info(union))}


def keep_unknown(value: Json, struct: type, *, defaults: Defaults | None = None) -> Json:
    """Return a decoded JSON object with its unknown content moved to where `struct` keeps it.

    Args:
        value: The object.
        struct: Type of the object.
        defaults: Values for required fields that are absent. With defaults, a member of a union
            that still does not fit its own type becomes the union's `Unknown` type.
    """
    keep = _keeper_of(struct)
    return value if keep is None else keep(value, defaults)


Keeper = Callable[["Json", "Defaults | None"], "Json"]
"""Does this for the values of one type; made once, because looking at the type takes longer."""


@cache
def _keeper_of(struct: Any) -> Keeper | None:  # noqa: ANN401  # or a union
    return _keeper(inspect.type_info(struct))


def _structs(info: inspect.Type) -> list[inspect.StructType]:
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [member for member in members if isinstance(member, inspect.StructType)]


def _keeper(info: inspect.Type) -> Keeper | None:
    """Return the function for a type; `None` if its values stay as they are."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    keep_object = _object_keeper(info)
    items = _member(info, inspect.ListType)
    keep_item = None if items is None else _keeper(items.item_type)
    is_whole = _member(info, inspect.IntType) and not _member(info, inspect.FloatType)
    if keep_object is None and keep_item is None and not is_whole:
        return None

    def keep_value(value: Json, defaults: Defaults | None) -> Json:
        if isinstance(value, dict):
            return value if keep_object is None else keep_object(value, defaults)
        if isinstance(value, list):
            return value if keep_item is None else [keep_item(item, defaults) for item in value]
        if is_whole and isinstance(value, float) and value.is_integer():
            return int(value) if abs(value) < MAX_WHOLE else value
        return value

    return keep_value


def _object_keeper(info: inspect.Type) -> Keeper | None:
    structs = _structs(info)
    if structs:
        return partial(_keep_member, _Union(structs))
    mapping = _member(info, inspect.DictType)
    keep_entry = None if mapping is None else _keeper(mapping.value_type)
    if keep_entry is None:
        return None

    def keep_mapping(value: Json, defaults: Defaults | None) -> Json:
        entries = cast("dict[str, Json]", value)
        return {key: keep_entry(entry, defaults) for key, entry in entries.items()}

    return keep_mapping


class _Union:
    """The structs that a value may be."""

    __slots__ = ("classes", "is_open", "tag_field")

    def __init__(self, structs: list[inspect.StructType]) -> None:
        self.classes: Final = {struct.tag: struct.cls for struct in structs}
        self.tag_field: Final = structs[0].tag_field
        self.is_open: Final = UNKNOWN_TAG in self.classes
        """Whether one of the members is an `Unknown` type."""


def _keep_member(union: _Union, value: Json, defaults: Defaults | None) -> Json:
    fields = cast("dict[str, Json]", value)
    tag = None if union.tag_field is None else fields.get(union.tag_field)
    cls = union.classes.get(tag) if tag is None or isinstance(tag, str) else None
    if cls is not None:
        fitted = _keep_fields(fields, _layout(cls), defaults)
        # When repairing, one bad item must not spoil its event.
        if not (defaults and union.is_open) or _fits(fitted, cls):
            return fitted
    return {"type": UNKNOWN_TAG, "raw": value} if union.is_open else value


def _fits(fitted: dict[str, Json], cls: type) -> bool:
    try:
        msgspec.convert(fitted, cls)
    except msgspec.ValidationError:
        return False
    return True


class _Layout:
    """The fields of a struct by their names on the wire."""

    __slots__ = ("keepers", "never_null", "required", "tag_field")

    def __init__(self, struct: inspect.StructType) -> None:
        self.tag_field: Final = struct.tag_field
        self.keepers: Final = {field.encode_name: _keeper(field.type) for field in struct.fields}
        self.required: Final = {field.encode_name for field in struct.fields if field.required}
        self.never_null: Final = {
            field.encode_name
            for field in struct.fields
            if not field.required and not _nullable(field.type)
        }


@cache
def _layout(cls: type) -> _Layout:
    return _Layout(cast("inspect.StructType", inspect.type_info(cls)))


def _keep_fields(
    value: dict[str, Json], layout: _Layout, defaults: Defaults | None
) -> dict[str, Json]:
    fitted: dict[str, Json] = {}
    extra: dict[str, Json] = {}
    for key, item in value.items():
        if key == layout.tag_field:
            fitted[key] = item
        elif key not in layout.keepers or (item is None and key in layout.never_null):
            extra[key] = item  # unknown, or a null where the type has no place for one
        else:
            keep_item = layout.keepers[key]
            fitted[key] = item if keep_item is None else keep_item(item, defaults)
    if extra:
        fitted[EXTRA_KEY] = extra
    if defaults:
        for name in layout.required:
            if name not in fitted and name in defaults:
                fitted[name] = defaults[name]
    return fitted


def _nullable(info: inspect.Type) -> bool:
    kinds = (inspect.NoneType, inspect.AnyType)
    return any(_member(info, kind) is not None for kind in kinds)


def _member(info: inspect.Type, kind: type[Any]) -> Any:  # noqa: ANN401  # an instance of `kind`
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    return next((member for member in members if isinstance(member, kind)), None)


def explain(error: msgspec.ValidationError) -> tuple[str, str | None]:
    """Return the message of a validation error, and the path of the field that it is about."""
    reason, _, where = str(error).partition(" - at `$")
    # msgspec does not name the key of a mapping, so the path ends before it.
    path = where.rstrip("`").partition("[...]")[0].strip(".")
    missing = re.search(r"required field `([^`]+)`", reason)
    if missing:
        path = f"{path}.{missing[1]}" if path else missing[1]
    return reason, path or None

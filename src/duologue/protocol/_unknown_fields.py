"""Second pass over a frame that does not fit the types: unknown content moves to where it is kept.

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

__all__ = ["explain", "lift", "tags"]


@cache
def tags(union: Any) -> dict[str, type]:  # noqa: ANN401  # a union is no type
    """Return the structs of a tagged union, by tag."""
    return {str(member.tag): member.cls for member in _structs(inspect.type_info(union))}


def lift(value: Json, struct: type, *, defaults: Defaults | None = None) -> Json:
    """Return a decoded JSON object in the form from which `struct` is decoded without loss.

    Args:
        value: The object.
        struct: Type of the object.
        defaults: Values of required fields that are absent. With defaults, a member of a union that
            still does not fit its own type becomes the union's `Unknown` type.
    """
    lifter = _lifter_of(struct)
    return value if lifter is None else lifter(value, defaults)


Lifter = Callable[["Json", "Defaults | None"], "Json"]
"""Lifts a value of one type; made once for each type, as looking at the type takes longer."""


@cache
def _lifter_of(struct: Any) -> Lifter | None:  # noqa: ANN401  # or a union
    return _lifter(inspect.type_info(struct))


def _structs(info: inspect.Type) -> list[inspect.StructType]:
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [member for member in members if isinstance(member, inspect.StructType)]


def _lifter(info: inspect.Type) -> Lifter | None:
    """Return the lifter of a type; `None` if its values stay as they are."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    lift_object = _object_lifter(info)
    items = _member(info, inspect.ListType)
    lift_item = None if items is None else _lifter(items.item_type)
    is_whole = _member(info, inspect.IntType) and not _member(info, inspect.FloatType)
    if lift_object is None and lift_item is None and not is_whole:
        return None

    def lift_value(value: Json, defaults: Defaults | None) -> Json:
        if isinstance(value, dict):
            return value if lift_object is None else lift_object(value, defaults)
        if isinstance(value, list):
            return value if lift_item is None else [lift_item(item, defaults) for item in value]
        return int(value) if is_whole and isinstance(value, float) and value.is_integer() else value

    return lift_value


def _object_lifter(info: inspect.Type) -> Lifter | None:
    structs = _structs(info)
    if structs:
        return partial(_lift_member, _Union(structs))
    mapping = _member(info, inspect.DictType)
    lift_entry = None if mapping is None else _lifter(mapping.value_type)
    if lift_entry is None:
        return None

    def lift_mapping(value: Json, defaults: Defaults | None) -> Json:
        entries = cast("dict[str, Json]", value)
        return {key: lift_entry(entry, defaults) for key, entry in entries.items()}

    return lift_mapping


class _Union:
    """The structs that a value may be."""

    __slots__ = ("classes", "is_open", "tag_field")

    def __init__(self, structs: list[inspect.StructType]) -> None:
        self.classes: Final = {struct.tag: struct.cls for struct in structs}
        self.tag_field: Final = structs[0].tag_field
        self.is_open: Final = UNKNOWN_TAG in self.classes
        """Whether one of the members is an `Unknown` type."""


def _lift_member(union: _Union, value: Json, defaults: Defaults | None) -> Json:
    fields = cast("dict[str, Json]", value)
    tag = None if union.tag_field is None else fields.get(union.tag_field)
    cls = union.classes.get(tag) if tag is None or isinstance(tag, str) else None
    if cls is not None:
        lifted = _lift_fields(fields, _layout(cls), defaults)
        # When repairing, one bad item must not spoil its event.
        if not (defaults and union.is_open) or _fits(lifted, cls):
            return lifted
    return {"type": UNKNOWN_TAG, "raw": value} if union.is_open else value


def _fits(lifted: dict[str, Json], cls: type) -> bool:
    try:
        msgspec.convert(lifted, cls)
    except msgspec.ValidationError:
        return False
    return True


class _Layout:
    """The fields of a struct by their names on the wire."""

    __slots__ = ("lifters", "never_null", "required", "tag_field")

    def __init__(self, struct: inspect.StructType) -> None:
        self.tag_field: Final = struct.tag_field
        self.lifters: Final = {field.encode_name: _lifter(field.type) for field in struct.fields}
        self.required: Final = {field.encode_name for field in struct.fields if field.required}
        self.never_null: Final = {
            field.encode_name
            for field in struct.fields
            if not field.required and not _nullable(field.type)
        }


@cache
def _layout(cls: type) -> _Layout:
    return _Layout(cast("inspect.StructType", inspect.type_info(cls)))


def _lift_fields(
    value: dict[str, Json], layout: _Layout, defaults: Defaults | None
) -> dict[str, Json]:
    lifted: dict[str, Json] = {}
    extra: dict[str, Json] = {}
    for key, item in value.items():
        if key == layout.tag_field:
            lifted[key] = item
        elif key not in layout.lifters or (item is None and key in layout.never_null):
            extra[key] = item  # unknown, or a null where the type has no place for one
        else:
            lift_item = layout.lifters[key]
            lifted[key] = item if lift_item is None else lift_item(item, defaults)
    if extra:
        lifted[EXTRA_KEY] = extra
    if defaults:
        for name in layout.required:
            if name not in lifted and name in defaults:
                lifted[name] = defaults[name]
    return lifted


def _nullable(info: inspect.Type) -> bool:
    kinds = (inspect.NoneType, inspect.AnyType)
    return any(_member(info, kind) is not None for kind in kinds)


def _member(info: inspect.Type, kind: type[Any]) -> Any:  # noqa: ANN401  # an instance of `kind`
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

"""Second pass over a frame that does not fit the types: unknown content is moved, not lost.

- Unknown fields go into `extra`, and so does a null that a field's type forbids.
- An unknown member of a union becomes the union's `Unknown` type.
- A whole number that is written as a float, `1.0`, becomes an integer.

The result fits the types unless a known field is missing or mistyped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from duologue.protocol.model import EXTRA_KEY, UNKNOWN_TAG

if TYPE_CHECKING:
    from duologue.protocol.model import Json

Defaults = Mapping[str, "Json"]

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
    return _keep(value, _info(struct), defaults=defaults)


@cache
def _info(struct: type) -> inspect.Type:
    return inspect.type_info(struct)


def _structs(info: inspect.Type) -> list[inspect.StructType]:
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [member for member in members if isinstance(member, inspect.StructType)]


def _keep(value: Json, info: inspect.Type, *, defaults: Defaults | None) -> Json:
    while isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(value, dict):
        return _keep_object(value, info, defaults=defaults)
    if isinstance(value, list):
        items = _member(info, inspect.ListType)
        return (
            value
            if items is None
            else [_keep(item, items.item_type, defaults=defaults) for item in value]
        )
    if (
        isinstance(value, float)
        and value.is_integer()
        and _member(info, inspect.IntType)
        and not _member(info, inspect.FloatType)
    ):
        return int(value)
    return value


def _keep_object(value: dict[str, Json], info: inspect.Type, *, defaults: Defaults | None) -> Json:
    structs = _structs(info)
    if not structs:
        mapping = _member(info, inspect.DictType)
        if mapping is None:
            return value
        return {
            key: _keep(item, mapping.value_type, defaults=defaults) for key, item in value.items()
        }
    # A union is open if one of its members is an `Unknown` type.
    is_open = any(struct.tag == UNKNOWN_TAG for struct in structs)
    for struct in structs:
        if struct.tag is None or value.get(str(struct.tag_field)) == struct.tag:
            fitted = _keep_fields(value, struct, defaults=defaults)
            if defaults and is_open and not _fits(fitted, struct):
                break  # repairing: one bad item must not spoil its event
            return fitted
    return {"type": UNKNOWN_TAG, "raw": value} if is_open else value


def _fits(fitted: dict[str, Json], struct: inspect.StructType) -> bool:
    try:
        msgspec.convert(fitted, struct.cls)
    except msgspec.ValidationError:
        return False
    return True


def _keep_fields(
    value: dict[str, Json], struct: inspect.StructType, *, defaults: Defaults | None
) -> dict[str, Json]:
    fields = {field.encode_name: field for field in struct.fields}
    fitted: dict[str, Json] = {}
    extra: dict[str, Json] = {}
    for key, item in value.items():
        field = fields.get(key)
        if key == struct.tag_field:
            fitted[key] = item
        elif field is None or (item is None and not field.required and not _nullable(field.type)):
            extra[key] = item  # unknown, or a null where the type has no place for one
        else:
            fitted[key] = _keep(item, field.type, defaults=defaults)
    if extra:
        fitted[EXTRA_KEY] = extra
    for name, stand_in in (defaults or {}).items():
        if name not in fitted and name in fields and fields[name].required:
            fitted[name] = stand_in
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

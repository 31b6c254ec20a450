"""Second pass over a frame that does not fit the types: unknown content is moved, not lost.

- Unknown fields go into `extra`, and so does a null that a field's type forbids.
- An unknown member of a union becomes the union's `Unknown` type.
- A whole number that is written as a float, `1.0`, becomes an integer if a float is exact there.

The result fits the types unless a known field is missing or mistyped.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

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
    """Return a decoded JSON object with its unknown content moved to where `struct` keeps it."""
    return _keep(value, type_info(struct))


@cache
def type_info(struct: type) -> inspect.Type:
    """Return the description of a struct's fields and their types."""
    return inspect.type_info(struct)


def structs_of(info: inspect.Type) -> list[inspect.StructType]:
    """Return the structs among the members of a union, or the one struct."""
    members = info.types if isinstance(info, inspect.UnionType) else (info,)
    return [member for member in members if isinstance(member, inspect.StructType)]


def _keep(value: Json, info: inspect.Type) -> Json:
    while isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(value, dict):
        return _keep_object(value, info)
    if isinstance(value, list):
        items = member_of(info, inspect.ListType)
        return value if items is None else [_keep(item, items.item_type) for item in value]
    if (
        isinstance(value, float)
        and value.is_integer()
        and abs(value) <= EXACT_FLOATS
        and member_of(info, inspect.IntType)
        and not member_of(info, inspect.FloatType)
    ):
        return int(value)
    return value


def _keep_object(value: dict[str, Json], info: inspect.Type) -> Json:
    structs = structs_of(info)
    if not structs:
        mapping = member_of(info, inspect.DictType)
        if mapping is None:
            return value
        return {key: _keep(item, mapping.value_type) for key, item in value.items()}
    # A union is open if one of its members is an `Unknown` type.
    is_open = any(struct.tag == UNKNOWN_TAG for struct in structs)
    for struct in structs:
        if struct.tag is None or value.get(str(struct.tag_field)) == struct.tag:
            return _keep_fields(value, struct)
    return {"type": UNKNOWN_TAG, "raw": value} if is_open else value


def _keep_fields(value: dict[str, Json], struct: inspect.StructType) -> dict[str, Json]:
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
            fitted[key] = _keep(item, field.type)
    if extra:
        fitted[EXTRA_KEY] = extra
    return fitted


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
    # msgspec does not name the key of a mapping, so the path ends before it.
    path = where.rstrip("`").partition("[...]")[0].strip(".")
    missing = re.search(r"required field `([^`]+)`", reason)
    if missing:
        path = f"{path}.{missing[1]}" if path else missing[1]
    return reason, path or None

"""Fits decoded JSON to a type, for events of servers that take liberties with their types.

`_unknown_fields.keep_unknown` moves only what a type does not know. Here values are changed, too,
so that as much of an event as possible is usable:

- A number, an object or a list in place of a text becomes its JSON: `5`, `{"city":"Bonn"}`.
- A whole number that is written as a float or a text becomes an integer.
- A text in place of an error becomes the error's message.
- A null in place of a required value, and a missing one, get a default if there is one.
- Anything else that does not fit an optional field moves to `extra`. In a list it is left out.

The event's `raw` is the frame as received, so nothing is lost.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import inspect

from duologue.protocol._unknown_fields import EXACT_FLOATS, member_of, structs_of, type_info
from duologue.protocol.model import EXTRA_KEY, UNKNOWN_TAG

if TYPE_CHECKING:
    from duologue.protocol.model import Json

__all__ = ["Defaults", "fit"]

Defaults = Mapping[str, "Json"]
"""Values of required fields that are absent, by field name."""

_INTEGER: Final = re.compile(r"[+-]?\d{1,15}")
_NUMBER: Final = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?")

_MISFIT: Final[Any] = object()
"""Stands for a value that cannot be made to fit."""

_TEXT_FIELDS: Final = {
    "RealtimeError": "message",
    "ResponseError": "message",
    "TranscriptionError": "message",
    "ResponseStatusDetails": "reason",
}
"""Structs that some servers send as a text, and the field that the text becomes."""


def fit(value: Json, struct: type, defaults: Defaults) -> Json | None:
    """Return a decoded JSON object in the form from which `struct` is decoded.

    Returns:
        The object, or `None` if a required field cannot be filled.
    """
    fitted = _fit(value, _shape_of(struct), defaults)
    return None if fitted is _MISFIT else fitted


class _Shape:
    """Summary of a type, made once: looking at the type takes longer than fitting a value."""

    __slots__ = (
        "changes", "classes", "is_any", "is_open", "is_text", "items", "nullable", "tag_field",
        "text_class", "values",
    )  # fmt: skip

    def __init__(self, info: inspect.Type) -> None:
        while isinstance(info, inspect.Metadata):
            info = info.type
        items, mapping = member_of(info, inspect.ListType), member_of(info, inspect.DictType)
        self.is_any: Final = bool(
            member_of(info, inspect.AnyType) or member_of(info, inspect.RawType)
        )
        self.nullable: Final = bool(member_of(info, inspect.NoneType))
        self.is_text: Final = bool(member_of(info, inspect.StrType))
        self.items: Final = None if items is None else _Shape(items.item_type)
        self.values: Final = None if mapping is None else _Shape(mapping.value_type)
        structs = structs_of(info)
        self.classes: Final = {struct.tag: struct.cls for struct in structs}
        self.tag_field: Final = structs[0].tag_field if structs else None
        self.is_open: Final = UNKNOWN_TAG in self.classes
        texts = (struct.cls for struct in structs if struct.cls.__name__ in _TEXT_FIELDS)
        self.text_class: Final = next(texts, None)
        """The struct that a text stands for."""
        self.changes: Final = {
            kind: [change for wanted, change in changes if member_of(info, wanted)]
            for kind, changes in _CHANGES.items()
        }


@cache
def _shape_of(struct: type) -> _Shape:
    return _Shape(type_info(struct))


@cache
def _fields(cls: type) -> tuple[str | None, dict[str, _Shape], tuple[str, ...]]:
    """Return a struct's tag field, the shapes of its fields, and the required ones."""
    info = cast("inspect.StructType", type_info(cls))
    shapes = {field.encode_name: _Shape(field.type) for field in info.fields}
    required = tuple(field.encode_name for field in info.fields if field.required)
    return info.tag_field, shapes, required


def _fit(value: Json, shape: _Shape, defaults: Defaults) -> Any:  # noqa: ANN401  # JSON, or a misfit
    if shape.is_any:
        return value
    if value is None:
        return None if shape.nullable else _MISFIT
    if isinstance(value, dict):
        return _fit_object(value, shape, defaults)
    if isinstance(value, list):
        if shape.items is None:
            return _text(value, shape)
        items = shape.items
        fitted = (_fit(item, items, defaults) for item in value)
        return [item for item in fitted if item is not _MISFIT]
    return _fit_scalar(value, shape, defaults)


def _fit_scalar(value: str | float, shape: _Shape, defaults: Defaults) -> Any:  # noqa: ANN401  # as above
    for change in shape.changes[type(value)]:
        changed = change(value)
        if changed is not None:
            return changed
    cls = shape.text_class
    if cls is not None and isinstance(value, str):
        return _fit_fields({_TEXT_FIELDS[cls.__name__]: value}, cls, defaults)
    return _MISFIT


def _fit_object(value: dict[str, Json], shape: _Shape, defaults: Defaults) -> Any:  # noqa: ANN401  # as above
    tag = None if shape.tag_field is None else value.get(shape.tag_field)
    cls = shape.classes.get(tag) if tag is None or isinstance(tag, str) else None
    if cls is not None:
        fitted = _fit_fields(value, cls, defaults)
        if fitted is not _MISFIT:
            return fitted
    if shape.is_open:
        return {"type": UNKNOWN_TAG, "raw": value}  # one bad item must not spoil its event
    if shape.values is None:
        return _text(value, shape)
    values = shape.values
    fitted = {key: _fit(item, values, defaults) for key, item in value.items()}
    return {key: item for key, item in fitted.items() if item is not _MISFIT}


def _fit_fields(value: dict[str, Json], cls: type, defaults: Defaults) -> Any:  # noqa: ANN401  # as above
    tag_field, shapes, required = _fields(cls)
    fitted: dict[str, Json] = {}
    extra: dict[str, Json] = {}
    for key, item in value.items():
        shape = shapes.get(key)
        if key == tag_field:
            fitted[key] = item
            continue
        changed = _MISFIT if shape is None else _fit(item, shape, defaults)
        if changed is _MISFIT:
            extra[key] = item
        else:
            fitted[key] = changed
    for key in required:
        if key not in fitted:
            if key not in defaults:
                return _MISFIT
            fitted[key] = _fit(defaults[key], shapes[key], defaults)
    if extra:
        fitted[EXTRA_KEY] = extra
    return fitted


def _text(value: Json, shape: _Shape) -> Any:  # noqa: ANN401  # as above
    return _json(value) if shape.is_text else _MISFIT


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)


def _same(value: Any) -> Any:  # noqa: ANN401  # any JSON
    return value


def _whole(value: float) -> int | None:
    return int(value) if abs(value) <= EXACT_FLOATS else None  # false for NaN and infinity


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


_CHANGES: Final[Mapping[type, tuple[tuple[type[Any], Callable[[Any], Any]], ...]]] = {
    bool: ((inspect.BoolType, _same), (inspect.StrType, _json)),
    int: ((inspect.IntType, _same), (inspect.FloatType, _same), (inspect.StrType, _json)),
    float: ((inspect.FloatType, _finite), (inspect.IntType, _whole), (inspect.StrType, _json)),
    str: (
        (inspect.StrType, _same),
        (inspect.IntType, lambda text: int(text) if _INTEGER.fullmatch(text) else None),
        (inspect.FloatType, lambda text: float(text) if _NUMBER.fullmatch(text) else None),
    ),
}
"""Types that a scalar can take, best first, and how it is changed; `None` if it cannot."""

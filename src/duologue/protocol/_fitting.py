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
from typing import TYPE_CHECKING, Any, Final

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
    fitted = _fit(value, type_info(struct), defaults)
    return None if fitted is _MISFIT else fitted


def _fit(value: Json, info: inspect.Type, defaults: Defaults) -> Any:  # noqa: ANN401  # JSON, or a misfit
    while isinstance(info, inspect.Metadata):
        info = info.type
    if member_of(info, inspect.AnyType) or member_of(info, inspect.RawType):
        return value
    if value is None:
        return None if member_of(info, inspect.NoneType) else _MISFIT
    if isinstance(value, dict):
        return _fit_object(value, info, defaults)
    if isinstance(value, list):
        items = member_of(info, inspect.ListType)
        if items is None:
            return _text(value, info)
        fitted = (_fit(item, items.item_type, defaults) for item in value)
        return [item for item in fitted if item is not _MISFIT]
    return _fit_scalar(value, info, defaults)


def _fit_scalar(value: str | float, info: inspect.Type, defaults: Defaults) -> Any:  # noqa: ANN401  # as above
    for kind, change in _CHANGES[type(value)]:
        if member_of(info, kind):
            changed = change(value)
            if changed is not None:
                return changed
    if isinstance(value, str):
        for struct in structs_of(info):
            field = _TEXT_FIELDS.get(struct.cls.__name__)
            if field is not None:
                return _fit_fields({field: value}, struct, defaults)
    return _MISFIT


def _fit_object(value: dict[str, Json], info: inspect.Type, defaults: Defaults) -> Any:  # noqa: ANN401  # as above
    structs = structs_of(info)
    for struct in structs:
        if struct.tag is None or value.get(str(struct.tag_field)) == struct.tag:
            fitted = _fit_fields(value, struct, defaults)
            if fitted is not _MISFIT:
                return fitted
    if any(struct.tag == UNKNOWN_TAG for struct in structs):
        return {"type": UNKNOWN_TAG, "raw": value}  # one bad item must not spoil its event
    mapping = member_of(info, inspect.DictType)
    if mapping is None:
        return _text(value, info)
    fitted = {key: _fit(item, mapping.value_type, defaults) for key, item in value.items()}
    return {key: item for key, item in fitted.items() if item is not _MISFIT}


def _fit_fields(value: dict[str, Json], struct: inspect.StructType, defaults: Defaults) -> Any:  # noqa: ANN401  # as above
    fields = {field.encode_name: field for field in struct.fields}
    fitted: dict[str, Json] = {}
    extra: dict[str, Json] = {}
    for key, item in value.items():
        field = fields.get(key)
        if key == struct.tag_field:
            fitted[key] = item
            continue
        changed = _MISFIT if field is None else _fit(item, field.type, defaults)
        if changed is _MISFIT:
            extra[key] = item
        else:
            fitted[key] = changed
    for key, field in fields.items():
        if field.required and key not in fitted:
            if key not in defaults:
                return _MISFIT
            fitted[key] = _fit(defaults[key], field.type, defaults)
    if extra:
        fitted[EXTRA_KEY] = extra
    return fitted


def _text(value: Json, info: inspect.Type) -> Any:  # noqa: ANN401  # as above
    return _json(value) if member_of(info, inspect.StrType) else _MISFIT


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

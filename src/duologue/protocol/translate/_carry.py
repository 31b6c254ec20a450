"""Copying between structs that nearly agree."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias, TypeVar

import msgspec

from duologue.protocol._lenient import lift
from duologue.protocol.codec import encode_model
from duologue.protocol.model import UNSET, Json, UnsetType

__all__ = ["Extra", "carry", "json_of", "reread", "without"]

S = TypeVar("S", bound=msgspec.Struct)

Extra: TypeAlias = "dict[str, Any] | UnsetType"
"""The unknown fields of a model."""


def carry(source: msgspec.Struct, target: type[S], **changes: object) -> S:
    """Return a `target` with what `source` has by the same names, `extra` included."""
    same = {name: getattr(source, name) for name in _shared(type(source), target)}
    copy = target(**(same | changes))
    extra: Extra = getattr(copy, "extra", UNSET)
    if isinstance(extra, dict) and not extra.keys().isdisjoint(target.__struct_fields__):
        return reread(json_of(copy), target) or copy  # it was unknown over there only
    return copy


@cache
def _shared(source: type[msgspec.Struct], target: type[msgspec.Struct]) -> tuple[str, ...]:
    ours = set(target.__struct_fields__)
    return tuple(name for name in source.__struct_fields__ if name in ours)


def json_of(model: msgspec.Struct) -> dict[str, Json]:
    """Return a model as decoded JSON, as it would be on the wire."""
    body: dict[str, Json] = msgspec.json.decode(encode_model(model))
    return body


def reread(body: Json, target: Any) -> Any:  # noqa: ANN401  # a union is no type
    """Return decoded JSON as a type or union of the other dialect, or `None` if it does not fit."""
    try:
        return msgspec.convert(lift(body, target), target)
    except msgspec.ValidationError:
        return None


def without(extra: Extra, name: str) -> tuple[Extra, dict[str, Json]]:
    """Return unknown fields without one of them, and that one if it is an object."""
    found: Json = {} if extra is UNSET else extra.get(name)
    if extra is UNSET or not isinstance(found, dict):
        return extra, {}
    rest = {key: value for key, value in extra.items() if key != name}
    return rest or UNSET, found

"""Copies between the structs of the two dialects, most of whose fields agree."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeAlias, TypeVar

import msgspec

from duologue.protocol._unknown_fields import keep_unknown
from duologue.protocol.codec import encode_model
from duologue.protocol.model import EXTRA_KEY, UNSET, Json, Model, UnsetType
from duologue.protocol.translate._losses import Losses, LossRule

__all__ = ["Extra", "convert", "copy_as", "fit", "join", "json_of", "with_nulls"]

S = TypeVar("S", bound=msgspec.Struct)

Extra: TypeAlias = "dict[str, Any] | UnsetType"
"""The unknown fields of a model."""


def with_nulls(model: S) -> S:
    """Return a model whose fields hold their nulls even where their types forbid a null.

    Decoding keeps such nulls in `extra`. In the fields, a translation can rename them like any
    other value; `copy_as` moves them back into `extra`.
    """
    if not isinstance(model, Model) or not isinstance(model.extra, dict):
        return model
    own = set(model.__struct_fields__) - {"extra"}  # an unknown field may have that name
    nulls = {name: value for name, value in model.extra.items() if value is None and name in own}
    rest = {name: value for name, value in model.extra.items() if name not in nulls}
    return msgspec.structs.replace(model, extra=rest or UNSET, **nulls) if nulls else model


def copy_as(
    source: msgspec.Struct, target: type[S], losses: Losses | None = None, **changes: object
) -> S:
    """Return a `target` with the fields that `source` has by the same names, `extra` included.

    Args:
        source: The struct to copy from.
        target: Type of the copy. It takes an unknown field of `source` as a field if it knows the
            name, and keeps what does not fit its own fields as unknown fields.
        losses: Receives the unknown fields that `changes` override.
        changes: Values of fields of `target` that are not copied.
    """
    given = {name: getattr(source, name) for name in _shared(type(source), target)} | changes
    extra = _extra(given.get("extra", UNSET))
    known = not extra.keys().isdisjoint(_own(target))
    nulls = any(value is None and name in _never_null(target) for name, value in given.items())
    if not known and not nulls:
        return target(**given)
    # Rare: a field changes its place, so the copy is decoded from JSON like a received frame.
    bare = target(**{name: value for name, value in given.items() if name != "extra"})
    body = json_of(bare)
    whole = fit(join(extra, body, losses or Losses()), target)
    return bare if whole is None else whole


def _extra(extra: Any) -> dict[str, Json]:  # noqa: ANN401  # what may be unset
    found: dict[str, Json] = {} if extra is UNSET else extra
    return found


def join(theirs: Mapping[str, Json], ours: Mapping[str, Json], losses: Losses) -> dict[str, Json]:
    """Return the union of two objects. Where they differ, the value of `theirs` is lost."""
    for name in ours.keys() & theirs.keys():
        if ours[name] != theirs[name]:
            losses.drop(name, theirs[name], LossRule.TAKEN)
    return {**theirs, **ours}


def fit(body: dict[str, Json], kind: type[S]) -> S | None:
    """Return decoded JSON as a model that keeps misfitting values as unknown fields.

    Returns:
        The model, or `None` if a required field is missing.
    """
    whole: S | None = convert(body, kind)
    if whole is not None:
        return whole
    start = {"type": body["type"]} if "type" in body else {}
    odd = {
        name: value for name, value in body.items() if convert(start | {name: value}, kind) is None
    }
    fitting: S | None = convert({n: v for n, v in body.items() if n not in odd}, kind)
    if fitting is None:
        return None
    extra: Extra = getattr(fitting, "extra", UNSET)
    return msgspec.structs.replace(fitting, extra=({} if extra is UNSET else extra) | odd)


@cache
def _shared(source: type[msgspec.Struct], target: type[msgspec.Struct]) -> tuple[str, ...]:
    ours = set(target.__struct_fields__)
    return tuple(name for name in source.__struct_fields__ if name in ours)


@cache
def _own(target: type[msgspec.Struct]) -> frozenset[str]:
    tag = target.__struct_config__.tag_field
    return frozenset(target.__struct_fields__ if tag is None else (*target.__struct_fields__, tag))


@cache
def _never_null(target: type[msgspec.Struct]) -> frozenset[str]:
    """Return the fields that may be absent but not null."""
    config = target.__struct_config__
    start: dict[str, Json] = {} if config.tag_field is None else {config.tag_field: str(config.tag)}
    nulls = dict.fromkeys(name for name in target.__struct_fields__ if name != "extra")
    kept = keep_unknown(start | nulls, target)
    kept = kept.get(EXTRA_KEY) if isinstance(kept, dict) else None
    return frozenset(kept) if isinstance(kept, dict) else frozenset()


def json_of(model: msgspec.Struct) -> dict[str, Json]:
    """Return a model as decoded JSON, in its form on the wire."""
    body: dict[str, Json]
    try:
        body = msgspec.json.decode(encode_model(model))
    except UnicodeEncodeError:  # a delta of text that ends in the middle of a character
        body = msgspec.to_builtins(model)
    return body


def convert(body: Json, target: Any) -> Any:  # noqa: ANN401  # a union is no type
    """Return decoded JSON as a type or union, or `None` if it does not fit."""
    try:
        return msgspec.convert(keep_unknown(body, target), target)
    except msgspec.ValidationError:
        return None

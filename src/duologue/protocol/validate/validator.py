"""Walks an event or another model, and applies the rules of `limits` to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Final, TypeGuard, TypeVar, get_args

import msgspec
from msgspec import inspect

from duologue.errors import DecodeError
from duologue.protocol import beta, ga
from duologue.protocol._frame_limits import check_frame
from duologue.protocol._unknown_fields import explain, keep_unknown
from duologue.protocol.codec import Dialect, encode_model
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET, Event, Json, Model, Unknown, UnknownEvent
from duologue.protocol.validate.limits import (
    CLIENT_FIELDS,
    LIMITS,
    MAX_ENTRIES,
    REQUIRED_OF_CLIENTS,
)
from duologue.protocol.validate.rules import Constraint, Violation, no_longer_than

__all__ = ["Problem", "first_problem", "read_body", "validate"]

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason why the service would reject an event or model."""

    path: str
    """Path of the value, such as `session.audio.output.speed`: the `param` of an error."""
    code: str
    """`missing_required_parameter`, `unknown_parameter`, `invalid_value`, `invalid_type`,
    `array_above_max_length`, `integer_below_min_value` or `integer_above_max_value`."""
    message: str
    """Description of the problem, worded like the service's errors."""
    fix: str
    """Advice on how to correct it."""


def validate(subject: Event | UnknownEvent | Model, dialect: Dialect = "ga") -> list[Problem]:
    """Return the problems of an event, a configuration, an item or any other part. Never raises.

    Some rules apply only to client events, and to parts that are validated by themselves. A server
    event may omit fields that a client must set, such as the name of a tool. It may have unknown
    fields and any modalities.

    Args:
        subject: A decoded model, or one built by the caller, whose field types are checked as well.
        dialect: Dialect in which it will be sent.
    """
    return list(_problems(subject, dialect))


def first_problem(subject: Event | UnknownEvent | Model, dialect: Dialect = "ga") -> Problem | None:
    """Return the first problem that `validate` would return, and look for no other.

    A frame may have tens of thousands of them, and a server answers only one.
    """
    return next(_problems(subject, dialect), None)


def _problems(subject: Event | UnknownEvent | Model, dialect: Dialect) -> Iterator[Problem]:
    if isinstance(subject, UnknownEvent):
        yield _of_unknown_event(subject)
        return
    kind = type(subject)
    if kind not in _events(dialect) if isinstance(subject, Event) else _is_foreign(kind, dialect):
        name = f"'{subject.type}' in this form" if isinstance(subject, Event) else kind.__name__
        message = f"Invalid value: {name} does not exist in {dialect}."
        yield Problem("type", "invalid_value", message, "translate it first")
        return
    written = _as_written(subject)
    if isinstance(written, Problem):
        yield written
        return
    is_from_client = not isinstance(subject, Event) or kind in _client_events(dialect)
    yield from _walk(written, "", is_from_client=is_from_client)


def read_body(body: bytes, kind: type[M], dialect: Dialect = "ga") -> M | list[Problem]:
    """Return the JSON body of an HTTP request as a model, or its problems.

    Args:
        body: Body of the request.
        kind: Type of the body, such as `ga.rest.ClientSecretCreateParams`.
        dialect: Dialect of the body.

    Raises:
        DecodeError: If the body is not a JSON object, or is too deep.
    """
    check_frame(body)
    try:
        value: Json = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("the body is not JSON") from error
    if not isinstance(value, dict):
        raise DecodeError("the body is not an object")
    try:
        model = msgspec.json.decode(msgspec.json.encode(keep_unknown(value, kind)), type=kind)
    except msgspec.ValidationError as error:
        return [_of_reason(*explain(error))]
    return validate(model, dialect) or model


@cache
def _client_events(dialect: Dialect) -> frozenset[type]:
    if dialect == "beta":
        return frozenset(get_args(beta.KnownClientEvent))
    return frozenset(
        get_args(ga.KnownClientEvent) + get_args(translation.KnownTranslationClientEvent)
    )


@cache
def _events(dialect: Dialect) -> frozenset[type]:
    if dialect == "beta":
        return _client_events(dialect) | frozenset(get_args(beta.KnownServerEvent))
    known = get_args(ga.KnownServerEvent) + get_args(translation.KnownTranslationServerEvent)
    return _client_events(dialect) | frozenset(known)


def _is_foreign(kind: type, dialect: Dialect) -> bool:
    """Return whether a part exists in the other dialect only. Most parts are shared."""
    if dialect == "ga":
        return kind.__module__.startswith(beta.__name__)
    return kind.__module__.startswith(ga.__name__) and kind not in _in_beta()


@cache
def _in_beta() -> frozenset[type]:
    """Return every struct that can be part of one of beta's events."""
    found: set[type] = set()
    left: list[inspect.Type] = list(inspect.multi_type_info(_events("beta")))
    while left:
        info = left.pop()
        if isinstance(info, inspect.StructType) and info.cls not in found:
            found.add(info.cls)
            left += [field.type for field in info.fields]
        elif isinstance(info, inspect.UnionType):
            left += info.types
        elif isinstance(info, inspect.ListType):
            left.append(info.item_type)
        elif isinstance(info, inspect.DictType):
            left.append(info.value_type)
    return frozenset(found)


def _of_unknown_event(event: UnknownEvent) -> Problem:
    if event.reason is None:
        message = f"Invalid value: '{event.type}'. This dialect has no such event."
        return Problem("type", "invalid_value", message, "send an event from the API reference")
    return _of_reason(event.reason, event.path)


def _as_written(subject: Event | Model) -> Event | Model | Problem:
    """Return a model as its receiver will decode it. One that was built here may hold anything."""
    if isinstance(subject, Event) and subject.raw is not None:
        return subject
    try:
        body = keep_unknown(msgspec.json.decode(encode_model(subject)), type(subject))
        return msgspec.json.decode(msgspec.json.encode(body), type=type(subject))
    except msgspec.ValidationError as error:
        return _of_reason(*explain(error))
    except _NOT_JSON as error:
        return _of_reason(str(error), _unwritable(subject))


_NOT_JSON: Final = (
    msgspec.MsgspecError,  # a `Raw` that does not hold JSON
    TypeError,  # an object that JSON cannot represent
    ValueError,  # a lone surrogate
    OverflowError,  # an integer of more than 64 bits
    RecursionError,
    LookupError,  # JSON that contains the codec's own tag of an `Unknown`
    AttributeError,  # another type in place of a mapping
)


def _unwritable(model: object, path: str = "") -> str:
    """Return the path of the value that cannot be encoded; `type` if it is the model itself."""
    for step, value in _members(model):
        if not _is_writable(value):
            return _unwritable(value, f"{path}{step}")
    return path.removeprefix(".") or "type"


def _members(value: object) -> Iterator[tuple[str, object]]:
    """Yield the fields of a model and the models of a list. Arbitrary JSON is not entered."""
    if isinstance(value, Model):
        yield from ((f".{name}", getattr(value, name)) for name in _fields(value))
        yield from ((f".{name}", entry) for name, entry in _extra(value).items())
    elif _is_list(value):
        numbered = enumerate(value)
        yield from ((f"[{index}]", entry) for index, entry in numbered if isinstance(entry, Model))


def _fields(model: Model) -> list[str]:
    return [name for name in model.__struct_fields__ if name != "extra"]


def _extra(model: Model) -> dict[str, object]:
    return model.extra if isinstance(model.extra, dict) else {}


def _is_writable(value: object) -> bool:
    try:
        msgspec.json.decode(encode_model(_Holder(value)))
    except _NOT_JSON:
        return False
    return True


class _Holder(msgspec.Struct):
    value: object


def _of_reason(reason: str, path: str | None) -> Problem:
    where = path or "type"
    if "missing required field" in reason:
        return _missing(where, f"set '{where}'")
    message = f"Invalid type for '{where}': {reason[:1].lower()}{reason[1:]}."
    return Problem(where, "invalid_type", message, "use the type from the API reference")


def _missing(path: str, fix: str) -> Problem:
    message = f"Missing required parameter: '{path}'."
    return Problem(path, "missing_required_parameter", message, fix)


def _unknown(path: str, fix: str) -> Problem:
    return Problem(path, "unknown_parameter", f"Unknown parameter: '{path}'.", fix)


def _walk(value: object, path: str, *, is_from_client: bool) -> Iterator[Problem]:
    if isinstance(value, Unknown):
        yield _of_unknown_member(value, path)
    elif isinstance(value, Model):
        yield from _walk_model(value, path, is_from_client=is_from_client)
    elif _is_list(value):
        if is_from_client:
            yield from map(partial(_of_violation, path=path), _within_limits(value))
        for index, entry in enumerate(value):
            if isinstance(entry, Model):  # arbitrary JSON is not validated
                yield from _walk(entry, f"{path}[{index}]", is_from_client=is_from_client)
    elif _is_mapping(value):
        for key, entry in value.items():
            if isinstance(entry, Model):
                yield from _walk(entry, f"{path}.{key}", is_from_client=is_from_client)


_within_limits: Final = no_longer_than(MAX_ENTRIES)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_mapping(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _walk_model(model: Model, path: str, *, is_from_client: bool) -> Iterator[Problem]:
    constraints = _constraints(type(model))
    for name in model.__struct_fields__:
        value: object = getattr(model, name)
        if value is UNSET or value is None or name == "extra":
            continue
        here = f"{path}.{name}" if path else name
        constraint = constraints.get(name) if is_from_client or name not in CLIENT_FIELDS else None
        for violation in constraint(value) if constraint else ():
            yield _of_violation(violation, here)
        yield from _walk(value, here, is_from_client=is_from_client)
    yield from _walk_extra(model, path, is_from_client=is_from_client)
    for group in REQUIRED_OF_CLIENTS.get(type(model), ()) if is_from_client else ():
        if all(getattr(model, name, UNSET) is UNSET for name in group):
            yield _missing(f"{path}.{group[0]}" if path else group[0], f"set {' or '.join(group)}")


def _walk_extra(model: Model, path: str, *, is_from_client: bool) -> Iterator[Problem]:
    for name in _extra(model):
        here = f"{path}.{name}" if path else name
        if name in model.__struct_encode_fields__:
            yield _of_type(here, "leave it out: it must not be null")
        elif is_from_client:
            yield _unknown(here, "leave it out, or check the spelling")


@cache
def _constraints(kind: type) -> dict[str, Constraint]:
    """Return the constraints of a type, those of its bases included."""
    constraints: dict[str, Constraint] = {}
    for base in reversed(kind.__mro__):
        constraints |= LIMITS.get(base, {})
    return constraints


def _of_unknown_member(member: Unknown, path: str) -> Problem:
    where = f"{path}.type" if path else "type"
    if "type" not in member.raw:
        return _missing(where, "set `type`")
    if member.type is None:
        return _of_type(where, "set it to a string")
    message = f"Invalid value: '{member.type}'."
    return Problem(where, "invalid_value", message, "use a type from the API reference")


def _of_violation(violation: Violation, path: str) -> Problem:
    where = path + violation.path
    make = _BY_CODE.get(violation.code)
    if make:
        return make(where, violation.fix)
    return Problem(where, violation.code, f"Invalid '{where}': {violation.message}", violation.fix)


def _of_type(path: str, fix: str) -> Problem:
    return Problem(path, "invalid_type", f"Invalid type for '{path}'.", fix)


_BY_CODE: Final = {
    "missing_required_parameter": _missing,
    "unknown_parameter": _unknown,
    "invalid_type": _of_type,
}

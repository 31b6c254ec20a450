"""What a server would refuse, found before it is sent; what a client sent wrong, said in its words.

Decoding is generous: it keeps what it does not know. `validate` is not: unknown fields and values,
numbers out of range, combinations that the service refuses are each a `Problem`. A client asks it
before sending; a server answers each with an `error` event whose `param` is the path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeGuard, TypeVar, get_args

import msgspec
from msgspec import inspect

from duologue.errors import DecodeError
from duologue.protocol import beta, ga
from duologue.protocol._depth import check_depth
from duologue.protocol._unknown_fields import explain, lift
from duologue.protocol.codec import Dialect, encode_model
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET, Event, Json, Model, Unknown, UnknownEvent
from duologue.protocol.validate.limits import ASKED, ASKED_FIELDS, LIMITS
from duologue.protocol.validate.rules import Fault, Rule

__all__ = ["Problem", "read_body", "validate"]

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why the service would refuse something."""

    path: str
    """Where: `session.audio.output.speed`; the `param` of the service's error."""
    code: str
    """`missing_required_parameter`, `unknown_parameter`, `invalid_value` or `invalid_type`."""
    message: str
    """What is wrong, in the manner of the service."""
    fix: str
    """What to do about it."""


def validate(subject: Event | UnknownEvent | Model, dialect: Dialect = "ga") -> list[Problem]:
    """Return what is wrong with an event, or with a configuration, an item or any other part.

    What a client alone must say (a tool's name, the text of a part) is asked of client events and
    of parts; a server's events may leave it out, have fields that nobody knows yet, and name the
    modalities as they like. Never raises.

    Args:
        subject: Decoded, or built here; what was built is checked for the types of its fields, too.
        dialect: The one that it is to be sent in.
    """
    if isinstance(subject, UnknownEvent):
        return [_of_unknown_event(subject)]
    kind = type(subject)
    if kind not in _events(dialect) if isinstance(subject, Event) else _is_foreign(kind, dialect):
        name = f"'{subject.type}' in this form" if isinstance(subject, Event) else kind.__name__
        message = f"Invalid value: {name} is not of {dialect}."
        return [Problem("type", "invalid_value", message, "translate it first")]
    written = _as_written(subject)
    if isinstance(written, Problem):
        return [written]
    is_asked = not isinstance(subject, Event) or kind in _client_events(dialect)
    return list(_walk(written, "", is_asked=is_asked))


def read_body(body: bytes, kind: type[M], dialect: Dialect = "ga") -> M | list[Problem]:
    """Return what the JSON body of a request says, or what is wrong with it.

    Args:
        body: Of a request beside the socket.
        kind: What the request takes: `ga.rest.ClientSecretCreateParams`.
        dialect: The one that the body is in.

    Raises:
        DecodeError: If the body is no JSON object, or is too deep.
    """
    check_depth(body)
    try:
        value: Json = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError("the body is not JSON") from error
    if not isinstance(value, dict):
        raise DecodeError("the body is no object")
    try:
        model = msgspec.json.decode(msgspec.json.encode(lift(value, kind)), type=kind)
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
    """Say whether a part is the other dialect's alone; most are shared."""
    if dialect == "ga":
        return kind.__module__.startswith(beta.__name__)
    return kind.__module__.startswith(ga.__name__) and kind not in _in_beta()


@cache
def _in_beta() -> frozenset[type]:
    """Return every struct that can stand in one of beta's events."""
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
        message = f"Invalid value: '{event.type}'. It is no event of this dialect."
        return Problem("type", "invalid_value", message, "send an event that the reference lists")
    return _of_reason(event.reason, event.path)


def _as_written(subject: Event | Model) -> Event | Model | Problem:
    """Return a model as its reader will have it: what was built here may hold anything."""
    if isinstance(subject, Event) and subject.raw is not None:
        return subject
    try:
        body = lift(msgspec.json.decode(encode_model(subject)), type(subject))
        return msgspec.json.decode(msgspec.json.encode(body), type=type(subject))
    except msgspec.ValidationError as error:
        return _of_reason(*explain(error))
    except _NOT_JSON as error:
        return _of_reason(str(error), _unwritable(subject))


_NOT_JSON: Final = (
    msgspec.MsgspecError,  # a `Raw` that holds no JSON
    TypeError,  # an object that is not JSON's
    ValueError,  # a lone surrogate
    OverflowError,  # an integer of more than 64 bits
    RecursionError,
    LookupError,  # the tag of our own `Unknown`, as data
    AttributeError,  # no mapping where one must be
)


def _unwritable(model: object, path: str = "") -> str:
    """Return where a model holds what cannot be written; `type` if it is the model itself."""
    for step, value in _members(model):
        if not _is_writable(value):
            return _unwritable(value, f"{path}{step}")
    return path.removeprefix(".") or "type"


def _members(value: object) -> Iterator[tuple[str, object]]:
    """Give a model's fields and a list's models; free JSON is one whole."""
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
    return Problem(where, "invalid_type", message, "send the type that the reference gives")


def _missing(path: str, fix: str) -> Problem:
    message = f"Missing required parameter: '{path}'."
    return Problem(path, "missing_required_parameter", message, fix)


def _unknown(path: str, fix: str) -> Problem:
    return Problem(path, "unknown_parameter", f"Unknown parameter: '{path}'.", fix)


def _walk(value: object, path: str, *, is_asked: bool) -> Iterator[Problem]:
    if isinstance(value, Unknown):
        yield _of_unknown_member(value, path)
    elif isinstance(value, Model):
        yield from _walk_model(value, path, is_asked=is_asked)
    elif _is_list(value):
        for index, entry in enumerate(value):
            if isinstance(entry, Model):  # free JSON may be nested as deep as it likes
                yield from _walk(entry, f"{path}[{index}]", is_asked=is_asked)
    elif _is_mapping(value):
        for key, entry in value.items():
            if isinstance(entry, Model):
                yield from _walk(entry, f"{path}.{key}", is_asked=is_asked)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_mapping(value: object) -> TypeGuard[dict[str, object]]:
    return isinstance(value, dict)


def _walk_model(model: Model, path: str, *, is_asked: bool) -> Iterator[Problem]:
    rules = _rules(type(model))
    for name in _fields(model):
        value: object = getattr(model, name)
        if value is UNSET or value is None:
            continue
        here = f"{path}.{name}" if path else name
        rule = rules.get(name) if is_asked or name not in ASKED_FIELDS else None
        for fault in rule(value) if rule else ():
            yield _of_fault(fault, here)
        yield from _walk(value, here, is_asked=is_asked)
    yield from _walk_extra(model, path, is_asked=is_asked)
    for group in ASKED.get(type(model), ()) if is_asked else ():
        if all(getattr(model, name, UNSET) is UNSET for name in group):
            yield _missing(f"{path}.{group[0]}" if path else group[0], f"set {' or '.join(group)}")


def _walk_extra(model: Model, path: str, *, is_asked: bool) -> Iterator[Problem]:
    for name in _extra(model):
        here = f"{path}.{name}" if path else name
        if name in model.__struct_encode_fields__:
            yield _of_type(here, "leave it out: it cannot be null")
        elif is_asked:
            yield _unknown(here, "leave it out, or mind the spelling")


@cache
def _rules(kind: type) -> dict[str, Rule]:
    """Return the rules of a type and of its bases."""
    rules: dict[str, Rule] = {}
    for base in reversed(kind.__mro__):
        rules |= LIMITS.get(base, {})
    return rules


def _of_unknown_member(member: Unknown, path: str) -> Problem:
    where = f"{path}.type" if path else "type"
    if "type" not in member.raw:
        return _missing(where, "say which kind it is")
    if member.type is None:
        return _of_type(where, "name the kind in a string")
    message = f"Invalid value: '{member.type}'."
    return Problem(where, "invalid_value", message, "use a kind that the reference lists")


def _of_fault(fault: Fault, path: str) -> Problem:
    where = path + fault.path
    make = _BY_CODE.get(fault.code)
    if make:
        return make(where, fault.fix)
    return Problem(where, fault.code, f"Invalid '{where}': {fault.message}", fault.fix)


def _of_type(path: str, fix: str) -> Problem:
    return Problem(path, "invalid_type", f"Invalid type for '{path}'.", fix)


_BY_CODE: Final = {
    "missing_required_parameter": _missing,
    "unknown_parameter": _unknown,
    "invalid_type": _of_type,
}

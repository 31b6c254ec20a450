"""What a server would refuse, found before it is sent; what a client sent wrong, said in its words.

Decoding is generous: it keeps what it does not know. `validate` is not: unknown fields and values,
numbers out of range, combinations that the service refuses are each a `Problem`. A client asks it
before sending; a server answers each with an `error` event whose `param` is the path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeGuard, get_args

import msgspec

from duologue.protocol import beta, ga
from duologue.protocol._lenient import explain, lift
from duologue.protocol._limits import ASKED, LIMITS, Fault, Rule
from duologue.protocol.codec import Dialect, encode_model
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET, Event, Model, Unknown, UnknownEvent

__all__ = ["Problem", "validate"]


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
    of parts; a server's events may leave it out.

    Args:
        subject: Decoded, or built here; what was built is checked for the types of its fields, too.
        dialect: The one that it is to be sent in.
    """
    if isinstance(subject, UnknownEvent):
        return [_of_unknown_event(subject)]
    if isinstance(subject, Event) and type(subject) not in _events(dialect):
        message = f"Invalid value: '{subject.type}' in this form is no event of {dialect}."
        return [Problem("type", "invalid_value", message, "translate it first")]
    mistyped = _mistyped(subject)
    if mistyped:
        return [mistyped]
    is_asked = not isinstance(subject, Event) or type(subject) in _client_events(dialect)
    return list(_walk(subject, "", is_asked=is_asked))


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


def _of_unknown_event(event: UnknownEvent) -> Problem:
    if event.reason is None:
        message = f"Invalid value: '{event.type}'. It is no event of this dialect."
        return Problem("type", "invalid_value", message, "send an event that the reference lists")
    return _of_reason(event.reason, event.path)


def _mistyped(subject: Event | Model) -> Problem | None:
    """Return what of a model that was built here has the wrong type: constructors do not look."""
    if isinstance(subject, Event) and subject.raw is not None:
        return None
    try:
        body = lift(msgspec.json.decode(encode_model(subject)), type(subject))
        msgspec.json.decode(msgspec.json.encode(body), type=type(subject))
    except msgspec.ValidationError as error:
        return _of_reason(*explain(error))
    return None


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
            yield from _walk(entry, f"{path}[{index}]", is_asked=is_asked)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _walk_model(model: Model, path: str, *, is_asked: bool) -> Iterator[Problem]:
    rules = _rules(type(model))
    for name in model.__struct_fields__:
        value: object = getattr(model, name)
        if value is UNSET or value is None or name == "extra":
            continue
        here = f"{path}.{name}" if path else name
        rule = rules.get(name)
        for fault in rule(value) if rule else ():
            yield _of_fault(fault, here)
        yield from _walk(value, here, is_asked=is_asked)
    for name in model.extra if isinstance(model.extra, dict) else ():
        yield _unknown(f"{path}.{name}" if path else name, "leave it out, or mind the spelling")
    for group in ASKED.get(type(model), ()) if is_asked else ():
        if all(getattr(model, name, UNSET) is UNSET for name in group):
            yield _missing(f"{path}.{group[0]}" if path else group[0], f"set {' or '.join(group)}")


@cache
def _rules(kind: type) -> dict[str, Rule]:
    """Return the rules of a type and of its bases."""
    rules: dict[str, Rule] = {}
    for base in reversed(kind.__mro__):
        rules |= LIMITS.get(base, {})
    return rules


def _of_unknown_member(member: Unknown, path: str) -> Problem:
    where = f"{path}.type" if path else "type"
    if member.type is None:
        return _missing(where, "say which kind it is")
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

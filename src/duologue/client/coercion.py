"""Arguments of the application as the types of the protocol, checked before anything is sent.

Wherever the client accepts a struct, it accepts a dictionary of the same fields, too, and a struct
of the beta dialect. All of them become plain JSON first and structs of GA afterwards, so that a
wrong value is found however deep it is, and named by its path.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeGuard, TypeVar, cast, get_args

import msgspec

from duologue.errors import ConfigurationError, LocalProtocolError
from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.protocol.model import UNSET, Model, Raw, Unknown

if TYPE_CHECKING:
    from duologue.protocol.formats import Format
    from duologue.protocol.ga import ContentPart, Item

__all__ = [
    "all_of", "argument", "audio_bytes", "coerce", "content_parts", "hint", "is_mapping",
    "is_number", "is_object", "is_text", "item", "nearest", "plain", "seconds", "with_ga_parts",
]  # fmt: skip

T = TypeVar("T")

MAX_DEPTH: Final = 100
"""Levels of objects and arrays: half of what a receiver of ours accepts in a frame."""

ErrorClass = type[ConfigurationError] | type[LocalProtocolError]


def plain(value: object, *, at: str) -> Any:  # noqa: ANN401  # any JSON
    """Return a value as plain JSON: structs as dictionaries, without their unset fields.

    Args:
        value: Any value.
        at: Name of the value in errors.

    Raises:
        LocalProtocolError: If JSON cannot express it; the message names the field.
    """
    return _plain(value, at, 0)


def coerce(
    fields: object,
    kind: Any,  # noqa: ANN401  # a struct, or a union of structs
    *,
    at: str,
    error: ErrorClass = LocalProtocolError,
    has_extra: bool = True,
) -> Any:  # noqa: ANN401  # an instance of `kind`
    """Return plain JSON as a struct.

    Unknown fields are kept in `extra`, and an unknown `type` makes the union's `Unknown` struct.

    Args:
        fields: The JSON.
        kind: The struct, or a union of structs.
        at: Name of the value in errors.
        error: Class of the error.
        has_extra: Whether unknown fields are meant; otherwise one that resembles a known field is
            refused as a misspelling.

    Raises:
        ConfigurationError: If it does not fit, or `LocalProtocolError`, as `error` says.
    """
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError:
        pass  # it is wrong, or has unknown fields
    from duologue.protocol._unknown_fields import explain, keep_unknown  # noqa: PLC0415  # rare, slow to import

    try:
        result = msgspec.convert(keep_unknown(cast("Any", fields), kind), kind)
    except msgspec.ValidationError as failure:
        reason, path = explain(failure)
        where = _join(at, path or "")
        if "missing required" in reason:
            raise error(f"{where} is missing") from None
        raise error(f"{where}: {reason[:1].lower()}{reason[1:]}") from None
    if not has_extra:
        for misspelling in _misspellings(result, at):
            raise error(misspelling)
    return result


def argument(value: object, kind: type[T], name: str) -> T:
    """Return an argument whose type is as simple as `str` or `int`.

    Raises:
        LocalProtocolError: If it has another type.
    """
    if isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool):
        return value
    raise LocalProtocolError(f"{name} must be of type {kind.__name__}, not {_type_name(value)}")


def all_of(values: object, kind: type[T], name: str) -> list[T]:
    """Return an argument that holds values of one class.

    Raises:
        LocalProtocolError: If it cannot be iterated over, or holds anything else.
    """
    if not isinstance(values, Iterable):
        raise LocalProtocolError(f"{name} must be a list, not {_type_name(values)}")
    return [argument(value, kind, f"each of {name}") for value in cast("Iterable[object]", values)]


def is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    """Return whether a value is a mapping, of anything."""
    return isinstance(value, Mapping)


def is_text(value: object) -> TypeGuard[str]:
    """Return whether a value is text."""
    return isinstance(value, str)


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number, and not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether plain JSON is an object."""
    return isinstance(value, dict)


def seconds(value: object, name: str) -> float | None:
    """Return a time limit, a number of seconds; `None`: no limit.

    Raises:
        LocalProtocolError: If it is neither.
    """
    if value is None:
        return None
    try:
        number = float(value) if is_number(value) else math.nan
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        raise LocalProtocolError(f"{name} must be a number of seconds, not {_type_name(value)}")
    return number


def nearest(name: str, names: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """Return the name that resembles `name` most; `None` if none does."""
    return next(iter(get_close_matches(name[:200], list(names), 1, likeness)), None)


def hint(name: str, names: Iterable[str]) -> str:
    """Return the end of a message that asks whether the nearest name was meant; it may be empty."""
    match = nearest(name, names)
    return "" if match is None else f": did you mean {match!r}?"


# The parts of a conversation.


def item(value: object) -> Item:
    """Return an item in GA.

    Raises:
        LocalProtocolError: If it is none; the message names the field.
    """
    fields = with_ga_parts(plain(value, at="item"))
    result: Item = coerce(fields, ga.Item, at="item", has_extra=isinstance(value, Model))
    return result


def content_parts(content: object) -> list[ContentPart]:
    """Return the content of a user message, from its text or its parts.

    Raises:
        LocalProtocolError: If it is neither; the message names the field.
    """
    if isinstance(content, str):
        return [ga.InputText(text=content)] if content else []
    parts = plain(content, at="content")
    if not isinstance(parts, list):
        text = "content must be text, or a list of content parts"
        raise LocalProtocolError(f"{text}, not {_type_name(content)}")
    fields = with_ga_parts({"type": "message", "role": "user", "content": parts})
    has_extra = all(isinstance(part, Model) for part in cast("Iterable[object]", content))
    message: ga.Message = coerce(fields, ga.Message, at="the message", has_extra=has_extra)
    return message.content


def with_ga_parts(fields: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return the JSON of an item with beta's names of content parts replaced by those of GA."""
    if not is_object(fields):
        return fields
    parts: object = fields.get("content")
    if fields.get("type") != "message" or not isinstance(parts, list):
        return fields
    side = "output" if fields.get("role") == "assistant" else "input"
    renamed = [
        {**part, "type": f"{side}_{part['type']}"}
        if is_object(part) and part.get("type") in ("text", "audio")
        else part
        for part in cast("list[object]", parts)
    ]
    return {**fields, "content": renamed}


def audio_bytes(audio: object, audio_format: Format) -> bytes:
    """Return the bytes of audio: of an object with the buffer protocol, such as a NumPy array.

    Its elements are bytes, or samples of 16 bits if that is the format. The number of bytes is
    free, as on the wire.

    Raises:
        LocalProtocolError: If it is no such object, or has elements of another type, or more
            channels than one.
    """
    if isinstance(audio, str):
        raise LocalProtocolError("audio must be bytes, not text: decode base64 first")
    try:
        view = memoryview(cast("bytes", audio))
    except (TypeError, ValueError, BufferError):
        text = f"audio must be bytes, or an array of samples, not {_type_name(audio)}"
        raise LocalProtocolError(text) from None
    if view.ndim == 0 or sum(length != 1 for length in view.shape or ()) > 1:
        text = f"audio must be one channel, not an array of shape {view.shape}"
        raise LocalProtocolError(f"{text}: mix it down, or send `audio[:, 0]`")
    if view.format.lstrip("@=<") in {"B", "b", "c"}:
        return view.tobytes()
    if audio_format is PCM16 and view.format.lstrip("@=<") == "h":
        return view.tobytes()
    raise LocalProtocolError(_wrong_elements(view, audio_format))


def _wrong_elements(view: memoryview, audio_format: Format) -> str:
    name = view.format
    if audio_format is not PCM16:
        return f"audio in this format has one byte a sample, not elements of format {name!r}"
    if name[-1:] in {"e", "f", "d"}:
        fix = "convert it with `(audio * 32767).astype('<i2')`"
        return f"audio must be 16-bit samples, not floating-point ones: {fix}"
    return f"audio must be 16-bit samples, not elements of format {name!r}: use `.astype('<i2')`"


# Plain JSON.


def _plain(value: object, at: str, depth: int) -> Any:  # noqa: ANN401  # any JSON
    if depth > MAX_DEPTH:
        raise LocalProtocolError(f"{at} is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Unknown):
        value = value.raw
    if isinstance(value, Model):
        return _plain_fields(value, at, depth)
    if is_mapping(value):
        return {
            _key(key, at): _plain(entry, _join(at, str(key)), depth + 1)
            for key, entry in value.items()
            if entry is not UNSET
        }
    if _is_list(value):
        return [_plain(entry, f"{at}[{i}]", depth + 1) for i, entry in enumerate(value)]
    return _scalar(value, at)


def _is_list(value: object) -> TypeGuard[Iterable[object]]:
    is_scalar = isinstance(value, str | bytes | bytearray | memoryview | Raw)
    return isinstance(value, Sequence | AbstractSet) and not is_scalar


def _scalar(value: object, at: str) -> Any:  # noqa: ANN401  # any JSON
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"{at} cannot be written as JSON: {error}") from None
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Raw):
        try:
            return msgspec.json.decode(value)
        except (ValueError, RecursionError):
            raise LocalProtocolError(f"{at} is not JSON") from None
    name = value if isinstance(value, float) else f"a value of type {_type_name(value)}"
    fix = ": encode it as base64" if isinstance(value, bytes | bytearray | memoryview) else ""
    raise LocalProtocolError(f"{at} is {name}, which cannot be written as JSON{fix}")


def _plain_fields(model: Model, at: str, depth: int) -> dict[str, Any]:
    config = model.__struct_config__
    fields: dict[str, Any] = {}
    if config.tag is not None:
        fields[str(config.tag_field)] = config.tag
    for name, wire in zip(model.__struct_fields__, model.__struct_encode_fields__, strict=True):
        entry: object = getattr(model, name)
        if entry is not UNSET and name != "extra":
            fields[wire] = _plain(entry, _join(at, wire), depth + 1)
    extra = _plain({} if model.extra is UNSET else model.extra, at, depth)
    if not isinstance(extra, dict):
        raise LocalProtocolError(f"{at}: `extra` must be a dictionary")
    return cast("dict[str, Any]", extra) | fields


def _key(key: object, at: str) -> str:
    if isinstance(key, str):
        return key
    text = f"{at} has a key of type {_type_name(key)}: the names of fields are text"
    raise LocalProtocolError(text)


def _join(path: str, field: str) -> str:
    return f"{path}.{field}" if path and field and not field.startswith("[") else path + field


def _type_name(value: object) -> str:
    return type(value).__name__


# Misspellings.

_LIKENESS: Final = 0.85
"""Above it a name is a misspelling: `instruction`, but not `modalities` for `output_modalities`."""

_UNIONS: Final[Mapping[type, Any]] = {
    ga.UnknownItem: ga.Item,
    ga.UnknownPart: ga.ContentPart,
    ga.UnknownTool: ga.Tool,
    ga.UnknownToolChoice: ga.ToolChoice,
    ga.UnknownTurnDetection: ga.TurnDetection,
    ga.UnknownAudioFormat: ga.AudioFormat,
    ga.UnknownTruncation: ga.Truncation,
    ga.UnknownSession: ga.Session,
}
"""The union that an object of an unknown type is a member of."""


def _misspellings(value: object, at: str) -> Iterator[str]:
    """Yield a sentence for each name in a struct that resembles a known one."""
    if isinstance(value, Unknown):
        yield from _misspelled_type(value, at)
    elif isinstance(value, Model):
        known = value.__struct_encode_fields__
        for name in value.extra if isinstance(value.extra, dict) else {}:
            match = nearest(name, known, likeness=_LIKENESS)
            if match is not None and match != name:
                yield f"{_join(at, name)} is no field: did you mean {match!r}?"
        for name in known:
            yield from _misspellings(getattr(value, name, None), _join(at, name))
    elif isinstance(value, list):
        for index, entry in enumerate(cast("list[object]", value)):
            yield from _misspellings(entry, f"{at}[{index}]")


def _misspelled_type(value: Unknown, at: str) -> Iterator[str]:
    members = filter(lambda member: isinstance(member, type), get_args(_UNIONS.get(type(value))))
    tags = [str(tag) for kind in members if isinstance(tag := _tag(kind), str)]
    if value.type is None and tags:
        yield f"{_join(at, 'type')} is missing: {', '.join(sorted(tags))}"
    elif value.type is not None and (match := nearest(value.type, tags, likeness=_LIKENESS)):
        yield f"{_join(at, 'type')} is {value.type!r}: did you mean {match!r}?"


def _tag(kind: type) -> object:
    if issubclass(kind, Unknown) or not issubclass(kind, Model):
        return None
    return kind.__struct_config__.tag

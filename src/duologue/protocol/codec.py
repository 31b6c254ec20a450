"""Codec: frames to events and back.

Decoding takes one or two passes. The first is a single msgspec call that accepts frames that fit
the types exactly, which is nearly all of them. Any other frame takes the second, slower pass, which
first moves its unknown fields and union members to where the types keep them (`_unknown_fields`).
Therefore decoding fails only if a frame is not an event at all.

A decoded event keeps its frame. Encoding an unchanged event returns that frame, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, cast, overload

import msgspec
from pybase64 import b64encode, b64encode_as_string

from duologue.errors import ConfigurationError, DecodeError
from duologue.protocol import ga
from duologue.protocol._audio_splice import WORTHWHILE_BYTES, splicer
from duologue.protocol._frame_limits import SHALLOW_BYTES, UNCOUNTED_BYTES, check_frame
from duologue.protocol.model import (
    EXTRA_KEY,
    UNKNOWN_TAG,
    UNSET,
    Event,
    Json,
    Model,
    Raw,
    Unknown,
    UnknownEvent,
    UnsetType,
)

if TYPE_CHECKING:
    from typing import Any

    from duologue.protocol import beta
    from duologue.protocol.ga import translation

__all__ = [
    "MAX_FRAME_BYTES",
    "Dialect",
    "Direction",
    "Surface",
    "append_event",
    "append_frame",
    "decode",
    "decode_leniently",
    "decoder_for",
    "encode",
    "encode_model",
    "event_union",
    "reader",
]

Dialect = Literal["ga", "beta"]
"""Dialect of the events on the wire."""

Direction = Literal["client", "server"]
"""Sender of the events."""

Surface = Literal["realtime", "transcription", "translation"]
"""Purpose of the connection. The first two share their events; the last exists in GA only."""

SecondPass = Callable[[bytes, Dialect, Direction, Surface], Event | UnknownEvent]
"""Decodes a frame that the first pass rejected."""

MAX_FRAME_BYTES: Final = 64 << 20
"""Limit on the size of a frame. The API itself stops at 15 MiB of audio in an event."""


class _Head(msgspec.Struct):
    """The fields of a frame that identify it."""

    type: str
    event_id: str | UnsetType = UNSET


_head_decoder: Final = msgspec.json.Decoder(_Head)
_encoder: Final = msgspec.json.Encoder()


@cache
def event_union(
    dialect: Dialect, direction: Direction = "server", surface: Surface = "realtime"
) -> Any:  # noqa: ANN401  # a union has no type that checkers know
    """Return the union of the known events of a dialect; beta and translation are imported lazily.

    Raises:
        ConfigurationError: If `surface` does not exist in `dialect`.
    """
    if surface == "translation":
        from duologue.protocol.ga import translation  # noqa: PLC0415  # rare

        if dialect == "beta":
            raise ConfigurationError("translation sessions exist in GA only")
        if direction == "server":
            return translation.KnownTranslationServerEvent
        return translation.KnownTranslationClientEvent
    if dialect == "beta":
        from duologue.protocol import beta  # noqa: PLC0415  # half of the import time

        return beta.KnownServerEvent if direction == "server" else beta.KnownClientEvent
    return ga.KnownServerEvent if direction == "server" else ga.KnownClientEvent


@cache
def _decoder(
    dialect: Dialect, direction: Direction, surface: Surface
) -> msgspec.json.Decoder[Event]:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
        event_union(dialect, direction, surface)
    )
    return decoder


@overload
def decode(
    frame: bytes | bytearray | memoryview | str,
    *,
    dialect: Literal["ga"] = "ga",
    direction: Literal["server"] = "server",
    surface: Literal["realtime", "transcription"] = "realtime",
) -> ga.AnyServerEvent: ...


@overload
def decode(
    frame: bytes | bytearray | memoryview | str,
    *,
    dialect: Literal["ga"] = "ga",
    direction: Literal["client"],
    surface: Literal["realtime", "transcription"] = "realtime",
) -> ga.AnyClientEvent: ...


@overload
def decode(
    frame: bytes | bytearray | memoryview | str,
    *,
    dialect: Literal["beta"],
    direction: Literal["server"] = "server",
    surface: Literal["realtime", "transcription"] = "realtime",
) -> beta.AnyServerEvent: ...


@overload
def decode(
    frame: bytes | bytearray | memoryview | str,
    *,
    dialect: Literal["beta"],
    direction: Literal["client"],
    surface: Literal["realtime", "transcription"] = "realtime",
) -> beta.AnyClientEvent: ...


@overload
def decode(
    frame: bytes | bytearray | memoryview | str,
    *,
    dialect: Literal["ga"] = "ga",
    direction: Literal["server"] = "server",
    surface: Literal["translation"],
) -> translation.AnyTranslationServerEvent: ...


@overload
def decode(
    frame: bytes | bytearray | memoryview | str,
    *,
    dialect: Literal["ga"] = "ga",
    direction: Literal["client"],
    surface: Literal["translation"],
) -> translation.AnyTranslationClientEvent: ...


@overload
def decode(
    frame: bytes | bytearray | memoryview | str,
    *,
    dialect: Dialect = "ga",
    direction: Direction = "server",
    surface: Surface = "realtime",
) -> Event | UnknownEvent: ...


def decode(
    frame: bytes | bytearray | memoryview | str,
    *,
    dialect: Dialect = "ga",
    direction: Direction = "server",
    surface: Surface = "realtime",
) -> Event | UnknownEvent:
    """Return the event of a frame.

    An event of an unknown type, or one with a missing or mistyped field, becomes an `UnknownEvent`.
    Other unknown content is kept inside its event. The base64 of an audio field is not checked
    until its `audio_data` is read.

    Args:
        frame: One whole message. Bytes are kept without a copy; other types are copied.
        dialect: Dialect of the event.
        direction: Sender of the event.
        surface: Purpose of the connection.

    Raises:
        ConfigurationError: If `surface` does not exist in `dialect`.
        DecodeError: If the frame is not a JSON object with a `type`, or exceeds a limit: on its
            size, its nesting, or the number of its values.
    """
    decode_frame = decoder_for(dialect, direction, surface)
    return decode_frame(frame if isinstance(frame, bytes) else _to_bytes(frame))


@cache
def decoder_for(
    dialect: Dialect = "ga",
    direction: Direction = "server",
    surface: Surface = "realtime",
    second_pass: SecondPass | None = None,
) -> Callable[[bytes], Event | UnknownEvent]:
    """Return a specialised `decode` for repeated use.

    Args:
        dialect: Dialect of the events.
        direction: Sender of the events.
        surface: Purpose of the connection.
        second_pass: Decodes frames that do not fit the types exactly; `decode_leniently` if `None`.

    Raises:
        ConfigurationError: If `surface` does not exist in `dialect`.
    """
    decode_again = second_pass or decode_leniently
    decode_exactly = _decoder(dialect, direction, surface).decode

    splice = splicer(direction, decode_exactly)

    def decode_frame(frame: bytes) -> Event | UnknownEvent:
        size = len(frame)
        if size > MAX_FRAME_BYTES:
            reason = f"the frame has {size} bytes, more than {MAX_FRAME_BYTES}"
            raise DecodeError(reason, excerpt=_excerpt(frame, 0))
        try:
            event = splice(frame) if size > WORTHWHILE_BYTES else None
            if event is None:
                if size > UNCOUNTED_BYTES:
                    check_frame(frame)
                event = decode_exactly(frame)
                # Only a few types have a field for arbitrary JSON. Deltas, which are most events,
                # skip the check.
                if SHALLOW_BYTES < size <= UNCOUNTED_BYTES and _can_nest(event.__class__):
                    check_frame(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return decode_again(frame, dialect, direction, surface)
        # Events are frozen, but their `__dict__` is not. `vars` would be a tenth of a short delta.
        event.__dict__["raw"] = frame  # pyright: ignore[reportIndexIssue]  # it is a plain dict
        return event

    return decode_frame


reader: Final = decoder_for
"""The former name of `decoder_for`."""


@cache
def _can_nest(kind: type[Event]) -> bool:
    """Return whether a type has a field for arbitrary JSON. All other types limit the depth."""
    return not {"session", "item", "response"}.isdisjoint(kind.__struct_fields__)


def encode(event: Event | UnknownEvent) -> bytes:
    """Return the frame of an event: the one it was decoded from, or else a new one."""
    if isinstance(event, UnknownEvent):
        return event.raw
    raw = event.raw
    return raw if raw is not None else encode_model(event)


def encode_model(model: msgspec.Struct) -> bytes:
    """Return a model as JSON, with its unknown fields and union members in their places."""
    if isinstance(model, UnknownEvent):
        return model.raw
    frame = _encoder.encode(model)
    # Searching the result is cheaper than searching the model. Only a model that holds unknown
    # content takes the slow way through plain dicts.
    # Most texts have no character like that of the marks, and one byte is found much faster.
    if _MARK_BYTE in frame and (_EXTRA_MARK in frame or _UNKNOWN_MARK in frame):
        frame = _encoder.encode(_plain(model))
    return frame


def append_frame(audio: bytes | bytearray | memoryview, event_id: str | None = None) -> bytes:
    """Return the frame of an `input_audio_buffer.append`, without building an event.

    The frame is made from a template, because base64 never needs escaping in JSON.

    Args:
        audio: Audio in the session's input format.
        event_id: Must not need escaping in JSON either.
    """
    if event_id is None:
        return b'{"type":"input_audio_buffer.append","audio":"' + b64encode(audio) + b'"}'
    field = b64encode_as_string(audio)
    text = f'{{"type":"input_audio_buffer.append","event_id":"{event_id}","audio":"{field}"}}'
    return text.encode()


def append_event(audio: bytes, event_id: str) -> tuple[bytes, ga.InputAudioBufferAppendEvent]:
    """Return the frame of `append_frame` and its event, which share the base64: one encoding.

    Args:
        audio: In the session's input format.
        event_id: Must need no escaping.
    """
    head = f'{{"type":"input_audio_buffer.append","event_id":"{event_id}","audio":'.encode()
    field = b'"' + b64encode(audio) + b'"'
    event = ga.InputAudioBufferAppendEvent(event_id=event_id, audio=Raw(field))
    return head + field + b"}", event


_MARK_BYTE: Final = EXTRA_KEY.encode()[:1]
_EXTRA_MARK: Final = f'"{EXTRA_KEY}":'.encode()
_UNKNOWN_MARK: Final = f'"{UNKNOWN_TAG}"'.encode()


def _plain(value: object) -> object:
    """Return a model as plain JSON: `extra` merged into its fields, unknown members unwrapped."""
    if isinstance(value, Unknown):
        return value.raw
    if isinstance(value, list):
        return [_plain(entry) for entry in cast("list[object]", value)]
    if isinstance(value, dict):
        pairs = cast("dict[str, object]", value).items()
        return {key: _plain(entry) for key, entry in pairs}
    if not isinstance(value, Model):
        return value
    config = value.__struct_config__
    plain: dict[str, object] = {}
    if config.tag is not None:
        plain[str(config.tag_field)] = config.tag
    for name, wire in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
        entry: object = getattr(value, name)
        if entry is not UNSET and name != "extra":
            plain[wire] = _plain(entry)
    extra = {} if value.extra is UNSET else value.extra
    # A known field is also in `extra` if it was received as a null that its type forbids. If it has
    # been set since, the field counts.
    return plain | {key: entry for key, entry in extra.items() if key not in plain}


def _to_bytes(frame: bytearray | memoryview | str) -> bytes:
    if not isinstance(frame, str):
        return bytes(frame)
    try:
        return frame.encode()
    except UnicodeEncodeError as error:
        raise DecodeError("the frame is not valid Unicode", position=error.start) from None


def decode_leniently(
    frame: bytes, dialect: Dialect, direction: Direction, surface: Surface
) -> Event | UnknownEvent:
    """Return the event of a frame that does not fit the types exactly: the second pass of `decode`.

    Raises:
        DecodeError: If the frame is not an event.
    """
    from duologue.protocol._unknown_fields import explain, keep_unknown, tags  # noqa: PLC0415  # rare, slow to import

    check_frame(frame)
    head = _read_head(frame)
    struct = tags(event_union(dialect, direction, surface)).get(head.type)
    if struct is None:
        _check_text(frame)
        return UnknownEvent(type=head.type, raw=frame, event_id=head.event_id)
    try:
        fitted = keep_unknown(msgspec.json.decode(frame), struct)
        event = _decoder(dialect, direction, surface).decode(_encoder.encode(fitted))
    except msgspec.ValidationError as error:
        reason, path = explain(error)
        return UnknownEvent(
            type=head.type, raw=frame, event_id=head.event_id, reason=reason, path=path
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _decode_error(error, frame) from None
    vars(event)["raw"] = frame
    return event


def _check_text(frame: bytes) -> None:
    """Check that a frame is UTF-8: msgspec does not check the fields that it skips.

    Raises:
        DecodeError: If it is not.
    """
    try:
        frame.decode()
    except UnicodeDecodeError as error:
        raise _decode_error(error, frame) from None


def _read_head(frame: bytes) -> _Head:
    try:
        return _head_decoder.decode(frame)
    except msgspec.ValidationError as error:
        try:
            body: Json = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as deeper:
            raise _decode_error(deeper, frame) from None
        if isinstance(body, dict) and isinstance(kind := body.get("type"), str):
            return _Head(type=kind)  # only `event_id` has the wrong type
        reason = (
            "the event has no `type`" if isinstance(body, dict) else "the frame is not an object"
        )
        raise DecodeError(reason, excerpt=_excerpt(frame, 0)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _decode_error(error, frame) from None


def _decode_error(error: Exception, frame: bytes) -> DecodeError:
    if isinstance(error, RecursionError):
        return DecodeError("the frame is nested too deeply", excerpt=_excerpt(frame, 0))
    if isinstance(error, UnicodeDecodeError):
        return DecodeError("the frame is not UTF-8", excerpt=_excerpt(frame, 0))
    text = str(error)
    found = re.search(r"\(byte (\d+)\)", text)
    position = int(found[1]) if found else len(frame) if "truncated" in text else None
    reason = re.sub(r"\s*\(byte \d+\)", "", text)
    return DecodeError(
        f"the frame is not JSON: {reason}",
        position=position,
        excerpt=_excerpt(frame, position or 0),
    )


def _excerpt(frame: bytes, position: int, width: int = 24) -> str:
    """Return the characters around a position of a frame, safe to print."""
    near = frame[max(0, position - width) : position + width].decode("ascii", "replace")
    return "".join(char if char.isprintable() else "\ufffd" for char in near)

"""Decoding for clients, which repairs the known mistakes of real servers.

`codec.decode` reports exactly what does not fit its types, as a relay or a test needs. A client has
to get along with existing servers. Some of them omit ids and indices of events or a required field
of an item, or split a character between two deltas.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from duologue.errors import DecodeError
from duologue.protocol import codec, ga
from duologue.protocol._frame_limits import check_frame
from duologue.protocol.model import Event, Model, UnknownEvent, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from duologue.protocol.codec import Dialect, Direction, Surface
    from duologue.protocol.model import Json

__all__ = ["read_model", "repairing_decoder"]

M = TypeVar("M", bound=Model)

_DEFAULTS: Final[dict[str, Json]] = {
    "event_id": "",
    "response_id": "",
    "call_id": "",
    "output_index": 0,
    "content_index": 0,
    "part": {},
    "content": [],
    "arguments": "",
    "delta": "",
}
"""Defaults of required fields that may be absent or null without making an event useless."""

_DEFAULTS_OF: Final[dict[str, dict[str, Json]]] = {
    # They count even if they name neither message nor time: the user interrupts, the turn is over.
    "input_audio_buffer.speech_started": {"item_id": "", "audio_start_ms": 0},
    "input_audio_buffer.speech_stopped": {"item_id": "", "audio_end_ms": 0},
    "input_audio_buffer.committed": {"item_id": ""},
    "input_audio_buffer.timeout_triggered": {"audio_start_ms": 0, "audio_end_ms": 0},
    # The session has begun.
    "session.created": {"session": {}},
    "session.updated": {"session": {}},
    # It can only mean the response in progress.
    "response.created": {"response": {}},
    "response.done": {"response": {}},
    "rate_limits.updated": {"rate_limits": []},
    "conversation.item.deleted": {"item_id": ""},
    # What was streamed is complete.
    "response.output_text.done": {"text": ""},
    "response.text.done": {"text": ""},
    "response.output_audio_transcript.done": {"transcript": ""},
    "response.audio_transcript.done": {"transcript": ""},
    "conversation.item.input_audio_transcription.completed": {"transcript": ""},
    "conversation.item.input_audio_transcription.failed": {"error": {}},
    "error": {"type": "", "message": "", "error": {}},
}
"""More defaults for single types of events."""

_ERROR_WORDS: Final = ("message", "detail", "details", "description", "reason", "msg", "title")
"""Names under which servers send the words of an error."""


def repairing_decoder(
    dialect: Dialect = "ga", surface: Surface = "realtime"
) -> Callable[[bytes], Event | UnknownEvent]:
    """Return a decoder of server events that repairs what does not fit the types.

    A frame that fits is decoded as by `codec.decode`. Otherwise its values are changed to fit (see
    `_fitting`): a missing or null field gets an empty value if the event is usable without it, an
    item that does not fit its type becomes an `UnknownItem`, and half a surrogate pair is kept. An
    error in any form becomes an `error` event with its words. What cannot be repaired remains an
    `UnknownEvent`. The `raw` of the event is the frame as received.

    The returned function raises `DecodeError` if a frame is not an event at all.
    """
    return codec.decoder_for(dialect, "server", surface, _decode_or_repair)


def _decode_or_repair(
    frame: bytes, dialect: Dialect, direction: Direction, surface: Surface
) -> Event | UnknownEvent:
    try:
        event = codec.decode_leniently(frame, dialect, direction, surface)
    except DecodeError:
        repaired = _repair(frame, dialect, surface)
        if repaired is None:
            raise
        return repaired
    if isinstance(event, UnknownEvent):
        is_misfit = event.reason is not None or b'"error"' in frame
        return (_repair(frame, dialect, surface) or event) if is_misfit else event
    if isinstance(event, ga.RealtimeErrorEvent) and not event.error.message:
        return _repair(frame, dialect, surface) or event  # the words may be in another field
    return _with_ga_parts(event, frame) if dialect == "ga" else event


def read_model(body: bytes, kind: type[M]) -> M:
    """Return the JSON body of an HTTP response as a model. Unknown fields are kept.

    Raises:
        DecodeError: If the body does not fit the model.
    """
    from duologue.protocol._unknown_fields import explain, keep_unknown  # noqa: PLC0415  # rare, slow to import

    try:
        check_frame(body)
        kept = keep_unknown(msgspec.json.decode(body), kind)
        return msgspec.json.decode(msgspec.json.encode(kept), type=kind)
    except msgspec.ValidationError as error:
        reason, path = explain(error)
        where = f" at {path}" if path else ""
        raise DecodeError(f"the answer does not fit{where}: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise DecodeError("the answer is not JSON") from error


def _repair(frame: bytes, dialect: Dialect, surface: Surface) -> Event | None:
    from duologue.protocol._fitting import fit  # noqa: PLC0415  # rare, slow to import
    from duologue.protocol._unknown_fields import tags  # noqa: PLC0415  # as above

    try:
        check_frame(frame)
        # `json` accepts half a surrogate pair that is escaped; msgspec does not. From bytes, it
        # would accept one that is not escaped, too, and other encodings.
        body: Json = json.loads(frame.decode(), parse_int=_bounded_int)
        if not isinstance(body, dict):
            return None
        if _HALF_PAIR.search(frame):
            # Not in the text of a delta: the next one may begin with the other half.
            body = {
                str(_without_halves(key)): value
                if key == "delta" and isinstance(value, str)
                else _without_halves(value)
                for key, value in body.items()
            }
        types = tags(codec.event_union(dialect, surface=surface))
        if _is_error(body, types):
            body = _error_event(body)
        kind = body.get("type")
        struct = types.get(kind) if isinstance(kind, str) else None
        if struct is None:
            return None
        fitted = fit(body, struct, _DEFAULTS | _DEFAULTS_OF.get(str(kind), {}))
        if fitted is None:
            return None
        event = _converted(_raw_audio(fitted, struct), struct)
    except (ValueError, RecursionError, DecodeError):  # msgspec's errors are ValueErrors
        return None
    vars(event)["raw"] = frame
    return _with_ga_parts(event, frame) if dialect == "ga" else event


def _with_ga_parts(event: Event, frame: bytes) -> Event:
    """Return a GA event whose items have no parts of beta's types, as xAI sends them."""
    item: object = getattr(event, "item", None)
    response: object = getattr(event, "response", None)
    if isinstance(item, ga.Message):
        renamed = replace(event, item=_with_ga_part_names(item))
    elif isinstance(response, ga.Response) and response.output:
        output = [_with_ga_part_names(each) for each in response.output]
        renamed = replace(event, response=replace(response, output=output))
    else:
        return event
    vars(renamed)["raw"] = frame
    return renamed


def _with_ga_part_names(item: ga.Item) -> ga.Item:
    if not isinstance(item, ga.Message):
        return item
    return replace(item, content=[_ga_part(part) for part in item.content])


def _ga_part(part: ga.ContentPart) -> ga.ContentPart:
    if not isinstance(part, ga.UnknownPart) or part.type not in _GA_PARTS:
        return part
    from duologue.protocol._fitting import fit  # noqa: PLC0415  # rare, slow to import

    kind = _GA_PARTS[part.type]
    fitted = fit(part.raw | {"type": kind.__struct_config__.tag}, kind, {})
    found: ga.ContentPart = msgspec.convert(fitted, kind)
    return found


_GA_PARTS: Final[dict[str | None, type[ga.OutputText | ga.OutputAudio]]] = {
    "text": ga.OutputText,
    "audio": ga.OutputAudio,
}
"""GA's types of the parts that beta and the `content_part` events call otherwise."""


def _is_error(body: dict[str, Json], types: Container[object]) -> bool:
    """Return whether a frame is an error: some servers send the body of an HTTP response."""
    kind = body.get("type")
    if isinstance(kind, str):
        return kind == "error" or (kind not in types and body.get("object") == "error")
    return "error" in body


def _error_event(body: dict[str, Json]) -> dict[str, Json]:
    """Return an error as an `error` event, whose message has the server's words wherever they were.

    Seen: `error` as a text or null, the fields of the error beside `type`, other names for
    `message`, and a message that is empty.
    """
    given = body.get("error")
    error: dict[str, Json]
    if isinstance(given, dict):
        error = dict(given)
    elif given in (None, ""):
        named = ("code", "param", *_ERROR_WORDS)
        error = {name: body[name] for name in named if name in body}
    else:
        error = {"message": given}
    if error.get("message") in (None, ""):
        words = (fields.get(name) for fields in (error, body) for name in _ERROR_WORDS)
        message = next((word for word in words if word not in (None, "", [], {})), None)
        error["message"] = message or (json.dumps(error) if error else "")
    event: dict[str, Json] = {**body, "type": "error", "error": error}
    return event


_HALF_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")
"""Either half of a surrogate pair."""


def _without_halves(value: Json) -> Json:
    """Return decoded JSON with U+FFFD for each half of a surrogate pair: nothing can encode one."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_without_halves(entry) for entry in value]
    if isinstance(value, dict):
        pairs = value.items()
        return {str(_without_halves(key)): _without_halves(entry) for key, entry in pairs}
    return value


def _bounded_int(digits: str) -> int | float:
    """Return an integer of JSON; one of more than 64 bits as a float, which fits no integer field.

    Arithmetic with it would raise an `OverflowError` in whatever uses the field.
    """
    number = int(digits)
    return number if -(1 << 63) <= number < 1 << 64 else float(digits)


def _converted(body: Any, struct: Any) -> Event:  # noqa: ANN401  # decoded JSON
    event: Event = msgspec.convert(body, struct)
    return event


def _raw_audio(body: Any, struct: type) -> Any:  # noqa: ANN401  # JSON of an event
    """Return an event's JSON with its audio encoded again: a `Raw` field holds JSON text."""
    names = [name for name in _raw_fields(struct) if name in body]
    return body | {name: msgspec.Raw(msgspec.json.encode(body[name])) for name in names}


@cache
def _raw_fields(struct: type) -> tuple[str, ...]:
    """Return the names of the fields of an event that hold JSON text."""
    return tuple(f.name for f in msgspec.structs.fields(struct) if f.type is msgspec.Raw)

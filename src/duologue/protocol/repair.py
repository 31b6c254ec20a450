"""Decoding for clients, which repairs the known mistakes of real servers.

`codec.decode` reports exactly what does not fit its types, as a relay or a test needs. A client has
to get along with existing servers. Some of them omit ids and indices of events or a required field
of an item, or split a character between two deltas.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from duologue.errors import DecodeError
from duologue.protocol import codec
from duologue.protocol._frame_limits import check_frame
from duologue.protocol.model import Event, Model, UnknownEvent

if TYPE_CHECKING:
    from collections.abc import Callable

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
}
"""Defaults of required fields whose absence leaves an event or item usable."""

_DEFAULTS_OF: Final[dict[str, dict[str, Json]]] = {"input_audio_buffer.committed": {"item_id": ""}}
"""Defaults for single types of events. A commit counts even if it does not name its message."""


def repairing_decoder(
    dialect: Dialect = "ga", surface: Surface = "realtime"
) -> Callable[[bytes], Event | UnknownEvent]:
    """Return a decoder of server events that repairs what does not fit the types.

    A frame that fits is decoded as by `codec.decode`. Otherwise a missing field gets an empty value
    if the event is usable without it, an item that does not fit its type becomes an `UnknownItem`,
    and half a surrogate pair is kept. What cannot be repaired remains an `UnknownEvent`. The `raw`
    of the event is the frame as received.

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
    if isinstance(event, UnknownEvent) and event.reason is not None:
        return _repair(frame, dialect, surface) or event
    return event


def read_model(body: bytes, kind: type[M]) -> M:
    """Return the JSON body of an HTTP response as a model. Unknown fields are kept.

    Raises:
        DecodeError: If the body does not fit the model.
    """
    from duologue.protocol._unknown_fields import explain, lift  # noqa: PLC0415  # rare, slow to import

    try:
        check_frame(body)
        lifted = lift(msgspec.json.decode(body), kind)
        return msgspec.json.decode(msgspec.json.encode(lifted), type=kind)
    except msgspec.ValidationError as error:
        reason, path = explain(error)
        where = f" at {path}" if path else ""
        raise DecodeError(f"the answer does not fit{where}: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise DecodeError("the answer is not JSON") from error


def _repair(frame: bytes, dialect: Dialect, surface: Surface) -> Event | None:
    from duologue.protocol._unknown_fields import lift, tags  # noqa: PLC0415  # rare, slow to import

    try:
        check_frame(frame)
        body: Json = json.loads(frame)  # accepts half a surrogate pair; msgspec does not
        kind = body.get("type") if isinstance(body, dict) else None
        struct = (
            tags(codec.event_union(dialect, surface=surface)).get(kind)
            if isinstance(kind, str)
            else None
        )
        if struct is None:
            return None
        defaults = _DEFAULTS | _DEFAULTS_OF.get(str(kind), {})
        lifted = lift(body, struct, defaults=defaults)
        event = _converted(_raw_audio(lifted, struct), struct)
    except (ValueError, RecursionError, DecodeError):  # msgspec's errors are ValueErrors
        return None
    vars(event)["raw"] = frame
    return event


def _converted(body: Any, struct: Any) -> Event:  # noqa: ANN401  # decoded JSON
    event: Event = msgspec.convert(body, struct)
    return event


def _raw_audio(body: Any, struct: type) -> Any:  # noqa: ANN401  # JSON of an event
    """Return an event's JSON with its audio encoded again: a `Raw` field holds JSON text."""
    names = [f.name for f in msgspec.structs.fields(struct) if f.type is msgspec.Raw]
    return body | {
        name: msgspec.Raw(msgspec.json.encode(body[name])) for name in names if name in body
    }

"""Reading what a server meant, where it left out or broke something that nobody needs.

`codec.decode` says exactly what does not fit, which is what a relay or a test wants to know. A
client has to live with the servers there are. Those seen in the wild leave out ids and indices of
their events, or a required field of an item, and cut a character into two deltas.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from duologue.errors import DecodeError
from duologue.protocol import codec
from duologue.protocol._depth import check_depth
from duologue.protocol.model import Event, Model, UnknownEvent

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.protocol.codec import Dialect, Direction, Surface
    from duologue.protocol.model import Json

__all__ = ["read_model", "repairing_decoder"]

M = TypeVar("M", bound=Model)

_LEFT_OUT: Final[dict[str, Json]] = {
    "event_id": "",
    "response_id": "",
    "call_id": "",
    "output_index": 0,
    "content_index": 0,
    "part": {},
    "content": [],
    "arguments": "",
}
"""Fields that an event or item may lack without being less clear, and what stands for them."""

_LEFT_OUT_OF: Final[dict[str, dict[str, Json]]] = {"input_audio_buffer.committed": {"item_id": ""}}
"""The same for one type of event: a commit is done, whatever message it became."""


def repairing_decoder(
    dialect: Dialect = "ga", surface: Surface = "realtime"
) -> Callable[[bytes], Event | UnknownEvent]:
    """Return a function that reads the server events of frames, mended if that is what it takes.

    What `codec.decode` takes is returned as it is. Else required fields that say little become
    empty, an item that does not fit its type becomes the `UnknownItem` that it would be without
    one, and half a character stays half. What cannot be mended stays an `UnknownEvent`. The event's
    `raw` is the frame as it came. A frame that is no event at all is a `DecodeError`.
    """
    return codec.decoder_for(dialect, "server", surface, _decode)


def _decode(
    frame: bytes, dialect: Dialect, direction: Direction, surface: Surface
) -> Event | UnknownEvent:
    try:
        event = codec.decode_leniently(frame, dialect, direction, surface)
    except DecodeError:
        mended = _mend(frame, dialect, surface)
        if mended is None:
            raise
        return mended
    if isinstance(event, UnknownEvent) and event.reason is not None:
        return _mend(frame, dialect, surface) or event
    return event


def read_model(body: bytes, kind: type[M]) -> M:
    """Return what the JSON body of an answer beside the socket says; unknown fields are kept.

    Raises:
        DecodeError: If it is no such thing.
    """
    from duologue.protocol._unknown_fields import explain, lift  # noqa: PLC0415  # rare, slow to import

    try:
        check_depth(body)
        lifted = lift(msgspec.json.decode(body), kind)
        return msgspec.json.decode(msgspec.json.encode(lifted), type=kind)
    except msgspec.ValidationError as error:
        reason, path = explain(error)
        where = f" at {path}" if path else ""
        raise DecodeError(f"the answer does not fit{where}: {reason}") from error
    except (ValueError, RecursionError) as error:
        raise DecodeError("the answer is not JSON") from error


def _mend(frame: bytes, dialect: Dialect, surface: Surface) -> Event | None:
    from duologue.protocol._unknown_fields import lift, tags  # noqa: PLC0415  # rare, slow to import

    try:
        check_depth(frame)
        body: Json = json.loads(frame)  # takes half a character, which msgspec does not
        kind = body.get("type") if isinstance(body, dict) else None
        struct = (
            tags(codec.event_union(dialect, surface=surface)).get(kind)
            if isinstance(kind, str)
            else None
        )
        if struct is None:
            return None
        left_out = _LEFT_OUT | _LEFT_OUT_OF.get(str(kind), {})
        lifted = lift(body, struct, left_out=left_out)
        event = _converted(_raw_audio(lifted, struct), struct)
    except (ValueError, RecursionError, DecodeError):  # msgspec's errors are ValueErrors
        return None
    vars(event)["raw"] = frame
    return event


def _converted(body: Any, struct: Any) -> Event:  # noqa: ANN401  # JSON, and what it becomes
    event: Event = msgspec.convert(body, struct)
    return event


def _raw_audio(body: Any, struct: type) -> Any:  # noqa: ANN401  # JSON of an event
    """Return an event's JSON with its audio as the JSON text that its field holds."""
    names = [f.name for f in msgspec.structs.fields(struct) if f.type is msgspec.Raw]
    return body | {
        name: msgspec.Raw(msgspec.json.encode(body[name])) for name in names if name in body
    }

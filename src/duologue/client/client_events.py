"""Client events of the application: structs of either dialect, or dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast, get_args

import msgspec

from duologue.client.coercion import (
    coerce,
    is_mapping,
    is_object,
    is_text,
    nearest,
    plain,
    with_ga_parts,
)
from duologue.client.session_keywords import response_params, session_config
from duologue.errors import LocalProtocolError
from duologue.protocol import codec, ga
from duologue.protocol.model import UNSET, Event, Raw, UnknownEvent

if TYPE_CHECKING:
    from duologue.protocol import beta
    from duologue.protocol.codec import Dialect, Surface
    from duologue.protocol.ga.translation import AnyTranslationClientEvent

__all__ = ["EventArgument", "client_event", "wire_event"]

EventArgument: TypeAlias = (
    "ga.AnyClientEvent | beta.AnyClientEvent | AnyTranslationClientEvent | Mapping[str, Any]"
)
"""An event as an application may give it."""


def client_event(value: object, dialect: Dialect) -> Any:  # noqa: ANN401  # a client event of GA
    """Return a client event of either dialect in GA; one that was received, as it is.

    Args:
        value: The event.
        dialect: The dialect on the wire.

    Raises:
        ConfigurationError: If its session or response is wrong; the message names the field.
        LocalProtocolError: If anything else is.
    """
    if isinstance(value, UnknownEvent) or _is_checked(value):
        return _checked_frame(value) if isinstance(value, UnknownEvent) else value
    fields = _fields(value)
    kind = fields["type"]
    has_extra = isinstance(value, Event)
    if kind == "session.update" and _is_conversation(fields.get("session")):
        session = session_config(fields["session"], {}, dialect=dialect)
        return _event(fields, ga.SessionUpdateEvent, has_extra=has_extra, session=session)
    if kind == "response.create" and isinstance(fields.get("response"), dict):
        response = response_params(fields["response"], {}, dialect=dialect)
        return _event(fields, ga.ResponseCreateEvent, has_extra=has_extra, response=response)
    if kind == "conversation.item.create":
        fields["item"] = with_ga_parts(fields.get("item"))
    return _event_of(fields, "ga", "realtime", has_extra=has_extra)


def wire_event(value: object, dialect: Dialect, surface: Surface) -> Event | UnknownEvent:
    """Return a client event in the dialect that it is written in.

    Args:
        value: The event. A struct is returned unchanged.
        dialect: The dialect of a dictionary.
        surface: Purpose of the connection.

    Raises:
        LocalProtocolError: If it is no event, or a field is wrong; the message names the field.
    """
    if isinstance(value, UnknownEvent):
        return _checked_frame(value)
    if isinstance(value, Event):
        if not _is_checked(value):
            _event(_fields(value), type(value), has_extra=True)
        return value
    return _event_of(_fields(value), dialect, surface, has_extra=False)


def _is_checked(value: object) -> bool:
    """Return whether an event needs no check: it was decoded, or is audio, which is frequent."""
    if isinstance(value, ga.InputAudioBufferAppendEvent):
        has_id = value.event_id is UNSET or is_text(value.event_id)
        return type(value.audio) is Raw and has_id and value.extra is UNSET
    return isinstance(value, Event) and value.raw is not None and _is_of_ga(value)


def _is_of_ga(event: Event) -> bool:
    return type(event) is _classes("ga", "realtime").get(event.type)


def _checked_frame(event: UnknownEvent) -> UnknownEvent:
    try:
        body: object = msgspec.json.decode(event.raw)
    except (TypeError, ValueError, RecursionError):
        body = None
    if is_text(event.type) and type(event.raw) is bytes and isinstance(body, dict):
        return event
    raise LocalProtocolError("the `raw` of an UnknownEvent must be a frame: a JSON object as bytes")


def _fields(value: object) -> dict[str, Any]:
    """Return the fields of an event, `type` included."""
    if not (isinstance(value, Event) or is_mapping(value)):
        text = f"an event must be a struct or a dictionary, not {type(value).__name__}"
        raise LocalProtocolError(text)
    fields = cast("dict[str, Any]", plain(value, at=value.type if isinstance(value, Event) else ""))
    if not isinstance(fields.get("type"), str):
        raise LocalProtocolError("the event has no `type`")
    return fields


def _is_conversation(session: object) -> bool:
    """Return whether the JSON of a session is a conversation's; beta's have no type."""
    return is_object(session) and session.get("type", "realtime") == "realtime"


def _event_of(
    fields: dict[str, Any], dialect: Dialect, surface: Surface, *, has_extra: bool
) -> Event | UnknownEvent:
    kind, classes = fields["type"], _classes(dialect, surface)
    event_class = classes.get(kind)
    if event_class is not None:
        return _event(fields, event_class, has_extra=has_extra)
    match = nearest(kind, classes, likeness=0.9)
    if match is not None:
        raise LocalProtocolError(f"there is no client event {kind!r}: did you mean {match!r}?")
    if kind in _server_types(dialect, surface):
        raise LocalProtocolError(f"{kind!r} is an event of the server: a client cannot send it")
    event_id = fields.get("event_id", UNSET)
    if not (event_id is UNSET or isinstance(event_id, str)):
        raise LocalProtocolError(f"{kind}.event_id must be text")
    return UnknownEvent(type=kind, raw=msgspec.json.encode(fields), event_id=event_id)


def _event(
    fields: dict[str, Any], event_class: type[Event], *, has_extra: bool, **structs: object
) -> Event:
    """Return an event; `structs` are the fields that have been checked already."""
    fields = {name: value for name, value in fields.items() if name not in structs}
    if "audio" in fields and "audio" in event_class.__struct_fields__:
        if not isinstance(fields["audio"], str):
            raise LocalProtocolError(f"{fields['type']}.audio must be base64 text")
        fields["audio"] = Raw(msgspec.json.encode(fields["audio"]))
    stand_ins = {name: _STAND_INS[name] for name in structs}
    event = coerce({**fields, **stand_ins}, event_class, at=fields["type"], has_extra=has_extra)
    return cast("Event", msgspec.structs.replace(event, **structs))


_STAND_INS: Mapping[str, Any] = {"session": {"type": "realtime"}, "response": {}}


@cache
def _server_types(dialect: Dialect, surface: Surface) -> frozenset[str]:
    members = get_args(codec.event_union(dialect, "server", surface))
    return frozenset(str(member.__struct_config__.tag) for member in members)


@cache
def _classes(dialect: Dialect, surface: Surface) -> Mapping[str, type[Event]]:
    """Return the classes of client events, by type."""
    members = get_args(codec.event_union(dialect, "client", surface))
    return {str(member.__struct_config__.tag): member for member in members}

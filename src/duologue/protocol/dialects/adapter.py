"""The contract of a dialect adapter, and the parts that every adapter shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import msgspec

from duologue.errors import DecodeError, LocalProtocolError
from duologue.protocol import codec
from duologue.protocol.ga import InputAudioBufferAppendEvent
from duologue.protocol.model import UNSET, Model, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from duologue.protocol.codec import Dialect, Surface
    from duologue.protocol.ga import RealtimeSession
    from duologue.protocol.model import Event, UnknownEvent, UnsetType

__all__ = [
    "DialectAdapter",
    "InvalidClientEvent",
    "ServerDecoder",
    "check_encodable",
    "decode_error",
    "without_nulls",
]

ServerDecoder: TypeAlias = "Callable[[bytes], Event | UnknownEvent]"
"""Decodes the frames of one dialect and surface."""

EventT = TypeVar("EventT", bound="Event | UnknownEvent")
ClientEvent_co = TypeVar("ClientEvent_co", bound="Event | UnknownEvent", covariant=True)
ServerEvent_contra = TypeVar("ServerEvent_contra", bound="Event", contravariant=True)


class InvalidClientEvent(Exception):
    """A client event that the adapter rejects; the connection goes on.

    A server answers it with an `error` event. `param` is a path in the client's own dialect.
    """

    def __init__(
        self, code: str, message: str, param: str | None = None, *, event_id: str | UnsetType
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.event_id = event_id


class DialectAdapter(Protocol[ClientEvent_co, ServerEvent_contra]):
    """Translates between the wire of one connection and the GA events of a session core.

    Each connection gets an adapter of its own, because an adapter may keep state: beta's remembers
    the session's temperature. A client uses the first group of methods, a server the second.
    """

    @property
    def dialect(self) -> Dialect:
        """Name of the dialect on the wire."""
        ...

    @property
    def surface(self) -> Surface:
        """Purpose of the connection."""
        ...

    # A client's end.

    @property
    def decode_server(self) -> ServerDecoder:
        """Decoder of server events, in the dialect of the wire, repaired if necessary.

        It is a plain function, made once for its dialect: a method around it would cost a call for
        each frame. It raises `DecodeError` if a frame is not an event.
        """
        ...

    def server_event_to_ga(self, event: Event | UnknownEvent) -> tuple[Any, ...]:
        """Return the GA events that stand for a server event; empty if it is its own GA event."""
        ...

    def client_event_to_ga(self, event: Event | UnknownEvent) -> Any:  # noqa: ANN401  # a client event of GA
        """Return an event of the application in GA. The application may use either dialect.

        Raises:
            LocalProtocolError: If the dialect on the wire cannot express the event, or the event
                cannot be encoded as JSON.
        """
        ...

    def client_event_to_wire(self, event: Event | UnknownEvent) -> Sequence[Event | UnknownEvent]:
        """Return the events to send for a GA client event, in the dialect of the wire.

        The result holds the event itself if there is nothing to translate.
        """
        ...

    def initial_session(self, wanted: RealtimeSession | None) -> RealtimeSession:
        """Return the configuration to begin with: the dialect's defaults, changed by `wanted`."""
        ...

    # A server's end.

    def decode_client(self, frame: bytes | str) -> Sequence[ClientEvent_co]:
        """Return the GA events of a client's frame.

        Raises:
            DecodeError: If the frame is not an event.
            InvalidClientEvent: If it is an invalid event that names its `event_id`, or one that is
                invalid in its own dialect.
        """
        ...

    def encode_server(self, event: ServerEvent_contra) -> Sequence[bytes]:
        """Return the frames of a GA server event; empty if the dialect has no such event."""
        ...


def check_encodable(events: Iterable[Event | UnknownEvent]) -> None:
    """Check that events of the application can be sent.

    A session core notes what it sends and waits for the answer, so a failure must come before that.

    Raises:
        LocalProtocolError: If an event cannot be encoded as JSON.
    """
    for event in events:
        if type(event) is InputAudioBufferAppendEvent:  # frequent, large, and never answered
            continue
        try:
            codec.encode(event)
        except (TypeError, ValueError, RecursionError) as error:
            text = f"{event.type} cannot be written as JSON: {error}"
            raise LocalProtocolError(text) from error


def without_nulls(event: EventT) -> EventT:
    """Return a client event with the nulls left out for which its configuration has no place.

    SDKs write null for "not set", and the service reads it so, in the fields of `session` and of
    `response`. A null that has a meaning, such as that of `tracing`, is a value of the field.
    """
    for name in ("session", "response"):
        config = getattr(event, name, None)
        if isinstance(config, Model) and isinstance(config.extra, dict):
            fields = config.__struct_encode_fields__
            extra = {
                key: value
                for key, value in config.extra.items()
                if value is not None or key not in fields
            }
            if len(extra) < len(config.extra):
                return replace(event, **{name: replace(config, extra=extra or UNSET)})
    return event


class _EventId(msgspec.Struct):
    event_id: str


def decode_error(error: DecodeError, frame: bytes | str) -> DecodeError | InvalidClientEvent:
    """Return the error to raise for a client's frame that is not an event.

    If the frame names an `event_id`, the server's answer must name it too.
    """
    try:
        event_id = msgspec.json.decode(frame, type=_EventId).event_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return error
    return InvalidClientEvent("invalid_event", f"Invalid event: {error}.", event_id=event_id)

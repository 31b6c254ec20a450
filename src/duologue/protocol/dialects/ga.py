"""The GA dialect: the session cores use its events, so there is nothing to translate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from duologue.errors import DecodeError
from duologue.protocol import codec, repair
from duologue.protocol.dialects.adapter import check_encodable, decode_error, without_nulls
from duologue.protocol.ga import RealtimeSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.protocol.codec import Dialect, Surface
    from duologue.protocol.dialects.adapter import ServerDecoder
    from duologue.protocol.model import Event, UnknownEvent

__all__ = ["GaAdapter"]

ClientEventT = TypeVar("ClientEventT", bound="Event | UnknownEvent")
ServerEventT = TypeVar("ServerEventT", bound="Event")


class GaAdapter(Generic[ClientEventT, ServerEventT]):
    """Adapter of GA connections, translation sessions included.

    See `DialectAdapter` for the methods.
    """

    def __init__(self, surface: Surface = "realtime") -> None:
        self.dialect: Final[Dialect] = "ga"
        self.surface: Final[Surface] = surface
        self.decode_server: Final[ServerDecoder] = repair.repairing_decoder("ga", surface)

    def server_event_to_ga(self, event: Event | UnknownEvent) -> tuple[Any, ...]:
        """Return nothing: the event is a GA event."""
        del event
        return ()

    def client_event_to_ga(self, event: Event | UnknownEvent) -> Any:  # noqa: ANN401  # a client event of GA
        """Return the event, if it can be encoded."""
        check_encodable([event])
        return event

    def client_event_to_wire(self, event: Event | UnknownEvent) -> Sequence[Event | UnknownEvent]:
        """Return the event."""
        return (event,)

    def initial_session(self, wanted: RealtimeSession | None) -> RealtimeSession:
        """Return `wanted`: unset fields are left to the server."""
        return wanted or RealtimeSession()

    def decode_client(self, frame: bytes | str) -> Sequence[ClientEventT]:
        """Return the event of a client's frame."""
        try:
            event = codec.decode(frame, dialect="ga", direction="client", surface=self.surface)
        except DecodeError as error:
            raise decode_error(error, frame) from error
        return (cast("ClientEventT", without_nulls(event)),)

    def encode_server(self, event: ServerEventT) -> Sequence[bytes]:
        """Return the frame of a server event."""
        return (codec.encode(event),)

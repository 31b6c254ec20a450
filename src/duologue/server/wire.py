"""The words on a connection's wire: the core thinks in GA, beta is translated at the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from duologue.protocol import beta, codec, ga
from duologue.protocol.model import UNSET, replace
from duologue.protocol.translate import to_beta, to_ga
from duologue.protocol.validate import validate
from duologue.server.session.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.protocol.ga import translation
    from duologue.protocol.model import Event, UnknownEvent, UnsetType

__all__ = ["BetaWire", "GaWire", "RefusedEvent", "TranslationWire", "Wire"]

BETA_TEMPERATURE: Final = 0.8

Received_co = TypeVar("Received_co", bound="Event | UnknownEvent", covariant=True)
Sent_contra = TypeVar("Sent_contra", bound="Event", contravariant=True)


class RefusedEvent(Exception):
    """A client event that cannot be said in the core's words."""

    def __init__(self, refusal: Refusal, event_id: str | UnsetType) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.event_id = event_id


class Wire(Protocol[Received_co, Sent_contra]):
    """Turns frames into the core's events, and back."""

    def read(self, frame: bytes | str) -> Sequence[Received_co]:
        """Return what a client's frame says.

        Raises:
            DecodeError: If it is no event.
            RefusedEvent: If the event is refused in the client's own words.
        """
        ...

    def write(self, event: Sent_contra) -> Sequence[bytes]:
        """Return the frames that say an event."""
        ...


class GaWire:
    """Today's words: nothing to translate."""

    def read(self, frame: bytes | str) -> Sequence[ga.AnyClientEvent]:
        """Return the frame's event."""
        return (codec.decode(frame, direction="client"),)

    def write(self, event: ga.KnownServerEvent) -> Sequence[bytes]:
        """Return the event's frame."""
        return (codec.encode(event),)


class TranslationWire:
    """The words of translation sessions, which GA alone has."""

    def read(self, frame: bytes | str) -> Sequence[translation.AnyTranslationClientEvent]:
        """Return the frame's event."""
        return (codec.decode(frame, direction="client", surface="translation"),)

    def write(self, event: translation.KnownTranslationServerEvent) -> Sequence[bytes]:
        """Return the event's frame."""
        return (codec.encode(event),)


class BetaWire:
    """The words of 2024, checked as beta's so that errors name the client's own fields."""

    def __init__(self) -> None:
        self._temperature = (
            BETA_TEMPERATURE  # GA has none: the session tells it, no engine heeds it
        )

    def read(self, frame: bytes | str) -> Sequence[ga.AnyClientEvent]:
        """Return the frame's event in GA."""
        event = codec.decode(frame, dialect="beta", direction="client")
        if not isinstance(event, beta.InputAudioBufferAppendEvent):
            for problem in validate(event, "beta"):
                refusal = Refusal(problem.code, problem.message, problem.path)
                raise RefusedEvent(refusal, event.event_id)
        if isinstance(event, beta.SessionUpdateEvent):
            asked = event.session.temperature
            self._temperature = self._temperature if asked is UNSET else asked
        return to_ga(event).events

    def write(self, event: ga.KnownServerEvent) -> Sequence[bytes]:
        """Return the frames of the event in beta; some have none there."""
        return [codec.encode(self._with_temperature(each)) for each in to_beta(event).events]

    def _with_temperature(self, event: Event | UnknownEvent) -> Event | UnknownEvent:
        if isinstance(event, beta.SessionCreatedEvent | beta.SessionUpdatedEvent):
            return replace(event, session=replace(event.session, temperature=self._temperature))
        return event

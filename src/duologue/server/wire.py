"""The words on a connection's wire: the core thinks in GA, beta is translated at the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import msgspec

from duologue.errors import DecodeError
from duologue.protocol import beta, codec, ga
from duologue.protocol.model import UNSET, replace
from duologue.protocol.translate import to_beta, to_ga
from duologue.protocol.validate import validate
from duologue.server.session.validation import InvalidRequest

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

    def __init__(self, refusal: InvalidRequest, event_id: str | UnsetType) -> None:
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
        try:
            return (codec.decode(frame, direction="client"),)
        except DecodeError as error:
            raise _named(error, frame) from error

    def write(self, event: ga.KnownServerEvent) -> Sequence[bytes]:
        """Return the event's frame."""
        return (codec.encode(event),)


class TranslationWire:
    """The words of translation sessions, which GA alone has."""

    def read(self, frame: bytes | str) -> Sequence[translation.AnyTranslationClientEvent]:
        """Return the frame's event."""
        try:
            return (codec.decode(frame, direction="client", surface="translation"),)
        except DecodeError as error:
            raise _named(error, frame) from error

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
        try:
            event = codec.decode(frame, dialect="beta", direction="client")
        except DecodeError as error:
            raise _named(error, frame) from error
        if not isinstance(event, beta.InputAudioBufferAppendEvent) or event.extra is not UNSET:
            for problem in validate(event, "beta"):
                refusal = InvalidRequest(problem.code, problem.message, problem.path)
                raise RefusedEvent(refusal, event.event_id)
        if isinstance(event, beta.SessionUpdateEvent):
            asked = event.session.temperature
            self._temperature = self._temperature if asked is UNSET else asked
        return to_ga(event).events

    def write(self, event: ga.KnownServerEvent) -> Sequence[bytes]:
        """Return the frames of the event in beta; some have none there."""
        if isinstance(event, ga.RealtimeErrorEvent):
            event = _in_beta_words(event)
        return [codec.encode(self._with_temperature(each)) for each in to_beta(event).events]

    def _with_temperature(self, event: Event | UnknownEvent) -> Event | UnknownEvent:
        if isinstance(event, beta.SessionCreatedEvent | beta.SessionUpdatedEvent):
            return replace(event, session=replace(event.session, temperature=self._temperature))
        return event


_BETA_PARAMS: Final = {
    "session.audio.input.turn_detection": "session.turn_detection",
    "session.audio.input.transcription": "session.input_audio_transcription",
    "session.audio.input.noise_reduction": "session.input_audio_noise_reduction",
    "session.audio.input.format": "session.input_audio_format",
    "session.audio.output.format": "session.output_audio_format",
    "session.audio.output.voice": "session.voice",
    "session.audio.output.speed": "session.speed",
}
"""What the core refuses in a configuration, and how beta calls it."""


def _in_beta_words(event: ga.RealtimeErrorEvent) -> ga.RealtimeErrorEvent:
    param = event.error.param
    for path, words in _BETA_PARAMS.items():
        if isinstance(param, str) and param.startswith(path):
            told = replace(event.error, param=words + param.removeprefix(path))
            return replace(event, error=told)
    return event


class _Named(msgspec.Struct):
    event_id: str


def _named(error: DecodeError, frame: bytes | str) -> DecodeError | RefusedEvent:
    """Return the fault of a frame that is no event, with the client's id if it gives one."""
    try:
        event_id = msgspec.json.decode(frame, type=_Named).event_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return error
    return RefusedEvent(InvalidRequest("invalid_event", f"Invalid event: {error}."), event_id)

"""The beta dialect of 2024, still used by Azure previews, Voice Live and self-hosted servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from duologue.errors import DecodeError, LocalProtocolError
from duologue.protocol import beta, codec, ga, repair
from duologue.protocol.dialects.adapter import (
    InvalidClientEvent,
    check_encodable,
    decode_error,
    without_nulls,
)
from duologue.protocol.ga.session import merge_session
from duologue.protocol.model import UNSET, UnknownEvent, replace
from duologue.protocol.translate import Translation, to_beta, to_ga
from duologue.protocol.validate import first_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duologue.protocol.codec import Dialect, Surface
    from duologue.protocol.dialects.adapter import ServerDecoder
    from duologue.protocol.model import Event, UnsetType

__all__ = ["REFERENCE_SESSION", "BetaAdapter", "session_to_ga"]

DEFAULT_TEMPERATURE: Final = 0.8

REFERENCE_SESSION: Final = ga.RealtimeSession(
    output_modalities=["audio"],
    instructions="",
    audio=ga.AudioConfig(
        input=ga.AudioInput(
            format=ga.AudioPcm(rate=24_000), transcription=None, turn_detection=None
        ),
        output=ga.AudioOutput(format=ga.AudioPcm(rate=24_000), voice="verse"),
    ),
    tools=[],
    tool_choice="auto",
    max_output_tokens=4096,
    extra={"temperature": DEFAULT_TEMPERATURE},
)
"""Configuration that OpenAI's reference client requests unless its application changes it."""

ConfigT = TypeVar("ConfigT", ga.RealtimeSession, ga.ResponseCreateParams)


class BetaAdapter:
    """Adapter of beta connections; see `DialectAdapter` for the methods.

    GA has no `temperature`. On a client, it passes through the GA core as an unknown field of the
    configuration, and `to_beta` turns it back into beta's field. A server's core would reject that
    field, so the adapter keeps the last value that the client sent, and adds it to the sessions in
    server events. No engine uses it.
    """

    def __init__(self, surface: Surface = "realtime") -> None:
        self.dialect: Final[Dialect] = "beta"
        self.surface: Final[Surface] = surface
        self.decode_server: Final[ServerDecoder] = repair.repairing_decoder("beta", surface)
        self._decode_ga: Final[ServerDecoder] = repair.repairing_decoder("ga", surface)
        self._temperature = DEFAULT_TEMPERATURE

    def server_event_to_ga(self, event: Event | UnknownEvent) -> tuple[Any, ...]:
        """Return the GA events that stand for a server event; empty if it is its own GA event."""
        if isinstance(event, UnknownEvent) and event.reason is None:
            # Voice Live sends GA's `conversation.item.done`, xAI most events by GA's names.
            ga_event = self._decode_ga(event.raw)
            return () if isinstance(ga_event, UnknownEvent) else (ga_event,)
        events = _to_ga(event).events
        return () if events and events[0] is event else tuple(events)

    def client_event_to_ga(self, event: Event | UnknownEvent) -> Any:  # noqa: ANN401  # a client event of GA
        """Return an event of the application in GA, if beta can express it."""
        ga_event = _client_event_to_ga(event)
        translation = _to_beta(ga_event)
        if translation.losses:
            paths = ", ".join(loss.path or event.type for loss in translation.losses)
            raise LocalProtocolError(f"beta has no {paths}: leave it out, or connect in GA")
        check_encodable(translation.events)
        return ga_event

    def client_event_to_wire(self, event: Event | UnknownEvent) -> Sequence[Event | UnknownEvent]:
        """Return the beta event of a GA client event."""
        return _to_beta(event).events

    def initial_session(self, wanted: ga.RealtimeSession | None) -> ga.RealtimeSession:
        """Return the reference client's configuration, changed by `wanted`."""
        return merge_session(REFERENCE_SESSION, wanted or ga.RealtimeSession())

    def decode_client(self, frame: bytes | str) -> Sequence[ga.AnyClientEvent]:
        """Return the GA events of a client's frame, validated as beta.

        Validating before translating makes `param` name the client's own fields.
        """
        try:
            event = without_nulls(codec.decode(frame, dialect="beta", direction="client"))
        except DecodeError as error:
            raise decode_error(error, frame) from error
        # An append without unknown fields passes: its audio is checked when it is decoded.
        is_append = isinstance(event, beta.InputAudioBufferAppendEvent) and event.extra is UNSET
        problem = None if is_append else first_problem(event, "beta")
        if problem is not None:
            raise InvalidClientEvent(
                problem.code, problem.message, problem.path, event_id=event.event_id
            )
        if isinstance(event, beta.SessionUpdateEvent) and event.session.temperature is not UNSET:
            self._temperature = event.session.temperature
        return to_ga(event).events

    def encode_server(self, event: ga.KnownServerEvent) -> Sequence[bytes]:
        """Return the beta frames of a GA server event."""
        if isinstance(event, ga.RealtimeErrorEvent):
            event = _with_beta_param(event)
        events = to_beta(_in_beta_form(event)).events
        return [codec.encode(self._with_temperature(each)) for each in events]

    def _with_temperature(self, event: Event | UnknownEvent) -> Event | UnknownEvent:
        if isinstance(event, beta.SessionCreatedEvent | beta.SessionUpdatedEvent):
            return replace(event, session=replace(event.session, temperature=self._temperature))
        return event


def session_to_ga(session: beta.SessionConfig) -> ga.RealtimeSession:
    """Return a configuration in GA; its `temperature` becomes an unknown field.

    Raises:
        LocalProtocolError: If it is the configuration of a transcription session.
    """
    update = to_ga(beta.SessionUpdateEvent(session=session)).events[0]
    if not isinstance(update, ga.SessionUpdateEvent) or not isinstance(
        update.session, ga.RealtimeSession
    ):
        raise LocalProtocolError("this configuration is not one of a conversation")
    return _add_temperature(update.session, session.temperature)


def _client_event_to_ga(event: Event | UnknownEvent) -> Event | UnknownEvent:
    if isinstance(event, beta.SessionUpdateEvent):
        return ga.SessionUpdateEvent(
            event_id=event.event_id, session=session_to_ga(event.session), extra=event.extra
        )
    (ga_event,) = _to_ga(event).events
    if (
        isinstance(event, beta.ResponseCreateEvent)
        and isinstance(ga_event, ga.ResponseCreateEvent)
        and event.response
        and ga_event.response
    ):
        params = _add_temperature(ga_event.response, event.response.temperature)
        return replace(ga_event, response=params)
    return ga_event


def _to_ga(event: Any) -> Translation[Event | UnknownEvent]:  # noqa: ANN401  # of either side
    return cast("Translation[Event | UnknownEvent]", to_ga(event))


def _to_beta(event: Any) -> Translation[Event | UnknownEvent]:  # noqa: ANN401  # of either side
    return cast("Translation[Event | UnknownEvent]", to_beta(event))


def _add_temperature(config: ConfigT, temperature: float | UnsetType) -> ConfigT:
    if temperature is UNSET:
        return config
    extra = config.extra if isinstance(config.extra, dict) else {}
    return replace(config, extra=extra | {"temperature": temperature})


def _in_beta_form(event: ga.KnownServerEvent) -> ga.KnownServerEvent:
    """Return a server event with the fields that only beta has, and without those that it lacks."""
    if getattr(event, "obfuscation", UNSET) is not UNSET:
        return replace(event, obfuscation=UNSET)
    if isinstance(item := getattr(event, "item", None), _ITEMS):
        return replace(event, item=replace(item, object="realtime.item"))
    if isinstance(event, ga.ResponseDoneEvent) and event.response.output:
        output = [
            replace(item, object="realtime.item") if isinstance(item, _ITEMS) else item
            for item in event.response.output
        ]
        return replace(event, response=replace(event.response, output=output))
    return event


_ITEMS: Final = (ga.Message, ga.FunctionCall, ga.FunctionCallOutput)

_BETA_PARAMS: Final = {
    "session.audio.input.turn_detection": "session.turn_detection",
    "session.audio.input.transcription": "session.input_audio_transcription",
    "session.audio.input.noise_reduction": "session.input_audio_noise_reduction",
    "session.audio.input.format": "session.input_audio_format",
    "session.audio.output.format": "session.output_audio_format",
    "session.audio.output.voice": "session.voice",
    "session.audio.output.speed": "session.speed",
}
"""Configuration paths that a server's core names in errors, and beta's paths for them."""


def _with_beta_param(event: ga.RealtimeErrorEvent) -> ga.RealtimeErrorEvent:
    param = event.error.param
    if not isinstance(param, str):
        return event
    for ga_path, beta_path in _BETA_PARAMS.items():
        if param.startswith(ga_path):
            error = replace(event.error, param=beta_path + param.removeprefix(ga_path))
            return replace(event, error=error)
    return event

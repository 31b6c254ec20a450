"""The words of 2024, for servers that still speak them: Azure previews, Voice Live, self-hosted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from duologue.errors import LocalProtocolError
from duologue.protocol import beta, ga
from duologue.protocol.model import Event, UnknownEvent, UnsetType, replace
from duologue.protocol.translate import Translation, to_beta, to_ga

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect

__all__ = ["REFERENCE_SESSION", "BetaWords", "session_in_ga"]
from duologue.session.configuration import merged

S = TypeVar("S", ga.RealtimeSession, ga.ResponseCreateParams)

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
    extra={"temperature": 0.8},
)
"""What the reference client asks for, unless its application says otherwise."""


class BetaWords:
    """Beta on the wire."""

    dialect: Dialect = "beta"

    def heard(self, event: Event | UnknownEvent) -> tuple[Any, ...]:
        """Return what the event is in GA, if that differs."""
        meanings = _in_ga(event)
        return () if meanings and meanings[0] is event else tuple(meanings)

    def meant(self, event: Event | UnknownEvent) -> Any:  # noqa: ANN401  # a client event of GA
        """Return the event in GA."""
        if isinstance(event, beta.SessionUpdateEvent):
            return ga.SessionUpdateEvent(
                event_id=event.event_id, session=session_in_ga(event.session), extra=event.extra
            )
        (meaning,) = _in_ga(event)
        if (
            isinstance(event, beta.ResponseCreateEvent)
            and isinstance(meaning, ga.ResponseCreateEvent)
            and event.response
            and meaning.response
        ):
            params = _with_temperature(meaning.response, event.response.temperature)
            return replace(meaning, response=params)
        losses = _in_beta(meaning).losses
        if losses:
            told = ", ".join(loss.path or event.type for loss in losses)
            raise LocalProtocolError(f"beta cannot say {told}: leave it out, or connect in GA")
        return meaning

    def spoken(self, event: Event | UnknownEvent) -> Event | UnknownEvent:
        """Return the event in beta."""
        (spoken,) = _in_beta(event).events
        return spoken

    def start(self, wanted: ga.RealtimeSession | None) -> ga.RealtimeSession:
        """Return what the application wants, laid over what the reference client asks for."""
        return merged(REFERENCE_SESSION, wanted or ga.RealtimeSession())


def session_in_ga(session: beta.SessionConfig) -> ga.RealtimeSession:
    """Return a configuration in GA; what only beta has goes with it as an unknown field."""
    update = to_ga(beta.SessionUpdateEvent(session=session)).events[0]
    if not isinstance(update, ga.SessionUpdateEvent) or not isinstance(
        update.session, ga.RealtimeSession
    ):
        raise LocalProtocolError("this configuration is not one of a conversation")
    return _with_temperature(update.session, session.temperature)


def _in_ga(event: Any) -> list[Event | UnknownEvent]:  # noqa: ANN401  # of either side
    return cast("list[Event | UnknownEvent]", to_ga(event).events)


def _in_beta(event: Any) -> Translation[Event | UnknownEvent]:  # noqa: ANN401  # of either side
    return cast("Translation[Event | UnknownEvent]", to_beta(event))


def _with_temperature(config: S, temperature: float | UnsetType) -> S:
    """Return a configuration with what GA has no field for: it is an unknown one there."""
    if isinstance(temperature, UnsetType):
        return config
    extra = config.extra if isinstance(config.extra, dict) else {}
    return replace(config, extra=extra | {"temperature": temperature})

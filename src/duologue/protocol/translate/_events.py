"""Translation of events: a table for each target dialect, from the class of an event to a handler.

An event without a row is the same in both dialects. It passes through with its frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, overload

from duologue.protocol import beta, ga
from duologue.protocol.model import UNSET, Event, UnknownEvent
from duologue.protocol.translate._copy import copy_as
from duologue.protocol.translate._items import is_in_progress, item_to_beta, item_to_ga
from duologue.protocol.translate._losses import Loss, Losses, LossRule, Translation
from duologue.protocol.translate._responses import (
    params_to_beta,
    params_to_ga,
    response_to_beta,
    response_to_ga,
)
from duologue.protocol.translate._session import (
    session_to_beta,
    session_to_ga,
    transcription_to_beta,
    transcription_to_ga,
)

__all__ = ["to_beta", "to_ga"]

Handler: TypeAlias = Callable[[Any, Losses], list[Any]]
"""Translates an event of one class into events of the other dialect."""


@overload
def to_beta(
    event: ga.KnownClientEvent,
) -> Translation[beta.KnownClientEvent | UnknownEvent]: ...


@overload
def to_beta(
    event: ga.KnownServerEvent,
) -> Translation[beta.KnownServerEvent | UnknownEvent]: ...


@overload
def to_beta(event: UnknownEvent) -> Translation[UnknownEvent]: ...


def to_beta(
    event: ga.AnyClientEvent | ga.AnyServerEvent,
) -> Translation[Any]:
    """Translate a GA event: into one beta event, or none if beta has no such event."""
    return _translate(event, _TO_BETA)


@overload
def to_ga(
    event: beta.KnownClientEvent,
) -> Translation[ga.KnownClientEvent | UnknownEvent]: ...


@overload
def to_ga(
    event: beta.KnownServerEvent,
) -> Translation[ga.KnownServerEvent | UnknownEvent]: ...


@overload
def to_ga(event: UnknownEvent) -> Translation[UnknownEvent]: ...


def to_ga(
    event: beta.AnyClientEvent | beta.AnyServerEvent,
) -> Translation[Any]:
    """Translate a beta event: into one GA event, or two for an item that is complete."""
    return _translate(event, _TO_GA)


def _translate(event: Event | UnknownEvent, table: Mapping[type, Handler]) -> Translation[Any]:
    handler = table.get(type(event))
    if handler is None:
        return Translation([event], [])
    losses = Losses()
    return Translation(handler(event, losses), losses.found)


def _renamed(target: type[Event]) -> Handler:
    return lambda event, _losses: [copy_as(event, target)]


def _with_item(target: type[Event], change: Callable[[Any], object]) -> Handler:
    return lambda event, _losses: [copy_as(event, target, item=change(event.item))]


def _with_response(target: type[Event], change: Callable[[Any, Losses], object]) -> Handler:
    return lambda event, losses: [
        copy_as(event, target, response=change(event.response, losses.under("response")))
    ]


def _with_session(target: type[Event], change: Callable[[Any, Losses], object]) -> Handler:
    return lambda event, losses: [
        copy_as(event, target, session=change(event.session, losses.under("session")))
    ]


def _response_create(target: type[Event], change: Callable[[Any, Losses], object]) -> Handler:
    whole = _with_response(target, change)
    bare = _renamed(target)
    return lambda event, losses: (whole if event.response else bare)(event, losses)


def _nothing(_event: Event, _losses: Losses) -> list[Event]:
    return []


def _no_such_event(event: Event, losses: Losses) -> list[Event]:
    losses.found.append(Loss("", LossRule.EVENT, event))
    return []


def _session_event(
    kind: type[beta.Session | beta.SessionConfig],
    target: type[Event],
    transcription_kind: type[beta.TranscriptionSession | beta.TranscriptionSessionConfig],
    transcription_target: type[Event],
) -> Handler:
    """Return the handler of a GA session event. Beta has one event for each kind of session."""

    def handler(event: Any, losses: Losses) -> list[Event]:  # noqa: ANN401  # one of three classes
        here = losses.under("session")
        if isinstance(event.session, ga.TranscriptionSession):
            flat = transcription_to_beta(event.session, transcription_kind, here)
            return [copy_as(event, transcription_target, session=flat)]
        return [copy_as(event, target, session=session_to_beta(event.session, kind, here))]

    return handler


def _item_created(event: beta.ConversationItemCreatedEvent, _losses: Losses) -> list[Event]:
    added = copy_as(event, ga.ConversationItemAdded, item=item_to_ga(event.item))
    if is_in_progress(event.item):
        return [added]
    done = copy_as(added, ga.ConversationItemDone, event_id=f"{event.event_id}_done", extra=UNSET)
    return [added, done]


_TO_BETA: Final[Mapping[type, Handler]] = {
    ga.SessionUpdateEvent: _session_event(
        beta.SessionConfig,
        beta.SessionUpdateEvent,
        beta.TranscriptionSessionConfig,
        beta.TranscriptionSessionUpdate,
    ),
    ga.SessionCreatedEvent: _session_event(
        beta.Session,
        beta.SessionCreatedEvent,
        beta.TranscriptionSession,
        beta.TranscriptionSessionCreatedEvent,
    ),
    ga.SessionUpdatedEvent: _session_event(
        beta.Session,
        beta.SessionUpdatedEvent,
        beta.TranscriptionSession,
        beta.TranscriptionSessionUpdatedEvent,
    ),
    ga.ConversationItemCreateEvent: _with_item(beta.ConversationItemCreateEvent, item_to_beta),
    ga.ConversationItemAdded: _with_item(beta.ConversationItemCreatedEvent, item_to_beta),
    ga.ConversationItemCreatedEvent: _with_item(beta.ConversationItemCreatedEvent, item_to_beta),
    ga.ConversationItemDone: _nothing,
    ga.ConversationItemRetrieved: _with_item(beta.ConversationItemRetrieved, item_to_beta),
    ga.ResponseCreateEvent: _response_create(beta.ResponseCreateEvent, params_to_beta),
    ga.ResponseCreatedEvent: _with_response(beta.ResponseCreatedEvent, response_to_beta),
    ga.ResponseDoneEvent: _with_response(beta.ResponseDoneEvent, response_to_beta),
    ga.ResponseOutputItemAddedEvent: _with_item(beta.ResponseOutputItemAddedEvent, item_to_beta),
    ga.ResponseOutputItemDoneEvent: _with_item(beta.ResponseOutputItemDoneEvent, item_to_beta),
    ga.ResponseTextDeltaEvent: _renamed(beta.ResponseTextDeltaEvent),
    ga.ResponseTextDoneEvent: _renamed(beta.ResponseTextDoneEvent),
    ga.ResponseAudioTranscriptDeltaEvent: _renamed(beta.ResponseAudioTranscriptDeltaEvent),
    ga.ResponseAudioTranscriptDoneEvent: _renamed(beta.ResponseAudioTranscriptDoneEvent),
    ga.ResponseAudioDeltaEvent: _renamed(beta.ResponseAudioDeltaEvent),
    ga.ResponseAudioDoneEvent: _renamed(beta.ResponseAudioDoneEvent),
    ga.InputAudioBufferTimeoutTriggered: _no_such_event,
    ga.InputAudioBufferDtmfEventReceivedEvent: _no_such_event,
}

_TO_GA: Final[Mapping[type, Handler]] = {
    beta.SessionUpdateEvent: _with_session(ga.SessionUpdateEvent, session_to_ga),
    beta.SessionCreatedEvent: _with_session(ga.SessionCreatedEvent, session_to_ga),
    beta.SessionUpdatedEvent: _with_session(ga.SessionUpdatedEvent, session_to_ga),
    beta.TranscriptionSessionUpdate: _with_session(ga.SessionUpdateEvent, transcription_to_ga),
    beta.TranscriptionSessionCreatedEvent: _with_session(
        ga.SessionCreatedEvent, transcription_to_ga
    ),
    beta.TranscriptionSessionUpdatedEvent: _with_session(
        ga.SessionUpdatedEvent, transcription_to_ga
    ),
    beta.ConversationItemCreateEvent: _with_item(ga.ConversationItemCreateEvent, item_to_ga),
    beta.ConversationItemCreatedEvent: _item_created,
    beta.ConversationItemRetrieved: _with_item(ga.ConversationItemRetrieved, item_to_ga),
    beta.ResponseCreateEvent: _response_create(ga.ResponseCreateEvent, params_to_ga),
    beta.ResponseCreatedEvent: _with_response(ga.ResponseCreatedEvent, response_to_ga),
    beta.ResponseDoneEvent: _with_response(ga.ResponseDoneEvent, response_to_ga),
    beta.ResponseOutputItemAddedEvent: _with_item(ga.ResponseOutputItemAddedEvent, item_to_ga),
    beta.ResponseOutputItemDoneEvent: _with_item(ga.ResponseOutputItemDoneEvent, item_to_ga),
    beta.ResponseTextDeltaEvent: _renamed(ga.ResponseTextDeltaEvent),
    beta.ResponseTextDoneEvent: _renamed(ga.ResponseTextDoneEvent),
    beta.ResponseAudioTranscriptDeltaEvent: _renamed(ga.ResponseAudioTranscriptDeltaEvent),
    beta.ResponseAudioTranscriptDoneEvent: _renamed(ga.ResponseAudioTranscriptDoneEvent),
    beta.ResponseAudioDeltaEvent: _renamed(ga.ResponseAudioDeltaEvent),
    beta.ResponseAudioDoneEvent: _renamed(ga.ResponseAudioDoneEvent),
}

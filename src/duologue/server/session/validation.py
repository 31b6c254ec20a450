"""How a client event is refused: raised inside the session, sent as an `error` event."""

from __future__ import annotations

from typing import Final

from duologue.protocol import ga
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET, UnknownEvent, UnsetType
from duologue.protocol.validate import Problem, validate

__all__ = ["InvalidRequest", "audio_fault", "checked", "checked_translation"]

MAX_EVENT_ID: Final = 512
"""What `validate` checks of an id, known here because an append is not validated."""


class InvalidRequest(Exception):  # an answer, not an error of ours
    """A client event that the session does not carry out; the session goes on.

    Source: DIALECTS.md §7 for codes and messages.
    """

    def __init__(
        self,
        code: str | None,
        message: str,
        param: str | None = None,
        *,
        type: str = "invalid_request_error",  # noqa: A002  # the wire's own word
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.type = type

    def error(self, event_id: str | UnsetType) -> ga.RealtimeError:
        """Return the body of the `error` event, naming the client event at fault."""
        return ga.RealtimeError(
            type=self.type,
            code=self.code,
            message=self.message,
            param=self.param,
            event_id=None if event_id is UNSET else event_id,
        )


def checked(event: ga.AnyClientEvent) -> ga.KnownClientEvent:
    """Return an event, or refuse it with the first thing in it that the service would not take.

    Audio is not looked at here: it comes fifty times a second. What is wrong with it is found when
    it is read (`audio_fault`).

    Raises:
        InvalidRequest: If there is such a thing; an event that fits no type is one.
    """
    if isinstance(event, ga.InputAudioBufferAppendEvent) and _is_plain(event):
        return event
    problems = validate(event)
    if problems or isinstance(event, UnknownEvent):
        raise _of_problem(problems[0])
    return event


def checked_translation(
    event: translation.AnyTranslationClientEvent,
) -> translation.KnownTranslationClientEvent:
    """Return an event of a translation session, as `checked` does.

    Raises:
        InvalidRequest: If there is something in it that the service would not take.
    """
    if isinstance(event, translation.RealtimeTranslationInputAudioBufferAppendEvent) and _is_plain(
        event
    ):
        return event
    problems = validate(event)
    if problems or isinstance(event, UnknownEvent):
        raise _of_problem(problems[0])
    return event


def _is_plain(event: ga.ClientEvent) -> bool:
    """Say whether an append has nothing besides its audio and an id of the right length."""
    return event.extra is UNSET and len(event.event_id or "") <= MAX_EVENT_ID


def audio_fault(
    event: ga.AnyClientEvent | translation.AnyTranslationClientEvent,
) -> InvalidRequest:
    """Return why an event is refused whose audio could not be read."""
    return _of_problem(validate(event)[0])


def _of_problem(problem: Problem) -> InvalidRequest:
    return InvalidRequest(problem.code, problem.message, problem.path)

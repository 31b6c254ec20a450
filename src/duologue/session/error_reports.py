"""Errors that the server reports, or that an event of its or ours amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.errors import LocalProtocolError, RemoteProtocolError, ServerError
from duologue.session.responses import BUSY

if TYPE_CHECKING:
    from duologue.protocol.ga import AnyClientEvent, RealtimeErrorEvent
    from duologue.protocol.model import UnknownEvent
    from duologue.session.commands import Commands
    from duologue.session.responses import Responses

__all__ = ["check_valid", "is_benign", "malformed_event", "refused_event", "server_error"]

BENIGN_CODES: Final = frozenset({"response_cancel_not_active", "input_audio_buffer_commit_empty"})
"""Errors of harmless races.

The response ended before the cancel arrived; the server had committed the audio already. Some
servers send the code as the error's type.
"""


def server_error(event: RealtimeErrorEvent) -> ServerError:
    """Return the exception for an `error` event."""
    error = event.error
    return ServerError(
        error.message,
        type=error.type,
        code=error.code or None,
        param=error.param or None,
        event_id=error.event_id or None,
    )


def is_benign(error: Exception | None) -> bool:
    """Return whether an error is harmless: it is raised where it is awaited, but not reported."""
    return isinstance(error, ServerError) and bool(BENIGN_CODES & {error.code, error.type})


def refused_event(error: ServerError, responses: Responses, commands: Commands) -> str | None:
    """Return the id of the event that an error without an `event_id` refuses, if it is certain.

    Some servers leave the `event_id` out. Then the code may tell, or the field that is named, or
    that only one event awaits an answer.
    """
    if BUSY in {error.code, error.type}:
        return responses.refused_as_busy()
    param = error.param or ""
    unanswered = responses.unanswered()
    if param.partition(".")[0] == "response" and len(unanswered) == 1:
        return unanswered[0].event_id
    named = commands.refused_by(error.code or error.type, param)
    if named is not None:
        return named
    open_events = [request.event_id for request in unanswered]
    open_events += [command.event_id for command in commands.open_commands()]
    is_sole = len(open_events) == 1 and not is_benign(error)
    return open_events[0] if is_sole else None


def check_valid(event: AnyClientEvent) -> None:
    """Raise a `LocalProtocolError` for an event that the service would refuse."""
    from duologue.protocol.validate import validate  # noqa: PLC0415  # imported only when asked for

    problems = validate(event)
    if problems:
        text = "; ".join(f"{problem.message} Fix: {problem.fix}." for problem in problems)
        raise LocalProtocolError(text)


def malformed_event(event: UnknownEvent) -> RemoteProtocolError | None:
    """Return the error of a known event that does not fit its type.

    An event of an unknown type is not an error: `None`.
    """
    if event.reason is None:
        return None
    where = f" at {event.path}" if event.path else ""
    return RemoteProtocolError(f"bad {event.type}{where}: {event.reason}")

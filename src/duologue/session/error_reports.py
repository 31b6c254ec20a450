"""Errors that the server reports, or that an event of its or ours amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.errors import (
    ConnectionLost,
    DialectRefused,
    LocalProtocolError,
    RemoteProtocolError,
    ServerError,
    SessionRefused,
)
from duologue.protocol.ga import RealtimeErrorEvent
from duologue.session.responses import BUSY

if TYPE_CHECKING:
    from duologue.protocol.ga import AnyClientEvent
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.commands import Commands
    from duologue.session.responses import Responses

__all__ = [
    "check_valid", "explained", "is_benign", "malformed_event", "refused_event", "server_error",
    "session_end",
]  # fmt: skip

BENIGN_CODES: Final = frozenset({"response_cancel_not_active", "input_audio_buffer_commit_empty"})
"""Errors of harmless races.

The response ended before the cancel arrived; the server had committed the audio already. Some
servers send the code as the error's type.
"""

SESSION_OVER: Final = "session_expired"
"""Code of the error before the server closes the session at its cap: it refuses no event."""

_UNREPORTED: Final = BENIGN_CODES | {SESSION_OVER}
_CODES_BY_WORDS: Final = {
    "Conversation already has an active response": BUSY,
    "Cancellation failed: no active response found": "response_cancel_not_active",
    "Error committing input audio buffer: buffer too small": "input_audio_buffer_commit_empty",
    "Cannot update a conversation's voice": "cannot_update_voice",
}
"""Beginnings of the service's messages, and the codes that servers of 2024 leave out."""

_BETA_DISABLED: Final = "beta_api_shape_disabled"

REFUSED_CLOSES: Final = frozenset({3000, 3003, 4000})
"""Close codes that refuse a session for good.

3000 (unauthorized) and 3003 (forbidden) are registered with IANA; OpenAI closes with 3000 for the
key, and with 4000 for the model and the dialect.
"""

REFUSED_CODES: Final = frozenset(
    {"invalid_api_key", "invalid_model", "missing_model", "model_not_found", "account_deactivated"}
)
"""Codes of an `error` that refuse a session for good."""

CLEAN_CLOSES: Final = frozenset({1000, 1005, 1008})
"""Close codes of other servers after such an error.

After 1001 or 1011, for example, connecting again may help, whatever the last error was.
"""


def server_error(event: RealtimeErrorEvent) -> ServerError:
    """Return the exception for an `error` event."""
    error = event.error
    return ServerError(
        error.message or error.code or error.type or "the server gave no reason",
        type=error.type,
        code=error.code or _code_by_words(error.message or ""),
        param=error.param or None,
        event_id=error.event_id or None,
    )


def _code_by_words(text: str) -> str | None:
    return next((code for words, code in _CODES_BY_WORDS.items() if text.startswith(words)), None)


def is_benign(error: Exception | None) -> bool:
    """Return whether an error is harmless: it is raised where it is awaited, but not reported.

    That of a session that is over is reported with the end of the connection.
    """
    return isinstance(error, ServerError) and bool(_UNREPORTED & {error.code, error.type})


def explained(error: TimeoutError, last: Event | UnknownEvent | None) -> TimeoutError:
    """Return the error of a session that did not begin in time, with the server's own, if any."""
    if not isinstance(last, RealtimeErrorEvent):
        return error
    return TimeoutError(f"{error}; the server's last error: {server_error(last)}")


def session_end(
    lost: ConnectionLost, last: Event | UnknownEvent | None
) -> ConnectionLost | SessionRefused:
    """Return how a connection has ended that the server closed.

    Args:
        lost: The close.
        last: The last event before it. An `error` gives the reason of the close, for which the
            close frame has little room.
    """
    error = server_error(last) if isinstance(last, RealtimeErrorEvent) else None
    code = error.code if error else None
    end: ConnectionLost | SessionRefused
    if code == _BETA_DISABLED or _BETA_DISABLED in lost.reason:
        end = DialectRefused(lost.reason, code=lost.code, error=error)
    elif lost.code in REFUSED_CLOSES or (lost.code in CLEAN_CLOSES and code in REFUSED_CODES):
        end = SessionRefused(lost.reason, code=lost.code, error=error)
    elif error is None or error.message in lost.reason:
        return lost
    else:
        end = ConnectionLost(f"{lost.reason}: {error.message}", code=lost.code)
    end.__cause__ = error or lost.__cause__
    return end


def refused_event(error: ServerError, responses: Responses, commands: Commands) -> str | None:
    """Return the id of the event that an error without an `event_id` refuses, if it is certain.

    Some servers leave the `event_id` out. Then the code may tell, or the field that is named, or
    that only one event awaits an answer.
    """
    if error.code == SESSION_OVER:
        return None
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

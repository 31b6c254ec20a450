"""What was refused or does not fit, as errors: the server's, the protocol's and our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.errors import LocalProtocolError, RemoteProtocolError, ServerError
from duologue.session.updates import ErrorUpdate

if TYPE_CHECKING:
    from duologue.protocol.ga import AnyClientEvent, RealtimeErrorEvent
    from duologue.protocol.model import UnknownEvent
    from duologue.session.updates import Update

__all__ = ["check_valid", "is_benign", "misfit", "server_error"]

BENIGN_CODES: Final = frozenset({"response_cancel_not_active", "input_audio_buffer_commit_empty"})
"""Errors that tell of a race which does no harm.

The response ended before the cancel came; the server had committed the audio already. Some servers
tell it as the error's type.
"""


def server_error(event: RealtimeErrorEvent) -> ServerError:
    """Return the error that an event tells of."""
    told = event.error
    return ServerError(
        told.message,
        type=told.type,
        code=told.code or None,
        param=told.param or None,
        event_id=told.event_id or None,
    )


def is_benign(error: Exception | None) -> bool:
    """Tell whether an error does no harm, so that only who awaits its command hears of it."""
    return isinstance(error, ServerError) and bool(BENIGN_CODES & {error.code, error.type})


def check_valid(event: AnyClientEvent) -> None:
    """Raise a `LocalProtocolError` for an event that the service would refuse."""
    from duologue.protocol.validate import validate  # noqa: PLC0415  # who asks for it pays for it

    problems = validate(event)
    if problems:
        told = "; ".join(f"{problem.message} Fix: {problem.fix}." for problem in problems)
        raise LocalProtocolError(told)


def misfit(event: UnknownEvent) -> list[Update]:
    """Report an event of a known type that does not fit it; one of an unknown type is no fault."""
    if event.reason is None:
        return []
    where = f" at {event.path}" if event.path else ""
    return [ErrorUpdate(RemoteProtocolError(f"bad {event.type}{where}: {event.reason}"))]

"""How a client event is refused: raised inside the session, sent as an `error` event."""

from __future__ import annotations

from duologue.protocol.ga import RealtimeError
from duologue.protocol.model import UNSET, UnknownEvent, UnsetType

__all__ = ["Refusal", "refusal_of"]


class Refusal(Exception):  # an answer, not an error of ours
    """A client event that the session does not carry out; the session goes on.

    Source: DIALECTS.md §7 for codes and messages.
    """

    def __init__(self, code: str | None, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param

    def error(self, event_id: str | UnsetType) -> RealtimeError:
        """Return the body of the `error` event, naming the client event at fault."""
        return RealtimeError(
            type="invalid_request_error",
            code=self.code,
            message=self.message,
            param=self.param,
            event_id=None if event_id is UNSET else event_id,
        )


def refusal_of(event: UnknownEvent) -> Refusal:
    """Return why an event that fits no type is refused."""
    if event.reason is None:
        return Refusal(
            "invalid_value", f"Invalid value: '{event.type}' is no client event type.", "type"
        )
    if "required field" in event.reason:
        return Refusal(
            "missing_required_parameter", f"Missing required parameter: '{event.path}'.", event.path
        )
    return Refusal("invalid_type", f"Invalid type for '{event.path}': {event.reason}.", event.path)

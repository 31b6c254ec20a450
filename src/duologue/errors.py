"""Exceptions of duologue, in one tree.

    DuologueError
    ├── ConfigurationError     an option is wrong, a file unreadable, a key missing
    │   ├── MissingExtra       a feature needs packages that are not installed
    │   └── ModelUnavailable   a model file is absent, broken or cannot be fetched
    ├── LocalProtocolError     the protocol does not allow this call now
    │   └── ItemNotFound       ... because the conversation does not hold the item
    ├── RemoteProtocolError    the peer broke the WebSocket or Realtime protocol
    │   └── DecodeError        ... with a frame that is not an event
    ├── ServerError            the API answered with an `error` event
    │   └── RequestRefused     ... or refused an HTTP request
    ├── ResponseFailed         a response ended as `failed`
    ├── BudgetExceeded         the client's budget is used up: no response is requested
    ├── ToolFailed             one of your tools did not answer a call of the model
    ├── EngineFailed           a stage of a server's engine failed
    ├── HandshakeRefused       the server answered the upgrade with an HTTP error
    ├── SessionRefused         the server refused the session for good: a wrong key or model
    │   └── DialectRefused     ... because it does not accept this dialect; a ConnectionLost, too
    ├── ConnectionLost         the connection could not be made, or has ended unexpectedly
    └── Closed                 the session was closed by the caller, or never opened

Time-outs are `TimeoutError`. Any other exception is a bug in duologue. No error text contains a
key.
"""

from __future__ import annotations

import json
from typing import Final, Literal, cast

__all__ = [
    "BudgetExceeded",
    "Closed",
    "ConfigurationError",
    "ConnectionLost",
    "DecodeError",
    "DialectRefused",
    "DuologueError",
    "EngineFailed",
    "HandshakeRefused",
    "ItemNotFound",
    "LocalProtocolError",
    "MissingExtra",
    "ModelUnavailable",
    "RemoteProtocolError",
    "RequestRefused",
    "ResponseFailed",
    "ServerError",
    "SessionRefused",
    "ToolFailed",
]

MAX_WORDS: Final = 300
"""Characters of the longest text of an HTTP response that an error repeats."""


class DuologueError(Exception):
    """Base class of all exceptions of duologue."""


class ConfigurationError(DuologueError):
    """An option, a file or a key is wrong or missing; the message names the fix."""


class MissingExtra(ConfigurationError):
    """A feature needs optional packages that are not installed."""

    def __init__(self, extra: str, feature: str) -> None:
        super().__init__(extra, feature)
        self.extra = extra
        """Name of the extra: `local` in `duologue[local]`."""
        self.feature = feature
        """The feature, as the subject of a sentence."""

    def __str__(self) -> str:
        return f"{self.feature} needs more packages: pip install 'duologue[{self.extra}]'"


class ModelUnavailable(ConfigurationError):
    """A model file is absent or broken, or no source provides it; the message names the fix."""


class LocalProtocolError(DuologueError):
    """The protocol does not allow this call in the current state."""


class ItemNotFound(LocalProtocolError):
    """The conversation has no item with this id."""

    def __init__(self, item_id: str) -> None:
        super().__init__(item_id)
        self.item_id = item_id
        """Requested id."""

    def __str__(self) -> str:
        return f"the conversation has no item {self.item_id!r}"


class RemoteProtocolError(DuologueError):
    """The peer broke the WebSocket or the Realtime protocol."""


class DecodeError(RemoteProtocolError):
    """A frame is not an event: not a JSON object, without a type, too deep or too large."""

    def __init__(self, reason: str, *, position: int | None = None, excerpt: str = "") -> None:
        super().__init__(reason, position, excerpt)
        self.reason = reason
        """The fault, as a sentence without its full stop."""
        self.position = position
        """Byte offset of the fault, if it is known."""
        self.excerpt = excerpt
        """A few printable characters around the fault."""

    def __str__(self) -> str:
        where = "" if self.position is None else f" at byte {self.position}"
        near = f": …{self.excerpt}…" if self.excerpt else ""
        return f"{self.reason}{where}{near}"


class ServerError(DuologueError):
    """The API answered with an `error` event, or the error of a transcription or response."""

    def __init__(
        self,
        message: str,
        *,
        type: str = "",  # noqa: A002  # the wire's own word
        code: str | None = None,
        param: str | None = None,
        event_id: str | None = None,
    ) -> None:
        super().__init__(message, type, code, param, event_id)
        self.message = message
        """The server's message."""
        self.type = type
        """`invalid_request_error`, `server_error`, ..."""
        self.code = code
        """Machine-readable reason."""
        self.param = param
        """Path of the wrong field."""
        self.event_id = event_id
        """Id of the client event that caused the error."""

    def __str__(self) -> str:
        details = {"code": self.code, "param": self.param, "event_id": self.event_id}
        shown = ", ".join(f"{name}={value}" for name, value in details.items() if value)
        return f"{self.message} ({shown})" if shown else self.message


class RequestRefused(ServerError):
    """The server refused an HTTP request, such as one for a client secret."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "",  # noqa: A002  # the wire's own word
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message, type=type, code=code, param=param)
        self.status = status
        """HTTP status."""

    def __str__(self) -> str:
        return f"the server refused the request with HTTP {self.status}: {super().__str__()}"


class ResponseFailed(DuologueError):
    """A response ended as `failed`."""

    def __init__(self, response_id: str, *, code: str | None = None, message: str = "") -> None:
        super().__init__(response_id, code, message)
        self.response_id = response_id
        """Id of the response."""
        self.code = code
        """Machine-readable reason."""
        self.message = message
        """The server's message."""

    def __str__(self) -> str:
        reason = self.message or self.code or "no reason given"
        return f"response {self.response_id} failed: {reason}"


class BudgetExceeded(DuologueError):
    """The budget of the client is used up, or cannot be compared with the usage."""

    def __init__(
        self,
        spent: float | None,
        limit: float,
        *,
        unit: Literal["USD", "tokens"],
        reason: str = "",
    ) -> None:
        super().__init__(spent, limit, unit, reason)
        self.spent = spent
        """Usage so far, in the unit; `None` if it is not known."""
        self.limit = limit
        """Limit of the budget."""
        self.unit: Literal["USD", "tokens"] = unit
        """`USD` or `tokens`."""
        self.reason = reason
        """Why the usage is not known."""

    def __str__(self) -> str:
        if self.spent is None:
            return f"a budget of {self._amount(self.limit)} cannot be kept: {self.reason}"
        spent, limit = self._amount(self.spent), self._amount(self.limit)
        return f"the budget is used up: {spent} of {limit}"

    def _amount(self, number: float) -> str:
        return f"${number:.6g}" if self.unit == "USD" else f"{number:,.0f} tokens"


class ToolFailed(DuologueError):
    """A tool did not answer a call: it raised, took too long, or got arguments that do not fit.

    The reason is sent to the model. An exception of the tool is the `__cause__`.
    """

    def __init__(self, name: str, call_id: str, reason: str) -> None:
        super().__init__(name, call_id, reason)
        self.name = name
        """Name of the tool in the model's call."""
        self.call_id = call_id
        """Id of the call."""
        self.reason = reason
        """Text that is sent to the model."""

    def __str__(self) -> str:
        return f"tool {self.name!r} failed: {self.reason}"


class EngineFailed(DuologueError):
    """A stage of a server's engine failed.

    Stages raise it to choose the code and the message of the failed response or transcription that
    the client receives. The session goes on.
    """

    def __init__(self, message: str, *, code: str = "engine_failed") -> None:
        super().__init__(message, code)
        self.message = message
        """Sentence that names the stage and the fix."""
        self.code = code
        """Machine-readable reason."""

    def __str__(self) -> str:
        return self.message


class HandshakeRefused(DuologueError):
    """The server answered the WebSocket upgrade with an HTTP error."""

    def __init__(self, status: int, body: str = "", *, retry_after: int | None = None) -> None:
        super().__init__(status, body)
        self.status = status
        """HTTP status."""
        self.body = body
        """Beginning of the response's body."""
        self.retry_after = retry_after
        """Seconds after which the server asks to try again, if it names a number."""

    def __str__(self) -> str:
        hints = {
            401: "the API key is missing or wrong",
            403: "this key may not open this session",
            404: "no Realtime endpoint answers at this URL; most end in /v1/realtime",
            429: "too many sessions or requests; try again later",
            503: "the server is full or shutting down; try again later",
        }
        # Servers repeat a wrong key, or a part of it, and say nothing else.
        words = "" if self.status == 401 else _words_of(self.body)
        reasons = [hints.get(self.status), words]
        reason = "; the server says: ".join(filter(None, reasons)) or "no reason given"
        return f"the server refused the connection with HTTP {self.status}: {reason}"


def _words_of(body: str) -> str:
    """Return the message of an HTTP response: that of a JSON error, or else a short text."""
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        # A page of HTML, or a long text, would hide the hint.
        return "" if body.startswith("<") or len(body) > MAX_WORDS else body.strip()
    for name in ("error", "message"):
        if isinstance(found, dict):
            fields = cast("dict[str, object]", found)
            found = fields.get(name) or fields.get("detail") or fields.get("message") or ""
    return found if isinstance(found, str) else ""


class ConnectionLost(DuologueError):
    """The connection could not be made, or ended although the caller did not close it."""

    def __init__(self, reason: str, *, code: int | None = None) -> None:
        super().__init__(reason, code)
        self.reason = reason
        """The cause, as a sentence without its full stop."""
        self.code = code
        """WebSocket close code, if there was one."""

    def __str__(self) -> str:
        return self.reason if self.code is None else f"{self.reason} (close code {self.code})"


class SessionRefused(DuologueError):
    """The server closed the session for a reason that connecting again does not change.

    The key or the model is wrong, for example: OpenAI accepts the connection, sends an `error`, and
    closes with 3000 or 4000.
    """

    def __init__(
        self, reason: str, *, code: int | None = None, error: ServerError | None = None
    ) -> None:
        DuologueError.__init__(self, reason, code, error)  # not super: a subclass has two bases
        self.reason = reason
        """Reason of the close, such as `invalid_request_error.invalid_api_key`."""
        self.code = code
        """WebSocket close code."""
        self.error = error
        """The `error` event that the server sent before the close, if there was one."""

    def __str__(self) -> str:
        words = self.reason if self.error is None else f"{self.error}: {self.reason}"
        close = "" if self.code is None else f" (close code {self.code})"
        return f"the server refused the session: {words}{close}"


class DialectRefused(SessionRefused, ConnectionLost):
    """The server closed, because it no longer accepts this dialect: `beta_api_shape_disabled`."""

    def __str__(self) -> str:
        return f"{super().__str__()}: the server speaks GA only, leave `dialect='beta'` out"


class Closed(DuologueError):
    """The session was closed by the caller, or never opened."""


SessionEnd = Closed | ConnectionLost | SessionRefused
"""The ways in which a session ends."""

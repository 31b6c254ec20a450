"""Every error that duologue raises, in one tree.

    DuologueError
    ├── ConfigurationError     what you asked for cannot be: an option, a file, a missing key
    │   ├── MissingExtra       a feature whose packages are not installed
    │   └── ModelUnavailable   a model file that is absent, broken or cannot be fetched
    ├── LocalProtocolError     the caller asked for what the protocol does not allow now
    │   └── ItemNotFound       ... for an item that the conversation does not hold
    ├── RemoteProtocolError    the peer broke the WebSocket or Realtime protocol
    │   └── DecodeError        ... with a frame that is no event at all
    ├── ServerError            the API answered with an `error` event
    │   └── RequestRefused     ... a request beside the socket with an HTTP error
    ├── ResponseFailed         a response ended as `failed`
    ├── ToolFailed             a tool of yours did not answer the model's call
    ├── EngineFailed           a stage of a server's engine could not do its work
    ├── HandshakeRefused       the server answered the upgrade with an HTTP error
    ├── ConnectionLost         the connection could not be made, or ended unasked
    │   └── DialectRefused     ... because the server no longer speaks this dialect (close 4000)
    └── Closed                 you closed the session, or it never was open

Time-outs are `TimeoutError`. Anything else that escapes is a bug of ours.
No error text ever holds a key.
"""

from __future__ import annotations

__all__ = [
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
    "ToolFailed",
]


class DuologueError(Exception):
    """Base of every error that duologue raises."""


class ConfigurationError(DuologueError):
    """What was asked for cannot be: the message names the fix."""


class MissingExtra(ConfigurationError):
    """A feature was used whose optional packages are not installed."""

    def __init__(self, extra: str, feature: str) -> None:
        super().__init__(extra, feature)
        self.extra = extra
        """The name of the extra: `local` in `duologue[local]`."""
        self.feature = feature
        """What needs it, as the subject of a sentence."""

    def __str__(self) -> str:
        return f"{self.feature} needs more packages: pip install 'duologue[{self.extra}]'"


class ModelUnavailable(ConfigurationError):
    """A model file is absent, broken, or no source has it; the message names the fix."""


class LocalProtocolError(DuologueError):
    """The caller asked for something that the protocol does not allow now."""


class ItemNotFound(LocalProtocolError):
    """The conversation holds no item of this id."""

    def __init__(self, item_id: str) -> None:
        super().__init__(item_id)
        self.item_id = item_id
        """The id that was asked for."""

    def __str__(self) -> str:
        return f"the conversation has no item {self.item_id!r}"


class RemoteProtocolError(DuologueError):
    """The peer broke the WebSocket or the Realtime protocol."""


class DecodeError(RemoteProtocolError):
    """A frame is not an event: not JSON, not an object, without a type, too deep or too large."""

    def __init__(self, reason: str, *, position: int | None = None, excerpt: str = "") -> None:
        super().__init__(reason, position, excerpt)
        self.reason = reason
        """What is wrong, as a sentence without its full stop."""
        self.position = position
        """Byte offset of the fault, where it is known."""
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
        """The server's sentence."""
        self.type = type
        """`invalid_request_error`, `server_error`, ..."""
        self.code = code
        """The machine-readable reason."""
        self.param = param
        """Path of the field at fault."""
        self.event_id = event_id
        """Id of the client event that caused it."""

    def __str__(self) -> str:
        details = {"code": self.code, "param": self.param, "event_id": self.event_id}
        told = ", ".join(f"{name}={value}" for name, value in details.items() if value)
        return f"{self.message} ({told})" if told else self.message


class RequestRefused(ServerError):
    """The server answered a request beside the socket with an HTTP error."""

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
        """The HTTP status."""

    def __str__(self) -> str:
        return f"the server refused the request with HTTP {self.status}: {super().__str__()}"


class ResponseFailed(DuologueError):
    """A response ended as `failed`."""

    def __init__(self, response_id: str, *, code: str | None = None, message: str = "") -> None:
        super().__init__(response_id, code, message)
        self.response_id = response_id
        """The response."""
        self.code = code
        """The machine-readable reason."""
        self.message = message
        """The server's sentence."""

    def __str__(self) -> str:
        reason = self.message or self.code or "no reason given"
        return f"response {self.response_id} failed: {reason}"


class ToolFailed(DuologueError):
    """A tool did not answer a call: it raised, took too long, or its arguments do not fit.

    The model is told the reason. What the tool raised is the `__cause__`.
    """

    def __init__(self, name: str, call_id: str, reason: str) -> None:
        super().__init__(name, call_id, reason)
        self.name = name
        """The tool, as the model called it."""
        self.call_id = call_id
        """The call."""
        self.reason = reason
        """What the model is told."""

    def __str__(self) -> str:
        return f"tool {self.name!r} failed: {self.reason}"


class EngineFailed(DuologueError):
    """A stage of a server's engine could not do its work.

    Stages raise it to say what the client is told: the code and message of a failed response or
    transcription. The session lives on.
    """

    def __init__(self, message: str, *, code: str = "engine_failed") -> None:
        super().__init__(message, code)
        self.message = message
        """A sentence that names the stage and the fix."""
        self.code = code
        """The machine-readable reason."""

    def __str__(self) -> str:
        return self.message


class HandshakeRefused(DuologueError):
    """The server answered the WebSocket upgrade with an HTTP error."""

    def __init__(self, status: int, body: str = "") -> None:
        super().__init__(status, body)
        self.status = status
        """The HTTP status."""
        self.body = body
        """The start of the answer's text."""

    def __str__(self) -> str:
        hints = {
            401: "the API key is missing or wrong",
            403: "this key may not open this session",
            404: "no Realtime endpoint answers at this URL; most end in /v1/realtime",
            429: "too many sessions or requests; try again later",
            503: "the server is full or shutting down; try again later",
        }
        hint = hints.get(self.status, self.body or "no reason given")
        return f"the server refused the connection with HTTP {self.status}: {hint}"


class ConnectionLost(DuologueError):
    """The connection could not be made, or ended without being asked to."""

    def __init__(self, reason: str, *, code: int | None = None) -> None:
        super().__init__(reason, code)
        self.reason = reason
        """What happened, as a sentence without its full stop."""
        self.code = code
        """The WebSocket close code, where one came."""

    def __str__(self) -> str:
        return self.reason if self.code is None else f"{self.reason} (close code {self.code})"


class DialectRefused(ConnectionLost):
    """The server closed with 4000: it does not speak this dialect any more."""

    def __str__(self) -> str:
        return f"{super().__str__()}: the server speaks GA only, leave `dialect='beta'` out"


class Closed(DuologueError):
    """The session is closed: it was ended by the caller, or never opened."""

"""The vocabulary of faults: what goes wrong, and the rule that says when.

Faults of frames (`Drop`, `Delay`, `Reorder`, `Duplicate`, `TruncateFrame`, `SlowNetwork`) change
how an event travels. Acts (`Stall`, `SendError`, `Close`, `Expire`) happen right after an event, or
at a time if they name none. `RefuseHandshake` happens to who wants to connect.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import ClassVar, Final

from duologue.errors import ConfigurationError
from duologue.server.faults.event_pattern import target

__all__ = [
    "Act",
    "Close",
    "Delay",
    "Drop",
    "Duplicate",
    "Expire",
    "Fault",
    "FrameFault",
    "RefuseHandshake",
    "Reorder",
    "SendError",
    "SlowNetwork",
    "Stall",
    "TruncateFrame",
]


_MANY: Final = 10**9
_LIMITS: Final[dict[str, tuple[float, float]]] = {
    "nth": (1, _MANY),
    "chance": (0, 1),
    "after": (0, _MANY),
    "times": (1, _MANY),
    "connection": (1, _MANY),
    "seconds": (0, _MANY),
    "jitter": (0, _MANY),
    "latency": (0, _MANY),
    "bytes_per_second": (1, _MANY),
    "by": (1, 1000),  # so many events may wait to be overtaken
    "within": (0, _MANY),
    "copies": (1, 100),
    "keep": (0, 0.99),
    "retry_after": (0, _MANY),
}
_CLOSE_CODES: Final = {*range(1000, 1004), *range(1006, 1015)}
SIGNS: Final = {"@": "at", "#": "nth", ":": "chance"}
"""The short forms of the command line, in their order."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What all faults have: the rule that says when.

    All parts of a rule must hold. `str(fault)` is how the command line writes it.
    """

    word: ClassVar[str] = ""
    """Its name on the command line."""

    at: str | None = field(default=None, kw_only=True)
    """The type of the events, in GA words whatever the client speaks: `response.done`, or a pattern
    as of file names: `response.output_audio.*`. `client.` before it means what the client sends,
    `server.` what it is sent; without either it means the server's events if any fit."""
    nth: int | None = field(default=None, kw_only=True)
    """Only at this one of those events, counted from 1 in each session; `None`: at each."""
    chance: float = field(default=1.0, kw_only=True)
    """With this probability each time."""
    after: float = field(default=0.0, kw_only=True)
    """Not before this many seconds of the session; events before it are not counted."""
    times: int | None = field(default=None, kw_only=True)
    """At most so often in a session; `None`: without end."""
    connection: int | None = field(default=None, kw_only=True)
    """Only to this connection, counted from 1 in the server's life; refused ones count."""

    def __post_init__(self) -> None:
        if self.at is not None:
            target(self.at)
        for name, value in asdict(self).items():
            if value is None or name not in _LIMITS:
                continue
            least, most = _LIMITS[name]
            if not least <= value <= most:
                limits = f"from {least} to {most}" if most < _MANY else f"at least {least}"
                raise ConfigurationError(f"{name} of {self.word!r} must be {limits}, not {value}")

    def __str__(self) -> str:
        return written(self)


@dataclass(frozen=True, slots=True)
class FrameFault(Fault):
    """Changes how events travel; without `at`, every event to the client."""


@dataclass(frozen=True, slots=True)
class Drop(FrameFault):
    """The event is lost."""

    word: ClassVar[str] = "drop"


@dataclass(frozen=True, slots=True)
class Delay(FrameFault):
    """The event comes later; what is behind it waits, as on one TCP connection."""

    word: ClassVar[str] = "delay"

    seconds: float = 0.2
    jitter: float = 0.0
    """Up to so many seconds more, by the dice."""


@dataclass(frozen=True, slots=True)
class Reorder(FrameFault):
    """The event is overtaken by the next ones; one at a time waits so."""

    word: ClassVar[str] = "reorder"

    by: int = 1
    """How many events overtake it."""
    within: float = 1.0
    """Seconds after which it comes even if fewer did."""


@dataclass(frozen=True, slots=True)
class Duplicate(FrameFault):
    """The event comes more than once."""

    word: ClassVar[str] = "duplicate"

    copies: int = 1
    """How many more."""


@dataclass(frozen=True, slots=True)
class TruncateFrame(FrameFault):
    """Only the beginning of the event's frame comes: no JSON any more."""

    word: ClassVar[str] = "truncate"

    keep: float = 0.5
    """The part of its characters that comes; below 1."""


@dataclass(frozen=True, slots=True)
class SlowNetwork(FrameFault):
    """The line is slow, from `after` on; without `at` in both directions."""

    word: ClassVar[str] = "slow"

    bytes_per_second: float | None = None
    """How much goes through; `None`: no limit."""
    latency: float = 0.0
    """Seconds that every frame takes, however many are on their way."""
    jitter: float = 0.0
    """Up to so many seconds more, by the dice."""


@dataclass(frozen=True, slots=True)
class Act(Fault):
    """Happens right after an event; without `at` once, `after` seconds into the session."""


@dataclass(frozen=True, slots=True)
class Stall(Act):
    """Nothing goes through any more in the direction of `at`; without it, in both."""

    word: ClassVar[str] = "stall"

    seconds: float | None = None
    """How long; then all that waited comes. `None`: for ever, nothing is kept."""


@dataclass(frozen=True, slots=True)
class SendError(Act):
    """The client is sent an `error` event.

    At an event of the client's it is the answer: the event is not carried out, and the error names
    its id.
    """

    word: ClassVar[str] = "error"

    code: str = "server_error"
    message: str = "The server had an error while processing your request."
    type: str = "server_error"


@dataclass(frozen=True, slots=True)
class Close(Act):
    """The server closes, after what it sent before has left."""

    word: ClassVar[str] = "close"

    code: int = 1011
    """The WebSocket close code; 1006 breaks the TCP connection, with no close frame."""
    reason: str = ""

    def __post_init__(self) -> None:
        Fault.__post_init__(self)
        if self.code not in _CLOSE_CODES and not 3000 <= self.code <= 4999:
            known = "1000-1003, 1006 (break the connection), 1007-1014, or 3000-4999"
            raise ConfigurationError(f"{self.code} is no close code that can be sent; use {known}")
        if len(self.reason.encode()) > 123:
            raise ConfigurationError("the reason of a close is at most 123 bytes long")


@dataclass(frozen=True, slots=True)
class Expire(Act):
    """The session ends as at 60 minutes: an `error` of code `session_expired`, then close 1001."""

    word: ClassVar[str] = "expire"


@dataclass(frozen=True, slots=True)
class RefuseHandshake(Fault):
    """A client may not connect: it gets an HTTP error with the body that OpenAI sends.

    There is no event yet and no session: `at`, `nth` and `after` do not go with it, and `times`
    counts in the server's life.
    """

    word: ClassVar[str] = "refuse"

    status: int = 503
    """401, 403, 429 or 503."""
    retry_after: int | None = None
    """Seconds, told with 429 and 503."""

    def __post_init__(self) -> None:
        Fault.__post_init__(self)
        if self.status not in (401, 403, 429, 503):
            raise ConfigurationError(
                f"a handshake is refused with 401, 403, 429 or 503, not {self.status}"
            )
        if self.at is not None or self.nth is not None or self.after:
            raise ConfigurationError(
                "a handshake has no events: say which are refused by connection, times or chance"
            )


def written(fault: Fault) -> str:
    """Return a fault as the command line writes it."""
    values = asdict(fault)
    own = [each.name for each in fields(fault) if not each.kw_only]
    text = fault.word
    if own and values[own[0]] is not None:
        text += f"={_plain(values.pop(own[0]))}"
    unset = {each.name for each in fields(fault) if values.get(each.name) == each.default}
    for sign, name in SIGNS.items():
        if name not in unset:
            text += f"{sign}{_plain(values[name])}"
    rest = [name for name in values if name not in {*unset, *SIGNS.values()}]
    return text + "".join(f",{name}={_plain(values[name])}" for name in rest)


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)

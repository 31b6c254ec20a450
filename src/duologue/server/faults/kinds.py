"""The kinds of faults, and the rule that says when each happens.

Frame faults (`Drop`, `Delay`, `Reorder`, `Duplicate`, `TruncateFrame`, `SlowNetwork`) change how an
event travels. Acts (`Stall`, `SendError`, `Close`, `Expire`) happen right after an event, or at a
time if they name no event. `RefuseHandshake` happens to a client that connects.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import ClassVar, Final

from duologue.errors import ConfigurationError
from duologue.server.faults.event_pattern import event_pattern

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
    "by": (1, 1000),
    "within": (0, _MANY),
    "copies": (1, 100),
    "keep": (0, 0.99),
    "retry_after": (0, _MANY),
}
_CLOSE_CODES: Final = {*range(1000, 1004), *range(1006, 1015)}  # 1004, 1005, 1015 are reserved
SIGNS: Final = {"@": "at", "#": "nth", ":": "chance"}
"""The signs of the command line for these fields, in the order in which they stand."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Base of all faults: the rule that says when a fault happens.

    All conditions of the rule must hold. `str(fault)` is the fault as written on the command line.
    """

    word: ClassVar[str] = ""
    """The fault's name on the command line."""

    at: str | None = field(default=None, kw_only=True)
    """Type of the events, `response.done`, or a pattern with wildcards, `response.output_audio.*`.
    Names are GA, also for beta clients. The prefix `client.` means events that the client sends,
    `server.` events that the server sends; without a prefix, the server's events if any match."""
    nth: int | None = field(default=None, kw_only=True)
    """Only the nth of those events, counted from 1 in each session; `None`: every one."""
    chance: float = field(default=1.0, kw_only=True)
    """Probability of the fault at each event."""
    after: float = field(default=0.0, kw_only=True)
    """Seconds of the session before the fault starts; events before then do not count."""
    times: int | None = field(default=None, kw_only=True)
    """How often the fault happens in a session, at most; `None`: no limit."""
    connection: int | None = field(default=None, kw_only=True)
    """Only this connection, counted from 1 since the server started; refused ones count."""

    def __post_init__(self) -> None:
        if self.at is not None:
            event_pattern(self.at)
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
    """Base of faults that change how events travel; without `at`, every event to the client."""


@dataclass(frozen=True, slots=True)
class Drop(FrameFault):
    """The event is lost."""

    word: ClassVar[str] = "drop"


@dataclass(frozen=True, slots=True)
class Delay(FrameFault):
    """The event arrives late; later events wait behind it, as on one TCP connection."""

    word: ClassVar[str] = "delay"

    seconds: float = 0.2
    jitter: float = 0.0
    """Additional random seconds, up to this number."""


@dataclass(frozen=True, slots=True)
class Reorder(FrameFault):
    """The next events overtake the event; only one event waits at a time."""

    word: ClassVar[str] = "reorder"

    by: int = 1
    """How many events overtake it."""
    within: float = 1.0
    """Seconds after which it arrives even if fewer have overtaken it."""


@dataclass(frozen=True, slots=True)
class Duplicate(FrameFault):
    """The event arrives more than once."""

    word: ClassVar[str] = "duplicate"

    copies: int = 1
    """Number of additional copies."""


@dataclass(frozen=True, slots=True)
class TruncateFrame(FrameFault):
    """Only the beginning of the event's frame arrives, so it is not valid JSON."""

    word: ClassVar[str] = "truncate"

    keep: float = 0.5
    """The part of its characters that arrives; below 1."""


@dataclass(frozen=True, slots=True)
class SlowNetwork(FrameFault):
    """The network is slow, from `after` on; without `at` in both directions."""

    word: ClassVar[str] = "slow"

    bytes_per_second: float | None = None
    """The bandwidth; `None`: no limit."""
    latency: float = 0.0
    """Seconds that every frame takes, in addition to its bandwidth."""
    jitter: float = 0.0
    """Additional random seconds, up to this number."""


@dataclass(frozen=True, slots=True)
class Act(Fault):
    """Base of faults that happen right after an event.

    Without `at`, they happen once, `after` seconds into the session.
    """


@dataclass(frozen=True, slots=True)
class Stall(Act):
    """Nothing arrives any more in the direction of `at`; without `at`, in both directions."""

    word: ClassVar[str] = "stall"

    seconds: float | None = None
    """How long; then everything that waits arrives. `None`: forever, and nothing is kept."""


@dataclass(frozen=True, slots=True)
class SendError(Act):
    """The server sends an `error` event.

    If `at` matches an event of the client, the error is the answer to it: it names the event's id,
    and the server does not execute the event.
    """

    word: ClassVar[str] = "error"

    code: str = "server_error"
    message: str = "The server had an error while processing your request."
    type: str = "server_error"


@dataclass(frozen=True, slots=True)
class Close(Act):
    """The server closes the connection, after sending what is queued."""

    word: ClassVar[str] = "close"

    code: int = 1011
    """The WebSocket close code; 1006 breaks the TCP connection, with no close frame."""
    reason: str = ""

    def __post_init__(self) -> None:
        Fault.__post_init__(self)  # not super(): slots=True replaces the class
        if self.code not in _CLOSE_CODES and not 3000 <= self.code <= 4999:
            known = "1000-1003, 1006 (break the connection), 1007-1014, or 3000-4999"
            raise ConfigurationError(f"{self.code} is not a valid close code; use {known}")
        if len(self.reason.encode()) > 123:
            raise ConfigurationError("the reason of a close must be at most 123 bytes")


@dataclass(frozen=True, slots=True)
class Expire(Act):
    """The session expires, as after 60 minutes: error `session_expired`, then close 1001."""

    word: ClassVar[str] = "expire"


@dataclass(frozen=True, slots=True)
class RefuseHandshake(Fault):
    """The server rejects a client's handshake, with an HTTP error and body as OpenAI sends them.

    There is no event and no session yet, so `at`, `nth` and `after` do not apply, and `times`
    counts since the server started.
    """

    word: ClassVar[str] = "refuse"

    status: int = 503
    """401, 403, 429 or 503."""
    retry_after: int | None = None
    """Seconds; sent with 429 and 503."""

    def __post_init__(self) -> None:
        Fault.__post_init__(self)  # not super(): slots=True replaces the class
        if self.status not in (401, 403, 429, 503):
            raise ConfigurationError(
                f"the status of a refused handshake is 401, 403, 429 or 503, not {self.status}"
            )
        if self.at is not None or self.nth is not None or self.after:
            raise ConfigurationError(
                "at, nth and after do not apply to a handshake; use connection, times or chance"
            )


def written(fault: Fault) -> str:
    """Return a fault as written on the command line."""
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

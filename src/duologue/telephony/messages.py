"""Events and endings of a telephone call, and the interface of the providers' dialects.

A dialect is pure: it converts the text of messages to events and back, without waiting or a clock.
No input makes it raise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias

import msgspec
import pybase64

from duologue.protocol.formats import G711_ALAW, G711_ULAW, Format

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AudioEncoding", "AudioReceived", "CallEnding", "CallStarted", "CallStopped", "DigitPressed",
    "MalformedMessage", "MarkReturned", "PhoneDialect", "PhoneEvent", "PhoneProvider",
    "StreamError", "UnknownMessage", "decoded_audio", "encoded_audio", "encoding_named",
    "pressed", "printable", "text_values", "written",
]  # fmt: skip

FRAME_MS: Final = 20
"""Audio in a message: the packets of a telephone network have this length."""

MAX_MESSAGE_CHARS: Final = 65_536
"""Limit of a message: 6 seconds of audio, where the providers send 20 ms."""

MAX_NAME_CHARS: Final = 80
"""Limit of a name in a line of the log."""

DIGITS: Final = frozenset("0123456789*#ABCD")

L16_RATES: Final = frozenset({8_000, 16_000, 24_000})
"""Sample rates that the providers offer for L16."""


@dataclass(frozen=True, slots=True)
class AudioEncoding:
    """A mono audio encoding of a telephone stream."""

    name: str
    """The name in RTP: `PCMU`, `PCMA` or `L16`."""
    rate_hz: int
    """Samples per second."""
    sample_bytes: int
    """Bytes per sample."""
    format: Format | None
    """The same format of the Realtime protocol; `None` for L16, whose bytes are big-endian."""
    silence: bytes
    """One sample of silence."""

    @property
    def frame_bytes(self) -> int:
        """Size of 20 ms of audio."""
        return self.rate_hz * FRAME_MS // 1000 * self.sample_bytes


PCMU: Final = AudioEncoding("PCMU", 8_000, 1, G711_ULAW, G711_ULAW.silence)
PCMA: Final = AudioEncoding("PCMA", 8_000, 1, G711_ALAW, G711_ALAW.silence)


def encoding_named(name: str, rate_hz: int = 8_000) -> AudioEncoding | None:
    """Return the encoding with a name in RTP; `None` if it is not supported."""
    match name.upper():
        case "PCMU" if rate_hz == 8_000:
            return PCMU
        case "PCMA" if rate_hz == 8_000:
            return PCMA
        case "L16" if rate_hz in L16_RATES:
            return AudioEncoding("L16", rate_hz, 2, None, b"\0\0")
        case _:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStarted:
    """The stream of a call begins."""

    call_id: str
    """Twilio's `callSid`, Telnyx's `call_control_id`: the call in the provider's REST API."""
    stream_id: str
    account_id: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    """Custom parameters of the stream, as your application has set them for the provider."""
    caller: str = ""
    """Number of the caller, if the provider sends it."""
    callee: str = ""
    """Number that was called, if the provider sends it."""
    codec: str = "PCMU"
    """Name of the encoding of received audio, also of one that is not supported."""
    receives: AudioEncoding | None
    """Encoding of the audio that the phone sends; `None` if it is not supported."""
    sends: AudioEncoding
    """Encoding of the audio that the phone plays."""


@dataclass(frozen=True, slots=True)
class AudioReceived:
    """Audio of the person on the phone."""

    audio: bytes
    """In the encoding of `CallStarted.receives`."""


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """A key of the phone was pressed (DTMF)."""

    digit: str
    """`0` to `9`, `*`, `#`, or `A` to `D`."""


@dataclass(frozen=True, slots=True)
class MarkReturned:
    """The audio before a mark was played, or cleared."""

    name: str


@dataclass(frozen=True, slots=True)
class CallStopped:
    """The stream has ended: the person hung up, or the call was sent elsewhere."""


@dataclass(frozen=True, slots=True)
class StreamError:
    """The provider reports an error."""

    code: str
    title: str


@dataclass(frozen=True, slots=True)
class MalformedMessage:
    """A message that the dialect does not allow. It names the fault, without content."""

    reason: str


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A message of a kind that duologue does not know."""

    event: str
    raw: str | bytes
    """The whole message."""


PhoneEvent: TypeAlias = (
    CallStarted
    | AudioReceived
    | DigitPressed
    | MarkReturned
    | CallStopped
    | StreamError
    | MalformedMessage
    | UnknownMessage
)
"""Everything that a stream can report."""


CallEnding: TypeAlias = Literal["caller", "application", "session", "time_limit", "failure"]
"""The way in which a call ended.

`caller`: the phone hung up; `application`: `PhoneCall.hang_up` was called; `session`: the session
with the model was closed, or lost for good; `time_limit`: `max_call_seconds` are over; `failure`:
the session did not begin, or a hook raised, as the log explains.
"""


class PhoneDialect(Protocol):
    """The messages of one stream."""

    def receive(self, message: str | bytes) -> list[PhoneEvent]:
        """Return the events of a message, in order; it never raises."""
        ...

    def media(self, audio: bytes) -> str:
        """Return the message that plays audio after all audio before it."""
        ...

    def mark(self, name: str) -> str:
        """Return the message that the provider returns when the audio before it was played."""
        ...

    def clear(self) -> str:
        """Return the message that discards all audio that was not played; its marks return."""
        ...


class PhoneProvider(Protocol):
    """A provider of telephone streams, with the settings of your account."""

    @property
    def name(self) -> str:
        """Name for logs."""
        ...

    def is_authentic(self, headers: Mapping[str, str]) -> bool:
        """Return whether a handshake comes from the provider.

        Args:
            headers: Headers of the request, with names in lower case.
        """
        ...

    def open(self) -> PhoneDialect:
        """Return the dialect of a new stream."""
        ...


def pressed(digit: str) -> DigitPressed | MalformedMessage:
    """Return the event of a pressed key, if it is one."""
    key = digit.upper()
    return DigitPressed(key) if key in DIGITS else MalformedMessage("it names no key of a phone")


def printable(name: str) -> str:
    """Return a name that the peer has chosen, for a line of the log."""
    return name[:MAX_NAME_CHARS] if name.isprintable() else ascii(name[:MAX_NAME_CHARS])


_encoder: Final = msgspec.json.Encoder()


def written(message: Mapping[str, object]) -> str:
    """Return a message as JSON."""
    return _encoder.encode(message).decode()


def encoded_audio(audio: bytes) -> str:
    """Return audio as base64."""
    return pybase64.b64encode(audio).decode()


def decoded_audio(payload: str) -> bytes | None:
    """Return the audio of a message; `None` if it is not base64."""
    try:
        return pybase64.b64decode(payload, validate=True)
    except ValueError:
        return None


def text_values(values: Mapping[str, object]) -> dict[str, str]:
    """Return custom parameters; other values than texts, which no provider sends, as JSON."""
    return {
        name: value if isinstance(value, str) else _encoder.encode(value).decode()
        for name, value in values.items()
    }

"""Telnyx media streaming, bidirectional with RTP: `stream_bidirectional_mode: "rtp"`.

Source: Telnyx, "Stream call media over WebSocket" (AsyncAPI) and "Media Streaming over WebSockets".
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from msgspec import Struct

from duologue.errors import ConfigurationError
from duologue.telephony.messages import (
    MAX_MESSAGE_CHARS,
    AudioEncoding,
    AudioReceived,
    CallStarted,
    CallStopped,
    MalformedMessage,
    MarkReturned,
    PhoneEvent,
    StreamError,
    UnknownMessage,
    decoded_audio,
    encoded_audio,
    encoding_named,
    pressed,
    text_values,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Telnyx", "TelnyxCodec", "TelnyxDialect"]

TelnyxCodec = Literal["PCMU", "PCMA", "L16"]
"""An encoding of the audio that is sent; others that Telnyx offers are not supported."""

TOKEN_HEADER: Final = "x-telnyx-streaming-auth-token"  # noqa: S105  # a name

MAX_HELD: Final = 5
"""Frames that wait for an earlier one: 100 ms, which a caller does not notice yet."""

MAX_LATE: Final = 50
"""Frames by which one may be late; a lower number than that begins a new count."""


class _Format(Struct, frozen=True):
    encoding: str = "PCMU"
    sample_rate: int = 8_000
    channels: int = 1


class _Start(Struct, frozen=True):
    call_control_id: str
    user_id: str = ""
    caller: str = msgspec.field(default="", name="from")
    callee: str = msgspec.field(default="", name="to")
    custom_parameters: dict[str, object] | None = None
    media_format: _Format = _Format()


class _Media(Struct, frozen=True):
    payload: str
    track: str = "inbound"
    chunk: str | int = ""


class _Digit(Struct, frozen=True):
    digit: str


class _Mark(Struct, frozen=True):
    name: str


class _Error(Struct, frozen=True):
    code: str | int = ""
    title: str = ""


class _Message(Struct, frozen=True):
    event: str
    stream_id: str = ""
    start: _Start | None = None
    media: _Media | None = None
    dtmf: _Digit | None = None
    mark: _Mark | None = None
    payload: _Error | None = None


_decoder: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(_Message)


class TelnyxDialect:
    """Implements `PhoneDialect` for one stream.

    Telnyx does not guarantee the order of media: frames that come too early wait for the others.

    Args:
        sends: Encoding of the audio that Telnyx plays.
    """

    def __init__(self, sends: AudioEncoding) -> None:
        self._sends: Final = sends
        self._next_chunk: int | None = None
        self._held: Final[dict[int, bytes]] = {}

    def receive(self, message: str | bytes) -> list[PhoneEvent]:
        """Return the events of a message; see `PhoneDialect.receive`."""
        if len(message) > MAX_MESSAGE_CHARS:
            return [MalformedMessage("it is too long")]
        try:
            decoded = _decoder.decode(message)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return [MalformedMessage("it is not a message of media streaming")]
        return self._events(decoded, message)

    def _events(self, decoded: _Message, message: str | bytes) -> list[PhoneEvent]:
        events: list[PhoneEvent]
        match decoded:
            case _Message(event="media", media=_Media() as media):
                events = self._in_order(media)
            case _Message(event="mark", mark=_Mark(name=name)):
                events = [MarkReturned(name)]
            case _Message(event="dtmf", dtmf=_Digit(digit=digit)):
                events = [pressed(digit)]
            case _Message(event="start", start=_Start() as start):
                events = [self._started(decoded.stream_id, start)]
            case _Message(event="stop"):
                events = [*self._release(), CallStopped()]
            case _Message(event="error", payload=_Error(code=code, title=title)):
                events = [StreamError(str(code), title)]
            case _Message(event="connected"):
                events = []
            case _Message(event="media" | "mark" | "dtmf" | "start" as event):
                events = [MalformedMessage(f"it has no {event!r}")]
            case _:
                events = [UnknownMessage(decoded.event, message)]
        return events

    def _started(self, stream_id: str, start: _Start) -> CallStarted:
        heard = start.media_format
        is_mono = heard.channels == 1
        return CallStarted(
            call_id=start.call_control_id,
            stream_id=stream_id,
            account_id=start.user_id,
            parameters=text_values(start.custom_parameters or {}),
            caller=start.caller,
            callee=start.callee,
            codec=f"{heard.encoding} at {heard.sample_rate} Hz",
            receives=encoding_named(heard.encoding, heard.sample_rate) if is_mono else None,
            sends=self._sends,
        )

    def _in_order(self, media: _Media) -> list[PhoneEvent]:
        if media.track not in ("inbound", "inbound_track"):
            return []
        audio = decoded_audio(media.payload)
        if audio is None:
            return [MalformedMessage("its audio is not base64")]
        number = str(media.chunk)
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            return [AudioReceived(audio)]  # without a number, its place is here
        chunk = int(number)
        if self._next_chunk is None or chunk < self._next_chunk - MAX_LATE:
            self._next_chunk = chunk
        if chunk < self._next_chunk:
            return []  # its place was given up, and played as a gap
        self._held[chunk] = audio
        if chunk > self._next_chunk and len(self._held) < MAX_HELD:
            return []
        return self._release()

    def _release(self) -> list[PhoneEvent]:
        """Return the frames up to the next gap; the one that is missing was lost."""
        events: list[PhoneEvent] = []
        if self._held:
            self._next_chunk = min(self._held)
        while self._next_chunk is not None and self._next_chunk in self._held:
            events.append(AudioReceived(self._held.pop(self._next_chunk)))
            self._next_chunk += 1
        return events

    def media(self, audio: bytes) -> str:
        """Return the message that plays audio; see `PhoneDialect.media`."""
        return written({"event": "media", "media": {"payload": encoded_audio(audio)}})

    def mark(self, name: str) -> str:
        """Return the message that marks a position; see `PhoneDialect.mark`."""
        return written({"event": "mark", "mark": {"name": name}})

    def clear(self) -> str:
        """Return the message that discards audio; see `PhoneDialect.clear`."""
        return written({"event": "clear"})


class Telnyx:
    """Telnyx media streaming.

    The audio of the phone is in the encoding that Telnyx announces, which depends on the network of
    the call; that of the assistant in the one that you choose in the request for the stream.

    Args:
        codec: The request's `stream_bidirectional_codec`, or `bidirectionalCodec` in TeXML.
        rate_hz: The request's `stream_bidirectional_sampling_rate`: for L16 8000, 16000 or 24000.
        auth_token: The request's `stream_auth_token`, your own secret: connections without it are
            refused. Without it anyone who knows the address may connect. It is never printed.

    Raises:
        ConfigurationError: If the codec is not supported, or does not have this rate.
    """

    def __init__(
        self,
        *,
        codec: TelnyxCodec = "PCMU",
        rate_hz: int = 8_000,
        auth_token: str | None = None,
    ) -> None:
        sends = encoding_named(codec, rate_hz)
        if sends is None:
            text = "PCMU and PCMA have 8000 Hz, L16 has 8000, 16000 or 24000 Hz"
            raise ConfigurationError(f"{codec} at {rate_hz} Hz is not supported: {text}")
        self._sends: Final = sends
        self._auth_token: Final = auth_token

    @property
    def name(self) -> str:
        """`Telnyx`, for logs."""
        return "Telnyx"

    def is_authentic(self, headers: Mapping[str, str]) -> bool:
        """Return whether the handshake has the token, or there is none to check."""
        if self._auth_token is None:
            return True
        token = headers.get(TOKEN_HEADER, "")
        return hmac.compare_digest(token.encode(), self._auth_token.encode())

    def open(self) -> TelnyxDialect:
        """Return the dialect of a new stream."""
        return TelnyxDialect(self._sends)

"""Twilio Media Streams, bidirectional: `<Connect><Stream>`.

Source: Twilio, "Media Streams - WebSocket Messages", and "Security" for signatures.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

import msgspec
import pybase64
from msgspec import Struct

from duologue.errors import ConfigurationError
from duologue.telephony.messages import (
    MAX_MESSAGE_CHARS,
    PCMU,
    AudioReceived,
    CallStarted,
    CallStopped,
    MalformedMessage,
    MarkReturned,
    PhoneEvent,
    UnknownMessage,
    decoded_audio,
    encoded_audio,
    pressed,
    text_values,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Twilio", "TwilioDialect", "twilio_signature"]

ENCODINGS: Final = {"audio/x-mulaw": PCMU}
"""The one encoding of Media Streams."""


class _Format(Struct, frozen=True, rename="camel"):
    encoding: str = "audio/x-mulaw"


class _Start(Struct, frozen=True, rename="camel"):
    call_sid: str
    stream_sid: str
    account_sid: str = ""
    custom_parameters: dict[str, object] = {}
    media_format: _Format = _Format()


class _Media(Struct, frozen=True):
    payload: str
    track: str = "inbound"


class _Digit(Struct, frozen=True):
    digit: str


class _Mark(Struct, frozen=True):
    name: str


class _Message(Struct, frozen=True):
    event: str
    start: _Start | None = None
    media: _Media | None = None
    dtmf: _Digit | None = None
    mark: _Mark | None = None


_decoder: Final[msgspec.json.Decoder[_Message]] = msgspec.json.Decoder(_Message)


class TwilioDialect:
    """Implements `PhoneDialect` for one media stream."""

    def __init__(self) -> None:
        self._stream_id = ""

    def receive(self, message: str | bytes) -> list[PhoneEvent]:
        """Return the events of a message; see `PhoneDialect.receive`."""
        if len(message) > MAX_MESSAGE_CHARS:
            return [MalformedMessage("it is too long")]
        try:
            decoded = _decoder.decode(message)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return [MalformedMessage("it is not a message of Media Streams")]
        return self._events(decoded, message)

    def _events(self, decoded: _Message, message: str | bytes) -> list[PhoneEvent]:
        events: list[PhoneEvent]
        match decoded:
            case _Message(event="media", media=_Media(payload=payload, track=track)):
                events = _audio(payload) if track == "inbound" else []
            case _Message(event="mark", mark=_Mark(name=name)):
                events = [MarkReturned(name)]
            case _Message(event="dtmf", dtmf=_Digit(digit=digit)):
                events = [pressed(digit)]
            case _Message(event="start", start=_Start() as start):
                events = [self._started(start)]
            case _Message(event="stop"):
                events = [CallStopped()]
            case _Message(event="connected"):
                events = []
            case _Message(event="media" | "mark" | "dtmf" | "start" as event):
                events = [MalformedMessage(f"it has no {event!r}")]
            case _:
                events = [UnknownMessage(decoded.event, message)]
        return events

    def _started(self, start: _Start) -> CallStarted:
        self._stream_id = start.stream_sid
        return CallStarted(
            call_id=start.call_sid,
            stream_id=start.stream_sid,
            account_id=start.account_sid,
            parameters=text_values(start.custom_parameters),
            codec=start.media_format.encoding,
            receives=ENCODINGS.get(start.media_format.encoding),
            sends=PCMU,
        )

    def media(self, audio: bytes) -> str:
        """Return the message that plays audio; see `PhoneDialect.media`."""
        return self._written("media", {"media": {"payload": encoded_audio(audio)}})

    def mark(self, name: str) -> str:
        """Return the message that marks a position; see `PhoneDialect.mark`."""
        return self._written("mark", {"mark": {"name": name}})

    def clear(self) -> str:
        """Return the message that discards audio; see `PhoneDialect.clear`."""
        return self._written("clear", {})

    def _written(self, event: str, fields: Mapping[str, object]) -> str:
        return written({"event": event, "streamSid": self._stream_id, **fields})


def _audio(payload: str) -> list[PhoneEvent]:
    audio = decoded_audio(payload)
    return [MalformedMessage("its audio is not base64") if audio is None else AudioReceived(audio)]


class Twilio:
    """Twilio Media Streams.

    With both arguments, connections that Twilio has not signed are refused. Without them anyone who
    knows the address may connect, and spend the tokens of your account.

    Args:
        auth_token: The account's auth token. It is never printed.
        url: The `url` of `<Stream>`, letter by letter: `wss://example.com/phone`.

    Raises:
        ConfigurationError: If only one of them is given.
    """

    def __init__(self, *, auth_token: str | None = None, url: str | None = None) -> None:
        if (auth_token is None) != (url is None):
            raise ConfigurationError("checking signatures needs both auth_token and url")
        self._auth_token: Final = auth_token
        self._url: Final = url

    @property
    def name(self) -> str:
        """`Twilio`, for logs."""
        return "Twilio"

    def is_authentic(self, headers: Mapping[str, str]) -> bool:
        """Return whether Twilio has signed the handshake, or nothing is to be checked."""
        if self._auth_token is None or self._url is None:
            return True
        signature = headers.get("x-twilio-signature", "").encode()
        # Some handshakes are signed with a slash that the address in the TwiML lacks, or without.
        bare = self._url.rstrip("/")
        signed = [twilio_signature(self._auth_token, url) for url in (bare, f"{bare}/")]
        return any(hmac.compare_digest(each.encode(), signature) for each in signed)

    def open(self) -> TwilioDialect:
        """Return the dialect of a new stream."""
        return TwilioDialect()


def twilio_signature(auth_token: str, url: str, form: Mapping[str, str] | None = None) -> str:
    """Return the signature of a request from Twilio, for its header `X-Twilio-Signature`.

    Compare it with `hmac.compare_digest`, before you answer a webhook with TwiML.

    Args:
        auth_token: The account's auth token.
        url: The address as Twilio has it, with the query.
        form: The fields of a POST.
    """
    fields = "".join(name + value for name, value in sorted((form or {}).items()))
    digest = hmac.new(auth_token.encode(), f"{url}{fields}".encode(), hashlib.sha1).digest()
    return pybase64.b64encode(digest).decode()

"""The providers' messages, as they are published, and as they should not be."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.errors import ConfigurationError
from duologue.telephony import CallStarted, PhoneProvider, Telnyx, Twilio, twilio_signature
from duologue.telephony.messages import (
    PCMA,
    PCMU,
    AudioReceived,
    CallStopped,
    DigitPressed,
    MalformedMessage,
    MarkReturned,
    PhoneDialect,
    PhoneEvent,
    StreamError,
    UnknownMessage,
    encoding_named,
    printable,
)

TWILIO_START = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC1",
        "streamSid": "MZ1",
        "callSid": "CA1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"FirstName": "Jane", "Age": 5},
    },
    "streamSid": "MZ1",
}
TELNYX_START: dict[str, Any] = {
    "event": "start",
    "sequence_number": "1",
    "stream_id": "32DE",
    "start": {
        "user_id": "user-1",
        "call_control_id": "v2:T02",
        "from": "+13122010094",
        "to": "+13122123456",
        "custom_parameters": {"customer_id": "123"},
        "media_format": {"encoding": "PCMA", "sample_rate": 8000, "channels": 1},
    },
}
PROVIDERS = [Twilio(), Telnyx()]


def receive(dialect: PhoneDialect, *messages: Any) -> list[PhoneEvent]:
    return [event for each in messages for event in dialect.receive(json.dumps(each))]


def media(audio: bytes, **fields: Any) -> dict[str, Any]:
    payload = base64.b64encode(audio).decode()
    return {"event": "media", "media": {"payload": payload, "track": "inbound", **fields}}


def test_twilio_reports_a_call() -> None:
    dialect = Twilio().open()
    events = receive(
        dialect,
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        TWILIO_START,
        media(b"\x01", chunk="1", timestamp="5"),
        media(b"\x02", track="outbound"),
        {"event": "dtmf", "dtmf": {"track": "inbound_track", "digit": "#"}},
        {"event": "mark", "mark": {"name": "160"}},
        {"event": "stop", "stop": {"callSid": "CA1"}},
    )
    assert events == [
        CallStarted(
            call_id="CA1",
            stream_id="MZ1",
            account_id="AC1",
            parameters={"FirstName": "Jane", "Age": "5"},
            codec="audio/x-mulaw",
            receives=PCMU,
            sends=PCMU,
        ),
        AudioReceived(b"\x01"),
        DigitPressed("#"),
        MarkReturned("160"),
        CallStopped(),
    ]


def test_twilio_gets_messages_with_the_id_of_the_stream() -> None:
    dialect = Twilio().open()
    receive(dialect, TWILIO_START)
    stream = {"streamSid": "MZ1"}
    assert json.loads(dialect.media(b"\x01")) == {
        "event": "media",
        "media": {"payload": "AQ=="},
        **stream,
    }
    assert json.loads(dialect.mark("1")) == {"event": "mark", "mark": {"name": "1"}, **stream}
    assert json.loads(dialect.clear()) == {"event": "clear", **stream}


def test_telnyx_reports_a_call() -> None:
    dialect = Telnyx().open()
    events = receive(
        dialect,
        {"event": "connected", "version": "1.0.0"},
        TELNYX_START,
        media(b"\x01", chunk="1"),
        media(b"\x02", track="outbound", chunk="2"),
        {"event": "dtmf", "stream_id": "32DE", "dtmf": {"digit": "1"}},
        {"event": "mark", "stream_id": "32DE", "mark": {"name": "160"}},
        {"event": "error", "payload": {"code": 100002, "title": "unknown", "detail": "?"}},
        {"event": "stop", "stop": {"call_control_id": "v2:T02"}, "stream_id": "32DE"},
    )
    assert events == [
        CallStarted(
            call_id="v2:T02",
            stream_id="32DE",
            account_id="user-1",
            parameters={"customer_id": "123"},
            caller="+13122010094",
            callee="+13122123456",
            codec="PCMA at 8000 Hz",
            receives=PCMA,
            sends=PCMU,
        ),
        AudioReceived(b"\x01"),
        DigitPressed("1"),
        MarkReturned("160"),
        StreamError("100002", "unknown"),
        CallStopped(),
    ]


def test_telnyx_gets_messages_without_ids() -> None:
    dialect = Telnyx().open()
    assert json.loads(dialect.media(b"\x01")) == {"event": "media", "media": {"payload": "AQ=="}}
    assert json.loads(dialect.mark("1")) == {"event": "mark", "mark": {"name": "1"}}
    assert json.loads(dialect.clear()) == {"event": "clear"}


@pytest.mark.parametrize(
    ("order", "heard"),
    [
        ([1, 2, 3], [1, 2, 3]),
        ([1, 3, 2, 4], [1, 2, 3, 4]),
        ([1, 4, 3, 2], [1, 2, 3, 4]),
        ([1, 2, 2, 3], [1, 2, 3]),
        ([1, 3, 4, 5, 6, 7, 8], [1, 3, 4, 5, 6, 7, 8]),  # 2 was lost: the fifth frame decides
        ([1, 3, 4, 5, 6, 7, 2, 8], [1, 3, 4, 5, 6, 7, 8]),  # 2 comes too late
        ([100, 101, 1, 2], [100, 101, 1, 2]),  # a new count
    ],
)
def test_telnyx_frames_are_put_in_order(order: list[int], heard: list[int]) -> None:
    dialect = Telnyx().open()
    frames = [media(bytes([chunk]), chunk=str(chunk)) for chunk in order]
    assert receive(dialect, *frames) == [AudioReceived(bytes([chunk])) for chunk in heard]


def test_telnyx_frames_that_wait_are_played_before_the_end() -> None:
    dialect = Telnyx().open()
    frames = [media(bytes([chunk]), chunk=str(chunk)) for chunk in (1, 3)]
    events = receive(dialect, *frames, {"event": "stop"})
    assert events == [AudioReceived(b"\x01"), AudioReceived(b"\x03"), CallStopped()]


def test_telnyx_frames_without_a_number_stay_where_they_are() -> None:
    dialect = Telnyx().open()
    assert receive(dialect, media(b"\x01"), media(b"\x02", chunk="x")) == [
        AudioReceived(b"\x01"),
        AudioReceived(b"\x02"),
    ]


def test_codecs_of_telnyx() -> None:
    assert encoding_named("opus") is None
    assert encoding_named("PCMU", 16_000) is None
    linear = encoding_named("L16", 16_000)
    assert linear is not None
    assert linear.frame_bytes == 640
    with pytest.raises(ConfigurationError, match="PCMU at 16000 Hz"):
        Telnyx(codec="PCMU", rate_hz=16_000)
    stereo = {"encoding": "PCMU", "sample_rate": 8000, "channels": 2}
    start = {**TELNYX_START, "start": {**TELNYX_START["start"], "media_format": stereo}}
    [started] = receive(Telnyx().open(), start)
    assert isinstance(started, CallStarted)
    assert started.receives is None


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
@pytest.mark.parametrize("event", ["start", "media", "dtmf", "mark"])
def test_a_message_without_its_content_is_malformed(provider: PhoneProvider, event: str) -> None:
    [result] = receive(provider.open(), {"event": event})
    assert result == MalformedMessage(f"it has no {event!r}")


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
def test_a_message_of_tomorrow_is_kept(provider: PhoneProvider) -> None:
    message = '{"event": "of.tomorrow", "more": [1]}'
    assert provider.open().receive(message) == [UnknownMessage("of.tomorrow", message)]


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
def test_keys_and_lengths_are_checked(provider: PhoneProvider) -> None:
    dialect = provider.open()
    keys = [{"event": "dtmf", "dtmf": {"digit": digit}} for digit in ("d", "12", "")]
    wrong = MalformedMessage("it names no key of a phone")
    assert receive(dialect, *keys) == [DigitPressed("D"), wrong, wrong]
    assert receive(dialect, media(bytes(65_536))) == [MalformedMessage("it is too long")]


def test_a_name_in_the_log_is_one_line() -> None:
    assert printable("CA1") == "CA1"
    assert printable("CA1\ncall CA2 ended") == "'CA1\\ncall CA2 ended'"
    assert len(printable("C" * 1000)) == 80


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["payload", "name", "digit", "chunk"]), inner, max_size=3)
    ),
)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda each: each.name)
@given(
    event=st.sampled_from(["start", "media", "dtmf", "mark", "stop", "error", "connected"]),
    fields=st.dictionaries(
        st.sampled_from(["start", "media", "dtmf", "mark", "payload"]), JSON, max_size=3
    ),
    raw=st.binary(max_size=20) | st.text(max_size=20),
)
def test_no_message_raises(
    provider: PhoneProvider, event: str, fields: dict[str, Any], raw: bytes | str
) -> None:
    dialect = provider.open()
    events = dialect.receive(json.dumps({"event": event, **fields})) + dialect.receive(raw)
    assert isinstance(events[-1], MalformedMessage)  # JSON of an object needs more than 20 bytes


def test_a_signature_of_twilio() -> None:
    """The example of Twilio's page on security."""
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio_signature("12345", url, form) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_a_handshake_is_authentic_with_and_without_the_last_slash() -> None:
    provider = Twilio(auth_token="12345", url="wss://example.com/phone")
    for url in ("wss://example.com/phone", "wss://example.com/phone/"):
        assert provider.is_authentic({"x-twilio-signature": twilio_signature("12345", url)})
    assert not provider.is_authentic({})
    assert not provider.is_authentic({"x-twilio-signature": "é"})
    assert "12345" not in repr(provider)


def test_half_of_what_a_signature_needs_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="both"):
        Twilio(auth_token="12345")


def test_the_token_of_telnyx_is_compared() -> None:
    provider = Telnyx(auth_token="secret")
    assert provider.is_authentic({"x-telnyx-streaming-auth-token": "secret"})
    assert not provider.is_authentic({"x-telnyx-streaming-auth-token": "Secret"})
    assert not provider.is_authentic({})
    assert Telnyx().is_authentic({})
    assert "secret" not in repr(provider)

"""Splicing an audio frame returns what the decoder returns."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duologue.errors import DecodeError
from duologue.protocol import codec, ga
from duologue.protocol._audio_splice import WORTHWHILE_BYTES
from duologue.protocol.model import UnknownEvent

PLAIN = msgspec.json.Decoder(ga.KnownServerEvent)
LONG = "A" * WORTHWHILE_BYTES
PLACE = '"response_id":"r","item_id":"i","output_index":0,"content_index":0'
START = '{"type":"response.output_audio.delta","event_id":"e",'


def frame(rest: str) -> bytes:
    return f"{START}{rest}}}".encode()


@pytest.mark.parametrize(
    "rest",
    [
        f'{PLACE},"delta":"{LONG}"',
        f'"delta":"{LONG}",{PLACE}',
        f'"delta" : "{LONG}" , {PLACE}',
        f'{PLACE},"delta":"{LONG}\\/{LONG}"',
        f'{PLACE},"delta":"{LONG}\\""',
        f'{PLACE},"delta":"{LONG}\\\\"',
        f'"delta":"{LONG}",{PLACE},"delta":"AAAA"',
        f'"delta":"{LONG}",{PLACE},"delta":""',
        f'"delta":"",{PLACE},"delta":"{LONG}"',
        f'"delta":"{LONG}",{PLACE},"delta" : "AAAA"',
        f'"delta":"{LONG}",{PLACE},"\\u0064elta":"AAAA"',
        f'{PLACE},"delta":""'.ljust(WORTHWHILE_BYTES * 2),
        f'"event_id":"{"x" * 600}",{PLACE},"delta":"{LONG}"',
    ],
)
def test_every_place_and_spelling_of_the_audio_decodes_as_ever(rest: str) -> None:
    event = codec.decode(frame(rest))
    assert event == PLAIN.decode(frame(rest))
    assert codec.encode(event) == frame(rest)


def test_an_unknown_field_is_kept_beside_long_audio() -> None:
    whole = frame(f'{PLACE},"delta":"{LONG}","new":{{"delta":"{LONG}"}}')
    event = codec.decode(whole)
    assert isinstance(event, ga.ResponseAudioDeltaEvent)
    assert event.extra == {"new": {"delta": LONG}}
    assert json.loads(codec.encode_model(event)) == json.loads(whole)


@pytest.mark.parametrize("rest", [f'"delta":"{LONG}"', f'{PLACE},"delta":"{LONG}","item_id":5'])
def test_a_frame_that_does_not_fit_says_why_as_ever(rest: str) -> None:
    event = codec.decode(frame(rest))
    assert isinstance(event, UnknownEvent)
    assert event.reason is not None


@pytest.mark.parametrize("end", ["", '"', '"}}', '"} x', '",}'])
def test_a_frame_that_is_broken_behind_its_audio_is_refused(end: str) -> None:
    with pytest.raises(DecodeError):
        codec.decode(f'{START}{PLACE},"delta":"{LONG}{end}'.encode())


def test_a_long_text_is_not_taken_for_audio() -> None:
    text = LONG + " \\u00e9"
    whole = frame(f'{PLACE},"delta":"{text}"').replace(b"output_audio", b"output_text")
    event = codec.decode(whole)
    assert isinstance(event, ga.ResponseTextDeltaEvent)
    assert event.delta == LONG + " é"


@settings(derandomize=True, max_examples=40)
@given(st.binary(min_size=1, max_size=64))
def test_long_audio_survives_both_ways(pattern: bytes) -> None:
    audio = pattern * WORTHWHILE_BYTES
    appended = codec.decode(codec.append_frame(audio, "event_1"), direction="client")
    assert isinstance(appended, ga.InputAudioBufferAppendEvent)
    assert appended.audio_data == audio
    assert codec.encode(appended) == codec.append_frame(audio, "event_1")

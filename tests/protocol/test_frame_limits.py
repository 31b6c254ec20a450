"""The work of a frame is bounded before anything of it is decoded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from duologue.errors import DecodeError
from duologue.protocol import codec, ga, repair
from duologue.protocol._frame_limits import MAX_DEPTH, MAX_VALUES, check_frame
from duologue.protocol.model import UnknownEvent

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect

ITEM = b'{"type":"message","role":"user","content":[%s]}'
START = b'{"event_id":"e","type":'


def _list_of(entry: bytes, count: int) -> bytes:
    return b",".join([entry] * count)


def _keys(count: int) -> bytes:
    return b",".join(b'"k%d":0' % number for number in range(count))


def _item(entry: bytes, count: int) -> bytes:
    return START + b'"conversation.item.created","item":' + ITEM % _list_of(entry, count) + b"}"


def _too_large(count: int) -> dict[str, bytes]:
    """Return frames with more than `count` values, each in another place."""
    outputs = _list_of(b'{"type":"message"}', count)
    response = b'{"id":"r","status":"completed","output":[' + outputs + b"]}"
    tools = _list_of(b'{"type":"function","name":"f"}', count)
    logprobs = _list_of(b'{"token":"a","logprob":0,"bytes":[]}', count)
    words = b'"conversation.item.input_audio_transcription.delta","item_id":"i","content_index":0,'
    return {
        "empty parts": _item(b"{}", count),
        "parts of no type": _item(b"0", count),
        "parts of an unknown type": _item(b'{"type":"zz"}', count),
        "parts": _item(b'{"type":"input_text","text":"a"}', count),
        "items that miss a field": START + b'"response.done","response":' + response + b"}",
        "tools": START + b'"session.updated","session":{"tools":[' + tools + b"]}}",
        "log probabilities": START + words + b'"delta":"a","logprobs":[' + logprobs + b"]}",
        "unknown keys": START + b'"error","error":{"type":"","message":"",' + _keys(count) + b"}}",
        "an unknown event": START + b'"new","list":[' + _list_of(b"[]", count) + b"]}",
        "no event": b'{"list":[' + _list_of(b"[]", count) + b"]}",
        "no object": b"[" + _list_of(b"{}", count) + b"]",
        "words before values": START + b'"new","text":"' + b"a," * 2_000_000 + b'","list":['
        + _list_of(b"0", count) + b"]}",
    }  # fmt: skip


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize("place", list(_too_large(0)))
def test_a_frame_of_too_many_values_is_refused(place: str, dialect: Dialect) -> None:
    frame = _too_large(MAX_VALUES + 1)[place]
    for decode in (repair.repairing_decoder(dialect), codec.decoder_for(dialect, "client")):
        with pytest.raises(DecodeError, match=f"more than {MAX_VALUES} values"):
            decode(frame)


@pytest.mark.parametrize("place", [place for place in _too_large(0) if not place.startswith("no ")])
def test_a_frame_of_many_values_is_decoded(place: str) -> None:
    frame = _too_large(MAX_VALUES // 10)[place]
    event = repair.repairing_decoder("ga")(frame)
    assert not isinstance(event, UnknownEvent) or event.reason is None
    assert codec.encode(event) is frame


@pytest.mark.parametrize(
    "text", [",[{" * 100_000, '"\\' * 100_000, '\\"[' * 100_000, '",' * 90_000]
)
@pytest.mark.parametrize("padding", [0, 3 << 20])
def test_a_text_is_one_value(text: str, padding: int) -> None:
    body = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    frame = json.dumps({"type": "conversation.item.create", "item": body}).encode()
    event = codec.decode(b" " * padding + frame, direction="client")
    assert isinstance(event, ga.ConversationItemCreateEvent)


def test_long_audio_is_one_value() -> None:
    frame = START + b'"response.output_audio.delta","response_id":"r","item_id":"i",'
    frame += b'"output_index":0,"content_index":0,"delta":"' + b"AAAA" * (1 << 20) + b'"}'
    assert isinstance(codec.decode(frame), ga.ResponseAudioDeltaEvent)


@pytest.mark.parametrize(
    "frame",
    [
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1),
        b'"[" ' * 100 + b"[]," * 1000 + b"[{" * MAX_DEPTH,
        b"[" * 10_000_000,
    ],
)
def test_deep_frames_are_refused(frame: bytes) -> None:
    with pytest.raises(DecodeError, match="levels deep"):
        check_frame(frame)


@pytest.mark.parametrize(
    "frame", [b"", b'"', b'"\\', b"\\" * 999_999, b"]" * 999_999, b'"' + b"," * 999_999, b"a" * 999]
)
def test_what_is_no_json_is_left_to_the_decoder(frame: bytes) -> None:
    check_frame(frame)
    with pytest.raises(DecodeError):
        codec.decode(frame)

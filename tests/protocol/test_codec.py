"""The codec: every event, any bytes, and the official types at the other end."""

from __future__ import annotations

import json
from typing import Any, Final, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.official import UNKNOWN_TO_THE_SDK, adapter_of, is_unknown_to_the_sdk, refusal
from tests.protocol.protocol_data import Example, examples
from tests.protocol.strategies import FEW, UNIONS, instances

from duologue.errors import ConfigurationError, DecodeError
from duologue.protocol import codec, ga
from duologue.protocol.codec import Dialect, Direction, encode_model
from duologue.protocol.ga import translation
from duologue.protocol.model import (
    EXTRA_KEY,
    UNKNOWN_TAG,
    UNSET,
    Event,
    UnknownEvent,
    replace,
)

DIALECTS: Final[tuple[Dialect, ...]] = ("ga", "beta")
DIRECTIONS: Final[tuple[Direction, ...]] = ("client", "server")
KINDS: Final = [
    pytest.param(dialect, direction, kind, id=f"{dialect}-{direction}-{kind.__name__}")
    for (dialect, direction), union in UNIONS.items()
    for kind in get_args(union)
]
UNDERSTOOD: Final = [
    example for example in examples() if not is_unknown_to_the_sdk(example) and not refusal(example)
]


def appended(audio: str) -> str:
    return f'{{"type":"input_audio_buffer.append","audio":{audio}}}'


@pytest.mark.parametrize(("dialect", "direction", "kind"), KINDS)
@given(data=st.data())
@FEW
def test_what_is_encoded_decodes_to_the_same(
    dialect: Dialect, direction: Direction, kind: type[Event], data: st.DataObject
) -> None:
    event = data.draw(instances(kind))
    frame = codec.encode(event)
    again = codec.decode(frame, dialect=dialect, direction=direction)
    assert again == event
    assert isinstance(again, Event)
    assert codec.encode(again) is again.raw
    assert json.loads(encode_model(replace(again))) == json.loads(frame)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@given(frame=st.binary(max_size=40) | st.text(max_size=40))
@FEW
def test_any_bytes_decode_or_raise_our_error(
    dialect: Dialect, direction: Direction, frame: bytes | str
) -> None:
    _decode_or_refuse(frame, dialect, direction)


json_values: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("example", examples(), ids=str)
@given(data=st.data())
@FEW
def test_any_value_anywhere_decodes_or_raises_our_error(
    example: Example, data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(example.payload)))
    payload = example.payload | {key: data.draw(json_values)}
    frame = json.dumps(payload)
    event = _decode_or_refuse(frame, example.dialect, example.direction)
    if event is not None:
        assert codec.encode(event) == frame.encode()


@given(data=st.data(), cut=st.integers(0, 200), byte=st.integers(0, 255))
@FEW
def test_a_damaged_frame_decodes_or_raises_our_error(
    data: st.DataObject, cut: int, byte: int
) -> None:
    example = data.draw(st.sampled_from(examples()))
    frame = bytearray(example.frame)
    frame[cut % len(frame)] = byte
    _decode_or_refuse(bytes(frame), example.dialect, example.direction)
    _decode_or_refuse(example.frame[:cut], example.dialect, example.direction)


def _decode_or_refuse(
    frame: bytes | str, dialect: Dialect, direction: Direction
) -> Event | UnknownEvent | None:
    try:
        event = codec.decode(frame, dialect=dialect, direction=direction)
    except DecodeError as error:
        message = str(error)
    else:
        encode_model(event)
        return event
    assert message.isprintable()
    return None


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "not JSON"),
        (b"[]", "not an object"),
        (b"null", "not an object"),
        (b"{}", "no `type`"),
        (b'{"type":null}', "no `type`"),
        (b'{"type":"error","event_id":"\xff"}', "not"),
        (b'{"type":"x"', "not JSON"),
        (b'{"type":"x"} ,', "not JSON"),
        ('{"type":"\ud800"}', "not valid Unicode"),
        (b'{"type":"error","error":' + b"[" * 5000 + b"]" * 5000 + b"}", "deep"),
        (b"[" * 100_000, "deep"),
    ],
)
def test_what_is_no_event_raises_our_error(frame: bytes | str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        codec.decode(frame)


def test_a_frame_that_is_too_long_is_refused() -> None:
    frame = bytearray(codec.MAX_FRAME_BYTES + 1)
    with pytest.raises(DecodeError, match="more than"):
        codec.decode(frame)


@pytest.mark.parametrize("surrogate", [r'"\ud800"', r'"\udfff\ud800"', r'"\ud83d\ude00"'])
def test_an_escaped_surrogate_has_an_outcome(surrogate: str) -> None:
    frame = f'{{"type":"conversation.item.deleted","event_id":"e","item_id":{surrogate}}}'
    _decode_or_refuse(frame, "ga", "server")


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e308", "1" * 400, "18446744073709551616"])
def test_a_huge_number_has_an_outcome(number: str) -> None:
    frame = (
        '{"type":"input_audio_buffer.speech_started","event_id":"e","item_id":"i",'
        f'"audio_start_ms":{number}}}'
    )
    event = _decode_or_refuse(frame, "ga", "server")
    assert event is None or codec.encode(event) == frame.encode()


@pytest.mark.parametrize(("given_ms", "audio_ms"), [("7.0", 7), ("7e0", 7), ("-0.0", 0)])
def test_a_float_that_is_whole_is_the_integer(given_ms: str, audio_ms: int) -> None:
    frame = (
        '{"type":"input_audio_buffer.speech_started","event_id":"e","item_id":"i",'
        f'"audio_start_ms":{given_ms}}}'
    )
    event = codec.decode(frame)
    assert isinstance(event, ga.InputAudioBufferSpeechStartedEvent)
    assert event.audio_start_ms == audio_ms


def test_a_float_that_is_not_whole_is_a_fault() -> None:
    frame = (
        '{"type":"input_audio_buffer.speech_started","event_id":"e","item_id":"i",'
        '"audio_start_ms":7.5}'
    )
    event = codec.decode(frame)
    assert isinstance(event, UnknownEvent)
    assert event.path == "audio_start_ms"


@pytest.mark.parametrize("audio", [r'"\/\/8="', '"//8="', r'"//8\u003d"'])
def test_base64_may_be_escaped(audio: str) -> None:
    event = codec.decode(appended(audio), direction="client")
    assert isinstance(event, ga.InputAudioBufferAppendEvent)
    assert event.audio_data == b"\xff\xff"


@pytest.mark.parametrize("audio", ['"//8"', '"no audio"', "5", "null", '""', "{}"])
def test_what_is_no_base64_raises_only_when_it_is_read(audio: str) -> None:
    event = codec.decode(appended(audio), direction="client")
    assert isinstance(event, ga.InputAudioBufferAppendEvent)
    if audio == '""':
        assert event.audio_data == b""
    else:
        with pytest.raises(DecodeError):
            _ = event.audio_data


def test_append_frame_is_the_event() -> None:
    event = codec.decode(codec.append_frame(b"\0\1", "e1"), direction="client")
    assert isinstance(event, ga.InputAudioBufferAppendEvent)
    assert (event.audio_data, event.event_id) == (b"\0\1", "e1")
    assert codec.decode(codec.append_frame(b"\0\1"), direction="client") == (
        ga.InputAudioBufferAppendEvent.of(b"\0\1")
    )


def test_a_client_that_forgets_a_field_is_told_which() -> None:
    event = codec.decode(b'{"type":"conversation.item.delete"}', direction="client")
    assert isinstance(event, UnknownEvent)
    assert (event.path, event.event_id) == ("item_id", UNSET)


def test_an_event_whose_id_is_mistyped_is_a_fault() -> None:
    event = codec.decode(b'{"type":"input_audio_buffer.cleared","event_id":5}')
    assert isinstance(event, UnknownEvent)
    assert event.path == "event_id"


def test_the_surface_decides_what_a_type_means() -> None:
    frame = codec.encode(
        translation.RealtimeTranslationSessionUpdateEvent(
            session=translation.TranslationSessionConfig()
        )
    )
    event = codec.decode(frame, direction="client", surface="translation")
    assert isinstance(event, translation.RealtimeTranslationSessionUpdateEvent)
    assert isinstance(codec.decode(frame, direction="client"), ga.SessionUpdateEvent)


def test_beta_has_no_translation_sessions() -> None:
    with pytest.raises(ConfigurationError):
        codec.decode(b'{"type":"session.close"}', dialect="beta", surface="translation")


def test_translation_audio_is_decoded_when_read() -> None:
    event = translation.RealtimeTranslationInputAudioBufferAppendEvent.of(b"\0\1")
    assert event.audio_data == b"\0\1"
    frame = b'{"type":"session.output_audio.delta","event_id":"e","delta":"AAE="}'
    delta = codec.decode(frame, surface="translation")
    assert isinstance(delta, translation.RealtimeTranslationOutputAudioDeltaEvent)
    assert delta.audio_data == b"\0\1"


@pytest.mark.parametrize("example", UNDERSTOOD, ids=str)
def test_the_official_types_take_what_we_encode(example: Example) -> None:
    event = codec.decode(
        example.frame,
        dialect=example.dialect,
        direction=example.direction,
        surface=example.surface,
    )
    assert isinstance(event, Event)
    official = adapter_of(example).validate_json(encode_model(event))
    assert official == adapter_of(example).validate_python(example.payload)


@pytest.mark.parametrize("example", UNDERSTOOD, ids=str)
def test_we_take_what_the_official_types_encode(example: Example) -> None:
    official = adapter_of(example).validate_python(example.payload)
    frame = adapter_of(example).dump_json(official, exclude_unset=True, by_alias=True)
    event = codec.decode(
        frame, dialect=example.dialect, direction=example.direction, surface=example.surface
    )
    assert isinstance(event, Event)
    assert event.type == example.type
    assert json.loads(encode_model(event)) == json.loads(frame)


def test_the_official_types_were_asked_about_every_event() -> None:
    asked = {(e.dialect, e.direction, e.type) for e in UNDERSTOOD if e.surface == "realtime"}
    for (dialect, direction), union in UNIONS.items():
        types: set[Any] = {kind.__struct_config__.tag for kind in get_args(union)}
        missing = types - {t for d, way, t in asked if (d, way) == (dialect, direction)}
        unknown = missing - UNKNOWN_TO_THE_SDK[dialect]
        hint = f"add an example to examples/{dialect}.jsonl, and unknown types to official.py"
        assert unknown == NOT_SHOWN[dialect, direction], hint
    translations = {e.type for e in UNDERSTOOD if e.surface == "translation"}
    known = get_args(translation.KnownTranslationClientEvent)
    known += get_args(translation.KnownTranslationServerEvent)
    assert translations == {kind.__struct_config__.tag for kind in known}


NOT_SHOWN: Final[dict[tuple[str, str], set[str]]] = {
    ("ga", "client"): set(),
    ("ga", "server"): set(),
    ("beta", "client"): set(),
    ("beta", "server"): set(),
}
"""Events that no example shows which the official types take."""


def test_extra_never_hides_a_mark_of_ours() -> None:
    """U+FDD0 inside a text is a text."""
    frame = json.dumps({"type": "response.text.done", "x": "\ufdd0extra"}).encode()
    event = codec.decode(frame)
    assert msgspec.json.decode(codec.encode(event)) == json.loads(frame)


def _nested(depth: int) -> bytes:
    schema = b'{"a":' * depth + b"1" + b"}" * depth
    tool = b'{"type":"function","name":"f","parameters":' + schema + b',"new":1}'
    return b'{"type":"realtime","tools":[' + tool + b"]}"


@pytest.mark.parametrize(
    ("start", "direction"),
    [
        (b'{"type":"session.update","session":', "client"),
        (b'{"type":"session.updated","event_id":"e","session":', "server"),
    ],
)
def test_nothing_is_taken_that_could_not_be_written_back(
    start: bytes, direction: Direction
) -> None:
    shallow, deep = start + _nested(150) + b"}", start + _nested(250) + b"}"
    event = codec.decode(shallow, direction=direction)
    assert isinstance(event, Event)
    assert json.loads(codec.encode_model(event)) == json.loads(shallow)
    with pytest.raises(DecodeError, match="levels deep"):
        codec.decode(deep, direction=direction)


def test_brackets_in_texts_are_not_depth() -> None:
    text = json.dumps("[{" * 500 + '\\"')
    content = f'[{{"type":"input_text","text":{text}}}]'
    item = f'{{"type":"message","role":"user","content":{content}}}'
    frame = f'{{"type":"conversation.item.create","item":{item}}}'.encode()
    assert isinstance(codec.decode(frame, direction="client"), ga.ConversationItemCreateEvent)


@pytest.mark.parametrize("tail", [b'\\"' * 100_000, b"x" * 1_000_000 + b'"}', b"\\" * 100_001])
def test_a_long_text_beside_many_brackets_is_passed_once(tail: bytes) -> None:
    """The first pattern took minutes, or a gigabyte, for these: a server must not be stopped so."""
    frame = b'{"type":"session.update","session":5,"a":[' + b"[]," * 300 + b'"' + tail
    with pytest.raises(DecodeError):
        codec.decode(frame, direction="client")


MARKS = ["\ufdd0unknown", "\ufdd0extra", UNKNOWN_TAG, EXTRA_KEY]


@pytest.mark.parametrize("mark", MARKS[:2])
@pytest.mark.parametrize(
    "session",
    [
        {"tools": [{"type": "function", "name": "f", "parameters": {"type": "MARK"}}]},
        {"tools": [{"type": "function", "name": "f", "parameters": {"MARK": {"q": 1}, "q": 3}}]},
        {"new": {"type": "MARK", "raw": {"a": 1}, "z": 2}},
        {"MARK": {"instructions": 5}, "instructions": "hi"},
        {"tools": [{"type": "MARK", "raw": {"q": 3}, "w": 1}]},
    ],
)
def test_what_looks_like_a_mark_of_the_codec_is_data(mark: str, session: dict[str, Any]) -> None:
    text = json.dumps({"type": "session.update", "session": {"type": "realtime", **session}})
    frame = text.replace("MARK", json.dumps(mark)[1:-1])
    event = codec.decode(frame, direction="client")
    assert isinstance(event, ga.SessionUpdateEvent)
    assert json.loads(codec.encode_model(event)) == json.loads(frame)


@pytest.mark.parametrize("mark", MARKS[2:], ids=["tag", "key"])  # they are random
def test_the_marks_of_the_codec_never_show(mark: str) -> None:
    odd = {"type": "realtime", "new": 1, "tools": [{"type": "dance"}], "instructions": None}
    event = codec.decode(json.dumps({"type": "session.update", "session": odd}), direction="client")
    assert isinstance(event, ga.SessionUpdateEvent)
    assert json.dumps(mark)[1:-1].encode() not in codec.encode_model(event)
    assert mark.encode() not in codec.encode_model(event)


def test_a_field_that_came_as_a_null_can_be_set() -> None:
    odd = {"type": "realtime", "instructions": None, "tools": None}
    event = codec.decode(json.dumps({"type": "session.update", "session": odd}), direction="client")
    assert isinstance(event, ga.SessionUpdateEvent)
    assert isinstance(event.session, ga.RealtimeSession)
    changed = replace(event, session=replace(event.session, instructions="hi", tools=[]))
    session = {"type": "realtime", "instructions": "hi", "tools": []}
    assert json.loads(codec.encode(changed)) == {"type": "session.update", "session": session}


def test_an_unknown_event_that_is_no_text_is_no_event() -> None:
    with pytest.raises(DecodeError, match="UTF-8"):
        codec.decode(b'{"type":"invented","x":"\xff"}')


def test_an_unknown_event_is_encoded_as_it_came() -> None:
    event = UnknownEvent(type="invented", raw=b'{"type": "invented"}')
    assert codec.encode_model(event) == event.raw


def test_a_fault_inside_a_mapping_is_placed_at_the_mapping() -> None:
    frame = b'{"type":"response.create","response":{"metadata":{"k":5}}}'
    event = codec.decode(frame, direction="client")
    assert isinstance(event, UnknownEvent)
    assert event.path == "response.metadata"

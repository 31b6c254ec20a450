"""Repair of server events that do not fit their types."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.protocol.protocol_data import Example, examples, is_array, is_object

from duologue.errors import DecodeError
from duologue.protocol import beta, codec, ga, repair
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.model import UNSET, UnknownEvent, replace
from duologue.session.error_reports import server_error

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = {"response_id": "resp_1", "output_index": 0, "item_id": "item_a", "content_index": 0}


def frame_of(kind: str, **fields: object) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


def read(kind: str, **fields: object) -> Any:
    return repair.repairing_decoder()(frame_of(kind, **fields))


def test_what_fits_is_read_as_it_is() -> None:
    frame = frame_of("response.output_text.delta", event_id="event_1", **PLACE, delta="Hi")
    assert repair.repairing_decoder()(frame) == codec.decode(frame)
    future = repair.repairing_decoder()(frame_of("future.event"))
    assert isinstance(future, UnknownEvent)
    assert future.reason is None


def test_ids_and_indices_may_be_left_out() -> None:
    event = read("response.output_audio.delta", item_id="item_a", delta="AQI=", more=1)
    assert isinstance(event, ga.ResponseAudioDeltaEvent)
    assert (event.event_id, event.content_index, event.audio_data) == ("", 0, b"\x01\x02")
    assert event.extra == {"more": 1}
    part = read("response.content_part.added", **PLACE)
    assert isinstance(part, ga.ResponseContentPartAddedEvent)


def test_a_commit_may_leave_out_which_message_it_became() -> None:
    event = read("input_audio_buffer.committed", event_id="event_1")
    assert isinstance(event, ga.InputAudioBufferCommittedEvent)
    assert event.item_id == ""
    assert isinstance(read("conversation.item.truncated", event_id="event_1"), UnknownEvent)


def test_the_frame_of_a_mended_event_is_kept() -> None:
    frame = frame_of("input_audio_buffer.cleared")
    event = repair.repairing_decoder()(frame)
    assert isinstance(event, ga.InputAudioBufferClearedEvent)
    assert codec.encode(event) == frame


def test_a_message_without_content_is_empty() -> None:
    item = {"id": "item_a", "type": "message", "role": "assistant", "status": "completed"}
    event = read("conversation.item.done", item=item)
    assert event.item == ga.Message(id="item_a", role="assistant", status="completed", content=[])


def test_an_item_that_lacks_what_its_type_needs_is_one_of_an_unknown_type() -> None:
    item = {"id": "item_x", "type": "mcp_list_tools", "server_label": "docs"}
    event = read("conversation.item.added", event_id="event_1", item=item)
    assert event.item == ga.UnknownItem(raw=item)


def test_half_a_character_stays_half() -> None:
    event = read("response.output_text.delta", event_id="event_1", **PLACE, delta="hi \ud83d")
    assert event.delta == "hi \ud83d"
    beta_event = repair.repairing_decoder("beta")(
        frame_of("response.text.delta", event_id="event_1", **PLACE, delta="\ude00!")
    )
    assert isinstance(beta_event, ga.ResponseTextDeltaEvent) is False
    assert beta_event.type == "response.text.delta"


def test_half_a_character_is_translated_beside_a_field_that_does_not_fit() -> None:
    adapter = dialect_adapter("beta")
    about = PLACE | {"output_index": "AAA"}
    event = adapter.decode_server(frame_of("response.text.delta", **about, delta="\ud83d"))
    [meaning] = adapter.server_event_to_ga(event)
    assert isinstance(meaning, ga.ResponseTextDeltaEvent)
    assert meaning.delta == "\ud83d"


def test_half_a_character_elsewhere_is_replaced() -> None:
    """Nothing can encode it, so an id with one could not be sent back."""
    item = {"id": "item_\ud83d", "type": "function_call", "call_id": "\ude00", "name": "f"}
    item |= {"arguments": "\ud83d\ude00 \ud83d", "new": ["\ud83d"]}
    event = read("conversation.item.added", event_id="event_1", item=item)
    assert (event.item.id, event.item.call_id) == ("item_\ufffd", "\ufffd")
    assert event.item.arguments == "\U0001f600 \ufffd"
    assert event.item.extra == {"new": ["\ufffd"]}


def test_half_a_character_in_a_key_is_replaced() -> None:
    event = read(
        "response.output_text.delta", event_id="event_1", **PLACE, delta="a", **{"\ud83d": 1}
    )
    assert event.extra == {"\ufffd": 1}
    assert b'"\xef\xbf\xbd":1' in codec.encode_model(replace(event))


@pytest.mark.parametrize("half", [b"\xed\xa0\xbd", b"\xff\xfe"])
def test_bytes_that_are_no_text_are_no_event(half: bytes) -> None:
    """Python's own parser decodes half a pair that is not escaped, and other encodings."""
    frame = frame_of("conversation.item.deleted", event_id="event_1", item_id="item_HALF")
    with pytest.raises(DecodeError, match="UTF-8"):
        repair.repairing_decoder()(frame.replace(b"HALF", half))
    with pytest.raises(DecodeError):
        repair.repairing_decoder()(frame.decode().encode("utf-16"))


@pytest.mark.parametrize("number", ["1e308", "-1e308", str(10**30), str(2**63) + ".0", "9" * 5000])
def test_a_number_beyond_every_integer_spoils_its_event_only(number: str) -> None:
    frame = frame_of("conversation.item.truncated", item_id="i", content_index=0)
    event = repair.repairing_decoder()(frame[:-1] + b',"audio_end_ms":' + number.encode() + b"}")
    assert isinstance(event, UnknownEvent)
    assert event.path == "audio_end_ms" or event.reason is not None


def test_what_cannot_be_mended_stays_unknown_and_says_why() -> None:
    event = read("response.output_item.done", event_id="event_1", **PLACE)
    assert isinstance(event, UnknownEvent)
    assert event.path == "item"


@pytest.mark.parametrize(
    "frame",
    [b"nonsense", b"[]", b"{}", b'{"type":"future.event","x":"\\ud83d"}', b"[" * 100_000],
)
def test_what_is_no_event_raises(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        repair.repairing_decoder()(frame)


# Errors. Source: recorded and reported frames of OpenAI-compatible servers.

WORDS = "You have no credit left."


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize(
    "body",
    [
        {"type": "error", "error": {"message": WORDS}},
        {"type": "error", "error": {"type": None, "message": WORDS, "code": None}},
        {"type": "error", "error": {"type": "server_error", "message": "", "detail": WORDS}},
        {"type": "error", "error": {"type": "server_error", "detail": WORDS}},
        {"type": "error", "event_id": "e", "error": {"type": "x", "message": "", "reason": WORDS}},
        {"type": "error", "event_id": "e", "error": {"type": "x", "message": ""}, "detail": WORDS},
        {"type": "error", "error": {"message": {"text": WORDS}}},
        {"type": "error", "error": {"message": [WORDS]}},
        {"type": "error", "error": {"reasons": [WORDS]}},
        {"type": "error", "error": WORDS},
        {"type": "error", "error": [WORDS]},
        {"type": "error", "error": None, "message": WORDS},
        {"type": "error", "message": WORDS},
        {"type": "error", "event_id": 7, "error": "", "detail": WORDS},
        {"error": {"message": WORDS, "type": "billing", "code": 402}},
        {"error": WORDS},
        {"object": "error", "message": WORDS, "type": "BadRequestError", "code": 400},
    ],
)
def test_an_error_keeps_its_words_in_any_form(body: dict[str, Any], dialect: Any) -> None:
    frame = json.dumps(body).encode()
    event: Any = repair.repairing_decoder(dialect)(frame)
    assert isinstance(event, ga.RealtimeErrorEvent)
    assert WORDS in server_error(event).message
    assert event.raw == frame


def test_a_numeric_code_of_an_error_is_a_text() -> None:
    error = {"type": "x", "message": "m", "code": 1011, "param": ["a", 1], "event_id": 5}
    event = read("error", event_id="event_1", error=error)
    assert event.error == ga.RealtimeError(
        type="x", message="m", code="1011", param='["a", 1]', event_id="5"
    )


@pytest.mark.parametrize("error", [{}, None, "", 0, False])
def test_an_error_without_words_is_an_error(error: object) -> None:
    event = read("error", error=error)
    assert isinstance(event, ga.RealtimeErrorEvent)
    assert str(server_error(event))


# Values of other types.


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(1.0, 1), ("24", 24), (-2.7, -2), (1e308, None), (True, None), ("1e3", None), ([], None)],
)
def test_a_number_in_another_form_becomes_an_integer_or_is_set_aside(
    sent: object, expected: int | None
) -> None:
    event = read("response.done", response={"id": "r", "usage": {"total_tokens": sent}})
    usage = event.response.usage
    if expected is None:
        assert usage == ga.Usage(extra={"total_tokens": sent})
    else:
        assert usage == ga.Usage(total_tokens=expected)


@pytest.mark.parametrize("huge", [b"1e308", b"-1e308", b"1e17"])
def test_a_huge_number_is_no_integer(huge: bytes) -> None:
    frame = frame_of("input_audio_buffer.speech_started", item_id="i", audio_start_ms=0)
    event = repair.repairing_decoder()(frame.replace(b": 0}", b": " + huge + b"}"))
    assert isinstance(event, ga.InputAudioBufferSpeechStartedEvent)  # the user interrupts
    assert event.audio_start_ms == 0
    assert event.extra == {"audio_start_ms": float(huge)}
    rated = frame_of("rate_limits.updated", rate_limits=[{"name": "tokens", "limit": 0}])
    event = repair.repairing_decoder()(rated.replace(b": 0}", b": " + huge + b"}"))
    assert isinstance(event, ga.RateLimitsUpdatedEvent)
    assert event.rate_limits[0].limit is UNSET


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"1e400"])
def test_what_is_no_number_in_json_is_set_aside_like_a_misfit(number: bytes) -> None:
    frame = frame_of("rate_limits.updated", rate_limits=[{"name": "tokens", "limit": 0}])
    event = repair.repairing_decoder()(frame.replace(b": 0}", b": " + number + b"}"))
    assert isinstance(event, ga.RateLimitsUpdatedEvent)
    assert event.rate_limits[0].limit is UNSET


def test_metadata_of_other_types_becomes_text() -> None:
    metadata = {"turn": 5, "first": True, "tags": ["a"], "none": None, "topic": "x"}
    event = read("response.created", response={"id": "r", "metadata": metadata})
    assert event.response.metadata == {
        "turn": "5", "first": "true", "tags": '["a"]', "topic": "x",
    }  # fmt: skip


def test_the_status_details_may_be_a_text() -> None:
    response = {"id": "r", "status": "failed", "status_details": "model overloaded", "output": []}
    event = read("response.done", event_id="e", response=response)
    details = ga.ResponseStatusDetails(reason="model overloaded")
    assert event.response.status_details == details
    error = read("response.done", response=response | {"status_details": {"error": "overloaded"}})
    assert error.response.status_details.error == ga.ResponseError(message="overloaded")


def test_arguments_may_be_an_object() -> None:
    call = {"type": "function_call", "name": "f", "arguments": {"city": "Köln"}, "call_id": "c"}
    event = read("conversation.item.added", event_id="e", item=call)
    assert event.item == ga.FunctionCall(name="f", call_id="c", arguments='{"city": "Köln"}')


def test_what_fits_no_optional_field_is_an_unknown_field() -> None:
    event = read("response.done", response={"id": "r", "output": {"a": 1}, "status": None})
    assert event.response == ga.Response(id="r", extra={"output": {"a": 1}, "status": None})


def test_a_bad_entry_of_a_list_costs_only_itself() -> None:
    message = {"type": "message", "role": "assistant", "content": [None, "x", {"type": "new"}]}
    event = read("response.done", response={"id": "r", "output": [None, "item", message]})
    [item] = event.response.output
    assert item == ga.Message(role="assistant", content=[ga.UnknownPart(raw={"type": "new"})])


@pytest.mark.parametrize("name", ["event_id", "response_id", "output_index", "content_index"])
def test_a_null_is_a_missing_value(name: str) -> None:
    frame = {"event_id": "e", **PLACE, "delta": "Hi", "obfuscation": None} | {name: None}
    event = read("response.output_text.delta", **frame)
    assert isinstance(event, ga.ResponseTextDeltaEvent)
    assert (event.delta, getattr(event, name)) == ("Hi", type(getattr(event, name))())


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize("fields", [{}, {"session": None, "event_id": None}])
def test_a_session_may_begin_without_its_configuration(
    fields: dict[str, object], dialect: Any
) -> None:
    event = repair.repairing_decoder(dialect)(frame_of("session.created", **fields))
    assert isinstance(event, ga.SessionCreatedEvent | beta.SessionCreatedEvent)


@pytest.mark.parametrize("kind", ["speech_started", "speech_stopped"])
def test_speech_counts_even_if_it_names_no_message(kind: str) -> None:
    event = read(f"input_audio_buffer.{kind}", audio_start_ms=5, audio_end_ms=5)
    assert not isinstance(event, UnknownEvent)
    assert event.item_id == ""


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_a_voice_may_lack_an_id(dialect: Any) -> None:
    """Source: recorded `session.created` of Azure Voice Live."""
    voice = {"name": "en-US-AvaNeural", "type": "azure-standard", "temperature": None}
    output = {"audio": {"output": {"voice": voice}}, "type": "realtime"}
    session = {"voice": voice} if dialect == "beta" else output
    frame = frame_of("session.created", event_id="e", session=session)
    event: Any = repair.repairing_decoder(dialect)(frame)
    found = event.session.voice if dialect == "beta" else event.session.audio.output.voice
    assert found == ga.VoiceId(extra=voice)
    assert json.loads(codec.encode_model(event))["session"] == session


ODD: tuple[object, ...] = (None, True, 7, 1.5, 1e308, "x", [], [None], {}, {"type": None})


SERVERS = [e for e in examples() if e.direction == "server" and e.surface == "realtime"]


@pytest.mark.parametrize("example", SERVERS, ids=str)
def test_no_value_of_any_field_makes_decoding_or_translating_fail(example: Example) -> None:
    """Each value in turn is replaced by values of other types."""
    adapter = dialect_adapter(example.dialect)
    for path in paths(example.payload):
        for odd in ODD:
            frame = json.dumps(put(example.payload, path, odd)).encode()
            try:
                event = adapter.decode_server(frame)
            except DecodeError:
                assert path == ["type"]
                continue
            assert event.raw == frame
            for meaning in adapter.server_event_to_ga(event):
                codec.encode(meaning)


def paths(value: object) -> Iterator[list[str | int]]:
    """Yield the paths of all values in decoded JSON."""
    pairs = value.items() if is_object(value) else enumerate(value) if is_array(value) else ()
    for key, inner in pairs:
        yield [key]
        yield from ([key, *path] for path in paths(inner))


def put(value: Any, path: list[str | int], new: object) -> Any:
    """Return a copy of decoded JSON with one value replaced."""
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = put(value[path[0]], path[1:], new)
    return copied

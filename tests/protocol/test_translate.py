"""Translation between the dialects, in both directions."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.protocol_data import Example, examples, is_array, is_object
from tests.protocol.strategies import FEW, classes, instances

from duologue.errors import DecodeError
from duologue.protocol import beta, codec, ga
from duologue.protocol.codec import encode_model
from duologue.protocol.model import UNSET, Event, UnknownEvent
from duologue.protocol.translate import Loss, LossRule, Translation, detect_dialect, to_beta, to_ga

GA_CLASSES = classes("ga", "client") + classes("ga", "server")
BETA_CLASSES = classes("beta", "client") + classes("beta", "server")

NOT_IN_BETA = {ga.InputAudioBufferTimeoutTriggered, ga.InputAudioBufferDtmfEventReceivedEvent}
OLD_NAMES_IN_GA = {
    ga.ConversationItemCreatedEvent,
    ga.TranscriptionSessionUpdate,
    ga.TranscriptionSessionUpdatedEvent,
}
"""Beta words that GA's unions still list: they come back in GA's own."""


REFUSED = b'{"type":"x","message":"m","code":"beta_api_shape_disabled"}'


def json_of(model: Any) -> Any:
    return msgspec.json.decode(encode_model(model))


def without_losses(body: Any, losses: list[Loss]) -> Any:
    """Take out what the translation said that it left out."""
    for loss in losses:
        *way, last = loss.path.split(".")
        place = body
        for step in way:
            place = place[step]
        del place[last]
    return body


def pruned(body: Any, names: tuple[str, ...] = ("audio", "input", "output")) -> Any:
    """Leave out empty objects: they say nothing."""
    if is_array(body):
        return [pruned(entry) for entry in body]
    if not is_object(body):
        return body
    clean = {key: pruned(value) for key, value in body.items()}
    return {key: value for key, value in clean.items() if value != {} or key not in names}


def with_ga_demands(body: Any) -> Any:
    """Fill in what GA wants said: the kind of turn detection, a rate, content, arguments."""
    if is_array(body):
        return [with_ga_demands(entry) for entry in body]
    if not is_object(body):
        return body
    filled: dict[str, Any] = {key: with_ga_demands(value) for key, value in body.items()}
    if is_object(detection := filled.get("turn_detection")):
        filled["turn_detection"] = {"type": "server_vad"} | detection
    if filled.get("type") == "audio/pcm":
        filled.setdefault("rate", 24000)
    if filled.get("type") == "message" and "role" in filled:
        filled.setdefault("content", [])
    if filled.get("type") == "function_call" and "name" in filled:
        filled.setdefault("arguments", "")
    return filled


@pytest.mark.parametrize("kind", [k for k in GA_CLASSES if k not in OLD_NAMES_IN_GA])
@given(data=st.data())
@FEW
def test_ga_to_beta_and_back_keeps_all_but_the_losses(
    kind: type[Event], data: st.DataObject
) -> None:
    event = data.draw(instances(kind))
    there = to_beta(event)
    if kind in NOT_IN_BETA:
        assert (there.events, there.losses) == ([], [Loss("", LossRule.EVENT, event)])
        return
    if kind is ga.ConversationItemDone:
        assert (there.events, there.losses) == ([], [])
        return
    assert there.events, f"beta has no {kind.__name__}: add it to `NOT_IN_BETA`"
    back = to_ga(there.events[0])
    assert {loss.rule for loss in there.losses} <= {
        LossRule.REASONING,
        LossRule.PARALLEL_TOOL_CALLS,
    }
    assert back.losses == []
    expected = with_ga_demands(pruned(without_losses(json_of(event), there.losses)))
    assert with_ga_demands(pruned(json_of(back.events[0]))) == expected


@pytest.mark.parametrize("kind", BETA_CLASSES)
@given(data=st.data())
@FEW
def test_beta_to_ga_and_back_keeps_all_but_the_losses(
    kind: type[Event], data: st.DataObject
) -> None:
    event = data.draw(instances(kind))
    there = to_ga(event)
    backs = [to_beta(one) for one in there.events]
    assert {loss.rule for loss in there.losses} <= {
        LossRule.TEMPERATURE,
        LossRule.CLIENT_SECRET,
        LossRule.TRANSCRIPTION_MODALITIES,
    }
    assert [loss for back in backs for loss in back.losses] == []
    expected = with_ga_demands(without_losses(json_of(event), there.losses))
    assert [json_of(one) for back in backs for one in back.events] == [expected]


@pytest.mark.parametrize("kind", GA_CLASSES)
@given(data=st.data())
@FEW
def test_a_translated_event_is_one_of_the_other_dialect(
    kind: type[Event], data: st.DataObject
) -> None:
    event = data.draw(instances(kind))
    direction: codec.Direction = "client" if kind in classes("ga", "client") else "server"
    for one in to_beta(event).events:
        assert not isinstance(one, UnknownEvent)
        again = codec.decode(encode_model(one), dialect="beta", direction=direction)
        assert type(again) is type(one), f"beta has no {kind.__name__}: add a row to `_TO_BETA`"


@pytest.mark.parametrize("example", [e for e in examples() if e.surface != "translation"], ids=str)
def test_every_example_has_words_in_the_other_dialect(example: Example) -> None:
    event = codec.decode(example.frame, dialect=example.dialect, direction=example.direction)
    there = to_beta(event) if example.dialect == "ga" else to_ga(event)  # type: ignore[arg-type]  # its own
    other: codec.Dialect = "beta" if example.dialect == "ga" else "ga"
    assert there.events or type(event) in NOT_IN_BETA | {ga.ConversationItemDone}
    for one in there.events:
        assert not isinstance(one, UnknownEvent)
        again = codec.decode(encode_model(one), dialect=other, direction=example.direction)
        assert not isinstance(again, UnknownEvent)


def test_what_is_equal_in_both_dialects_passes_as_it_is() -> None:
    frame = b'{"type":"input_audio_buffer.cleared","event_id":"e","new":1}'
    event = codec.decode(frame)
    assert to_beta(event).events[0] is event
    assert event.raw == frame


def test_an_unknown_event_passes_as_it_is() -> None:
    event = codec.decode(b'{"type":"ping"}', dialect="beta")
    assert to_ga(event).events == [event]


@pytest.mark.parametrize(
    ("status", "types"),
    [
        ("in_progress", ["conversation.item.added"]),
        ("completed", ["conversation.item.added", "conversation.item.done"]),
        (None, ["conversation.item.added", "conversation.item.done"]),
    ],
)
def test_a_created_item_is_added_and_done_unless_in_progress(
    status: str | None, types: list[str]
) -> None:
    item = beta.Message(role="user", content=[], status=UNSET if status is None else status)
    event = beta.ConversationItemCreatedEvent(event_id="e1", item=item)
    assert [one.type for one in to_ga(event).events] == types


def test_the_two_events_of_an_item_have_ids_of_their_own() -> None:
    event = beta.ConversationItemCreatedEvent(event_id="e1", item=beta.UnknownItem(raw={}))
    added, done = to_ga(event).events
    assert isinstance(added, ga.ConversationItemAdded)
    assert isinstance(done, ga.ConversationItemDone)
    assert added.event_id == "e1"
    assert done.event_id != added.event_id


def test_an_unknown_item_in_progress_is_not_done() -> None:
    item = beta.UnknownItem(raw={"type": "dance", "status": "in_progress"})
    event = beta.ConversationItemCreatedEvent(event_id="e1", item=item)
    assert [type(one) for one in to_ga(event).events] == [ga.ConversationItemAdded]


def test_a_beta_session_becomes_a_ga_session() -> None:
    session = beta.SessionConfig(
        modalities=["text", "audio"],
        voice="alloy",
        speed=1.1,
        input_audio_format="g711_ulaw",
        output_audio_format="pcm16",
        input_audio_transcription=None,
        turn_detection=beta.TurnDetection(threshold=0.4),
        max_response_output_tokens=100,
        temperature=0.7,
        client_secret=beta.ClientSecretConfig(),
    )
    there = to_ga(beta.SessionUpdateEvent(session=session))
    assert json_of(there.events[0]) == {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "output_modalities": ["audio"],
            "max_output_tokens": 100,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "transcription": None,
                    "turn_detection": {"type": "server_vad", "threshold": 0.4},
                },
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "voice": "alloy",
                    "speed": 1.1,
                },
            },
        },
    }
    assert [(loss.path, loss.rule) for loss in there.losses] == [
        ("session.temperature", LossRule.TEMPERATURE),
        ("session.client_secret", LossRule.CLIENT_SECRET),
    ]


def test_a_format_is_one_word_in_beta() -> None:
    odd = ga.AudioPcm(rate=16000, extra={"channels": 2})
    made = ga.UnknownAudioFormat(raw={"type": "audio/opus", "rate": 48000})
    audio = ga.AudioConfig(input=ga.AudioInput(format=made), output=ga.AudioOutput(format=odd))
    event = ga.SessionUpdateEvent(session=ga.RealtimeSession(audio=audio))
    there = to_beta(event)
    (flat,) = there.events
    assert isinstance(flat, beta.SessionUpdateEvent)
    assert flat.session.input_audio_format == "audio/opus"
    assert flat.session.output_audio_format == "pcm16"
    assert sorted((loss.path, loss.value) for loss in there.losses) == [
        ("session.audio.input.format.extra", {"rate": 48000}),
        ("session.audio.output.format.extra", {"channels": 2}),
        ("session.audio.output.format.rate", 16000),
    ]


def test_a_response_has_one_limit_in_ga() -> None:
    params = beta.ResponseCreateParams(max_output_tokens=7)
    (event,) = to_ga(beta.ResponseCreateEvent(response=params)).events
    assert json_of(event)["response"] == {"max_output_tokens": 7}
    both = beta.ResponseCreateParams(max_output_tokens=7, max_response_output_tokens=8)
    there = to_ga(beta.ResponseCreateEvent(response=both))
    assert json_of(there.events[0])["response"] == {"max_output_tokens": 8}
    assert there.losses == [Loss("response.max_output_tokens", LossRule.TWO_LIMITS, 7)]


def test_ga_words_in_a_beta_object_become_ga_fields() -> None:
    """Late beta servers say `output_modalities` and `audio` (official example of 2026)."""
    frame = (
        b'{"type":"response.created","event_id":"e","response":{"output_modalities":["audio"],'
        b'"audio":{"output":{"voice":"marin"}}}}'
    )
    (event,) = to_ga(codec.decode(frame, dialect="beta")).events
    assert isinstance(event, ga.ResponseCreatedEvent)
    assert event.response.output_modalities == ["audio"]
    assert event.response.audio == ga.ResponseAudio(output=ga.ResponseAudioOutput(voice="marin"))


def test_beta_parts_in_a_ga_item_are_read_as_beta() -> None:
    """xAI speaks GA with beta's parts."""
    item = ga.Message(role="assistant", content=[ga.UnknownPart(raw={"type": "text", "text": "a"})])
    (event,) = to_beta(ga.ConversationItemAdded(event_id="e", item=item)).events
    assert isinstance(event, beta.ConversationItemCreatedEvent)
    assert isinstance(event.item, beta.Message)
    assert event.item.content == [beta.Text(text="a")]


def test_the_output_of_a_transcription_session_is_kept() -> None:
    audio = ga.AudioConfig(output=ga.AudioOutput(voice="alloy"))
    session = ga.TranscriptionSession(audio=audio, extra={"x": 1})
    event = ga.SessionUpdateEvent(session=session)
    (flat,) = to_beta(event).events
    assert isinstance(flat, beta.TranscriptionSessionUpdate)
    assert to_ga(flat).events == [event]


def test_detection_that_fits_no_kind_is_kept_unread() -> None:
    odd = ga.ServerVad(extra={"eagerness": 5})
    audio = ga.AudioConfig(input=ga.AudioInput(turn_detection=odd))
    (flat,) = to_beta(ga.SessionUpdateEvent(session=ga.RealtimeSession(audio=audio))).events
    assert isinstance(flat, beta.SessionUpdateEvent)
    assert json_of(flat.session) == {"turn_detection": {"type": "server_vad", "eagerness": 5}}


def decoded(body: Any, **kind: Any) -> Any:
    return codec.decode(json.dumps(body).encode(), **kind)


def said(there: Translation[Any], name: str) -> tuple[Any, list[tuple[str, LossRule, Any]]]:
    """Return an object of the one event that a translation gives, and the losses."""
    (event,) = there.events
    return json_of(event)[name], [(loss.path, loss.rule, loss.value) for loss in there.losses]


def beta_session_in_ga(session: Any) -> tuple[Any, list[tuple[str, LossRule, Any]]]:
    body = {"type": "session.update", "session": session}
    return said(to_ga(decoded(body, dialect="beta", direction="client")), "session")


def beta_params_in_ga(params: Any) -> tuple[Any, list[tuple[str, LossRule, Any]]]:
    body = {"type": "response.create", "response": params}
    return said(to_ga(decoded(body, dialect="beta", direction="client")), "response")


def ga_in_beta(name: str, body: Any) -> tuple[Any, list[tuple[str, LossRule, Any]]]:
    kind = "session.update" if name == "session" else "response.create"
    return said(to_beta(decoded({"type": kind, name: body}, direction="client")), name)


ASH = {"audio": {"output": {"voice": "ash"}}}


@pytest.mark.parametrize(
    ("audio", "expected", "losses"),
    [
        ({"input": 5}, {"input": 5, "output": {"voice": "ash"}}, []),
        ({"input": {"format": 5}}, {"input": {"format": 5}, "output": {"voice": "ash"}}, []),
        ({"output": {"speed": 1.5}}, {"output": {"voice": "ash", "speed": 1.5}}, []),
        ({"output": {"voice": "ash"}}, ASH["audio"], []),
        ({"output": {"voice": "x"}}, ASH["audio"], [("audio.output.voice", "x")]),
        ({"output": "pcm16"}, ASH["audio"], [("audio.output", "pcm16")]),
        (5, ASH["audio"], [("audio", 5)]),
        (None, ASH["audio"], [("audio", None)]),
    ],
)
def test_what_stands_in_the_place_of_our_audio_is_kept_or_lost_aloud(
    audio: Any, expected: Any, losses: list[tuple[str, Any]]
) -> None:
    def lost(start: str) -> list[tuple[str, LossRule, Any]]:
        return [(f"{start}.{path}", LossRule.TAKEN, value) for path, value in losses]

    flat = {"voice": "ash", "audio": audio}
    assert beta_session_in_ga(flat) == ({"type": "realtime", "audio": expected}, lost("session"))
    if "input" not in expected:
        assert beta_params_in_ga(flat) == ({"audio": expected}, lost("response"))


@pytest.mark.parametrize("audio", [5, None, {"output": "pcm16"}])
def test_what_competes_with_nothing_is_kept_under_its_key(audio: Any) -> None:
    assert beta_session_in_ga({"audio": audio}) == ({"type": "realtime", "audio": audio}, [])
    assert beta_params_in_ga({"audio": audio}) == ({"audio": audio}, [])


def test_a_word_said_in_both_dialects_is_said_by_ours() -> None:
    flat = {"modalities": ["text"], "output_modalities": ["audio"], "max_output_tokens": 5}
    assert beta_session_in_ga(flat) == (
        {"type": "realtime", "output_modalities": ["text"], "max_output_tokens": 5},
        [("session.output_modalities", LossRule.TAKEN, ["audio"])],
    )


def test_nulls_of_a_beta_session_are_renamed() -> None:
    flat = {
        "voice": None,
        "speed": None,
        "temperature": None,
        "input_audio_format": None,
        "output_audio_format": None,
        "max_response_output_tokens": None,
        "modalities": None,
        "instructions": None,
        "client_secret": None,
        "turn_detection": None,
    }
    assert beta_session_in_ga(flat) == (
        {
            "type": "realtime",
            "instructions": None,
            "output_modalities": None,
            "max_output_tokens": None,
            "audio": {
                "input": {"format": None, "turn_detection": None},
                "output": {"format": None, "voice": None, "speed": None},
            },
        },
        [
            ("session.temperature", LossRule.TEMPERATURE, None),
            ("session.client_secret", LossRule.CLIENT_SECRET, None),
        ],
    )


def test_nulls_of_beta_params_are_renamed() -> None:
    flat = {
        "voice": None,
        "temperature": None,
        "output_audio_format": None,
        "max_response_output_tokens": None,
        "modalities": None,
        "input": None,
    }
    assert beta_params_in_ga(flat) == (
        {
            "output_modalities": None,
            "max_output_tokens": None,
            "audio": {"output": {"format": None, "voice": None}},
            "input": None,
        },
        [("response.temperature", LossRule.TEMPERATURE, None)],
    )


def test_nulls_of_a_response_are_renamed() -> None:
    flat = {"modalities": None, "output": None, "voice": None}
    nested = {"output_modalities": None, "output": None, "audio": {"output": {"voice": None}}}
    start = {"type": "response.done", "event_id": "e"}
    event = decoded(start | {"response": flat | {"temperature": None}}, dialect="beta")
    lost = [("response.temperature", LossRule.TEMPERATURE, None)]
    assert said(to_ga(event), "response") == (nested, lost)
    assert said(to_beta(decoded(start | {"response": nested})), "response") == (flat, [])


def test_nulls_of_a_transcription_session_are_renamed() -> None:
    flat = {"type": "transcription_session.update", "session": {"input_audio_format": None}}
    there = to_ga(decoded(flat, dialect="beta", direction="client"))
    nested = {"type": "transcription", "audio": {"input": {"format": None}}}
    assert said(there, "session") == (nested, [])
    assert ga_in_beta("session", nested) == (flat["session"], [])


def test_nulls_of_a_ga_session_are_renamed() -> None:
    nested = {
        "type": "realtime",
        "output_modalities": None,
        "max_output_tokens": None,
        "reasoning": None,
        "audio": {"input": None, "output": {"voice": None, "format": None, "x": 1}},
    }
    assert ga_in_beta("session", nested) == (
        {
            "modalities": None,
            "max_response_output_tokens": None,
            "voice": None,
            "output_audio_format": None,
            "audio": {"output": {"x": 1}},
        },
        [
            ("session.reasoning", LossRule.REASONING, None),
            ("session.audio.input", LossRule.NULL_OBJECT, None),
        ],
    )


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("session", {"type": "realtime", "audio": None}),
        ("session", {"type": "transcription", "audio": None}),
        ("response", {"audio": None}),
    ],
)
def test_beta_has_no_audio_to_be_null(name: str, body: Any) -> None:
    assert ga_in_beta(name, body) == ({}, [(f"{name}.audio", LossRule.NULL_OBJECT, None)])


@pytest.mark.parametrize(
    ("format_", "losses"),
    [
        ({"type": 5, "x": 1}, [({"type": 5, "x": 1})]),
        ({"type": 5}, [({"type": 5})]),
        ({}, []),
    ],
)
def test_a_format_without_a_name_is_lost_whole(format_: Any, losses: list[Any]) -> None:
    nested = {"type": "realtime", "audio": {"input": {"format": format_}}}
    path = "session.audio.input.format"
    expected = [(path, LossRule.AUDIO_FORMAT, loss) for loss in losses]
    assert ga_in_beta("session", nested) == ({}, expected)


def test_a_flat_session_that_says_its_type_is_translated() -> None:
    flat = {
        "type": "realtime",
        "modalities": ["text", "audio"],
        "voice": "ash",
        "turn_detection": None,
    }
    audio = {"input": {"turn_detection": None}, "output": {"voice": "ash"}}
    nested = {"type": "realtime", "output_modalities": ["audio"], "audio": audio}
    assert beta_session_in_ga(flat) == (nested, [])


def test_a_flat_session_that_says_transcription_is_one() -> None:
    flat = {
        "type": "transcription",
        "modalities": ["text"],
        "input_audio_format": "pcm16",
        "instructions": "Hear.",
    }
    assert beta_session_in_ga(flat) == (
        {
            "type": "transcription",
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}},
            "instructions": "Hear.",
        },
        [("session.modalities", LossRule.TRANSCRIPTION_MODALITIES, ["text"])],
    )


@pytest.mark.parametrize("kind", ["dance", None, 5, ["realtime"]])
def test_a_session_of_a_kind_nobody_knows_stays_as_it_is(kind: Any) -> None:
    flat = {"type": kind, "voice": "ash", "temperature": None}
    assert beta_session_in_ga(flat) == (flat, [])


def test_a_null_where_ga_demands_a_list_is_an_empty_one() -> None:
    item = {"type": "message", "role": "user", "content": None}
    body = {"type": "conversation.item.create", "item": item}
    there = to_ga(decoded(body, dialect="beta", direction="client"))
    assert said(there, "item") == (item | {"content": []}, [])


def test_a_mistyped_role_that_was_built_stays_as_it_is() -> None:
    odd: Any = 5
    item = beta.Message(role=odd, extra={"content": None})
    there = to_ga(beta.ConversationItemCreateEvent(item=item))
    assert said(there, "item") == ({"type": "message", "role": 5, "content": []}, [])


@pytest.mark.parametrize(
    ("frame", "dialect"),
    [
        (b'{"type":"session.created","event_id":"e","session":{"type":"realtime"}}', "ga"),
        (b'{"type":"session.created","event_id":"e","session":{"type":"transcription"}}', "ga"),
        (b'{"type":"session.created","event_id":"e","session":{"modalities":["text"]}}', "beta"),
        (b'{"type":"session.created","event_id":"e","session":{"voice":"Ara"}}', "ga"),
        (b'{"type":"transcription_session.created","event_id":"e","session":{}}', "beta"),
        (b'{"type":"error","event_id":"e","error":%s}' % REFUSED, "ga"),
        (b'{"type":"error","event_id":"e","error":{"type":"x","message":"m"}}', None),
        (b'{"type":"response.text.done"}', "beta"),
        (b'{"type":"ping"}', None),
        (b'{"type":"input_audio_buffer.cleared","event_id":"e"}', None),
        (b'{"type":"conversation.item.added","event_id":"e","item":{"type":"dance"}}', "ga"),
    ],
)
def test_the_first_frame_tells_the_dialect(frame: bytes, dialect: str | None) -> None:
    assert detect_dialect(frame) == dialect


def test_a_frame_that_is_no_event_tells_nothing() -> None:
    with pytest.raises(DecodeError):
        detect_dialect(b"[]")


@pytest.mark.parametrize("example", examples(), ids=str)
def test_examples_of_the_first_event_are_told_apart(example: Example) -> None:
    if example.type.endswith("session.created") and example.surface != "translation":
        assert detect_dialect(example.frame) == example.dialect


@pytest.mark.parametrize("value", [None, 1, "x", {}, []])
@pytest.mark.parametrize("example", examples(), ids=str)
def test_an_unknown_field_may_have_our_name(example: Example, value: object) -> None:
    """`extra` is also the attribute in which a model keeps its unknown fields."""
    for payload in _with_field(example.payload, "extra", value):
        frame = json.dumps(payload).encode()
        event: Any = codec.decode(
            frame, dialect=example.dialect, direction=example.direction, surface=example.surface
        )
        if example.surface == "translation" or isinstance(event, UnknownEvent):
            continue
        assert json_of(event) == payload
        translation = (to_beta if example.dialect == "ga" else to_ga)(event)
        for translated in translation.events:
            json_of(translated)


def _with_field(body: Any, name: str, value: object) -> Any:
    """Yield copies of decoded JSON in which one of its objects has another field."""
    if is_object(body):
        yield {**body, name: value}
        for key, inner in body.items():
            yield from ({**body, key: changed} for changed in _with_field(inner, name, value))
    elif is_array(body):
        for at, inner in enumerate(body):
            yield from (
                [*body[:at], changed, *body[at + 1 :]]
                for changed in _with_field(inner, name, value)
            )

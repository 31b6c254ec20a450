"""Validation finds what the service would reject."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.protocol_data import Example, examples, is_array, is_object
from tests.protocol.strategies import FEW, UNIONS, classes, instances, json_values

from duologue.protocol import beta, codec, ga
from duologue.protocol.ga import rest
from duologue.protocol.model import Event, Model, Raw, Unknown, UnknownEvent, replace
from duologue.protocol.validate import Problem, validate


def said(
    subject: Event | UnknownEvent | Model, dialect: codec.Dialect = "ga"
) -> set[tuple[str, str]]:
    return {(problem.code, problem.path) for problem in validate(subject, dialect)}


def ga_update(**fields: Any) -> ga.SessionUpdateEvent:
    return ga.SessionUpdateEvent(session=ga.RealtimeSession(**fields))


def beta_update(**fields: Any) -> beta.SessionUpdateEvent:
    return beta.SessionUpdateEvent(session=beta.SessionConfig(**fields))


def heard(**fields: Any) -> ga.SessionUpdateEvent:
    return ga_update(audio=ga.AudioConfig(input=ga.AudioInput(**fields)))


def spoken(**fields: Any) -> ga.SessionUpdateEvent:
    return ga_update(audio=ga.AudioConfig(output=ga.AudioOutput(**fields)))


def wrong(value: object) -> Any:
    """Return something where the types forbid it."""
    return value


def nested(depth: int) -> Any:
    body: list[Any] = []
    for _ in range(depth):
        body = [body]
    return body


def numbered(faults: list[tuple[Event | Model, str, str]]) -> list[str]:
    return [f"{number}-{path}" for number, (_, _, path) in enumerate(faults)]


GA_FAULTS: list[tuple[Event | Model, str, str]] = [
    (ga_update(output_modalities=["text", "audio"]), "invalid_value", "session.output_modalities"),
    (ga_update(output_modalities=[]), "invalid_value", "session.output_modalities"),
    (ga_update(max_output_tokens=0), "invalid_value", "session.max_output_tokens"),
    (ga_update(max_output_tokens=4097), "invalid_value", "session.max_output_tokens"),
    (ga_update(max_output_tokens="lots"), "invalid_value", "session.max_output_tokens"),
    (ga_update(tool_choice="perhaps"), "invalid_value", "session.tool_choice"),
    (ga_update(tracing="on"), "invalid_value", "session.tracing"),
    (ga_update(truncation="some"), "invalid_value", "session.truncation"),
    (ga_update(include=["all"]), "invalid_value", "session.include[0]"),
    (ga_update(reasoning=ga.Reasoning(effort="vast")), "invalid_value", "session.reasoning.effort"),
    (
        ga_update(truncation=ga.RetentionRatio(retention_ratio=1.5)),
        "invalid_value",
        "session.truncation.retention_ratio",
    ),
    (ga_update(extra={"temperature": 0.8}), "unknown_parameter", "session.temperature"),
    (ga_update(tools=[ga.FunctionTool()]), "missing_required_parameter", "session.tools[0].name"),
    (
        ga_update(tools=[ga.McpTool(server_label="x")]),
        "missing_required_parameter",
        "session.tools[0].server_url",
    ),
    (
        ga_update(tools=[ga.McpTool(server_label="x", tunnel_id="tunnel_1")]),
        "invalid_value",
        "session.tools[0].tunnel_id",
    ),
    (
        ga_update(tools=[ga.UnknownTool(raw={"type": "magic"})]),
        "invalid_value",
        "session.tools[0].type",
    ),
    (ga_update(instructions=5), "invalid_type", "session.instructions"),
    (
        heard(turn_detection=ga.ServerVad(threshold=2)),
        "invalid_value",
        "session.audio.input.turn_detection.threshold",
    ),
    (
        heard(turn_detection=ga.ServerVad(idle_timeout_ms=4999)),
        "invalid_value",
        "session.audio.input.turn_detection.idle_timeout_ms",
    ),
    (
        heard(turn_detection=ga.SemanticVad(eagerness="very")),
        "invalid_value",
        "session.audio.input.turn_detection.eagerness",
    ),
    (
        heard(noise_reduction=ga.NoiseReduction(strength=1.1)),
        "invalid_value",
        "session.audio.input.noise_reduction.strength",
    ),
    (
        heard(transcription=ga.AudioTranscription(languages=[])),
        "invalid_value",
        "session.audio.input.transcription.languages",
    ),
    (
        heard(format=ga.AudioPcm(rate=16000)),
        "integer_below_min_value",
        "session.audio.input.format.rate",
    ),
    (
        heard(format=ga.AudioPcm(rate=48000)),
        "integer_above_max_value",
        "session.audio.input.format.rate",
    ),
    (
        heard(format=ga.UnknownAudioFormat(raw={})),
        "missing_required_parameter",
        "session.audio.input.format.type",
    ),
    (
        spoken(format=ga.AudioPcm()),
        "missing_required_parameter",
        "session.audio.output.format.rate",
    ),
    (spoken(speed=0.2), "invalid_value", "session.audio.output.speed"),
    (
        ga.SessionUpdateEvent(session=ga.UnknownSession(raw={"voice": "alloy"})),
        "missing_required_parameter",
        "session.type",
    ),
    (
        ga.SessionUpdateEvent(
            session=ga.TranscriptionSession(audio=ga.AudioConfig(output=ga.AudioOutput()))
        ),
        "unknown_parameter",
        "session.audio.output",
    ),
    (ga.ResponseCancelEvent(event_id="x" * 513), "invalid_value", "event_id"),
    (ga.ResponseCancelEvent(event_id=""), "invalid_value", "event_id"),
    (ga.ConversationItemDeleteEvent(item_id=""), "invalid_value", "item_id"),
    (
        ga.ConversationItemTruncateEvent(item_id="i", content_index=0, audio_end_ms=-1),
        "invalid_value",
        "audio_end_ms",
    ),
    (
        ga.InputAudioBufferAppendEvent(audio=Raw(b'"' + b"A" * (21 << 20) + b'"')),
        "invalid_value",
        "audio",
    ),
    (
        ga.ResponseCreateEvent(response=ga.ResponseCreateParams(metadata={"k": "v" * 513})),
        "invalid_value",
        "response.metadata.k",
    ),
    (
        ga.ResponseCreateEvent(response=ga.ResponseCreateParams(metadata={"k" * 65: "v"})),
        "invalid_value",
        "response.metadata",
    ),
    (
        ga.ResponseCreateEvent(
            response=ga.ResponseCreateParams(metadata={str(n): "" for n in range(17)})
        ),
        "invalid_value",
        "response.metadata",
    ),
    (
        ga.ConversationItemCreateEvent(
            item=ga.Message(role="assistant", content=[ga.OutputAudio(transcript="Hi.")])
        ),
        "missing_required_parameter",
        "item.content[0].text",
    ),
    (
        ga.ConversationItemCreateEvent(item=ga.Message(role="robot", content=[])),
        "invalid_value",
        "item.role",
    ),
    (
        ga.ConversationItemCreateEvent(
            item=ga.Message(role="user", content=[ga.InputAudio(audio="not base64")])
        ),
        "invalid_value",
        "item.content[0].audio",
    ),
    (ga.InputAudioBufferAppendEvent(audio=Raw(b'"a"')), "invalid_value", "audio"),
    (ga.InputImage(image_url="cat.png"), "invalid_value", "image_url"),
    (
        ga_update(tools=[ga.McpTool(server_label="x", server_url="example.org")]),
        "invalid_value",
        "session.tools[0].server_url",
    ),
    (
        ga_update(tools=[ga.McpTool(server_label="x", server_url="https://a", allowed_callers=[])]),
        "invalid_value",
        "session.tools[0].allowed_callers",
    ),
    (
        ga_update(
            tools=[ga.McpTool(server_label="x", server_url="https://a", allowed_callers=["me"])]
        ),
        "invalid_value",
        "session.tools[0].allowed_callers[0]",
    ),
    (
        ga_update(prompt=ga.Prompt(id="p", variables={"v": ga.PromptImage(detail="vast")})),
        "invalid_value",
        "session.prompt.variables.v.detail",
    ),
    (ga.PromptImage(detail="low", image_url="cat.png"), "invalid_value", "image_url"),
    (ga.PromptFile(file_url="cat.pdf"), "invalid_value", "file_url"),
    (ga.Response(max_output_tokens=4097), "invalid_value", "max_output_tokens"),
    (rest.ExpiresAfter(seconds=9), "invalid_value", "seconds"),
    (rest.CallRejectParams(status_code=200), "invalid_value", "status_code"),
]

BETA_FAULTS: list[tuple[Event | Model, str, str]] = [
    (beta_update(temperature=0.5), "invalid_value", "session.temperature"),
    (beta_update(temperature=1.3), "invalid_value", "session.temperature"),
    (beta_update(modalities=["audio"]), "invalid_value", "session.modalities"),
    (beta_update(speed=2), "invalid_value", "session.speed"),
    (
        beta_update(max_response_output_tokens=5000),
        "invalid_value",
        "session.max_response_output_tokens",
    ),
    (beta_update(input_audio_format="mp3"), "invalid_value", "session.input_audio_format"),
    (
        beta_update(turn_detection=beta.TurnDetection(threshold=-0.1)),
        "invalid_value",
        "session.turn_detection.threshold",
    ),
    (beta.Response(max_output_tokens=0), "invalid_value", "max_output_tokens"),
    (beta.Response(modalities=["audio"]), "invalid_value", "modalities"),
    (beta_update(extra={"audio": {}}), "unknown_parameter", "session.audio"),
    (
        beta.ConversationItemCreateEvent(item=beta.Message(content=[])),
        "missing_required_parameter",
        "item.role",
    ),
    (
        beta.TranscriptionSessionUpdate(session=beta.TranscriptionSessionConfig(), event_id=""),
        "invalid_value",
        "event_id",
    ),
]


@pytest.mark.parametrize(("subject", "code", "path"), GA_FAULTS, ids=numbered(GA_FAULTS))
def test_a_fault_of_ga_is_found(subject: Event | Model, code: str, path: str) -> None:
    assert said(subject) == {(code, path)}


@pytest.mark.parametrize(("subject", "code", "path"), BETA_FAULTS, ids=numbered(BETA_FAULTS))
def test_a_fault_of_beta_is_found(subject: Event | Model, code: str, path: str) -> None:
    assert said(subject, "beta") == {(code, path)}


@pytest.mark.parametrize(
    ("frame", "code", "path"),
    [
        (b'{"type":"conversation.item.delete"}', "missing_required_parameter", "item_id"),
        (b'{"type":"conversation.item.delete","item_id":5}', "invalid_type", "item_id"),
        (b'{"type":"input_audio_buffer.append","audio":7}', "invalid_type", "audio"),
        (b'{"type":"dance"}', "invalid_value", "type"),
        (b'{"type":"response.cancel","now":true}', "unknown_parameter", "now"),
        (b'{"type":"session.update","session":{}}', "missing_required_parameter", "session.type"),
    ],
)
def test_what_a_client_sent_is_judged_as_it_came(frame: bytes, code: str, path: str) -> None:
    assert said(codec.decode(frame, direction="client")) == {(code, path)}


def test_a_problem_says_what_is_wrong_and_what_to_do() -> None:
    assert validate(spoken(speed=2.0)) == [
        Problem(
            path="session.audio.output.speed",
            code="invalid_value",
            message="Invalid 'session.audio.output.speed': expected 0.25 to 1.5, but got 2.",
            fix="stay within 0.25 to 1.5",
        )
    ]


def test_an_event_of_the_other_dialect_is_no_event_here() -> None:
    assert said(beta_update(), "ga") == {("invalid_value", "type")}
    assert said(ga_update(), "beta") == {("invalid_value", "type")}


def test_a_servers_event_need_not_say_what_a_client_must() -> None:
    item = ga.Message(role="user", content=[ga.InputAudio(transcript=None)])
    assert said(ga.ConversationItemAdded(event_id="e", item=item)) == set()
    assert said(item) == {("missing_required_parameter", "content[0].audio")}


@pytest.mark.parametrize("example", [e for e in examples() if e.direction == "client"], ids=str)
def test_what_the_reference_shows_a_client_send_is_right(example: Example) -> None:
    event = codec.decode(
        example.frame, dialect=example.dialect, direction="client", surface=example.surface
    )
    problems = {problem.path for problem in validate(event, example.dialect)}
    assert problems == SHOWN_WRONG.get(str(example), set())


@pytest.mark.parametrize("example", [e for e in examples() if e.direction == "server"], ids=str)
def test_what_the_reference_shows_a_server_send_is_right(example: Example) -> None:
    event = codec.decode(example.frame, dialect=example.dialect, surface=example.surface)
    problems = {problem.path for problem in validate(event, example.dialect)}
    assert problems == SHOWN_WRONG.get(str(example), set())


SHOWN_WRONG = {
    "beta/response.create#2026#official2": {"response.output_modalities"},
    "beta/input_audio_buffer.append": {"audio"},
    "beta/input_audio_buffer.append#2026": {"audio"},
    "ga/input_audio_buffer.append": {"audio"},
    "ga/session.input_audio_buffer.append#translation": {"audio"},
    "beta/transcription_session.updated": {"session.include[0]"},
    "beta/transcription_session.updated#2026": {"session.include[0]"},
    "ga/transcription_session.updated": {"session.include[0]"},
    "ga/conversation.item.retrieved": {"item.content[0].type"},
    "ga/response.output_item.done": {"item.content[0].type"},
}
"""Examples that break the limits they stand beside.

A GA word in a beta request (beta clients are held to their reference); a placeholder that is no
base64; `include` and parts by names that neither the reference nor the types list.
"""


@pytest.mark.parametrize(
    ("subject", "code", "path"),
    [
        (ga.InputAudioBufferAppendEvent(audio=Raw(b"abc")), "invalid_type", "audio"),
        (ga.InputAudioBufferAppendEvent(audio=Raw(b"")), "invalid_type", "audio"),
        (ga.InputAudioBufferAppendEvent(audio=Raw(b"5")), "invalid_type", "audio"),
        (ga.InputAudioBufferAppendEvent(audio=wrong("abc")), "invalid_value", "audio"),
        (ga.SessionUpdateEvent(session=wrong(object())), "invalid_type", "session"),
        (ga.RealtimeSession(instructions="\ud800"), "invalid_type", "instructions"),
        (
            ga_update(tools=[ga.FunctionTool(name="\ud800")]),
            "invalid_type",
            "session.tools[0].name",
        ),
        (ga.RealtimeSession(extra={"x": {"y": object()}}), "invalid_type", "x"),
        (ga.Message(role="user", content=[wrong(5)]), "invalid_type", "content[0]"),
        (wrong(object()), "invalid_type", "type"),
        (
            ga.AudioInput(turn_detection=wrong({"type": "server_vad", "threshold": 7})),
            "invalid_value",
            "turn_detection.threshold",
        ),
        (
            ga.SessionUpdateEvent(session=wrong(beta.SessionConfig(modalities=["text"]))),
            "missing_required_parameter",
            "session.type",
        ),
        (beta.SessionConfig(modalities=["audio", "text"]), "invalid_value", "type"),
    ],
)
def test_what_was_built_is_judged_as_it_would_be_written(
    subject: Event | Model, code: str, path: str
) -> None:
    assert [(code_, path_) for code_, path_ in said(subject)] == [(code, path)]


@pytest.mark.parametrize(
    "subject",
    [ga.RealtimeSession(), ga.AudioInput(), ga.Response(), ga.OutputText(text="a")],
    ids=lambda subject: type(subject).__name__,
)
def test_a_part_of_the_other_dialect_is_no_part_here(subject: Model) -> None:
    assert said(subject, "beta") == {("invalid_value", "type")}


@pytest.mark.parametrize(
    "subject",
    [
        ga.InputText(text="a"),
        ga.PromptText(text="a"),
        ga.FunctionTool(name="f"),
        ga.AudioTranscription(),
        ga.UnknownTruncation(raw={"type": "x"}),
    ],
    ids=lambda subject: type(subject).__name__,
)
def test_a_shared_part_is_of_both_dialects(subject: Model) -> None:
    assert said(subject, "beta") == said(subject, "ga")
    assert ("invalid_value", "type") not in said(subject) or isinstance(subject, Unknown)


def test_what_is_nested_too_deeply_to_be_written_is_said_to_be() -> None:
    tool = ga.FunctionTool(name="f", parameters=nested(100_000))  # beyond every interpreter
    assert said(ga_update(tools=[tool])) == {("invalid_type", "session.tools[0].parameters")}


def test_a_tunnel_may_stand_for_a_url() -> None:
    assert said(ga.McpTool(server_label="x", tunnel_id="tunnel_" + "a" * 32)) == set()


def test_audio_may_be_given_as_text() -> None:
    assert said(ga.InputAudioBufferAppendEvent(audio=wrong("YWJj"))) == set()


@pytest.mark.parametrize(
    ("session", "path"),
    [
        ({"instructions": None}, "session.instructions"),
        ({"audio": None}, "session.audio"),
        ({"audio": {"output": {"speed": None}}}, "session.audio.output.speed"),
    ],
)
def test_a_null_that_cannot_be_is_of_the_wrong_type(session: dict[str, Any], path: str) -> None:
    body = {"type": "session.update", "session": {"type": "realtime"} | session}
    event = codec.decode(json.dumps(body).encode(), direction="client")
    assert said(event) == {("invalid_type", path)}


@pytest.mark.parametrize("dialect", ["ga", "beta"])
def test_a_server_may_say_more_than_we_know(dialect: codec.Dialect) -> None:
    frame = b'{"type":"response.done","event_id":"e","x":1,"response":{"y":1,%s:["audio","x"]}}'
    name = b'"modalities"' if dialect == "beta" else b'"output_modalities"'
    assert said(codec.decode(frame % name, dialect=dialect), dialect) == set()


ODD: st.SearchStrategy[Any] = st.sampled_from([[{}], {"type": "message"}, {}])

KINDS: list[tuple[codec.Dialect, codec.Direction, type[Event]]] = [
    (dialect, direction, kind)
    for dialect, direction in UNIONS
    for kind in classes(dialect, direction)
]


def places(body: Any) -> list[tuple[Any, Any]]:
    """Return every container of decoded JSON with every key in it."""
    if is_object(body):
        below = [place for value in body.values() for place in places(value)]
        return [(body, key) for key in body if key != "type"] + below
    if is_array(body):
        below = [place for value in body for place in places(value)]
        return [(body, index) for index in range(len(body))] + below
    return []


@pytest.mark.parametrize(
    ("dialect", "direction", "kind"), KINDS, ids=[f"{d}-{k.__name__}" for d, _, k in KINDS]
)
@given(data=st.data())
@FEW
def test_nothing_that_was_decoded_makes_it_raise(
    dialect: codec.Dialect, direction: codec.Direction, kind: type[Event], data: st.DataObject
) -> None:
    body = msgspec.json.decode(codec.encode_model(data.draw(instances(kind))))
    found = places(body)
    if found:
        place, key = data.draw(st.sampled_from(found))
        place[key] = data.draw(json_values | ODD)
    event = codec.decode(json.dumps(body).encode(), dialect=dialect, direction=direction)
    for problem in validate(event, dialect):
        assert problem.path
        assert problem.message
    for one in ("ga", "beta"):
        validate(event, one)


@pytest.mark.parametrize(
    ("dialect", "direction", "kind"), KINDS, ids=[f"{d}-{k.__name__}" for d, _, k in KINDS]
)
@given(data=st.data())
@FEW
def test_nothing_that_was_built_makes_it_raise(
    dialect: codec.Dialect, direction: codec.Direction, kind: type[Event], data: st.DataObject
) -> None:
    assert direction
    event = data.draw(instances(kind))
    name = data.draw(st.sampled_from(event.__struct_fields__))
    odd = data.draw(
        st.sampled_from([object(), Raw(b""), "\ud800", 1 << 70, b"a", [object()]]) | json_values
    )
    validate(replace(event, **{name: odd}), dialect)

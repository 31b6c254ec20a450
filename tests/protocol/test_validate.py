"""What the service would refuse, found before it is sent."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocol.protocol_data import Example, examples

from duologue.protocol import beta, codec, ga
from duologue.protocol.ga import rest
from duologue.protocol.model import Event, Model, Raw, UnknownEvent
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
    (heard(format=ga.AudioPcm(rate=16000)), "invalid_value", "session.audio.input.format.rate"),
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


SHOWN_WRONG = {"beta/response.create#2026#official2": {"response.output_modalities"}}
"""Examples that break the limits they stand beside."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.session.conftest import Harness

from duologue.protocol import ga
from duologue.server.session.engine_work import LogWarning, Respond

SESSION = {"type": "session.update"}
RESPONSE = {"type": "response.create"}


def warnings(harness: Harness) -> list[str]:
    return [command.text for command in harness.commands if isinstance(command, LogWarning)]


@pytest.mark.parametrize(
    ("said", "speaks"),
    [(["text"], False), (["audio"], True), (["text", "audio"], True), (["audio", "text"], True)],
)
def test_modalities_of_beta_are_taken_as_they_are_meant(
    harness: Harness, said: list[str], speaks: bool
) -> None:
    assert harness.send({**RESPONSE, "response": {"modalities": said}}) == ["response.created"]
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    assert asked.speaks is speaks
    harness.configure(modalities=said)
    updated = harness.last("session.updated")
    assert isinstance(updated, ga.SessionUpdatedEvent)
    assert isinstance(updated.session, ga.RealtimeSession)
    assert updated.session.output_modalities == (["audio"] if speaks else ["text"])


def test_a_voice_of_beta_is_the_voice_of_the_response(harness: Harness) -> None:
    harness.send({**RESPONSE, "response": {"voice": "cedar", "modalities": ["audio"]}})
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    assert asked.voice == "cedar"
    assert len(warnings(harness)) == 2


def test_what_is_said_rightly_goes_first(harness: Harness) -> None:
    right: dict[str, Any] = {
        "output_modalities": ["text"],
        "audio": {"output": {"voice": "marin"}},
    }
    harness.send({**RESPONSE, "response": {**right, "modalities": ["audio"], "voice": "cedar"}})
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    assert (asked.speaks, asked.voice) == (False, "marin")


def test_each_liberty_is_told_of_once(harness: Harness) -> None:
    for _ in range(3):
        harness.configure(modalities=["text"])
        harness.send({**RESPONSE, "response": {"modalities": ["text"]}})
    of_session, of_response = warnings(harness)
    assert of_session.endswith("is read as 'session.output_modalities'")
    assert of_response.endswith("is read as 'response.output_modalities'")


@pytest.mark.parametrize(
    ("frame", "param"),
    [
        (
            {**SESSION, "session": {"type": "realtime", "modalities": ["text"]}},
            "session.modalities",
        ),
        ({**RESPONSE, "response": {"modalities": ["text"]}}, "response.modalities"),
        ({**RESPONSE, "response": {"voice": "cedar"}}, "response.voice"),
    ],
)
def test_a_strict_server_refuses_what_openai_refuses(frame: dict[str, Any], param: str) -> None:
    harness = Harness(strict=True)
    assert harness.send({**frame, "event_id": "mine"}) == ["error"]
    refused = harness.last("error")
    assert isinstance(refused, ga.RealtimeErrorEvent)
    assert refused.error.code == "unknown_parameter"
    assert (refused.error.param, refused.error.event_id) == (param, "mine")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("modalities", ["smell"]),
        ("modalities", "text"),
        ("modalities", []),
        ("voice", {"id": "voice_1"}),
        ("voice", 7),
        ("temperature", 0.8),
    ],
)
def test_nothing_else_is_forgiven(harness: Harness, name: str, value: object) -> None:
    assert harness.send({**RESPONSE, "response": {name: value}}) == ["error"]
    refused = harness.last("error")
    assert isinstance(refused, ga.RealtimeErrorEvent)
    assert (refused.error.code, refused.error.param) == ("unknown_parameter", f"response.{name}")

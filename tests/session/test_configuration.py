"""Configuration that the application wants, and the changes to it."""

from __future__ import annotations

import pytest

from duologue.errors import ConfigurationError
from duologue.protocol.ga import (
    AudioConfig,
    AudioInput,
    AudioOutput,
    FunctionTool,
    McpTool,
    RealtimeSession,
    ServerVad,
    Session,
)
from duologue.protocol.ga.session import merge_session
from duologue.session.configuration import Configuration

TOOL = FunctionTool(name="f", parameters={})


def speaking(voice: str) -> RealtimeSession:
    return RealtimeSession(audio=AudioConfig(output=AudioOutput(voice=voice)))


def tools_of(session: Session) -> object:
    assert isinstance(session, RealtimeSession)
    return session.tools


def test_unset_fields_stay_and_none_clears() -> None:
    audio = AudioConfig(input=AudioInput(turn_detection=ServerVad()), output=AudioOutput(speed=1.0))
    start = RealtimeSession(instructions="x", audio=audio, extra={"a": 1})
    quiet = RealtimeSession(
        audio=AudioConfig(input=AudioInput(turn_detection=None)), extra={"b": 2}
    )
    assert merge_session(start, quiet) == RealtimeSession(
        instructions="x",
        audio=AudioConfig(input=AudioInput(turn_detection=None), output=AudioOutput(speed=1.0)),
        extra={"a": 1, "b": 2},
    )


def test_an_update_contains_the_change_or_everything() -> None:
    config = Configuration(RealtimeSession(instructions="x"))
    assert config.update(speaking("marin")) == speaking("marin")
    whole = config.update(speaking("marin"), is_full=True)
    assert whole == merge_session(RealtimeSession(instructions="x"), speaking("marin"))
    full = Configuration(RealtimeSession(instructions="x"), is_full=True)
    assert full.update(speaking("marin")) == whole
    assert full.update(speaking("marin"), is_full=False) == speaking("marin")


def test_a_refused_change_is_undone_and_an_accepted_one_stays() -> None:
    config = Configuration(None)
    for event_id, voice in (("1", "marin"), ("2", "nobody")):
        config.record(event_id, speaking(voice))
    assert config.wanted == speaking("nobody")
    config.settle("2", is_refused=True)
    config.settle("1", is_refused=False)
    config.settle("1", is_refused=False)
    assert config.wanted == speaking("marin")


def test_added_tools_are_kept_beside_configured_tools() -> None:
    by_hand = FunctionTool(name="manual")
    config = Configuration(RealtimeSession(tools=[by_hand, McpTool(server_label="docs")]))
    assert tools_of(config.update(config.add(TOOL))) == [
        by_hand,
        McpTool(server_label="docs"),
        TOOL,
    ]
    assert config.declares("manual")
    assert not config.declares("f")
    assert tools_of(config.update(config.remove("f"))) == [by_hand, McpTool(server_label="docs")]


def test_a_change_without_tools_does_not_repeat_them() -> None:
    config = Configuration(None)
    assert config.update(config.add(TOOL)) == RealtimeSession(tools=[TOOL])
    assert config.update(speaking("marin")) == speaking("marin")
    assert config.wanted == RealtimeSession(tools=[TOOL])


def test_a_tool_needs_a_unique_name() -> None:
    config = Configuration(RealtimeSession(tools=[FunctionTool(name="manual")]))
    config.add(TOOL)
    for tool in (TOOL, FunctionTool(name="manual"), FunctionTool(), FunctionTool(name="")):
        with pytest.raises(ConfigurationError):
            config.add(tool)
    with pytest.raises(ConfigurationError, match="'f' was added"):
        config.update(RealtimeSession(tools=[TOOL]))
    with pytest.raises(ConfigurationError, match="there are: f"):
        config.remove("g")
    config.remove("f")
    with pytest.raises(ConfigurationError, match="there are: none"):
        config.remove("f")


def test_defaults_are_overridden_and_part_of_every_update() -> None:
    """Such as the reference client's defaults in a beta session."""
    config = Configuration(RealtimeSession(instructions="mine"))
    config.set_defaults(RealtimeSession(instructions="default", max_output_tokens=100))
    assert config.wanted == RealtimeSession(instructions="mine", max_output_tokens=100)
    assert config.update(speaking("ash")) == merge_session(config.wanted, speaking("ash"))

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.protocol.ga import (
    FunctionCallOutput,
    FunctionTool,
    InputText,
    Message,
    ToolChoiceFunction,
)
from duologue.server.engine.local.calls import CallReader, call_grammar, offer
from duologue.server.engine.stages import BrainRequest, Call, Say

WEATHER = FunctionTool(
    name="get_weather",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}},
)
LIGHT = FunctionTool(name="set_light")
HELLO = Message(role="user", content=[InputText(text="Hello")])
OUTPUT = FunctionCallOutput(call_id="1", output="{}")
CALL = '{"name": "get_weather", "arguments": {"city": "Paris"}}'


def read(*pieces: str) -> list[Say | Call]:
    reader = CallReader({"get_weather"})
    events = [event for piece in pieces for event in reader.feed(piece)]
    return events + reader.flush()


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        f"\n {CALL}",
        f"<tool_call>\n{CALL}\n</tool_call>",
        f"```json\n{CALL}\n```",
        f"{CALL}.json\n{CALL}",
        CALL.replace("arguments", "parameters"),
    ],
)
def test_a_call_is_read_however_it_is_wrapped(text: str) -> None:
    assert read(text) == read(*text) == [Call("get_weather", '{"city": "Paris"}')]


@pytest.mark.parametrize(
    "text",
    [
        "Hello there.",
        '{"name": "unknown", "arguments": {}}',
        '{"name": "get_weather", "arguments": "Paris"}',
        '{"name": "get_weather", "argum',
        '{"city": "Paris"}',
        "{}",
        "<b>bold</b>",
        "`code` is code",
    ],
)
def test_what_is_no_call_is_said(text: str) -> None:
    events = read(*text)
    assert all(isinstance(event, Say) for event in events)
    assert "".join(event.text for event in events if isinstance(event, Say)) == text


def test_words_are_not_held_back() -> None:
    reader = CallReader({"get_weather"})
    assert reader.feed("It ") == [Say("It ")]
    assert reader.feed("{is}") == [Say("{is}")]
    assert reader.feed("") == []


@given(st.lists(st.text()))
def test_text_that_is_no_call_is_said_whole(pieces: list[str]) -> None:
    said = "".join(event.text for event in read(*pieces) if isinstance(event, Say))
    assert said == "".join(pieces).lstrip()


def request(**fields: object) -> BrainRequest:
    return BrainRequest(instructions="", items=[HELLO], tools=(WEATHER, LIGHT), **fields)  # type: ignore[arg-type]


def test_functions_are_offered_until_one_was_called() -> None:
    offered = offer(request())
    assert (offered.shown, offered.allowed) == ([WEATHER, LIGHT], [WEATHER, LIGHT])
    assert offered.may_speak
    answering = BrainRequest(instructions="", items=[HELLO, OUTPUT], tools=(WEATHER,))
    assert offer(answering).shown == offer(answering).allowed == []


def test_the_choice_of_the_client_counts() -> None:
    none = offer(request(tool_choice="none"))
    assert (none.shown, none.allowed, none.may_speak) == ([], [], True)
    required = offer(request(tool_choice="required"))
    assert (required.allowed, required.may_speak) == ([WEATHER, LIGHT], False)
    named = offer(request(tool_choice=ToolChoiceFunction(name="set_light")))
    assert (named.shown, named.allowed) == ([WEATHER, LIGHT], [LIGHT])
    assert not named.may_speak
    unknown = offer(request(tool_choice=ToolChoiceFunction(name="other")))
    assert (unknown.allowed, unknown.may_speak) == ([], True)
    assert offer(BrainRequest(instructions="", items=(), tool_choice="required")).may_speak


def test_the_grammar_holds_every_allowed_call() -> None:
    grammar = call_grammar([WEATHER, LIGHT], may_speak=True)
    assert "start: call | text\n" in grammar
    assert "start: call\n" in call_grammar([WEATHER], may_speak=False)
    schema = json.loads(grammar.partition("%json ")[2])
    assert [call["properties"] for call in schema["anyOf"]] == [
        {
            "name": {"const": "get_weather"},
            "arguments": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "additionalProperties": False,
            },
        },
        {"name": {"const": "set_light"}, "arguments": {"type": "object"}},
    ]


def test_without_functions_the_grammar_holds_text_only() -> None:
    assert "call" not in call_grammar([], may_speak=True)

"""Scripts: what they do, and what they are refused for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from duologue.errors import ConfigurationError, EngineFailed
from duologue.protocol import ga
from duologue.server.engine.script import load_script, script_from
from duologue.server.engine.scripted import ScriptedBrain
from duologue.server.engine.stages import BrainEvent, BrainRequest, Call, Say

if TYPE_CHECKING:
    from pathlib import Path

LOOK = ga.FunctionTool(name="look", parameters={"type": "object", "properties": {}})


def brain(*rules: dict[str, Any], **script: Any) -> ScriptedBrain:
    made = script_from({"rules": list(rules), **script}, name="script")
    return ScriptedBrain(made.rules, seed=made.seed)


def heard(text: str, **request: Any) -> BrainRequest:
    message = ga.Message(role="user", content=[ga.InputText(text=text)])
    return BrainRequest(instructions="", items=[message], **request)


def called(output: str, **request: Any) -> BrainRequest:
    items = [*heard("Where?").items, ga.FunctionCallOutput(call_id="c", output=output)]
    return BrainRequest(instructions="", items=items, **request)


async def events(brain: ScriptedBrain, request: BrainRequest) -> list[BrainEvent]:
    return [event async for event in brain.respond(request)]


async def said(brain: ScriptedBrain, request: BrainRequest) -> str:
    found = await events(brain, request)
    return "".join(event.text for event in found if isinstance(event, Say))


@pytest.mark.asyncio
async def test_the_first_rule_that_matches_the_users_last_words_answers() -> None:
    following = brain({"match": r"\btime\b", "say": "Noon."}, {"say": "What?"})
    assert await said(following, heard("What TIME is it?")) == "Noon."
    assert await said(following, heard("Sometimes")) == "What?"


@pytest.mark.asyncio
async def test_an_output_is_answered_by_its_own_rules_and_by_those_for_anything() -> None:
    following = brain(
        {"match": "where", "call": "look"},
        {"output": "north", "say": "Up, as {output} says."},
        {"say": "Lost."},
    )
    assert await events(following, heard("Where?")) == [Call("look", "{}")]
    assert await said(following, called("north")) == "Up, as north says."
    assert await said(following, called("south")) == "Lost."


@pytest.mark.asyncio
async def test_steps_are_done_in_order_and_places_are_filled() -> None:
    following = brain(
        {
            "match": r"in (?P<city>\w+)",
            "steps": [
                {"say": "{city}, {{you}} said: {heard} "},
                {"wait": 0},
                {"call": "look", "arguments": {"at": "{city}", "days": [1, "{city}"]}},
                {"call": "look", "arguments": {"at": {"here": True}}},
                {"fail": "no {city}", "code": "gone"},
                {"say": "never"},
            ],
        }
    )
    got: list[BrainEvent] = []
    failure = None
    try:
        async for event in following.respond(heard("in Rome")):
            got.append(event)  # noqa: PERF401  # kept up to the failure
    except EngineFailed as error:
        failure = error
    assert failure is not None
    assert (failure.message, failure.code) == ("no Rome", "gone")
    assert "".join(e.text for e in got if isinstance(e, Say)) == "Rome, {you} said: in Rome "
    arguments = [json.loads(e.arguments) for e in got if isinstance(e, Call)]
    assert arguments == [{"at": "Rome", "days": [1, "Rome"]}, {"at": {"here": True}}]


@pytest.mark.asyncio
async def test_rules_are_used_again_and_again_once_or_one_after_the_other() -> None:
    following = brain(
        {"match": "hi", "use": "once", "say": "Hello."},
        {"use": "next", "say": "One."},
        {"match": "two", "use": "next", "say": "Two."},
        {"use": "next", "say": "Three."},
        {"say": "Over."},
    )
    turns = ["hi", "hi", "x", "two", "x", "x"]
    answers = [await said(following, heard(turn)) for turn in turns]
    assert answers == ["Hello.", "One.", "Over.", "Two.", "Three.", "Over."]


@pytest.mark.asyncio
async def test_what_a_list_says_is_chosen_by_the_seed() -> None:
    rule = {"say": ["a", "b", "c", "d"]}

    async def ten(seed: int) -> str:
        following = brain(rule, seed=seed)
        return "".join([await said(following, heard("x")) for _ in range(10)])

    assert await ten(1) == await ten(1)
    assert await ten(1) != await ten(2)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", [Say("Words.")]),
        ("auto", [Call("hide", "{}")]),
        ("required", [Call("hide", "{}")]),
        (ga.ToolChoiceFunction(name="look"), [Call("look", "{}")]),
    ],
)
async def test_a_rule_that_the_choice_of_tools_forbids_is_passed_over(
    choice: ga.ToolChoice, expected: list[BrainEvent]
) -> None:
    following = brain({"call": "hide"}, {"say": "Words."})
    request = heard("x", tools=[LOOK], tool_choice=choice)
    assert await events(following, request) == expected


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("rule = []", "unknown key 'rule'; known keys: pace, rules, seed"),
        ("[[rules]]\nsay = 'x'\n[[rules]]\nsya = 1", r"\[\[rules\]\] 2: unknown key 'sya'; known"),
        ("[[rules]]\nsteps = [{wiat = 1}]", r"\[\[rules\]\] 1, 'steps' 1: unknown key 'wiat'"),
        ("[[rules]]\nsay = 1", "1, 'say': write a string or a list, not a whole number"),
        ("[[rules]]\nwait = -1", "'wait': write a number >= 0"),
        ("[[rules]]\nuse = 'twice'\nsay = 'x'", "'twice' is not 'repeat', 'once' or 'next'"),
        ("[[rules]]\nsay = 'x'\ncall = 'y'", "'say' and 'call' in one step; list them as steps"),
        ("[[rules]]\nmatch = 'x'", "nothing to do; add 'say'"),
        ("[[rules]]\nsteps = []", "nothing to do; add 'say'"),
        ("[[rules]]\nsteps = [{}]", "a step does nothing; add 'say'"),
        ("[[rules]]\nsay = 'x'\nsteps = [{say = 'y'}]", "'say' beside 'steps'; make it one of"),
        ("[[rules]]\nsay = 'x'\narguments = {}", "'arguments' without 'call'"),
        ("[[rules]]\nsay = 'x'\ncode = 'y'", "'code' without 'fail'"),
        ("[[rules]]\nmatch = 'x'\noutput = 'y'\nsay = 'z'", "'match' and 'output' in one rule"),
        ("[[rules]]\nmatch = '('\nsay = 'x'", "is not a regular expression: .* needs a backslash"),
        ("[[rules]]\nmatch = '(?P<a>x)'\nsay = '{b}'", "unknown {b}.*{a}, {heard}, {output}"),
        ("pace = 0", "'pace': write a number > 0"),
        ("transcripts = ['x', 2]", "'transcripts' 2: write a string, not a whole number"),
        ("[translations]\nx = 1", "'translations': write a string, not a whole number"),
        ('[[rules]]\nmatch = "\\d"', "is not TOML: .*quote regular expressions with '"),
    ],
)
def test_a_fault_is_told_by_file_place_and_fix(toml: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "support.toml"
    path.write_text(toml)
    with pytest.raises(ConfigurationError, match=rf"support\.toml.*{told}"):
        load_script(path)


@pytest.mark.parametrize("wait", ["inf", "nan", "3601.0", "-1"])
def test_a_wait_without_an_end_is_refused(wait: str, tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text(f"[[rules]]\nsteps = [{{wait = {wait}}}]\n")
    with pytest.raises(ConfigurationError, match=r"script\.toml"):
        load_script(path)


def test_a_script_that_is_not_there_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the script .*no such file"):
        load_script(tmp_path / "none.toml")

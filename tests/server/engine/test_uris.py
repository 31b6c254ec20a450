"""Stages by URI, of one's own, and mixed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from duologue.errors import ConfigurationError, EngineFailed
from duologue.protocol import ga
from duologue.server import open_engine
from duologue.server.engine.http.endpoint import HttpEndpoint
from duologue.server.engine.scripted import (
    EnergyVad,
    ScriptedBrain,
    ScriptedTranscriber,
    scripted_engine,
)
from duologue.server.engine.stages import BrainEvent, BrainRequest, Call, Say

if TYPE_CHECKING:
    from pathlib import Path

    from duologue.server.engine.stages import Brain, Transcriber

SCRIPT = """
pace = 2
transcripts = ["One.", "Two."]
[[rules]]
use = "once"
say = "Hello."
"""


def heard(text: str) -> BrainRequest:
    message = ga.Message(role="user", content=[ga.InputText(text=text)])
    return BrainRequest(instructions="", items=[message])


async def answer(brain: Brain, text: str = "Hi") -> list[BrainEvent]:
    return [event async for event in brain.respond(heard(text))]


async def words(transcriber: Transcriber) -> str:
    deltas = transcriber.transcribe(bytes(48_000), language=None, prompt=None)
    return "".join([delta async for delta in deltas])


@pytest.mark.asyncio
async def test_every_session_follows_its_script_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "support.toml"
    path.write_text(SCRIPT)
    engine = await open_engine(brain=f"scripted:{path}")
    first, second = engine.session(), engine.session()
    for session in (first, second):
        assert await answer(session.brain) == [Say("Hello.")]
        assert await answer(session.brain) == [Say("You "), Say("said: "), Say("Hi")]
        assert [await words(session.transcriber) for _ in range(2)] == ["One.", "Two."]
    assert engine.labels["brain"] == "script support.toml"


@pytest.mark.asyncio
async def test_a_script_may_be_followed_by_one_stage_alone(tmp_path: Path) -> None:
    path = tmp_path / "words.toml"
    path.write_text(SCRIPT)
    session = (await open_engine(stt=f"scripted:{path}")).session()
    assert await words(session.transcriber) == "One."
    assert await answer(session.brain) == [Say("You "), Say("said: "), Say("Hi")]


@pytest.mark.asyncio
async def test_a_python_script_is_a_function_with_the_names_of_a_toml_script(
    tmp_path: Path,
) -> None:
    path = tmp_path / "support.py"
    path.write_text(
        "from duologue.server.engine.stages import Call\n"
        "transcripts = ['One.']\n"
        "def respond(request):\n"
        "    yield f'{request.heard}? '\n"
        "    yield Call('look', '{}')\n"
    )
    session = (await open_engine(brain=f"scripted:{path}")).session()
    assert await answer(session.brain) == [Say("Hi? "), Call("look", "{}")]
    assert await words(session.transcriber) == "One."


@pytest.mark.asyncio
async def test_the_class_of_a_python_script_is_made_for_each_session(tmp_path: Path) -> None:
    path = tmp_path / "counting.py"
    path.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from duologue.server.engine.stages import Say\n"
        "@dataclass\n"
        "class Brain:\n"
        "    asked: int = 0\n"
        "    async def respond(self, request):\n"
        "        self.asked += 1\n"
        "        yield Say(str(self.asked))\n"
        "    async def warm(self, request): ...\n"
    )
    engine = await open_engine(brain=f"scripted:{path}")
    for session in (engine.session(), engine.session()):
        assert await answer(session.brain) == [Say("1")]
        assert await answer(session.brain) == [Say("2")]


@pytest.mark.asyncio
async def test_a_python_script_may_compute_its_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.py"
    path.write_text("rules = [{'match': n, 'say': n.upper()} for n in ('a', 'b')]\n")
    session = (await open_engine(brain=f"scripted:{path}")).session()
    assert await answer(session.brain, "b") == [Say("B")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = 1", "defines nothing of a script; define respond"),
        (
            "def respond(r): ...\nclass Brain: ...",
            "has respond and Brain; keep one of them",
        ),
        ("rules = []\ndef respond(r): ...", "has respond and rules; keep one of them"),
        ("\n1 / 0", r"fails: ZeroDivisionError: .* \(line 2\)"),
        ("def (", "fails: SyntaxError"),
        ("rules = [{'say': 1}]", r"\[\[rules\]\] 1, 'say': write a string"),
        ("class Brain:\n  def __init__(self, x): ...", "cannot be a brain; it needs respond"),
    ],
)
async def test_a_python_script_with_a_fault_is_one_clear_sentence(
    source: str, told: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.py"
    path.write_text(source)
    with pytest.raises(ConfigurationError, match=told):
        await open_engine(brain=f"scripted:{path}")


@pytest.mark.asyncio
@pytest.mark.parametrize("uri", ["scripted:none.toml", "scripted:none.py"])
async def test_a_script_that_is_missing_is_named(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot read the script none"):
        await open_engine(brain=uri)


@pytest.mark.asyncio
async def test_a_script_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"ending in \.toml or \.py"):
        await open_engine(brain="scripted:script.json")


def shout(request: BrainRequest) -> str:
    return request.heard.upper()


async def shout_later(request: BrainRequest) -> Call:
    await asyncio.sleep(0)
    return Call(request.heard, "{}")


def spell(request: BrainRequest) -> Iterator[str]:
    yield from request.heard


async def spell_later(request: BrainRequest) -> AsyncIterator[str | BrainEvent]:
    for character in request.heard:
        await asyncio.sleep(0)
        yield character


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (shout, [Say("HI")]),
        (shout_later, [Call("Hi", "{}")]),
        (spell, [Say("H"), Say("i")]),
        (spell_later, [Say("H"), Say("i")]),
    ],
)
async def test_a_function_is_a_brain(function: Any, expected: list[BrainEvent]) -> None:
    engine = await open_engine(brain=function)
    assert await answer(engine.session().brain) == expected
    named = await open_engine(brain=f"python:{__name__}:{function.__name__}")
    assert await answer(named.session().brain) == expected


@pytest.mark.asyncio
async def test_a_function_that_answers_with_something_else_fails_the_response() -> None:
    def forgets(request: BrainRequest) -> Any: ...

    engine = await open_engine(brain=forgets)
    with pytest.raises(EngineFailed, match="forgets answered with NoneType; return or yield text"):
        await answer(engine.session().brain)


class Deaf(ScriptedTranscriber):
    """Made by URI."""


@pytest.mark.asyncio
async def test_stages_of_every_kind_are_mixed() -> None:
    engine = await open_engine(
        brain=ScriptedBrain(), stt=f"python:{__name__}:Deaf", vad=EnergyVad, turn="local:"
    )
    first, second = engine.session(), engine.session()
    assert first.brain is second.brain
    assert isinstance(first.transcriber, Deaf)
    assert first.transcriber is not second.transcriber
    assert first.vad is not second.vad
    assert first.turn_detector is not None
    assert engine.labels == {
        "brain": "your own",
        "transcriber": f"{__name__}:Deaf",
        "synthesizer": "tones",
        "vad": "your own",
        "turn_detector": "last words",
    }


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("stages", "judges"),
    [
        ({"stt": "scripted:"}, False),
        ({"brain": "http://host/v1#m", "vad": "scripted:"}, True),
        ({"brain": "http://host/v1#m", "vad": "scripted:", "stt": "scripted:"}, False),
        ({"stt": "http://host/v1"}, True),
    ],
)
async def test_the_end_of_a_turn_is_judged_by_words_where_words_are_heard(
    stages: dict[str, Any], judges: bool
) -> None:
    """A script's transcripts would be used up by the pauses within turns."""
    engine = await open_engine(**stages)
    assert (engine.session().turn_detector is not None) is judges
    await engine.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("stages", "told"),
    [
        (
            {"brain": "telepathy:"},
            "'telepathy:' names no engine; use scripted:, local:, http:",
        ),
        ({"brain": "support.toml"}, "'support.toml' names no engine; use scripted:support.toml$"),
        ({"brain": "python:json"}, "write python:module:attribute"),
        ({"brain": "python:no_such_module:x"}, "cannot be imported: No module named"),
        ({"brain": "python:json:nothing"}, "does not exist: .*json.* has no 'nothing'"),
        ({"brain": 7}, "7 cannot be the brain: it needs respond and warm"),
        ({"stt": shout}, "cannot be the stt: it needs transcribe"),
        ({"tts": ScriptedTranscriber}, "ScriptedTranscriber cannot be a tts; it needs speak"),
    ],
)
async def test_a_stage_that_cannot_be_is_one_clear_sentence(
    stages: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        await open_engine(**stages)


@pytest.mark.asyncio
async def test_the_plain_engine_tells_what_it_runs_on() -> None:
    assert set((await open_engine()).labels) == {"brain", "transcriber", "synthesizer", "vad"}


@pytest.mark.asyncio
async def test_closing_an_engine_closes_every_stage_even_if_one_fails() -> None:
    closed: list[str] = []

    async def first() -> None:
        closed.append("first")

    async def second() -> None:
        closed.append("second")
        raise RuntimeError

    engine = scripted_engine().with_stages({}, labels={}, close=first)
    with pytest.raises(RuntimeError):
        await engine.with_stages({}, labels={}, close=second).close()
    assert closed == ["second", "first"]


@pytest.mark.asyncio
async def test_a_family_that_cannot_be_opened_closes_those_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[HttpEndpoint] = []

    async def close(endpoint: HttpEndpoint) -> None:
        closed.append(endpoint)

    monkeypatch.setattr(HttpEndpoint, "close", close)
    with pytest.raises(ConfigurationError):
        await open_engine(brain="http://host/v1#m", stt="python:json:nothing")
    assert len(closed) == 3  # the brain, the translator and the voice

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from duologue import weights
from duologue.errors import ModelUnavailable, ServerError
from duologue.protocol.ga import (
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputText,
    Message,
    OutputText,
    ToolChoiceFunction,
)
from duologue.server.engine.stages import BrainRequest, Call, Say, TokenCount

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from duologue.protocol.ga import Item
    from duologue.server.engine.stages import BrainEvent, Engine

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

WEATHER = FunctionTool(
    name="get_weather",
    description="Get today's weather in a city.",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)
LIGHT = FunctionTool(
    name="set_light",
    description="Turn the lights of a room on or off.",
    parameters={
        "type": "object",
        "properties": {"room": {"type": "string"}, "on": {"type": "boolean"}},
        "required": ["room", "on"],
    },
)


def user(text: str) -> Message:
    return Message(role="user", content=[InputText(text=text)])


def assistant(text: str) -> Message:
    return Message(role="assistant", content=[OutputText(text=text)])


def request(*items: Item, **fields: object) -> BrainRequest:
    settings = {"instructions": "You are a friendly voice assistant.", "items": items, **fields}
    return BrainRequest(**settings)  # type: ignore[arg-type]


async def answer(engine: Engine, asked: BrainRequest) -> list[BrainEvent]:
    return [event async for event in engine.brain().respond(asked)]


def said(events: Sequence[BrainEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Say))


@pytest.mark.asyncio
async def test_an_answer_ends_with_its_cost(engine: Engine) -> None:
    *spoken, cost = await answer(engine, request(user("What is the capital of France?")))
    assert "Paris" in said(spoken)
    assert isinstance(cost, TokenCount)
    assert cost.input_tokens > cost.cached_tokens >= 0
    assert cost.output_tokens > 0
    assert not cost.truncated


@pytest.mark.asyncio
async def test_the_token_limit_cuts_the_answer(engine: Engine) -> None:
    events = await answer(engine, request(user("Tell me a story."), max_output_tokens=5))
    assert events[-1] == TokenCount(
        input_tokens=events[-1].input_tokens,  # type: ignore[union-attr]
        cached_tokens=events[-1].cached_tokens,  # type: ignore[union-attr]
        output_tokens=5,
        truncated=True,
    )


@pytest.mark.asyncio
async def test_the_same_conversation_gets_the_same_answer(engine: Engine) -> None:
    asked = request(user("Name a colour."))
    assert said(await answer(engine, asked)) == said(await answer(engine, asked))


@pytest.mark.asyncio
async def test_a_function_is_called_and_its_output_spoken(engine: Engine) -> None:
    asked = user("What is the weather in Paris today?")
    call, _ = await answer(engine, request(asked, tools=(WEATHER, LIGHT)))
    assert isinstance(call, Call)
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    made = FunctionCall(call_id="1", name=call.name, arguments=call.arguments)
    output = FunctionCallOutput(call_id="1", output='{"temperature_c":18,"condition":"sunny"}')
    *spoken, _ = await answer(engine, request(asked, made, output, tools=(WEATHER, LIGHT)))
    assert "18" in said(spoken)
    assert "{" not in said(spoken)


@pytest.mark.asyncio
async def test_a_call_may_be_required_named_or_forbidden(engine: Engine) -> None:
    tools = (WEATHER, LIGHT)
    call, _ = await answer(
        engine, request(user("Thank you, that is all."), tools=tools, tool_choice="required")
    )
    assert isinstance(call, Call)
    named = ToolChoiceFunction(name="set_light")
    call, _ = await answer(engine, request(user("Hello"), tools=tools, tool_choice=named))
    assert isinstance(call, Call)
    assert call.name == "set_light"
    assert set(json.loads(call.arguments)) == {"room", "on"}
    events = await answer(
        engine, request(user("How is the weather in Rome?"), tools=tools, tool_choice="none")
    )
    assert not any(isinstance(event, Call) for event in events)


@pytest.mark.asyncio
async def test_cancelling_the_reader_stops_the_model(engine: Engine) -> None:
    """Else the next answer would share the cores with one that nobody hears."""
    started = asyncio.Event()

    async def read() -> None:
        async for _ in engine.brain().respond(request(user("Tell a long story."))):
            started.set()

    reader = asyncio.create_task(read())
    await asyncio.wait_for(started.wait(), 10)
    reader.cancel()
    done, _ = await asyncio.wait([reader], timeout=1)
    assert done
    assert reader.cancelled()


@pytest.mark.asyncio
async def test_more_sessions_than_slots_are_answered_in_turn(engine: Engine) -> None:
    questions = [request(user(f"What is {n} plus 1?"), max_output_tokens=20) for n in range(4)]
    answers = await asyncio.gather(*(answer(engine, question) for question in questions))
    assert all(said(events) for events in answers)


@pytest.mark.asyncio
async def test_warming_reads_the_prompt_beforehand(engine: Engine) -> None:
    instructions = "You are the voice of a museum of clocks. You answer in one short sentence."
    await engine.brain().warm(request(instructions=instructions, tools=(WEATHER,)))
    events = await answer(engine, request(user("Hi"), instructions=instructions, tools=(WEATHER,)))
    cost = events[-1]
    assert isinstance(cost, TokenCount)
    assert cost.cached_tokens > cost.input_tokens / 2


@pytest.mark.asyncio
async def test_what_the_model_has_no_room_for_is_forgotten() -> None:
    from duologue.server.engine.local.brain import LlamaBrain  # noqa: PLC0415  # an extra

    file = next(weights.require(weights.BRAINS[0]).glob("*.gguf"))
    brain = LlamaBrain(file, slots=1, context_tokens=1024)
    old = [item for n in range(8) for item in (user(f"{n} " + "word " * 80), assistant("Yes."))]
    with closing(brain):
        asked = request(*old, user("Hello"), max_output_tokens=4)
        cost = [event async for event in brain.respond(asked)][-1]
        assert isinstance(cost, TokenCount)
        assert 80 < cost.input_tokens <= 512
        with pytest.raises(ServerError, match="fit into the model"):
            _ = [event async for event in brain.respond(request(user("word " * 2_000)))]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "items",
    [
        (),
        (assistant("Hello."),),
        (FunctionCallOutput(call_id="1", output="x"),),
        (
            user("Hi"),
            FunctionCall(call_id="1", name="f", arguments="not json"),
            FunctionCallOutput(call_id="1", output="done"),
        ),
        (user("Hi"), FunctionCall(call_id="1", name="f", arguments="[1]")),
    ],
)
async def test_odd_conversations_are_answered(engine: Engine, items: Sequence[Item]) -> None:
    assert await answer(engine, request(*items, max_output_tokens=5))


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    from duologue.server.engine.local.brain import LlamaBrain  # noqa: PLC0415  # an extra

    broken = tmp_path / "broken.gguf"
    with pytest.raises(ModelUnavailable, match="does not load"):
        LlamaBrain(broken)
    broken.write_bytes(b"GGUF and no more")
    with pytest.raises(ModelUnavailable, match=r"broken\.gguf does not load"):
        LlamaBrain(broken)

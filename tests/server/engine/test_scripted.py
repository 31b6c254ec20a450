from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

import pytest

from duologue.audio.wav import read_wav
from duologue.protocol import ga
from duologue.server.engine.scripted import (
    EnergyVad,
    ScriptedBrain,
    ScriptedTranscriber,
    ToneSynthesizer,
)
from duologue.server.engine.stages import VAD_FRAME_BYTES, BrainEvent, BrainRequest, Call, Say

HELLO = Path(__file__).parents[3] / "src/duologue/cli/speech/hello.wav"
LIGHT = ga.FunctionTool(
    name="set_light",
    parameters={
        "type": "object",
        "properties": {
            "room": {"type": "string"},
            "on": {"type": "boolean"},
            "color": {"type": "string", "enum": ["warm", "cold"]},
        },
    },
)


def asked(text: str, **request: Any) -> BrainRequest:
    message = ga.Message(role="user", content=[ga.InputText(text=text)])
    return BrainRequest(instructions="", items=[message], **request)


async def answer(brain: ScriptedBrain, request: BrainRequest) -> list[BrainEvent]:
    return [event async for event in brain.respond(request)]


def spoken(events: list[BrainEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Say))


@pytest.mark.asyncio
async def test_a_tool_that_the_user_names_is_called_with_plausible_arguments() -> None:
    request = asked("Turn on the light in the Kitchen", tools=[LIGHT])
    [call] = await answer(ScriptedBrain(), request)
    assert isinstance(call, Call)
    assert json.loads(call.arguments) == {"room": "Kitchen", "on": True, "color": "warm"}


@pytest.mark.asyncio
@pytest.mark.parametrize("choice", ["required", ga.ToolChoiceFunction(name="set_light")])
async def test_a_forced_tool_is_called_whatever_was_said(choice: ga.ToolChoice) -> None:
    [call] = await answer(ScriptedBrain(), asked("hm", tools=[LIGHT], tool_choice=choice))
    assert isinstance(call, Call)


@pytest.mark.asyncio
async def test_no_tool_is_called_when_none_may_be() -> None:
    events = await answer(ScriptedBrain(), asked("light", tools=[LIGHT], tool_choice="none"))
    assert spoken(events) == "You said: light"


@pytest.mark.asyncio
async def test_the_transcriber_reads_its_script_then_describes() -> None:
    transcriber = ScriptedTranscriber(["one"])

    async def heard() -> str:
        deltas = transcriber.transcribe(bytes(48_000), language=None, prompt=None)
        return "".join([delta async for delta in deltas])

    assert [await heard(), await heard()] == ["one", "(1.0 seconds of speech)"]


@pytest.mark.asyncio
async def test_a_tone_lasts_as_long_as_the_text_and_is_audible() -> None:
    speech = ToneSynthesizer().speak("ten chars!", voice="alloy", speed=1.0)
    pcm = b"".join([chunk async for chunk in speech])
    assert len(pcm) == 10 * 60 * 48
    assert max(array("h", pcm)) > 5000


def test_loudness_tells_speech_from_silence_and_noise() -> None:
    pcm = read_wav(HELLO)
    vad = EnergyVad()
    starts = range(0, len(pcm) - VAD_FRAME_BYTES, VAD_FRAME_BYTES)
    scores = [vad.score(pcm[start : start + VAD_FRAME_BYTES]) for start in starts]
    assert sum(score > 0.5 for score in scores) > 40
    assert max(scores[:5]) < 0.5
    assert vad.score(bytes(VAD_FRAME_BYTES)) == 0

"""The demo's assistant: instructions, tools, and a script for machines without models."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypedDict

import msgspec

from duologue.cli.demo.speech import SHIPPED_TRANSCRIPTS
from duologue.protocol import ga

if TYPE_CHECKING:
    from duologue.server.engine.scripted import ScriptedBrain, ScriptedTranscriber, ToneSynthesizer

__all__ = ["INSTRUCTIONS", "STORY_INSTRUCTIONS", "TOOLS", "call_tool", "scripted_stages"]

INSTRUCTIONS: Final = (
    "You are a friendly voice assistant at home. You answer in one short and polite sentence."
)

_STORY: Final = (
    "Yes, I can hear you. While you are here, let me tell you a story. Once upon a time an old"
    " keeper lived in a lighthouse by the sea with his grey cat. Every evening he lit the lamp, and"
    " the cat watched the ships go by. One night the lamp went out in a storm, and the cat ran up"
    " the stairs to wake him. He lit the lamp again, and all the ships came home safely."
)

STORY_INSTRUCTIONS: Final = (
    "You are a friendly voice assistant."
    " When the user says stop, you say: All right, I will stop.\n"
    "User: Stop please.\nYou: All right, I will stop.\n"
    f"User: Hello, can you hear me?\nYou: {_STORY}"
)
"""The story is in the prompt: a model of half a billion parameters cannot make one up."""

TOOLS: Final[list[ga.Tool]] = [
    ga.FunctionTool(
        name="get_weather",
        description="Get today's weather in a city.",
        parameters={
            "type": "object",
            "properties": {"city": {"type": "string", "description": "Name of the city."}},
            "required": ["city"],
        },
    ),
    ga.FunctionTool(
        name="set_light",
        description="Turn the lights of a room on or off.",
        parameters={
            "type": "object",
            "properties": {"room": {"type": "string"}, "on": {"type": "boolean"}},
            "required": ["room", "on"],
        },
    ),
]

PACE: Final = 6.0
"""The script's voice is generated six times faster than it plays, like a real server's."""


class ScriptedStages(TypedDict):
    """Arguments of `LocalServer`."""

    brain: ScriptedBrain
    stt: ScriptedTranscriber
    tts: ToneSynthesizer


def scripted_stages(*, knows_the_clips: bool) -> ScriptedStages:
    """Return the stages that follow the script.

    Args:
        knows_the_clips: Whether the user plays the shipped clips, whose transcripts are known; the
            transcript of other speech is its length.
    """
    from duologue.server.engine.script import Rule  # noqa: PLC0415  # an extra
    from duologue.server.engine.scripted import (  # noqa: PLC0415  # an extra
        ScriptedBrain,
        ScriptedTranscriber,
        ToneSynthesizer,
    )

    rules = [
        Rule(match="lights", call="set_light", arguments={"room": "kitchen", "on": True}),
        Rule(match="can you hear", say=_STORY),
        Rule(match="stop", say="All right, I will stop."),
        Rule(match="enough", say="You are welcome."),
    ]
    return {
        "brain": ScriptedBrain(rules),
        "stt": ScriptedTranscriber(SHIPPED_TRANSCRIPTS if knows_the_clips else ()),
        "tts": ToneSynthesizer(PACE),
    }


def call_tool(name: str, arguments: str) -> str:
    """Run a function call and return its output; errors are outputs too, for the model to read."""
    try:
        values = msgspec.json.decode(arguments, type=dict[str, Any])
    except msgspec.DecodeError:
        return json.dumps({"error": "the arguments are not a JSON object"})
    match name:
        case "get_weather":
            city = values.get("city") or "Paris"
            output = {"city": city, "temperature_c": 18, "condition": "sunny"}
        case "set_light":
            state = "on" if values.get("on", True) else "off"
            output = {"result": f"The lights in the {values.get('room') or 'house'} are {state}."}
        case _:
            output = {"error": f"there is no function {name!r}"}
    return json.dumps(output)

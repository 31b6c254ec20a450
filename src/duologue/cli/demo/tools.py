"""The functions that the demo's assistant may call."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from duologue.protocol import ga

__all__ = ["TOOLS", "call_tool"]

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


def call_tool(name: str, arguments: str) -> str:
    """Return what a call of the model brings; errors go to the model, as data."""
    try:
        given = msgspec.json.decode(arguments, type=dict[str, Any])
    except msgspec.DecodeError:
        return json.dumps({"error": "the arguments are no JSON object"})
    match name:
        case "get_weather":
            city = given.get("city") or "Paris"
            found = {"city": city, "temperature_c": 18, "condition": "sunny"}
        case "set_light":
            state = "on" if given.get("on", True) else "off"
            found = {"result": f"The lights in the {given.get('room') or 'house'} are {state}."}
        case _:
            found = {"error": f"there is no function {name!r}"}
    return json.dumps(found)

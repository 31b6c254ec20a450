"""The function that the demo's assistant may call."""

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
    )
]


def call_tool(name: str, arguments: str) -> str:
    """Return what a call of the model brings; errors go to the model, as data."""
    if name != "get_weather":
        return json.dumps({"error": f"there is no function {name!r}"})
    try:
        given = msgspec.json.decode(arguments, type=dict[str, Any])
    except msgspec.DecodeError:
        return json.dumps({"error": "the arguments are no JSON object"})
    city = given.get("city") or "Paris"
    return json.dumps({"city": city, "temperature": "18 degrees", "sky": "sunny"})

"""Function calls of a small model: a grammar that lets it write nothing else, and their reader.

A small model asked for calls in its own format forgets the format, invents functions, or explains
the call to the user. So it is held by a grammar of llguidance, which llama.cpp is built with here:
either a call of an offered function with arguments of its schema, as plain JSON, or text that does
not begin like a call. The choice between the two is left to the model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from duologue.protocol.ga import FunctionCallOutput, ToolChoiceFunction
from duologue.server.engine.chat import functions_of
from duologue.server.engine.stages import Call, Say

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from duologue.protocol.ga import FunctionTool
    from duologue.protocol.model import Json
    from duologue.server.engine.chat import ChatObject
    from duologue.server.engine.stages import BrainRequest

__all__ = ["CallReader", "Offer", "call_grammar", "offer"]

_HEADER: Final = "%llguidance {}\n"
_TEXT: Final = "text: /[^{<`\\s][\\s\\S]*/\n"
_OPENINGS: Final = ("<tool_call>", "```json", "```")
_DECODER: Final = json.JSONDecoder()
_COMPACT: Final = {
    "whitespace_flexible": False,  # or a small model fills its token limit with it
    "key_separator": ": ",
    "item_separator": ", ",
    "lenient": True,  # keywords that the grammar cannot hold are left to the application
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Which functions a model sees, which of them it may call, and whether it may speak instead."""

    shown: Sequence[FunctionTool]
    allowed: Sequence[FunctionTool]
    may_speak: bool


def offer(request: BrainRequest) -> Offer:
    """Return what a request offers a small model.

    Left to choose, it gets no functions for the answer to a function's output: seeing them, it
    calls the same one again, up to the token limit (0 of 9 answers were words; without, all are).
    """
    functions = functions_of(request)
    choice = request.tool_choice
    if isinstance(choice, ToolChoiceFunction):
        named = [tool for tool in functions if tool.name == choice.name]
        return Offer(shown=functions, allowed=named, may_speak=not named)
    if choice == "required":
        return Offer(shown=functions, allowed=functions, may_speak=not functions)
    answers_output = bool(request.items) and isinstance(request.items[-1], FunctionCallOutput)
    if choice == "none" or answers_output:
        functions = []
    return Offer(shown=functions, allowed=functions, may_speak=True)


def call_grammar(functions: Sequence[FunctionTool], *, may_speak: bool) -> str:
    """Return a grammar for text, a call of one of these functions, or both.

    Without functions it is a grammar for text that is no call, whatever the conversation holds.
    """
    if not functions:
        return f"{_HEADER}start: text\n{_TEXT}"
    calls = [_call_schema(function) for function in functions]
    schema = json.dumps({"anyOf": calls, "x-guidance": _COMPACT})
    start = f"start: call | text\n{_TEXT}" if may_speak else "start: call\n"
    return f"{_HEADER}{start}call: %json {schema}\n"


def _call_schema(function: FunctionTool) -> ChatObject:
    parameters = _as_object(function.parameters or {})
    # JSON Schema allows other arguments unless told otherwise; small models then invent dozens.
    closed: ChatObject = {"additionalProperties": False} if parameters.get("properties") else {}
    return {
        "type": "object",
        "properties": {
            "name": {"const": function.name or ""},
            "arguments": {"type": "object", **closed, **parameters},
        },
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _as_object(value: Json) -> ChatObject:
    return value if isinstance(value, dict) else {}


class CallReader:
    """Tells the calls in a model's text from what it says, while the text comes.

    Text that begins like a call is held until it is one, or the answer ends. What follows a call is
    dropped: small models chatter there.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._held = ""
        self._speaks = False
        self._called = False

    def feed(self, text: str) -> list[Say | Call]:
        """Return what is certain after this piece of text."""
        if self._called:
            return []
        if self._speaks:
            return [Say(text)] if text else []
        self._held += text
        if not self._may_become_call():
            return self.flush()
        if "}" in text and (call := self._call()):
            self._called = True
            return [call]
        return []

    def flush(self) -> list[Say | Call]:
        """Return what was held though it is no call, at the end of the answer."""
        if self._called or not self._held.strip():
            return []
        held, self._held, self._speaks = self._held.lstrip(), "", True
        return [Say(held)]

    def _may_become_call(self) -> bool:
        start = self._held.lstrip()
        return not start or start[0] == "{" or any(_agree(start, mark) for mark in _OPENINGS)

    def _call(self) -> Call | None:
        text = self._held.lstrip()
        for mark in _OPENINGS:
            text = text.removeprefix(mark).lstrip()
        try:
            found: Json = _DECODER.raw_decode(text)[0]
        except ValueError:
            return None
        return self._as_call(found)

    def _as_call(self, found: Json) -> Call | None:
        fields = _as_object(found)
        name = fields.get("name")
        arguments = fields.get("arguments", fields.get("parameters"))
        if not (isinstance(name, str) and name in self._names and isinstance(arguments, dict)):
            return None
        return Call(name, json.dumps(arguments, ensure_ascii=False))


def _agree(start: str, mark: str) -> bool:
    return start.startswith(mark) or mark.startswith(start)

"""Function calls of a small model: the grammar that constrains it, and the parser of its output.

Left to its own format, a small model forgets the format, invents functions, or explains the call to
the user. So a grammar constrains its output (for llguidance, which xllamacpp's llama.cpp includes):
either a call of an offered function as plain JSON, with arguments that match the function's schema,
or text that does not begin like a call. The model chooses between the two.
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
    "whitespace_flexible": False,  # or a small model writes white space up to its token limit
    "key_separator": ": ",
    "item_separator": ", ",
    "lenient": True,  # ignore schema keywords that the grammar cannot express
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The functions that a model sees, those it may call, and whether it may answer with text."""

    shown: Sequence[FunctionTool]
    allowed: Sequence[FunctionTool]
    may_speak: bool
    """Whether text is allowed instead of a call."""


def offer(request: BrainRequest) -> Offer:
    """Return the functions to offer a small model for a request.

    If the model may choose, it sees no functions for the response to a function's output. With
    them, it calls the same function again, up to the token limit: none of 9 responses was text.
    Without them, all are.
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
    """Return a grammar for a call of one of the functions, or for text as well.

    Without functions, the grammar allows only text that is not a call, even if the conversation
    holds calls for the model to imitate.
    """
    if not functions:
        return f"{_HEADER}start: text\n{_TEXT}"
    calls = [_call_schema(function) for function in functions]
    schema = json.dumps({"anyOf": calls, "x-guidance": _COMPACT})
    start = f"start: call | text\n{_TEXT}" if may_speak else "start: call\n"
    return f"{_HEADER}{start}call: %json {schema}\n"


def _call_schema(function: FunctionTool) -> ChatObject:
    parameters = _as_object(function.parameters or {})
    # By default, JSON Schema allows additional arguments; small models then invent dozens.
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
    """Parser that separates calls from text in a model's output, while it is generated.

    Text that begins like a call is held back until the call is complete or the response ends. Text
    after a call is dropped, because small models chatter there.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names: Final = names
        self._held = ""
        self._speaks = False
        self._called = False

    def feed(self, text: str) -> list[Say | Call]:
        """Return the text and calls that are certain after this piece of output."""
        if self._called:
            return []
        if self._speaks:
            return [Say(text)] if text else []
        self._held += text
        if not self._may_become_call():
            return self.flush()
        # Only a closing brace can complete the object: do not parse at every token.
        if "}" in text and (call := self._call()):
            self._called = True
            return [call]
        return []

    def flush(self) -> list[Say | Call]:
        """Return the text that was held back and is not a call, at the end of the response."""
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

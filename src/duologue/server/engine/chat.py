"""Conversion of Realtime items to the messages of a chat completion.

Speech becomes its transcript. An image becomes a note that the model cannot see it, unless the
model can. Items without a counterpart in a chat, and messages without text, are dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from duologue.protocol.ga import (
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudio,
    InputImage,
    InputText,
    Message,
    OutputAudio,
    OutputText,
    ToolChoiceFunction,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duologue.protocol.ga import ContentPart, Item, ToolChoice
    from duologue.protocol.model import Json
    from duologue.server.engine.stages import BrainRequest

__all__ = [
    "ChatObject",
    "chat_messages",
    "chat_tool_choice",
    "chat_tools",
    "forget_oldest",
    "functions_of",
]

UNSEEN_IMAGE: Final = "[an image that this model cannot see]"

ChatObject: TypeAlias = "dict[str, Json]"
"""A JSON object of the chat completions API."""


def chat_messages(request: BrainRequest, *, sees: bool = False) -> list[ChatObject]:
    """Return the request's instructions and items as chat messages, in order.

    Consecutive calls become one assistant message, as the chat API requires.

    Args:
        request: The request to convert.
        sees: Whether the model accepts images; otherwise a note replaces each image.
    """
    messages: list[ChatObject] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    calls: list[Json] = []  # of the assistant message that consecutive calls share
    for item in request.items:
        if isinstance(item, FunctionCall):
            if not calls:
                messages.append({"role": "assistant", "content": None, "tool_calls": calls})
            calls.append(_tool_call(item))
        elif message := _message(item, sees=sees):
            messages.append(message)
            calls = []
    return messages


def functions_of(request: BrainRequest) -> list[FunctionTool]:
    """Return the named functions of a request; the API itself runs other kinds of tools."""
    return [tool for tool in request.tools if isinstance(tool, FunctionTool) and tool.name]


def chat_tools(functions: Sequence[FunctionTool]) -> list[Json]:
    """Return functions in the chat API's format."""
    return [{"type": "function", "function": _function(tool)} for tool in functions]


def chat_tool_choice(choice: ToolChoice) -> Json:
    """Return the tool choice in the chat API's format.

    A choice that the chat API does not have (an MCP tool, an unknown mode) becomes `auto`.
    """
    if isinstance(choice, ToolChoiceFunction):
        return {"type": "function", "function": {"name": choice.name}}
    return str(choice) if choice in ("none", "required") else "auto"


def forget_oldest(messages: Sequence[ChatObject], *, share: float) -> list[ChatObject]:
    """Drop the oldest turns, so that about `share` of the text remains.

    Whole turns are dropped, from one user message to the next, so that no output loses its call.
    The system messages at the start and the last turn always remain.
    """
    first = next((i for i, m in enumerate(messages) if m["role"] != "system"), len(messages))
    turns = [i for i, m in enumerate(messages) if m["role"] == "user" and i > first]
    kept = list(messages)
    for start in turns:  # drops one more turn each time; without a second turn, nothing
        kept = [*messages[:first], *messages[start:]]
        if _size(kept) <= share * _size(messages):
            break
    return kept


def _size(messages: Sequence[ChatObject]) -> int:
    return sum(len(str(message)) for message in messages)


def _message(item: Item, *, sees: bool) -> ChatObject | None:
    if isinstance(item, FunctionCallOutput):
        return {"role": "tool", "tool_call_id": item.call_id, "content": item.output}
    if not isinstance(item, Message):
        return None
    if sees and any(isinstance(part, InputImage) for part in item.content):
        return {"role": str(item.role), "content": [*_parts(item.content)]}
    words = " ".join(text for part in item.content if (text := _words(part)))
    return {"role": str(item.role), "content": words} if words else None


def _parts(content: Sequence[ContentPart]) -> Iterator[ChatObject]:
    """Yield text and images as parts of a chat message."""
    for part in content:
        if isinstance(part, InputImage):
            image: ChatObject = {"url": part.image_url or ""}
            if part.detail:
                image["detail"] = str(part.detail)
            yield {"type": "image_url", "image_url": image}
        elif words := _words(part):
            yield {"type": "text", "text": words}


def _words(part: ContentPart) -> str:
    match part:
        case InputText(text=text) | OutputText(text=text):
            return text or ""
        case InputAudio(transcript=text) | OutputAudio(transcript=text):
            return (text or "").strip()
        case InputImage():
            return UNSEEN_IMAGE
        case _:
            return ""


def _tool_call(item: FunctionCall) -> ChatObject:
    function: ChatObject = {"name": item.name, "arguments": item.arguments}
    return {"id": item.call_id or item.name, "type": "function", "function": function}


def _function(tool: FunctionTool) -> ChatObject:
    function: ChatObject = {
        "name": tool.name or "",
        "parameters": tool.parameters or {"type": "object", "properties": {}},
    }
    if tool.description:
        function["description"] = tool.description
    return function

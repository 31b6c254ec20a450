from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.protocol.ga import (
    FunctionCall,
    FunctionCallOutput,
    FunctionTool,
    InputAudio,
    InputImage,
    InputText,
    ItemReference,
    McpTool,
    Message,
    OutputAudio,
    OutputText,
    ToolChoiceFunction,
    ToolChoiceMcp,
    UnknownItem,
    UnknownPart,
)
from duologue.server.engine.chat import (
    chat_messages,
    chat_tool_choice,
    chat_tools,
    forget_oldest,
    functions_of,
)
from duologue.server.engine.stages import BrainRequest

if TYPE_CHECKING:
    from duologue.protocol.ga import Item
    from duologue.server.engine.chat import ChatObject


def request(*items: Item, instructions: str = "") -> BrainRequest:
    return BrainRequest(instructions=instructions, items=items)


def message(role: str, text: str) -> ChatObject:
    return {"role": role, "content": text}


def test_instructions_are_the_system_message() -> None:
    assert chat_messages(request(instructions="Be kind.")) == [
        {"role": "system", "content": "Be kind."}
    ]
    assert chat_messages(request()) == []


def test_speech_counts_by_its_transcript() -> None:
    messages = chat_messages(
        request(
            Message(role="system", content=[InputText(text="It is noon.")]),
            Message(role="user", content=[InputAudio(transcript=" Hello. ")]),
            Message(role="assistant", content=[OutputAudio(transcript="Good day.")]),
            Message(role="user", content=[InputText(text="Look:"), InputText(text="a cat.")]),
            Message(role="assistant", content=[OutputText(text="I see.")]),
        )
    )
    assert messages == [
        {"role": "system", "content": "It is noon."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Good day."},
        {"role": "user", "content": "Look: a cat."},
        {"role": "assistant", "content": "I see."},
    ]


def test_what_has_no_words_is_left_out() -> None:
    messages = chat_messages(
        request(
            Message(role="user", content=[InputAudio(transcript=None)]),
            Message(role="user", content=[InputAudio()]),
            Message(role="user", content=[UnknownPart(raw={"type": "smell"}), InputText()]),
            Message(role="assistant", content=[]),
            ItemReference(id="item_1"),
            UnknownItem(raw={"type": "dream"}),
        )
    )
    assert messages == []


def test_a_model_is_told_of_an_image_that_it_cannot_see() -> None:
    seen = [InputText(text="Look:"), InputImage(image_url="data:,")]
    [message] = chat_messages(request(Message(role="user", content=[*seen])))
    assert message["content"] == "Look: [an image that this model cannot see]"


def test_calls_and_outputs_become_tool_messages() -> None:
    messages = chat_messages(
        request(
            FunctionCall(call_id="a", name="f", arguments="{}"),
            UnknownItem(raw={"type": "dream"}),
            FunctionCall(call_id="b", name="g", arguments='{"x":1}'),
            FunctionCallOutput(call_id="a", output="1"),
            FunctionCallOutput(call_id="b", output="2"),
            FunctionCall(name="h", arguments="{}"),
        )
    )
    assert messages == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"x":1}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "h", "type": "function", "function": {"name": "h", "arguments": "{}"}}
            ],
        },
    ]


def test_only_functions_are_offered() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = (
        FunctionTool(name="f", description="Does it.", parameters=schema),
        FunctionTool(name="g"),
        FunctionTool(),
        McpTool(server_label="m"),
    )
    assert chat_tools(functions_of(BrainRequest(instructions="", items=(), tools=tools))) == [
        {
            "type": "function",
            "function": {"name": "f", "parameters": schema, "description": "Does it."},
        },
        {
            "type": "function",
            "function": {"name": "g", "parameters": {"type": "object", "properties": {}}},
        },
    ]


def test_a_choice_that_a_chat_cannot_express_is_auto() -> None:
    named = {"type": "function", "function": {"name": "f"}}
    assert chat_tool_choice(ToolChoiceFunction(name="f")) == named
    assert chat_tool_choice("required") == "required"
    assert chat_tool_choice("none") == "none"
    assert chat_tool_choice("auto") == "auto"
    assert chat_tool_choice("whenever") == "auto"
    assert chat_tool_choice(ToolChoiceMcp(server_label="m")) == "auto"


def test_the_oldest_turns_are_forgotten_and_the_last_never() -> None:
    system = message("system", "s" * 10)
    old = [message("user", "a" * 100), message("assistant", "b" * 100)]
    middle = [message("user", "d"), message("tool", "c" * 100)]
    last = [message("user", "e")]
    messages = [system, *old, *middle, *last]
    assert forget_oldest(messages, share=0.7) == [system, *middle, *last]
    assert forget_oldest(messages, share=0.1) == [system, *last]
    assert forget_oldest([system, *last], share=0.1) == [system, *last]
    assert forget_oldest([*old, *last], share=0.5) == last

"""Turns with tools and speech at xAI and Azure Voice Live, event by event as they were recorded.

The forms of the events are those of recordings in pydantic/pydantic-ai
(`tests/realtime/cassettes/test_xai_ws` and `test_azure_voice_live_ws`); ids and words are made up.
See also `tests/client/test_providers.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.client.client_doubles import MemoryServer, client_of
from tests.client.replays.service import Watch
from tests.client.test_providers import VOICE_LIVE_SESSION, XAI_SESSION

if TYPE_CHECKING:
    from duologue import RealtimeClient

pytestmark = pytest.mark.asyncio

Body = dict[str, Any]

ARGUMENTS: Final = '{"city":"Bonn"}'
DECLARED: Final = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


class Recorded(MemoryServer):
    """Server that answers with recorded events."""

    def play(self, *events: tuple[str, Body], **everywhere: object) -> None:
        """Send events, each with the fields that all events of the provider have."""
        for kind, fields in events:
            self.send(kind, **everywhere, **fields)


def with_weather(client: RealtimeClient) -> list[str]:
    cities: list[str] = []

    @client.tool
    def weather(city: str) -> str:
        """Look up the weather."""
        cities.append(city)
        return "It is foggy."

    return cities


# xAI: GA's events in beta's session, every one with a `previous_item_id`; `output_index` is always
# 0, items have a role whatever they are, and no item has a `conversation.item.done`.


def xai_session(_event: Body) -> Body:
    """Return the session as xAI confirms it: its tools are one level deeper."""
    tool = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    formats = {"input_audio_format": "not specified", "output_audio_format": "not specified"}
    detection = {"type": "server_vad", "create_response": True, "interrupt_response": True}
    session = {key: value for key, value in XAI_SESSION.items() if key not in {"id", "voice"}}
    return session | formats | {"turn_detection": detection, "tools": [tool], "temperature": -1.0}


def xai_response(response_id: str, status: str, *output: Body) -> Body:
    details = {"status_details": "unimplemented", "usage": {}, "object": "realtime.response"}
    return {"response": {"id": response_id, "status": status, "output": [*output], **details}}


def xai_speech(response_id: str, item_id: str, words: str) -> list[tuple[str, Body]]:
    item = {"id": item_id, "object": "realtime.item", "type": "message", "role": "assistant"}
    output = {"response_id": response_id, "output_index": 0}
    place = output | {"item_id": item_id, "content_index": 0, "rid": "r"}
    begun = item | {"status": "in_progress"}
    return [
        ("response.output_item.added", {**output, "item": begun}),
        ("conversation.item.added", {"item": begun | {"content": []}}),
        ("response.content_part.added", {**place, "part": {"type": "audio", "transcript": ""}}),
        ("response.output_audio.delta", {**place, "delta": "AAAA", "latency": "0.68"}),
        ("response.output_audio_transcript.delta", {**place, "delta": words, "start_time": 0.0}),
        ("response.output_audio_transcript.done", {**place, "transcript": words}),
        ("response.content_part.done", place),
        ("response.output_audio.done", place),
        ("response.output_item.done", {**output, "item": item | {"status": "completed"}}),
    ]


def xai_item(item_id: str, words: str) -> Body:
    """Return a message as `response.done` has it."""
    part = {"type": "audio", "transcript": words}
    return {
        "id": item_id, "object": "realtime.item", "type": "message", "status": "completed",
        "role": "assistant", "content": [part],
    }  # fmt: skip


def xai() -> Recorded:
    server = Recorded(session=XAI_SESSION)
    server.answers["session.update"] = lambda event: server.play(
        ("conversation.created", {"conversation": {"id": "c", "object": "realtime.conversation"}}),
        ("ping", {"timestamp": 1_785_214_081_855}),
        ("session.updated", {"session": xai_session(event)}),
        previous_item_id=None,
    )
    return server


@pytest.mark.parametrize("dialect", ["ga", "auto"])
async def test_a_spoken_turn_at_xai(dialect: Any) -> None:
    server = xai()
    async with client_of(server, dialect=dialect) as client:
        watch = Watch(client)
        kind = "conversation.item.input_audio_transcription"
        turn = {"item_id": "item_u", "content_index": 0}
        heard = {"type": "message", "role": "user", "object": "realtime.item", "id": "item_u"}
        content = [{"type": "input_audio", "transcript": ""}]

        def said(words: str, status: str) -> tuple[str, Body]:
            return f"{kind}.completed", {**turn, "transcript": words, "status": status}

        server.play(
            ("input_audio_buffer.speech_started", {"item_id": "item_u", "audio_start_ms": 227}),
            (
                "conversation.item.added",
                {"item": heard | {"status": "in_progress", "content": content}},
            ),
            (f"{kind}.updated", {**turn, "transcript": "Hello?"}),
            said("Hello?", "in_progress"),
            ("input_audio_buffer.speech_stopped", {"item_id": "item_u", "audio_end_ms": 432}),
            ("input_audio_buffer.committed", {"item_id": "item_u"}),
            (f"{kind}.updated", {**turn, "transcript": "Hello, my name is"}),
            said("Hello, my name is", "in_progress"),
            said("Hello, my name is Ann.", "completed"),
            ("response.created", xai_response("resp_1", "in_progress")),
            *xai_speech("resp_1", "item_a", "Hello Ann!"),
            (
                "response.done",
                xai_response("resp_1", "completed", xai_item("item_a", "Hello Ann!")),
            ),
            previous_item_id=None,
        )
        await client.wait_for_next("response.done", timeout=5)
        assert watch.conversation() == [
            ("item_u", "Hello, my name is Ann."),
            ("item_a", "Hello Ann!"),
        ]
        assert {item.status for item in client.conversation} == {"completed"}
        assert watch.words == {"item_u": "Hello? my name is Ann.", "item_a": "Hello Ann!"}
        assert watch.appended == watch.completed == ["item_u", "item_a"]
        assert client.conversation.item("item_a").formatted.audio_bytes == 3
        assert watch.errors == []


@pytest.mark.parametrize("is_declared_only", [False, True])
@pytest.mark.parametrize("dialect", ["ga", "auto"])
async def test_a_tool_round_at_xai(dialect: Any, is_declared_only: bool) -> None:
    server = xai()
    async with client_of(server, dialect=dialect) as client:
        watch = Watch(client)
        cities = [] if is_declared_only else with_weather(client)
        if is_declared_only:
            client.update_session(tools=[DECLARED])
        client.send_user_message_content("What is the weather in Bonn?")
        sent = await server.got("conversation.item.create")
        await server.got("response.create")
        made = {"id": "item_c", "object": "realtime.item", "type": "function_call"}
        made |= {"call_id": "call-1-0", "name": "weather", "role": "user"}
        output = {"response_id": "resp_1", "output_index": 0}
        place = {"response_id": "resp_1", "item_id": "item_c", "call_id": "call-1-0"}
        begun, whole = {"status": "in_progress"}, {"status": "completed", "arguments": ARGUMENTS}
        spoken = xai_item("item_s", "I'll check.")
        server.play(
            ("conversation.item.added", {"item": {"id": "item_1", **sent["item"]}}),
            ("response.created", xai_response("resp_1", "in_progress")),
            *xai_speech("resp_1", "item_s", "I'll check."),
            ("response.output_item.added", {**output, "item": made | begun | {"arguments": ""}}),
            (
                "conversation.item.added",
                {"item": made | begun | {"arguments": "", "role": "tool"}},
            ),
            ("response.function_call_arguments.delta", {**place, "delta": ARGUMENTS}),
            (
                "response.function_call_arguments.done",
                {**place, "output_index": 0, "name": "weather", "arguments": ARGUMENTS},
            ),
            ("response.output_item.done", {**output, "item": made | whole}),
            ("response.done", xai_response("resp_1", "completed", spoken, made | whole)),
            previous_item_id=None,
        )
        await client.wait_for_next("response.done", timeout=5)
        ours: list[Any] = []
        if is_declared_only:
            assert server.types().count("conversation.item.create") == 1
            said = {"type": "function_call_output", "call_id": "call-1-0", "output": "It is foggy."}
            ours = [client.create_item(said), client.create_response()]
        answered = await server.got("conversation.item.create", 2)
        await server.got("response.create", 2)
        said = {**answered["item"], "id": "item_o", "role": "tool", "status": "completed"}
        server.play(
            ("conversation.item.added", {"item": said}),
            ("response.created", xai_response("resp_2", "in_progress")),
            *xai_speech("resp_2", "item_a", "It is foggy in Bonn."),
            (
                "response.done",
                xai_response("resp_2", "completed", xai_item("item_a", "It is foggy in Bonn.")),
            ),
            previous_item_id=None,
        )
        await client.wait_for_next("response.done", timeout=5)
        for handle in ours:
            await handle
        assert cities == ([] if is_declared_only else ["Bonn"])
        assert watch.conversation() == [
            ("item_1", "What is the weather in Bonn?"),
            ("item_s", "I'll check."),
            ("item_c", f"weather({ARGUMENTS})"),
            ("item_o", "It is foggy."),
            ("item_a", "It is foggy in Bonn."),
        ]
        assert server.types().count("conversation.item.create") == 2
        assert server.types().count("response.create") == 2
        assert watch.errors == []


# Voice Live: beta's events, but the turn of the user has a `conversation.item.done`, too.


@pytest.mark.parametrize("dialect", ["beta", "auto"])
async def test_a_spoken_turn_with_a_tool_at_voice_live(dialect: Any) -> None:
    server = Recorded(session=VOICE_LIVE_SESSION)
    server.answers["session.update"] = lambda _: server.send(
        "session.updated", session=VOICE_LIVE_SESSION
    )
    async with client_of(server, dialect=dialect) as client:
        watch, cities = Watch(client), with_weather(client)
        part = {"type": "input_audio", "transcript": None}
        heard = {"id": "item_u", "object": "realtime.item", "type": "message", "role": "user"}
        heard |= {"status": "completed", "content": [part]}
        after = {"previous_item_id": None}
        turn = {"item_id": "item_u", "content_index": 0}
        made = {"id": "item_c", "object": "realtime.item", "type": "function_call"}
        made |= {"name": "weather", "call_id": "call_1"}
        begun = made | {"status": "in_progress", "arguments": ""}
        whole = made | {"status": "completed", "arguments": ARGUMENTS}
        output = {"response_id": "resp_1", "output_index": 0}
        place = output | {"item_id": "item_c", "call_id": "call_1"}
        response = {"object": "realtime.response", "id": "resp_1", "conversation_id": "conv_1"}
        kind = "conversation.item.input_audio_transcription"
        server.play(
            ("input_audio_buffer.speech_started", {"item_id": "item_u", "audio_start_ms": 1456}),
            ("input_audio_buffer.speech_stopped", {"item_id": "item_u", "audio_end_ms": 4512}),
            ("input_audio_buffer.committed", {"item_id": "item_u", **after}),
            ("conversation.item.created", {"item": heard, **after}),
            ("conversation.item.done", {"item": heard, **after}),
            ("response.created", {"response": response | {"status": "in_progress", "output": []}}),
            ("response.output_item.added", {**output, "item": begun}),
            ("conversation.item.created", {"previous_item_id": "item_u", "item": begun}),
            (f"{kind}.delta", {**turn, "delta": "The weather in Bonn?"}),
            *(
                ("response.function_call_arguments.delta", {**place, "delta": piece})
                for piece in ("{", '"city"', ":", '"Bonn"', "}")
            ),
            (f"{kind}.completed", {**turn, "transcript": "The weather in Bonn?"}),
            ("response.function_call_arguments.done", {**place, "arguments": ARGUMENTS}),
            ("response.output_item.done", {**output, "item": whole}),
            (
                "response.done",
                {"response": response | {"status": "completed", "output": [whole]}},
            ),
        )
        answered = await server.got("conversation.item.create")
        await server.got("response.create")
        said = {"id": "item_o", "object": "realtime.item", **answered["item"]}
        spoken = {"id": "item_a", "object": "realtime.item", "type": "message", "content": []}
        spoken |= {"role": "assistant", "status": "in_progress"}
        final = {"status": "completed", "content": [{"type": "text", "text": "It is foggy."}]}
        response |= {"id": "resp_2"}
        output |= {"response_id": "resp_2"}
        place = output | {"item_id": "item_a", "content_index": 0}
        server.play(
            ("conversation.item.created", {"previous_item_id": "item_c", "item": said}),
            ("response.created", {"response": response | {"status": "in_progress", "output": []}}),
            ("response.output_item.added", {**output, "item": spoken}),
            ("conversation.item.created", {"previous_item_id": "item_o", "item": spoken}),
            ("response.content_part.added", {**place, "part": {"type": "text", "text": ""}}),
            ("response.text.delta", {**place, "delta": "It is"}),
            ("response.text.delta", {**place, "delta": " foggy."}),
            ("response.text.done", {**place, "text": "It is foggy."}),
            (
                "response.content_part.done",
                {**place, "part": {"type": "text", "text": "It is foggy."}},
            ),
            ("response.output_item.done", {**output, "item": spoken | final}),
            (
                "response.done",
                {"response": response | {"status": "completed", "output": [spoken | final]}},
            ),
        )
        await client.wait_for_next("response.done", timeout=5)
        assert cities == ["Bonn"]
        assert watch.conversation() == [
            ("item_u", "The weather in Bonn?"),
            ("item_c", f"weather({ARGUMENTS})"),
            ("item_o", "It is foggy."),
            ("item_a", "It is foggy."),
        ]
        assert watch.words == {"item_u": "The weather in Bonn?"}
        assert {item.status for item in client.conversation} == {"completed"}
        assert watch.errors == []

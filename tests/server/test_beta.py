"""The beta dialect: OpenAI's own beta client, and the words on the wire."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect

from duologue.audio.wav import read_wav
from duologue.server import LocalServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from openai.resources.beta.realtime.realtime import AsyncRealtimeConnection

HELLO = Path(__file__).parents[2] / "src/duologue/cli/speech/hello.wav"
WEATHER_TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the SDK's beta says so of itself
]


@asynccontextmanager
async def connected(server: LocalServer) -> AsyncIterator[AsyncRealtimeConnection]:
    base = server.url.removesuffix("/realtime")
    client = AsyncOpenAI(
        api_key="any", base_url=base.replace("ws:", "http:"), websocket_base_url=base
    )
    async with client, client.beta.realtime.connect(model="gpt-4o-realtime-preview") as connection:
        created: Any = await connection.recv()
        assert created.type == "session.created"
        assert created.session.input_audio_format == "pcm16"
        assert created.session.turn_detection.silence_duration_ms == 200
        assert created.session.temperature == 0.8
        yield connection


async def until(connection: AsyncRealtimeConnection, kind: str) -> tuple[Any, list[str]]:
    kinds: list[str] = []
    async for event in connection:
        if kinds[-1:] != [event.type]:
            kinds.append(event.type)
        if event.type == kind:
            return event, kinds
    raise AssertionError(f"the connection ended before {kind}")


async def test_a_text_turn() -> None:
    async with LocalServer() as server, connected(server) as connection:
        await connection.session.update(session={"modalities": ["text"], "temperature": 0.7})
        updated, _ = await until(connection, "session.updated")
        assert (updated.session.modalities, updated.session.temperature) == (["text"], 0.7)
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hello there"}],
            }
        )
        await connection.response.create()
        done, kinds = await until(connection, "response.done")
    assert done.response.output[0].content[0].text == "You said: Hello there"
    assert kinds == [
        "conversation.item.created",
        "response.created",
        "response.output_item.added",
        "conversation.item.created",
        "response.content_part.added",
        "response.text.delta",
        "response.text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]


async def test_a_spoken_turn() -> None:
    async with LocalServer() as server, connected(server) as connection:
        await connection.session.update(
            session={"input_audio_transcription": {"model": "whisper-1"}, "voice": "ash"}
        )
        audio = read_wav(HELLO) + bytes(48_000)
        for start in range(0, len(audio), 4800):
            chunk = base64.b64encode(audio[start : start + 4800]).decode()
            await connection.input_audio_buffer.append(audio=chunk)
        done, kinds = await until(connection, "response.done")
    assert "conversation.item.input_audio_transcription.completed" in kinds
    assert {"response.audio.delta", "response.audio_transcript.delta"} <= set(kinds)
    assert done.response.output[0].content[0].transcript.startswith("You said")


async def test_a_tool_call() -> None:
    async with LocalServer() as server, connected(server) as connection:
        await connection.session.update(session={"tools": [WEATHER_TOOL], "tool_choice": "auto"})
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "What is the weather in Paris?"}],
            }
        )
        await connection.response.create(response={"modalities": ["text"]})
        done, _ = await until(connection, "response.done")
        call = done.response.output[0]
        assert json.loads(call.arguments) == {"city": "Paris"}
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        )
        await connection.response.create(response={"modalities": ["text"]})
        done, _ = await until(connection, "response.done")
        assert done.response.output[0].content[0].text == "The answer is sunny."


async def test_an_error_names_the_fields_of_the_client() -> None:
    headers = {"OpenAI-Beta": "realtime=v1"}
    async with (
        LocalServer() as server,
        connect(server.url, additional_headers=headers) as connection,
    ):
        assert json.loads(await connection.recv())["session"]["object"] == "realtime.session"
        session = {"temperature": 7}
        await connection.send(
            json.dumps({"type": "session.update", "event_id": "mine", "session": session})
        )
        error = json.loads(await connection.recv())["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "session.temperature")
    assert error["event_id"] == "mine"

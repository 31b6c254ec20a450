"""OpenAI's own client, unmodified, against `duologue serve` over a real socket."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI

from duologue.audio.wav import read_wav

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from openai.resources.realtime.realtime import AsyncRealtimeConnection

HELLO = Path(__file__).parents[2] / "src/duologue/cli/speech/hello.wav"
WEATHER_TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """Where `duologue serve --brain scripted` listens, up to `/v1`."""
    command = [sys.executable, "-u", "-m", "duologue.cli", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--brain", "scripted"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        url = next(word for line in server.stdout for word in line.split() if word[:5] == "ws://")
        yield url.partition("/realtime")[0]
        server.terminate()


@asynccontextmanager
async def connected(base: str) -> AsyncIterator[AsyncRealtimeConnection]:
    client = AsyncOpenAI(
        api_key="any", base_url=base.replace("ws:", "http:"), websocket_base_url=base
    )
    async with client, client.realtime.connect(model="gpt-realtime") as connection:
        assert (await connection.recv()).type == "session.created"
        yield connection


async def until(connection: AsyncRealtimeConnection, kind: str) -> tuple[Any, list[str]]:
    """Return the next event of a type, and the types up to it, repeats once."""
    kinds: list[str] = []
    async for event in connection:
        if kinds[-1:] != [event.type]:
            kinds.append(event.type)
        if event.type == kind:
            return event, kinds
    raise AssertionError(f"the connection ended before {kind}")


def say(text: str) -> Any:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


@pytest.mark.asyncio
async def test_a_text_turn(base: str) -> None:
    async with connected(base) as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await until(connection, "session.updated")
        await connection.conversation.item.create(item=say("Hello there"))
        await connection.response.create()
        done, kinds = await until(connection, "response.done")
    assert done.response.status == "completed"
    assert done.response.output[0].content[0].text == "You said: Hello there"
    assert kinds[:3] == ["conversation.item.added", "conversation.item.done", "response.created"]


@pytest.mark.asyncio
async def test_a_spoken_turn(base: str) -> None:
    async with connected(base) as connection:
        await connection.session.update(
            session={
                "type": "realtime",
                "audio": {"input": {"transcription": {"model": "whisper-1"}}},
            }
        )
        await until(connection, "session.updated")
        audio = read_wav(HELLO) + bytes(48_000)
        for start in range(0, len(audio), 960):
            chunk = base64.b64encode(audio[start : start + 960]).decode()
            await connection.input_audio_buffer.append(audio=chunk)
        transcript, _ = await until(
            connection, "conversation.item.input_audio_transcription.completed"
        )
        done, kinds = await until(connection, "response.done")
    assert "seconds of speech" in transcript.transcript
    assert done.response.output[0].content[0].transcript.startswith("You said")
    assert "response.output_audio.delta" in kinds
    assert done.response.usage.output_token_details.audio_tokens > 0


@pytest.mark.asyncio
async def test_a_tool_call_and_its_answer(base: str) -> None:
    async with connected(base) as connection:
        await connection.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": [WEATHER_TOOL]}
        )
        await connection.conversation.item.create(item=say("What is the weather in Paris?"))
        await connection.response.create()
        called, _ = await until(connection, "response.done")
        call = called.response.output[0]
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
        )
        await connection.response.create()
        answered, _ = await until(connection, "response.done")
    assert answered.response.output[0].content[0].text == "The answer is sunny."

"""Pydantic AI: `python pydantic_ai_realtime.py openai|voice-live [CHECK ...]`.

It hides the events of the wire: what is checked is what the session tells.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from driving import BYTES_PER_MS, KEY, URL, Check, drive, expect, frames, speech
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import PartEndEvent, SpeechPart, TextPart
from pydantic_ai.providers.azure import AzureProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.realtime import RealtimeInputSpeechStartEvent, RealtimeSessionErrorEvent
from pydantic_ai.realtime.azure import AzureRealtimeModel
from pydantic_ai.realtime.openai import OpenAIRealtimeModel

IS_OPENAI = sys.argv[1] == "openai"
BASE_URL = URL.removesuffix("/v1/realtime").replace("ws", "http", 1)
VAD = {"silence_duration_ms": 300}

COMPLAINTS: list[RealtimeSessionErrorEvent] = []
"""What any session has called an error."""

TOLD: set[str] = set()
"""The types of the events of all sessions."""


class Talk:
    """One session, and what it has told."""

    def __init__(self, session: Any) -> None:
        self.sdk = session
        self.audio = session.stream_audio()
        self.parts: list[Any] = []
        self._events = aiter(session)

    async def until(self, kind: type[Any]) -> Any:
        """Return the next event of a type."""
        while True:
            event = await anext(self._events)
            TOLD.add(type(event).__name__)
            if isinstance(event, RealtimeSessionErrorEvent):
                COMPLAINTS.append(event)
            if isinstance(event, PartEndEvent):
                self.parts.append(event.part)
            if isinstance(event, kind):
                return event

    async def until_said(self, words: str) -> None:
        """Go on until the assistant has said these words."""
        while self.said("assistant")[-1:] != [words]:
            await self.until(PartEndEvent)

    async def hear(self, pcm: bytes) -> None:
        """Send audio."""
        for piece in frames(pcm):
            await self.sdk.send_audio(piece)

    async def start_story(self) -> int:
        """Have a long answer spoken; return the bytes of the first second of it."""
        await self.sdk.send("Tell me a long story")
        heard = 0
        while heard < 1000 * BYTES_PER_MS:
            heard += len(await anext(self.audio))
        return 1000 * BYTES_PER_MS

    def said(self, speaker: str) -> list[str]:
        """Return what a speaker has said, part by part."""
        spoken = [part for part in self.parts if isinstance(part, SpeechPart)]
        written = [part for part in self.parts if isinstance(part, TextPart)]
        if written and speaker == "assistant":
            return [part.content for part in written]
        return [part.transcript or "" for part in spoken if part.speaker == speaker]


def make_model(key: str) -> Any:
    """Return the model, pointed at the server as its guide says."""
    if IS_OPENAI:
        provider = OpenAIProvider(base_url=f"{BASE_URL}/v1", api_key=key)
        return OpenAIRealtimeModel("gpt-realtime", provider=provider)
    azure = AzureProvider(azure_endpoint=BASE_URL, api_key=key, api_version="2026-04-10")
    return AzureRealtimeModel("gpt-4.1", provider=azure)


@asynccontextmanager
async def talk(*, key: str = KEY, text: bool = False, **settings: Any) -> AsyncIterator[Talk]:
    """Open a session, with a tool."""
    agent = Agent(instructions="Be brief.")

    @agent.tool_plain
    def get_weather(city: str) -> str:
        return json.dumps({"weather": f"sunny in {city}"})

    if text:
        settings["output_modality"] = "text"
    if not IS_OPENAI:
        settings |= {
            "azure_voice_live": True,
            "azure_voice_live_voice": "en-US-AvaNeural",
            "azure_voice_live_noise_reduction": "azure_deep_noise_suppression",
            "azure_voice_live_echo_cancellation": True,
            "azure_voice_live_temperature": 0.3,
        }
    realtime = agent.realtime(make_model(key), model_settings=settings)
    async with realtime.session() as session:
        yield Talk(session)


async def connects() -> None:
    async with talk() as user:
        expect(user.sdk.audio_input_sample_rate == 24000, user.sdk.audio_input_sample_rate)


async def is_refused_with_a_wrong_key() -> None:
    try:
        async with talk(key="sk-wrong"):
            raise AssertionError("a wrong key opened the door")
    except ModelHTTPError as refused:
        expect(refused.status_code == 401, refused)


async def talks_in_text() -> None:
    async with talk(text=True) as user:
        await user.sdk.send("Hello there")
        await user.until_said("You said: Hello there")


async def talks_aloud() -> None:
    async with talk(turn_detection=VAD) as user:
        await user.hear(speech("hello"))
        await user.until_said("You said: Hello, can you hear me?")
        expect(user.said("user") == ["Hello, can you hear me?"], user.said("user"))
        heard = 0
        while heard < 1000 * BYTES_PER_MS:
            heard += len(await anext(user.audio))


async def pushes_to_talk() -> None:
    async with talk(turn_detection=False) as user:
        await user.hear(speech("hello"))
        await user.sdk.clear_audio()
        await user.hear(speech("weather_paris"))
        await user.sdk.commit_audio()
        await user.sdk.create_response()
        while not user.said("assistant"):
            await user.until(PartEndEvent)
        expect(user.said("user") == ["What is the weather in Paris today?"], user.said("user"))
        expect("Paris" in user.said("assistant")[0], user.said("assistant"))


async def calls_a_tool() -> None:
    async with talk(text=True) as user:
        await user.sdk.send("What is the weather in Paris?")
        await user.until_said("sunny in Paris")


async def cancels() -> None:
    async with talk(turn_detection=False) as user:
        await user.start_story()
        await user.sdk.interrupt()
        await user.sdk.send("Still there?")
        await user.until_said("You said: Still there?")
        story, _ = user.said("assistant")
        expect(story.startswith("Once") and not story.endswith("something to say."), story)


async def barges_in() -> None:
    async with talk(turn_detection=VAD) as user:
        await user.start_story()
        await user.hear(speech("hello"))
        await user.until(RealtimeInputSpeechStartEvent)
        await user.sdk.interrupt(played_bytes=900 * BYTES_PER_MS)
        await user.until_said("You said: Hello, can you hear me?")
        expect(user.said("user") == ["Hello, can you hear me?"], user.said("user"))


async def truncates() -> None:
    async with talk(turn_detection=False) as user:
        await user.sdk.send("One two three four five six")
        await user.until_said("You said: One two three four five six")
        heard = 0
        while heard < 1000 * BYTES_PER_MS:
            heard += len(await anext(user.audio))
        expect(await user.sdk.interrupt(played_bytes=900 * BYTES_PER_MS), "nothing was cut")
        await user.sdk.send("Still there?")
        await user.until_said("You said: Still there?")  # an error about the cut comes before


async def has_a_type_for_every_event() -> None:
    expect(TOLD and not COMPLAINTS, COMPLAINTS)


CHECKS: dict[str, Check] = {
    "connect": connects,
    "wrong key": is_refused_with_a_wrong_key,
    "text turn": talks_in_text,
    "audio turn": talks_aloud,
    "push to talk": pushes_to_talk,
    "tool call": calls_a_tool,
    "cancel": cancels,
    "barge-in": barges_in,
    "truncate": truncates,
    "event types": has_a_type_for_every_event,
}

asyncio.run(drive("pydantic-ai-slim", CHECKS))

"""The realtime session of OpenAI's Python Agents SDK: `python openai_agents.py [CHECK ...]`.

What the session has no method for is sent as a raw message through its model.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents import function_tool, set_tracing_disabled
from agents.realtime import RealtimeAgent, RealtimePlaybackTracker, RealtimeRunner
from agents.realtime.model_inputs import RealtimeModelSendRawMessage
from driving import BYTES_PER_MS, KEY, URL, Check, drive, expect, frames, speech
from websockets.exceptions import InvalidStatus

VAD = {"type": "server_vad", "silence_duration_ms": 300, "interrupt_response": True}


@function_tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return json.dumps({"weather": f"sunny in {city}"})


RECEIVED: list[str] = []
"""The type of every event that any session's server has sent."""

COMPLAINTS: list[Any] = []
"""What any session has called an error."""


class Talk:
    """One session, and everything it has told."""

    def __init__(self, session: Any, speaker: RealtimePlaybackTracker) -> None:
        self.sdk = session
        self.speaker = speaker
        self.told: list[Any] = []
        self._updates = aiter(session)

    async def until(self, kind: str) -> Any:
        """Return the next of the session's own events of a type."""
        while True:
            event = await anext(self._updates)
            self.told.append(event)
            if event.type == "error":
                COMPLAINTS.append(event.error)
            elif event.type == "raw_model_event" and event.data.type == "raw_server_event":
                RECEIVED.append(event.data.data["type"])
            if event.type == kind:
                return event

    async def wire(self, kind: str) -> dict[str, Any]:
        """Return the next event of the server of a type."""
        while True:
            event = await self.until("raw_model_event")
            if event.data.type == "raw_server_event" and event.data.data["type"] == kind:
                return event.data.data

    async def raw(self, kind: str, **fields: Any) -> None:
        """Send an event that the session has no method for."""
        message: Any = {"type": kind, "other_data": fields}
        await self.sdk.model.send_event(RealtimeModelSendRawMessage(message=message))

    async def hear(self, pcm: bytes, *, commit: bool = False) -> None:
        """Send audio."""
        pieces = list(frames(pcm))
        for piece in pieces[:-1]:
            await self.sdk.send_audio(piece)
        await self.sdk.send_audio(pieces[-1], commit=commit)

    async def start_story(self) -> str:
        """Have a long answer spoken, and some of it played; return its item id."""
        await self.sdk.send_message("Tell me a long story")
        heard = 0
        while heard < 1000 * BYTES_PER_MS:
            event = await self.until("audio")
            heard += len(event.audio.data)
        self.speaker.on_play_ms(event.item_id, event.content_index, 900)
        return event.item_id

    async def retrieve(self, item_id: str) -> dict[str, Any]:
        """Return an item as the server keeps it."""
        await self.raw("conversation.item.retrieve", item_id=item_id)
        while True:
            item = (await self.wire("conversation.item.retrieved"))["item"]
            if item["id"] == item_id:
                return item

    def said(self, role: str) -> str:
        """Return the words of the last message of a role in the session's history."""
        messages = [item for item in self.sdk._history if getattr(item, "role", "") == role]
        part = messages[-1].content[0]
        return (part.text if part.type in {"text", "input_text"} else part.transcript) or ""

    def server_kinds(self) -> list[str]:
        """Return the types of the server's events so far."""
        raw = [event.data for event in self.told if event.type == "raw_model_event"]
        return [event.data["type"] for event in raw if event.type == "raw_server_event"]


def settings(*, text: bool = False, vad: Any = None) -> Any:
    """Return the settings of a session."""
    return {
        "output_modalities": ["text"] if text else ["audio"],
        "audio": {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": vad}},
    }


@asynccontextmanager
async def talk(*, key: str = KEY, tools: Any = (), **config: Any) -> AsyncIterator[Talk]:
    """Run a session as the SDK's guide says; without a `config`, as the SDK would have it."""
    speaker = RealtimePlaybackTracker()
    agent = RealtimeAgent(name="Assistant", instructions="Be brief.", tools=list(tools))
    session = await RealtimeRunner(agent).run(
        model_config={
            "api_key": key,
            "url": f"{URL}?model=gpt-realtime",
            "initial_model_settings": settings(**config) if config else {},
            "playback_tracker": speaker,
        }
    )
    async with session:
        yield Talk(session, speaker)


async def connects() -> None:
    async with talk() as user:
        created = await user.wire("session.created")
        expect(created["session"]["model"] == "gpt-realtime", created)


async def is_refused_with_a_wrong_key() -> None:
    try:
        async with talk(key="sk-wrong"):
            raise AssertionError("a wrong key opened the door")
    except InvalidStatus as refused:
        expect(refused.response.status_code == 401, refused)


async def updates_the_session() -> None:
    async with talk(vad=VAD) as user:
        session: Any = {}
        while session.get("instructions") != "Be brief.":
            session = (await user.wire("session.updated"))["session"]
        expect(session["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 300, session)
        other = RealtimeAgent(name="Other", instructions="Be kind.", tools=[get_weather])
        await user.sdk.update_agent(other)
        while session["instructions"] != "Be kind.":
            session = (await user.wire("session.updated"))["session"]
        expect([tool["name"] for tool in session["tools"]] == ["get_weather"], session)


async def talks_in_text() -> None:
    async with talk(text=True) as user:
        await user.sdk.send_message("Hello there")
        await user.until("agent_end")
        expect(user.said("user") == "Hello there", user.said("user"))
        expect(user.said("assistant") == "You said: Hello there", user.said("assistant"))


async def talks_aloud() -> None:
    async with talk() as user:  # semantic_vad
        await user.hear(speech("hello", silence_ms=8000))
        await user.until("agent_end")
        expect(user.said("user") == "Hello, can you hear me?", user.said("user"))
        expect(user.said("assistant") == "You said: Hello, can you hear me?", user.sdk._history)
        pieces = [event.audio.data for event in user.told if event.type == "audio"]
        expect(sum(map(len, pieces)) > 1000 * BYTES_PER_MS, len(pieces))


async def pushes_to_talk() -> None:
    async with talk(vad=None) as user:
        await user.hear(speech("weather_paris"), commit=True)
        await user.wire("conversation.item.input_audio_transcription.completed")
        expect("response.created" not in user.server_kinds(), user.server_kinds())
        await user.raw("response.create")
        await user.until("agent_end")
        expect(user.said("user") == "What is the weather in Paris today?", user.said("user"))
        expect("Paris" in user.said("assistant"), user.said("assistant"))


async def calls_a_tool() -> None:
    async with talk(text=True, tools=[get_weather]) as user:
        await user.sdk.send_message("What is the weather in Paris?")
        ended = await user.until("tool_end")
        expect(json.loads(ended.arguments) == {"city": "Paris"}, ended.arguments)
        await user.wire("response.created")
        await user.wire("response.done")
        await user.until("agent_end")
        expect(user.said("assistant") == "sunny in Paris", user.said("assistant"))


async def cancels() -> None:
    async with talk(vad=None) as user:
        item_id = await user.start_story()
        await user.sdk.interrupt()
        done = (await user.wire("response.done"))["response"]
        expect(done["status"] == "cancelled", done)
        expect(done["status_details"]["reason"] == "client_cancelled", done)
        interrupted = [event for event in user.told if event.type == "audio_interrupted"]
        expect([event.item_id for event in interrupted] == [item_id], interrupted)


async def barges_in() -> None:
    async with talk(vad=VAD) as user:
        item_id = await user.start_story()
        await user.hear(speech("hello"))
        cut = (await user.wire("response.done"))["response"]
        expect(cut["status"] == "cancelled", cut)
        expect(cut["status_details"]["reason"] == "turn_detected", cut)
        interrupted = [event.item_id for event in user.told if event.type == "audio_interrupted"]
        expect(interrupted == [item_id], interrupted)
        heard = cut["output"][0]["content"][0]["transcript"]
        truncated = await user.wire("conversation.item.truncated")  # the session's own doing
        expect((truncated["item_id"], truncated["audio_end_ms"]) == (item_id, 900), truncated)
        await user.wire("response.done")
        await user.until("agent_end")
        expect(user.said("assistant").endswith("can you hear me?"), user.said("assistant"))
        item = await user.retrieve(item_id)
        kept = item["content"][0]["transcript"]
        expect(kept and len(kept) < len(heard) and heard.startswith(kept), (kept, heard))


async def truncates() -> None:
    async with talk(vad=None) as user:
        await user.sdk.send_message("One two three four five six")
        done = (await user.wire("response.done"))["response"]
        item = done["output"][0]
        whole = item["content"][0]["transcript"]
        user.speaker.on_play_ms(item["id"], 0, 900)
        await user.sdk.interrupt()  # the speaker still plays what came faster than real time
        truncated = await user.wire("conversation.item.truncated")
        expect((truncated["item_id"], truncated["audio_end_ms"]) == (item["id"], 900), truncated)
        kept = (await user.retrieve(item["id"]))["content"][0]["transcript"]
        expect(kept and len(kept) < len(whole) and whole.startswith(kept), kept)


async def deletes() -> None:
    async with talk(text=True) as user:
        await user.raw(
            "conversation.item.create",
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Forget this"}],
            },
        )
        item_id = (await user.until("history_added")).item.item_id
        await user.raw("conversation.item.delete", item_id=item_id)
        deleted = await user.wire("conversation.item.deleted")
        expect(deleted["item_id"] == item_id, deleted)
        await user.raw("response.create")
        await user.until("agent_end")
        expect(user.said("assistant") == "I am listening.", user.sdk._history)
        expect(all(item.item_id != item_id for item in user.sdk._history), user.sdk._history)


async def retrieves() -> None:
    async with talk(vad=None) as user:
        await user.sdk.send_message("Remember this")
        done = (await user.wire("response.done"))["response"]
        part = (await user.retrieve(done["output"][0]["id"]))["content"][0]
        expect(part["transcript"] == "You said: Remember this", part["transcript"])
        heard = b"".join(event.audio.data for event in user.told if event.type == "audio")
        expect(base64.b64decode(part["audio"]) == heard, "the audio that was sent")


async def asks_out_of_band() -> None:
    async with talk(text=True) as user:
        content = [{"type": "input_text", "text": "An aside"}]
        await user.raw(
            "response.create",
            response={
                "conversation": "none",
                "metadata": {"topic": "aside"},
                "input": [{"type": "message", "role": "user", "content": content}],
            },
        )
        done = (await user.wire("response.done"))["response"]
        expect(done["metadata"] == {"topic": "aside"}, done)
        expect(done["conversation_id"] is None, done)
        expect(done["output"][0]["content"][0]["text"] == "You said: An aside", done)
        kinds = [kind for kind in user.server_kinds() if kind.startswith("conversation.item")]
        expect(not kinds, kinds)
        await user.sdk.send_message("The conversation")
        await user.wire("response.done")
        await user.until("agent_end")
        expect(user.said("assistant") == "You said: The conversation", user.sdk._history)


async def survives_its_own_mistake() -> None:
    async with talk(text=True) as user:
        await user.raw(
            "conversation.item.truncate",
            event_id="wrong_1",
            item_id="item_of_nobody",
            content_index=0,
            audio_end_ms=0,
        )
        error = (await user.until("error")).error
        expect((error.type, error.event_id) == ("invalid_request_error", "wrong_1"), error)
        expect(error.code and error.param == "item_id", error)
        await user.sdk.send_message("Still there?")
        await user.until("agent_end")
        expect(user.said("assistant") == "You said: Still there?", user.sdk._history)
        expect(user.server_kinds().count("error") == 1, user.server_kinds())


async def has_a_type_for_every_event() -> None:
    own = [error for error in COMPLAINTS if getattr(error, "event_id", "") != "wrong_1"]
    expect(RECEIVED and not own, own)


CHECKS: dict[str, Check] = {
    "connect": connects,
    "wrong key": is_refused_with_a_wrong_key,
    "session update": updates_the_session,
    "text turn": talks_in_text,
    "audio turn": talks_aloud,
    "push to talk": pushes_to_talk,
    "tool call": calls_a_tool,
    "cancel": cancels,
    "barge-in": barges_in,
    "truncate": truncates,
    "delete": deletes,
    "retrieve": retrieves,
    "out of band": asks_out_of_band,
    "bad event": survives_its_own_mistake,
    "event types": has_a_type_for_every_event,
}

set_tracing_disabled(disabled=True)  # its traces would go to OpenAI
asyncio.run(drive("openai-agents", CHECKS))

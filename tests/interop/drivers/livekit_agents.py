"""LiveKit's OpenAI model, without a room: `python livekit_agents.py ga|beta [CHECK ...]`.

An agent's session drives the model's session through the methods that are called here. What it has
no method for is sent as a raw event.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from driving import BYTES_PER_MS, KEY, URL, Check, drive, expect, frames, speech
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, function_tool, llm
from livekit.plugins.openai.realtime import RealtimeModel
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

IS_GA = sys.argv[1] == "ga"
BASE_URL = URL.removesuffix("/v1/realtime").replace("ws:", "http:")
VAD = ServerVad(type="server_vad", silence_duration_ms=300, interrupt_response=True)
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


@function_tool
async def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return json.dumps({"weather": f"sunny in {city}"})


RECEIVED: list[str] = []
"""The type of every event that any session's server has sent."""

COMPLAINTS: list[str] = []
"""What livekit has logged as a warning or an error."""


class Complaints(logging.Handler):
    """Keeps what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, unless it is about the date of Azure's version, which is deprecated."""
        if "`api_version`" not in record.getMessage():
            COMPLAINTS.append(self.format(record))


class Reply:
    """A generation, and what its streams bring."""

    def __init__(self, generation: llm.GenerationCreatedEvent) -> None:
        self.generation = generation
        self.text = ""
        self.audio = b""
        self.item_id = ""

    async def first_second(self) -> None:
        """Hear a second of its first message."""
        async for message in self.generation.message_stream:
            self.item_id = message.message_id
            async for frame in message.audio_stream:
                self.audio += bytes(frame.data)
                if len(self.audio) >= 1000 * BYTES_PER_MS:
                    return

    async def complete(self) -> Reply:
        """Read its messages to the end."""
        async for message in self.generation.message_stream:
            self.item_id = message.message_id
            self.text = "".join([words async for words in message.text_stream])
            self.audio = b"".join([bytes(frame.data) async for frame in message.audio_stream])
        return self

    async def calls(self) -> list[llm.FunctionCall]:
        """Return its function calls."""
        return [call async for call in self.generation.function_stream]


class Talk:
    """One session, and everything it has told."""

    def __init__(self, model: RealtimeModel) -> None:
        self.sdk = model.session()
        self.events: list[dict[str, Any]] = []
        self.errors: list[llm.RealtimeModelError] = []
        self.transcripts: list[str] = []
        self._unread: deque[dict[str, Any]] = deque()
        self._generations: deque[llm.GenerationCreatedEvent] = deque()
        self._changed = asyncio.Event()
        self.sdk.on("openai_server_event_received", self._on_event)
        self.sdk.on("generation_created", self._on_generation)
        self.sdk.on("error", self._on_error)
        self.sdk.on("input_audio_transcription_completed", self._on_transcript)

    def _on_event(self, event: dict[str, Any]) -> None:
        RECEIVED.append(event["type"])
        self.events.append(event)
        self._unread.append(event)
        self._changed.set()

    def _on_generation(self, generation: llm.GenerationCreatedEvent) -> None:
        self._generations.append(generation)
        self._changed.set()

    def _on_error(self, error: llm.RealtimeModelError) -> None:
        self.errors.append(error)
        self._changed.set()

    def _on_transcript(self, heard: llm.InputTranscriptionCompleted) -> None:
        if heard.is_final:
            self.transcripts.append(heard.transcript)

    async def until(self, kind: str) -> dict[str, Any]:
        """Return the next event of the server of a type."""
        while True:
            while self._unread:
                event = self._unread.popleft()
                if event["type"] == kind:
                    return event
            self._changed.clear()
            await self._changed.wait()

    async def error(self) -> llm.RealtimeModelError:
        """Return the first error that the session tells."""
        while not self.errors:
            self._changed.clear()
            await self._changed.wait()
        return self.errors[0]

    async def generation(self) -> Reply:
        """Return the next generation, whoever wanted it."""
        while not self._generations:
            self._changed.clear()
            await self._changed.wait()
        return Reply(self._generations.popleft())

    async def ask(self) -> Reply:
        """Ask for a generation, as an agent does; return it as it begins."""
        generation = await self.sdk.generate_reply()
        expect(generation.user_initiated, generation)
        expect((await self.generation()).generation is generation, generation)
        return Reply(generation)

    async def say(self, text: str) -> str:
        """Add a message of the user's, and return its id."""
        chat = self.sdk.chat_ctx.copy()
        message = chat.add_message(role="user", content=text)
        await self.sdk.update_chat_ctx(chat)
        return message.id

    def hear(self, pcm: bytes) -> None:
        """Send audio."""
        for piece in frames(pcm):
            self.sdk.push_audio(rtc.AudioFrame(piece, 24000, 1, len(piece) // 2))

    async def start_story(self) -> Reply:
        """Have a long answer spoken, and return it after a second."""
        await self.say("Tell me a long story")
        reply = await self.ask()
        await reply.first_second()
        return reply

    async def retrieve(self, item_id: str) -> dict[str, Any]:
        """Return an item as the server keeps it."""
        self.sdk.send_event({"type": "conversation.item.retrieve", "item_id": item_id})
        return (await self.until("conversation.item.retrieved"))["item"]

    def kinds(self) -> list[str]:
        """Return the types of the server's events so far."""
        return [event["type"] for event in self.events]


def make_model(*, key: str, text: bool, **options: Any) -> RealtimeModel:
    """Return the model, pointed at the server as its guide says."""
    common: dict[str, Any] = {
        "api_key": key,
        "modalities": ["text"] if text else ["text", "audio"],
        **options,
    }
    if not IS_GA:
        version = "2025-04-01-preview"
        return RealtimeModel.with_azure(
            azure_deployment="gpt-realtime",
            azure_endpoint=BASE_URL,
            api_version=version,
            **common,
        )
    retries = APIConnectOptions(max_retry=0)
    return RealtimeModel(base_url=f"{BASE_URL}/v1", conn_options=retries, **common)


@asynccontextmanager
async def talk(*, key: str = KEY, text: bool = False, **options: Any) -> AsyncIterator[Talk]:
    """Open a session; without options, as livekit would have it."""
    model = make_model(key=key, text=text, **options)
    user = Talk(model)
    try:
        yield user
    finally:
        await user.sdk.aclose()
        await model.aclose()


async def connects() -> None:
    async with talk() as user:
        created = await user.until("session.created")
        expect(user.kinds()[0] == "session.created", user.kinds())
        expect(created["session"]["model"] == "gpt-realtime", created)


async def is_refused_with_a_wrong_key() -> None:
    model = make_model(key="sk-wrong", text=True)
    user = Talk(model)
    refused = (await user.error()).error
    expect(isinstance(refused, APIConnectionError), refused)
    expect(getattr(refused.__cause__, "status", 0) == 401, refused.__cause__)
    await asyncio.wait([user.sdk._main_atask])  # `aclose` would raise the same again
    await model.aclose()
    COMPLAINTS.clear()


async def updates_the_session() -> None:
    async with talk(turn_detection=VAD) as user:
        session = (await user.until("session.updated"))["session"]
        detection = session["audio"]["input"] if IS_GA else session
        expect(detection["turn_detection"]["silence_duration_ms"] == 300, session)
        await user.sdk.update_instructions("Be brief.")
        session = (await user.until("session.updated"))["session"]
        expect(session["instructions"] == "Be brief.", session)
        await user.sdk.update_tools([get_weather])
        session = (await user.until("session.updated"))["session"]
        expect([tool["name"] for tool in session["tools"]] == ["get_weather"], session)
        user.sdk.update_options(tool_choice="none", speed=1.2, voice="cedar")
        session = (await user.until("session.updated"))["session"]
        output = session["audio"]["output"] if IS_GA else session
        expect((output["voice"], output["speed"]) == ("cedar", 1.2), session)
        expect(session["tool_choice"] == "none", session)
        expect(session["instructions"] == "Be brief.", session)
        if IS_GA:  # for Azure it leaves out the null
            user.sdk.update_options(turn_detection=None, max_response_output_tokens=100)
            session = (await user.until("session.updated"))["session"]
            expect(session["audio"]["input"]["turn_detection"] is None, session)
            expect(session["max_output_tokens"] == 100, session)


async def talks_in_text() -> None:
    async with talk(text=True) as user:
        await user.sdk.update_instructions("Be kind.")
        await user.say("Hello there")
        reply = await (await user.ask()).complete()
        expect(reply.text == "You said: Hello there", reply.text)
        done = (await user.until("response.done"))["response"]
        expect(done["output"][0]["content"][0]["text"] == reply.text, done)
        said = [message.text_content for message in user.sdk.chat_ctx.messages()]
        expect(said == ["Hello there", reply.text], said)


async def talks_aloud() -> None:
    async with talk() as user:  # semantic_vad
        user.hear(speech("hello", silence_ms=8000))
        reply = await (await user.generation()).complete()
        expect(not reply.generation.user_initiated, reply.generation)
        expect(user.transcripts == ["Hello, can you hear me?"], user.transcripts)
        expect(reply.text == "You said: Hello, can you hear me?", reply.text)
        expect(len(reply.audio) > 1000 * BYTES_PER_MS, len(reply.audio))
        await user.until("response.done")
        said = [message.text_content for message in user.sdk.chat_ctx.messages()]
        expect(said == ["Hello, can you hear me?", reply.text], said)


async def pushes_to_talk() -> None:
    async with talk(turn_detection=None) as user:
        user.hear(speech("weather_paris"))
        user.sdk.commit_audio()
        await user.until(TRANSCRIBED)
        expect(user.transcripts == ["What is the weather in Paris today?"], user.transcripts)
        expect("response.created" not in user.kinds(), user.kinds())
        reply = await (await user.ask()).complete()
        expect("Paris" in reply.text, reply.text)
        user.hear(speech("hello"))
        user.sdk.clear_audio()
        await user.until("input_audio_buffer.cleared")


async def calls_a_tool() -> None:
    async with talk(text=True) as user:
        await user.sdk.update_tools([get_weather])
        await user.say("What is the weather in Paris?")
        [call] = await (await user.ask()).calls()
        expect(call.name == "get_weather", call)
        expect(json.loads(call.arguments) == {"city": "Paris"}, call)
        output = await get_weather(**json.loads(call.arguments))
        chat = user.sdk.chat_ctx.copy()
        chat.items.append(
            llm.FunctionCallOutput(
                call_id=call.call_id, name=call.name, output=output, is_error=False
            )
        )
        await user.sdk.update_chat_ctx(chat)
        reply = await (await user.ask()).complete()
        expect(reply.text == "sunny in Paris", reply.text)


async def cancels() -> None:
    async with talk(turn_detection=None) as user:
        reply = await user.start_story()
        user.sdk.interrupt()
        done = (await user.until("response.done"))["response"]
        expect(done["status"] == "cancelled", done)
        expect(done["status_details"]["reason"] == "client_cancelled", done)
        expect(done["output"][0]["id"] == reply.item_id, done)
        await user.say("Still there?")
        expect((await (await user.ask()).complete()).text == "You said: Still there?", user.events)


async def barges_in() -> None:
    async with talk(turn_detection=VAD) as user:
        reply = await user.start_story()
        user.hear(speech("hello"))
        await user.until("input_audio_buffer.speech_started")
        user.sdk.truncate(message_id=reply.item_id, modalities=["audio", "text"], audio_end_ms=900)
        cut = (await user.until("response.done"))["response"]
        expect(cut["status"] == "cancelled", cut)
        expect(cut["status_details"]["reason"] == "turn_detected", cut)
        heard = cut["output"][0]["content"][0]["transcript"]
        truncated = await user.until("conversation.item.truncated")
        found = (truncated["item_id"], truncated["audio_end_ms"])
        expect(found == (reply.item_id, 900), truncated)
        answer = await (await user.generation()).complete()
        expect(answer.text.endswith("can you hear me?"), answer.text)
        kept = (await user.retrieve(reply.item_id))["content"][0]["transcript"]
        expect(kept and len(kept) < len(heard) and heard.startswith(kept), (kept, heard))


async def truncates() -> None:
    async with talk(turn_detection=None) as user:
        await user.say("One two three four five six")
        reply = await (await user.ask()).complete()
        user.sdk.truncate(message_id=reply.item_id, modalities=["audio", "text"], audio_end_ms=900)
        truncated = await user.until("conversation.item.truncated")
        found = (truncated["item_id"], truncated["audio_end_ms"])
        expect(found == (reply.item_id, 900), truncated)
        kept = (await user.retrieve(reply.item_id))["content"][0]["transcript"]
        expect(kept and len(kept) < len(reply.text) and reply.text.startswith(kept), kept)


async def deletes() -> None:
    async with talk(text=True) as user:
        item_id = await user.say("Forget this")
        chat = user.sdk.chat_ctx.copy()
        chat.items = [item for item in chat.items if item.id != item_id]
        await user.sdk.update_chat_ctx(chat)
        expect(user.sdk.chat_ctx.items == [], user.sdk.chat_ctx.items)
        reply = await (await user.ask()).complete()
        expect(reply.text == "I am listening.", reply.text)
        # An item that changes is deleted, then created under the same id, at its place.
        asked = await user.say("Remember this")
        await user.say("And this")
        chat = user.sdk.chat_ctx.copy()
        chat.items[chat.index_by_id(asked)].content = ["Remember that"]
        await user.sdk.update_chat_ctx(chat)
        said = [message.text_content for message in user.sdk.chat_ctx.messages()]
        expect(said == ["I am listening.", "Remember that", "And this"], said)


async def retrieves() -> None:
    async with talk(turn_detection=None) as user:
        await user.say("Remember this")
        reply = await (await user.ask()).complete()
        part = (await user.retrieve(reply.item_id))["content"][0]
        expect(part["transcript"] == "You said: Remember this", part["transcript"])
        expect(base64.b64decode(part["audio"]) == reply.audio, "the audio that was sent")


async def asks_out_of_band() -> None:
    async with talk(text=True) as user:
        content = [{"type": "input_text", "text": "An aside"}]
        params = {
            "conversation": "none",
            "metadata": {"topic": "aside"},
            "input": [{"type": "message", "role": "user", "content": content}],
        }
        user.sdk.send_event({"type": "response.create", "response": params})
        done = (await user.until("response.done"))["response"]
        expect(done["metadata"] == {"topic": "aside"}, done)
        expect(done["conversation_id"] is None, done)
        expect((await (await user.generation()).complete()).text == "You said: An aside", done)
        kinds = [kind for kind in user.kinds() if kind.startswith("conversation.item")]
        expect(not kinds, kinds)
        await user.say("The conversation")
        reply = await (await user.ask()).complete()
        expect(reply.text == "You said: The conversation", reply.text)


async def survives_its_own_mistake() -> None:
    async with talk(text=True) as user:
        user.sdk.send_event(
            {
                "type": "conversation.item.truncate",
                "event_id": "wrong_1",
                "item_id": "item_of_nobody",
                "content_index": 0,
                "audio_end_ms": 0,
            }
        )
        told = await user.error()
        error: Any = told.error.body
        expect(told.recoverable, told)
        expect((error.type, error.event_id) == ("invalid_request_error", "wrong_1"), error)
        expect(error.code and error.param == "item_id", error)
        COMPLAINTS[:] = [text for text in COMPLAINTS if "event_id='wrong_1'" not in text]
        await user.say("Still there?")
        reply = await (await user.ask()).complete()
        expect(reply.text == "You said: Still there?", reply.text)
        expect(user.kinds().count("error") == 1, user.kinds())


async def has_a_type_for_every_event() -> None:
    expect(RECEIVED and not COMPLAINTS, COMPLAINTS)


CHECKS: dict[str, Check] = {
    "connect": connects,
    "wrong key": is_refused_with_a_wrong_key,
    "session update": updates_the_session,
    "text turn": talks_in_text,
    "audio turn": talks_aloud,
    **({"push to talk": pushes_to_talk} if IS_GA else {}),
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

log = logging.getLogger("livekit")
log.propagate = False
log.addHandler(Complaints(logging.WARNING))
asyncio.run(drive("livekit-agents", CHECKS))

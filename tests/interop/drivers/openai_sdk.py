"""OpenAI's Python SDK, through its typed methods: `python openai_sdk.py ga|beta [CHECK ...]`."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
from driving import KEY, URL, WEATHER, Check, base64_frames, drive, expect, speech
from pydantic import TypeAdapter, ValidationError
from websockets.exceptions import InvalidStatus

warnings.simplefilter("ignore", DeprecationWarning)  # what the beta classes say of themselves

IS_GA = sys.argv[1] == "ga"
MODEL = "gpt-realtime" if IS_GA else "gpt-4o-realtime-preview"
TEXT = "response.output_text" if IS_GA else "response.text"
SPEECH = "response.output_audio" if IS_GA else "response.audio"
WORDS = f"{SPEECH}_transcript"
PLACED = "conversation.item.done" if IS_GA else "conversation.item.created"
VAD = {"type": "server_vad", "silence_duration_ms": 300}
WORDS_OF = {
    "hello": "Hello, can you hear me?",
    "weather_paris": "What is the weather in Paris today?",
}
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


WIRE: list[bytes] = []
"""Every frame that any connection has received."""


def settings(*, text: bool = False, vad: Any = None, **others: Any) -> Any:
    """Return a session in the dialect's shape."""
    transcription = {"model": "whisper-1"}
    if IS_GA:
        return {
            "type": "realtime",
            "output_modalities": ["text"] if text else ["audio"],
            "audio": {"input": {"transcription": transcription, "turn_detection": vad}},
            **others,
        }
    return {
        "modalities": ["text"] if text else ["text", "audio"],
        "input_audio_transcription": transcription,
        "turn_detection": vad,
        **others,
    }


def says(text: str) -> Any:
    """Return an item of the user's."""
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


class Talk:
    """One connection, and everything it has received."""

    def __init__(self, connection: Any) -> None:
        self.sdk = connection
        self.events: list[Any] = []

    async def until(self, kind: str) -> Any:
        """Return the next event of a type."""
        while True:
            data = await self.sdk.recv_bytes()
            WIRE.append(data)
            event = self.sdk.parse_event(data)
            self.events.append(event)
            if event.type == kind:
                return event

    async def configure(self, **config: Any) -> Any:
        """Update the session and return it as the server tells it."""
        await self.sdk.session.update(session=settings(**config))
        return (await self.until("session.updated")).session

    async def say(self, text: str) -> Any:
        """Add words of the user and return their item."""
        await self.sdk.conversation.item.create(item=says(text))
        return (await self.until(PLACED)).item

    async def answer(self, **params: Any) -> Any:
        """Ask for a response and return it when it is done."""
        await self.sdk.response.create(**({"response": params} if params else {}))
        return (await self.until("response.done")).response

    async def hear(self, pcm: bytes) -> None:
        """Send audio."""
        for audio in base64_frames(pcm):
            await self.sdk.input_audio_buffer.append(audio=audio)

    async def start_story(self) -> Any:
        """Have a long answer spoken; return its item id once a second of it has come."""
        await self.say("Tell me a long story")
        await self.sdk.response.create()
        while len(self.heard()) < 48_000:
            delta = await self.until(f"{SPEECH}.delta")
        return delta.item_id

    async def retrieve(self, item_id: str) -> Any:
        """Return an item as the server keeps it."""
        await self.sdk.conversation.item.retrieve(item_id=item_id)
        return (await self.until("conversation.item.retrieved")).item

    def heard(self) -> bytes:
        """Return all the speech so far."""
        deltas = [event.delta for event in self.events if event.type == f"{SPEECH}.delta"]
        return b"".join(base64.b64decode(delta) for delta in deltas)

    def kinds(self) -> list[str]:
        """Return the types of the events so far."""
        return [event.type for event in self.events]

    def joined(self, kind: str) -> str:
        """Return the deltas of a type, put together."""
        return "".join(event.delta for event in self.events if event.type == kind)


def make_client(key: str) -> openai.AsyncOpenAI:
    """Return the SDK's client, pointed at the server."""
    base = URL.removesuffix("/realtime")
    # The beta classes do not look at the scheme of `base_url`: they would make it `wss:`.
    plain = {} if IS_GA else {"websocket_base_url": base}
    return openai.AsyncOpenAI(api_key=key, base_url=base.replace("ws:", "http:"), **plain)


@asynccontextmanager
async def talk(key: str = KEY, **query: Any) -> AsyncIterator[Talk]:
    """Connect as the SDK's guide says."""
    client = make_client(key)
    realtime = client.realtime if IS_GA else client.beta.realtime
    async with client, realtime.connect(**query or {"model": MODEL}) as connection:
        yield Talk(connection)


async def connects() -> None:
    async with talk() as user:
        created = await user.until("session.created")
        expect(user.kinds() == ["session.created"], user.kinds())
        expect(created.session.model == MODEL, created.session)


async def is_refused_with_a_wrong_key() -> None:
    try:
        async with talk("sk-wrong"):
            raise AssertionError("a wrong key opened the door")
    except InvalidStatus as refused:
        expect(refused.response.status_code == 401, refused)


async def enters_with_a_client_secret() -> None:
    async with make_client(KEY) as client:
        if IS_GA:
            made = await client.realtime.client_secrets.create(
                session={"type": "realtime", "model": MODEL, "instructions": "Be brief."}
            )
            secret, session = made.value, made.session
        else:
            made = await client.beta.realtime.sessions.create(model=MODEL, instructions="Be brief.")
            secret, session = made.client_secret.value, made
    expect(secret.startswith("ek_") and session.instructions == "Be brief.", made)
    async with talk(secret) as user:
        created = await user.until("session.created")
        expect(created.session.instructions == "Be brief.", created.session)
        await user.configure(text=True)
        await user.say("Hello there")
        expect((await user.answer()).status == "completed", user.kinds())


async def updates_the_session() -> None:
    async with talk() as user:
        session = await user.configure(
            vad=VAD, instructions="Be brief.", tools=[WEATHER], tool_choice="none"
        )
        expect(session.instructions == "Be brief.", session)
        expect([tool.name for tool in session.tools] == ["get_weather"], session)
        expect(session.tool_choice == "none", session)
        detection = session.audio.input.turn_detection if IS_GA else session.turn_detection
        expect(detection.silence_duration_ms == 300, session)
        session = await user.configure(instructions="")
        detection = session.audio.input.turn_detection if IS_GA else session.turn_detection
        expect(detection is None and session.instructions == "", session)
        expect([tool.name for tool in session.tools] == ["get_weather"], session)


async def talks_in_text() -> None:
    async with talk() as user:
        await user.configure(text=True)
        await user.say("Hello there")
        done = await user.answer()
        expect(done.status == "completed" and done.usage.output_tokens > 0, done)
        text = done.output[0].content[0].text
        expect(text == user.joined(f"{TEXT}.delta") == "You said: Hello there", text)


async def talks_aloud() -> None:
    async with talk() as user:
        await user.configure(vad=VAD)
        await user.hear(speech("hello"))
        started = await user.until("input_audio_buffer.speech_started")
        stopped = await user.until("input_audio_buffer.speech_stopped")
        expect(0 <= started.audio_start_ms < 1000 < stopped.audio_end_ms, (started, stopped))
        committed = await user.until("input_audio_buffer.committed")
        expect(committed.item_id == started.item_id == stopped.item_id, committed)
        done = (await user.until("response.done")).response
        said = next(event for event in user.events if event.type == TRANSCRIBED)
        expect(said.transcript == "Hello, can you hear me?", said)
        expect(said.item_id == committed.item_id, said)
        transcript = done.output[0].content[0].transcript
        expect(transcript == user.joined(f"{WORDS}.delta"), transcript)
        expect(transcript == "You said: Hello, can you hear me?", transcript)
        expect(len(user.heard()) > 48_000, len(user.heard()))


async def pushes_to_talk() -> None:
    async with talk() as user:
        await user.configure(vad=None)
        await user.hear(speech("weather_paris"))
        await user.sdk.input_audio_buffer.commit()
        committed = await user.until("input_audio_buffer.committed")
        said = await user.until(TRANSCRIBED)
        expect(said.transcript == "What is the weather in Paris today?", said)
        expect("input_audio_buffer.speech_started" not in user.kinds(), user.kinds())
        expect("response.created" not in user.kinds(), user.kinds())
        done = await user.answer()
        expect("Paris" in done.output[0].content[0].transcript, done)
        item = await user.retrieve(committed.item_id)
        expect(item.content[0].transcript == said.transcript, item)


async def calls_a_tool() -> None:
    async with talk() as user:
        await user.configure(text=True, tools=[WEATHER])
        await user.say("What is the weather in Paris?")
        call = (await user.answer()).output[0]
        expect(
            (call.type, call.name, call.status) == ("function_call", "get_weather", "completed"),
            call,
        )
        streamed = user.joined("response.function_call_arguments.delta")
        expect(json.loads(streamed) == json.loads(call.arguments) == {"city": "Paris"}, call)
        output = json.dumps({"weather": "sunny"})
        await user.sdk.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": output}
        )
        added = (await user.until(PLACED)).item
        expect((added.type, added.call_id) == ("function_call_output", call.call_id), added)
        done = await user.answer()
        expect(done.output[0].content[0].text == "sunny", done)


async def cancels() -> None:
    async with talk() as user:
        await user.configure()
        await user.start_story()
        await user.sdk.response.cancel()
        done = (await user.until("response.done")).response
        expect(done.status == "cancelled", done)
        expect(done.status_details.reason == "client_cancelled", done)
        expect(done.output[0].status == "incomplete", done)


async def barges_in() -> None:
    async with talk() as user:
        await user.configure(vad=VAD)
        item_id = await user.start_story()
        await user.hear(speech("hello"))
        await user.until("input_audio_buffer.speech_started")
        await user.sdk.conversation.item.truncate(
            item_id=item_id, content_index=0, audio_end_ms=900
        )
        cut = (await user.until("response.done")).response
        expect(cut.status == "cancelled" and cut.status_details.reason == "turn_detected", cut)
        heard = user.joined(f"{WORDS}.delta")
        truncated = await user.until("conversation.item.truncated")
        expect((truncated.item_id, truncated.audio_end_ms) == (item_id, 900), truncated)
        answered = (await user.until("response.done")).response
        expect(answered.output[0].content[0].transcript.endswith("can you hear me?"), answered)
        kept = (await user.retrieve(item_id)).content[0].transcript
        expect(kept and heard.startswith(kept) and len(kept) < len(heard), (kept, heard))


async def truncates() -> None:
    async with talk() as user:
        await user.configure()
        await user.say("One two three four five six")
        item = (await user.answer()).output[0]
        whole = item.content[0].transcript
        await user.sdk.conversation.item.truncate(
            item_id=item.id, content_index=0, audio_end_ms=1000
        )
        truncated = await user.until("conversation.item.truncated")
        expect((truncated.item_id, truncated.content_index) == (item.id, 0), truncated)
        kept = (await user.retrieve(item.id)).content[0].transcript
        expect(kept and whole.startswith(kept) and len(kept) < len(whole), kept)


async def deletes() -> None:
    async with talk() as user:
        await user.configure(text=True)
        item = await user.say("Forget this")
        await user.sdk.conversation.item.delete(item_id=item.id)
        deleted = await user.until("conversation.item.deleted")
        expect(deleted.item_id == item.id, deleted)
        done = await user.answer()
        expect(done.output[0].content[0].text == "I am listening.", done)


async def retrieves() -> None:
    async with talk() as user:
        await user.configure()
        asked = await user.say("Remember this")
        kept = await user.retrieve(asked.id)
        expect((kept.role, kept.content[0].text) == ("user", "Remember this"), kept)
        spoken = (await user.answer()).output[0]
        part = (await user.retrieve(spoken.id)).content[0]
        expect(part.transcript == "You said: Remember this", part)
        expect(base64.b64decode(part.audio) == user.heard(), "the audio that was sent")


async def asks_out_of_band() -> None:
    async with talk() as user:
        await user.configure(text=True)
        await user.say("The conversation")
        before = len(user.events)
        done = await user.answer(
            conversation="none", metadata={"topic": "aside"}, input=[says("An aside")]
        )
        expect(done.metadata == {"topic": "aside"} and done.conversation_id is None, done)
        expect(done.output[0].content[0].text == "You said: An aside", done)
        beside = [kind for kind in user.kinds()[before:] if kind.startswith("conversation.item")]
        expect(not beside, beside)
        done = await user.answer()
        expect(done.output[0].content[0].text == "You said: The conversation", done)


async def only_transcribes() -> None:
    async with talk(extra_query={"intent": "transcription"}) as user:
        created = await user.until("session.created")
        expect(created.session.type == "transcription", created)
        hearing = {"transcription": {"model": "whisper-1"}, "turn_detection": VAD}
        await user.sdk.session.update(
            session={"type": "transcription", "audio": {"input": hearing}}
        )
        await user.until("session.updated")
        for name in ("hello", "weather_paris"):
            await user.hear(speech(name))
            said = await user.until(TRANSCRIBED)
            expect(said.transcript == WORDS_OF[name], said)
        expect(not any(kind.startswith("response.") for kind in user.kinds()), user.kinds())


async def survives_its_own_mistake() -> None:
    async with talk() as user:
        await user.configure(text=True)
        wrong = {"type": "server_vad", "threshold": "loud"}
        await user.sdk.session.update(session=settings(text=True, vad=wrong), event_id="wrong_1")
        error = (await user.until("error")).error
        at = "session.audio.input.turn_detection" if IS_GA else "session.turn_detection"
        expect((error.type, error.code) == ("invalid_request_error", "invalid_type"), error)
        expect((error.param, error.event_id) == (f"{at}.threshold", "wrong_1"), error)
        await user.say("Still there?")
        done = await user.answer()
        expect(done.output[0].content[0].text == "You said: Still there?", done)
        expect(user.kinds().count("error") == 1, user.kinds())


async def has_a_type_for_every_event() -> None:
    types = openai.types.realtime if IS_GA else openai.types.beta.realtime
    adapter: TypeAdapter[Any] = TypeAdapter(types.RealtimeServerEvent)
    refused = {}
    for data in WIRE:
        try:
            adapter.validate_json(data)
        except ValidationError as error:
            refused[json.loads(data)["type"]] = error.errors(include_url=False)[:3]
    expect(WIRE and not refused, refused)


CHECKS: dict[str, Check] = {
    "connect": connects,
    "wrong key": is_refused_with_a_wrong_key,
    "client secret": enters_with_a_client_secret,
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
    **({"transcription": only_transcribes} if IS_GA else {}),
    "bad event": survives_its_own_mistake,
    "event types": has_a_type_for_every_event,
}

asyncio.run(drive("openai", CHECKS))

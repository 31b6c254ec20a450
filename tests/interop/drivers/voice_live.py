"""Azure's Voice Live SDK, through its typed methods: `python voice_live.py [CHECK ...]`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from azure.ai.voicelive import models as vl
from azure.ai.voicelive.aio import ConnectionError as VoiceLiveError
from azure.ai.voicelive.aio import connect
from azure.core.credentials import AzureKeyCredential
from driving import KEY, URL, WEATHER, Check, base64_frames, drive, expect, speech

ENDPOINT = URL.removesuffix("/v1/realtime").replace("ws:", "http:")
VOICE = vl.AzureStandardVoice(name="en-US-AvaNeural", temperature=0.7)
VAD = vl.AzureSemanticVad(
    threshold=0.5,
    silence_duration_ms=300,
    remove_filler_words=True,
    languages=["en"],
    interrupt_response=True,
    end_of_utterance_detection=vl.AzureSemanticDetection(threshold_level="high", timeout_ms=1000),
)
TOOL = vl.FunctionTool(
    name=WEATHER["name"], description=WEATHER["description"], parameters=WEATHER["parameters"]
)
TRANSCRIBED = vl.ServerEventType.CONVERSATION_ITEM_INPUT_AUDIO_TRANSCRIPTION_COMPLETED

RECEIVED: list[Any] = []
"""Every event that any connection has received."""


def settings(*, text: bool = False, vad: Any = None, **others: Any) -> vl.RequestSession:
    """Return a session as the guide of Voice Live has it."""
    session = vl.RequestSession(
        modalities=[vl.Modality.TEXT] if text else [vl.Modality.TEXT, vl.Modality.AUDIO],
        voice=VOICE,
        input_audio_format=vl.InputAudioFormat.PCM16,
        input_audio_sampling_rate=24000,
        output_audio_format=vl.OutputAudioFormat.PCM16,
        input_audio_noise_reduction=vl.AudioNoiseReduction(type="azure_deep_noise_suppression"),
        input_audio_echo_cancellation=vl.AudioEchoCancellation(),
        input_audio_transcription=vl.AudioInputTranscriptionOptions(
            model="azure-speech", language="en-US", phrase_list=["duologue"]
        ),
        output_audio_timestamp_types=[vl.AudioTimestampType.WORD],
        temperature=0.3,
        **others,
    )
    session["turn_detection"] = vad  # as an argument, None is left out
    return session


class Talk:
    """One connection, and everything it has received."""

    def __init__(self, connection: Any) -> None:
        self.sdk = connection
        self.events: list[Any] = []

    async def until(self, kind: str) -> Any:
        """Return the next event of a type."""
        while True:
            event = await self.sdk.recv()
            RECEIVED.append(event)
            self.events.append(event)
            if event.type == kind:
                return event

    async def configure(self, **config: Any) -> Any:
        """Update the session, and return it as the server tells it."""
        await self.sdk.session.update(session=settings(**config))
        return (await self.until("session.updated")).session

    async def say(self, text: str) -> Any:
        """Add words of the user, and return their item."""
        content = [vl.InputTextContentPart(text=text)]
        await self.sdk.conversation.item.create(item=vl.UserMessageItem(content=content))
        return (await self.until("conversation.item.created")).item

    async def answer(self, **params: Any) -> Any:
        """Ask for a response, and return it when it is done."""
        response = vl.ResponseCreateParams(**params) if params else None
        await self.sdk.response.create(response=response)
        return (await self.until("response.done")).response

    async def hear(self, pcm: bytes) -> None:
        """Send audio."""
        for audio in base64_frames(pcm):
            await self.sdk.input_audio_buffer.append(audio=audio)

    async def start_story(self) -> str:
        """Have a long answer spoken; return its item id once a second of it has come."""
        await self.say("Tell me a long story")
        await self.sdk.response.create()
        while len(self.heard()) < 48_000:
            delta = await self.until("response.audio.delta")
        return delta.item_id

    async def retrieve(self, item_id: str) -> Any:
        """Return an item as the server keeps it."""
        await self.sdk.conversation.item.retrieve(item_id=item_id)
        return (await self.until("conversation.item.retrieved")).item

    def heard(self) -> bytes:
        """Return all the speech so far."""
        return b"".join(each.delta for each in self.events if each.type == "response.audio.delta")

    def kinds(self) -> list[str]:
        """Return the types of the events so far."""
        return [event.type for event in self.events]

    def joined(self, kind: str) -> str:
        """Return the deltas of a type, put together."""
        return "".join(event.delta for event in self.events if event.type == kind)


@asynccontextmanager
async def talk(key: str = KEY) -> AsyncIterator[Talk]:
    """Connect as the SDK's guide says."""
    credential = AzureKeyCredential(key)
    async with connect(endpoint=ENDPOINT, credential=credential, model="gpt-realtime") as sdk:
        yield Talk(sdk)


async def connects() -> None:
    async with talk() as user:
        created = await user.until("session.created")
        expect(user.kinds() == ["session.created"], user.kinds())
        expect(created.session.model == "gpt-realtime", created)


async def is_refused_with_a_wrong_key() -> None:
    try:
        async with talk("wrong"):
            raise AssertionError("a wrong key opened the door")
    except VoiceLiveError as refused:
        expect(getattr(refused.__cause__, "status", 0) == 401, refused)


async def updates_the_session() -> None:
    async with talk() as user:
        session = await user.configure(
            vad=VAD, instructions="Be brief.", tools=[TOOL], tool_choice="none"
        )
        expect(session.instructions == "Be brief.", session)
        expect([tool.name for tool in session.tools] == ["get_weather"], session)
        expect(session.tool_choice == "none", session)
        expect(isinstance(session.turn_detection, vl.AzureSemanticVad), session)
        expect(session.turn_detection.silence_duration_ms == 300, session)
        expect(session.turn_detection.languages == ["en"], session)
        expect(dict(session.voice) == VOICE.as_dict(), session)
        expect(session.input_audio_sampling_rate == 24000, session)
        expect(session.input_audio_transcription.phrase_list == ["duologue"], session)
        expect(session.temperature == 0.3, session)
        expect(session.input_audio_noise_reduction.type == "azure_deep_noise_suppression", session)
        session = await user.configure(instructions="", avatar=vl.AvatarConfig(character="lisa"))
        expect(session.turn_detection is None and session.instructions == "", session)
        expect([tool.name for tool in session.tools] == ["get_weather"], session)
        expect(session.avatar.character == "lisa", session)


async def talks_in_text() -> None:
    async with talk() as user:
        await user.configure(text=True)
        await user.say("Hello there")
        done = await user.answer()
        expect(done.status == "completed" and done.usage.output_tokens > 0, done)
        text = done.output[0].content[0].text
        expect(text == user.joined("response.text.delta") == "You said: Hello there", text)


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
        transcript = done.output[0].content[0].transcript
        expect(transcript == user.joined("response.audio_transcript.delta"), transcript)
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
        expect("response.created" not in user.kinds(), user.kinds())
        done = await user.answer()
        expect("Paris" in done.output[0].content[0].transcript, done)
        item = await user.retrieve(committed.item_id)
        expect(item.content[0].transcript == said.transcript, item)


async def calls_a_tool() -> None:
    async with talk() as user:
        await user.configure(text=True, tools=[TOOL])
        await user.say("What is the weather in Paris?")
        call = (await user.answer()).output[0]
        expect((call.type, call.name) == ("function_call", "get_weather"), call)
        streamed = user.joined("response.function_call_arguments.delta")
        expect(json.loads(streamed) == json.loads(call.arguments) == {"city": "Paris"}, call)
        output = vl.FunctionCallOutputItem(
            call_id=call.call_id, output=json.dumps({"weather": "sunny"})
        )
        await user.sdk.conversation.item.create(item=output)
        added = (await user.until("conversation.item.created")).item
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
        heard = user.joined("response.audio_transcript.delta")
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


async def asks_out_of_band() -> None:
    async with talk() as user:
        await user.configure(text=True)
        await user.say("The conversation")
        before = len(user.events)
        aside = vl.UserMessageItem(content=[vl.InputTextContentPart(text="An aside")])
        done = await user.answer(commit=False, metadata={"topic": "aside"}, input_items=[aside])
        expect(done.metadata == {"topic": "aside"} and done.conversation_id is None, done)
        expect(done.output[0].content[0].text == "You said: An aside", done)
        beside = [kind for kind in user.kinds()[before:] if kind.startswith("conversation.item")]
        expect(not beside, beside)
        done = await user.answer()
        expect(done.output[0].content[0].text == "You said: The conversation", done)


async def survives_its_own_mistake() -> None:
    async with talk() as user:
        await user.configure(text=True)
        wrong = {"turn_detection": {"type": "azure_semantic_vad", "threshold": "loud"}}
        await user.sdk.session.update(session=wrong, event_id="wrong_1")
        error = (await user.until("error")).error
        expect((error.type, error.code) == ("invalid_request_error", "invalid_type"), error)
        found = (error.param, error.event_id)
        expect(found == ("session.turn_detection.threshold", "wrong_1"), error)
        await user.say("Still there?")
        done = await user.answer()
        expect(done.output[0].content[0].text == "You said: Still there?", done)
        expect(user.kinds().count("error") == 1, user.kinds())


async def has_a_type_for_every_event() -> None:
    strangers = {event.type for event in RECEIVED if type(event) is vl.ServerEvent}
    expect(RECEIVED and not strangers, strangers)


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

asyncio.run(drive("azure-ai-voicelive", CHECKS))

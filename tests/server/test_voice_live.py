"""Sessions at Azure Voice Live's path: its settings are accepted, and reported as requested."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect

from duologue.protocol import ga
from duologue.server import LocalServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

pytestmark = pytest.mark.asyncio

VOICE = {"type": "azure-standard", "name": "en-US-AvaNeural", "temperature": 0.7}
DETECTION = {
    "type": "azure_semantic_vad",
    "silence_duration_ms": 300,
    "threshold": None,
    "remove_filler_words": True,
    "end_of_utterance_detection": {"model": "semantic_detection_v1", "timeout_ms": 1000},
}
SESSION: dict[str, Any] = {
    "modalities": ["text", "audio", "avatar"],
    "voice": VOICE,
    "turn_detection": DETECTION,
    "input_audio_sampling_rate": 24000,
    "input_audio_transcription": {"model": "azure-speech", "phrase_list": ["duologue"]},
    "input_audio_noise_reduction": {"type": "azure_deep_noise_suppression"},
    "input_audio_echo_cancellation": {"type": "server_echo_cancellation"},
    "avatar": {"character": "lisa"},
    "temperature": 0.3,
    "include": ["file_search_call.results"],
}


class Client:
    """A connection at Voice Live's path."""

    def __init__(self, server: LocalServer, socket: ClientConnection) -> None:
        self.server = server
        self.socket = socket

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, "event_id": "mine", **fields}))

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            event = json.loads(await self.socket.recv())
            if event["type"] == kind:
                return event
            assert event["type"] != "error", event

    async def configure(self, **session: Any) -> dict[str, Any]:
        await self.send("session.update", session=session)
        return (await self.until("session.updated"))["session"]

    async def refusal(self, **session: Any) -> tuple[str, str, str]:
        await self.send("session.update", session=session)
        error = (await self.until("error"))["error"]
        return error["code"], error["param"], error["event_id"]

    async def say(self, text: str) -> None:
        await self.send("conversation.item.create", item=message(text))

    async def answer(self, **fields: Any) -> dict[str, Any]:
        await self.send("response.create", **fields)
        return (await self.until("response.done"))["response"]

    def received(self, kind: type[Any]) -> Any:
        """Return the last event of a type, as the session got it."""
        [session] = self.server.sessions
        return [event for event in session.received if isinstance(event, kind)][-1]


def message(text: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    async with LocalServer() as server:
        url = server.url.replace("/v1/realtime", "/voice-live/realtime")
        async with connect(f"{url}?api-version=2026-07-15&model=gpt-realtime") as socket:
            yield Client(server, socket)


async def test_its_settings_come_back_as_they_were_requested() -> None:
    async with client() as user:
        await user.until("session.created")
        updated = await user.configure(**SESSION, instructions="Be brief.")
        detection = updated["turn_detection"]
        assert updated == updated | SESSION | {"turn_detection": detection}
        assert updated["instructions"] == "Be brief."
        assert detection["type"] == "azure_semantic_vad"
        assert detection["silence_duration_ms"] == 300
        assert detection["threshold"] == 0.5  # a null is the default
        assert detection["end_of_utterance_detection"]["timeout_ms"] == 1000
        updated = await user.configure(turn_detection=None, voice="alloy", temperature=None)
        assert updated["turn_detection"] is None
        assert updated["voice"] == "alloy"
        assert updated["avatar"] == SESSION["avatar"]


async def test_the_core_gets_what_beta_has() -> None:
    async with client() as user:
        await user.configure(**SESSION)
        session = user.received(ga.SessionUpdateEvent).session
        assert session.output_modalities == ["audio"]
        assert session.audio.output.voice == "en-US-AvaNeural"
        assert session.audio.input.turn_detection == ga.ServerVad(silence_duration_ms=300)
        assert session.audio.input.transcription.keywords == ["duologue"]
        assert session.audio.input.noise_reduction is None


async def test_a_refused_change_is_not_reported() -> None:
    async with client() as user:
        wrong = {"type": "azure_semantic_vad", "threshold": "loud"}
        refused = await user.refusal(turn_detection=wrong, avatar={"character": "lisa"})
        assert refused == ("invalid_type", "session.turn_detection.threshold", "mine")
        updated = await user.configure(instructions="Be brief.")
        assert "avatar" not in updated
        assert updated["turn_detection"]["type"] == "server_vad"


async def test_a_voice_that_comes_too_late_is_not_reported() -> None:
    async with client() as user:
        await user.configure(voice=VOICE, turn_detection=None)
        await user.say("Hi")
        await user.answer()
        late = {"type": "azure-standard", "name": "en-US-GuyNeural"}
        assert await user.refusal(voice=late) == ("cannot_update_voice", "session.voice", "mine")
        assert (await user.configure(instructions=""))["voice"] == "en-US-AvaNeural"


@pytest.mark.parametrize(
    ("audio", "is_accepted"),
    [
        ({"input_audio_sampling_rate": 24000, "input_audio_format": "pcm16"}, True),
        ({"input_audio_sampling_rate": 8000, "input_audio_format": "g711_ulaw"}, True),
        ({"input_audio_sampling_rate": 16000, "input_audio_format": "pcm16"}, False),
        ({"input_audio_sampling_rate": 16000}, False),
    ],
)
async def test_a_rate_that_is_not_converted_is_refused(
    audio: dict[str, Any], *, is_accepted: bool
) -> None:
    async with client() as user:
        if is_accepted:
            assert (await user.configure(**audio))["input_audio_sampling_rate"] in (8000, 24000)
        else:
            path = "session.input_audio_sampling_rate"
            assert await user.refusal(**audio) == ("invalid_value", path, "mine")


async def test_a_response_has_input_items_and_may_stay_out_of_the_conversation() -> None:
    async with client() as user:
        await user.configure(modalities=["text"], turn_detection=None)
        await user.say("The conversation")
        params = {
            "commit": False,
            "cancel_previous": True,
            "input_items": [message("An aside")],
            "temperature": 0.2,
            "interim_response": {"type": "static_interim_response"},
        }
        aside = await user.answer(response=params)
        assert aside["conversation_id"] is None
        assert aside["output"][0]["content"][0]["text"] == "You said: An aside"
        done = await user.answer(response={"append_input_items": [message("More")]})
        assert done["output"][0]["content"][0]["text"] == "You said: More"


async def test_additional_instructions_follow_those_of_the_session() -> None:
    async with client() as user:
        await user.configure(modalities=["text"], instructions="Be brief.")
        await user.answer(additional_instructions="Be kind.")
        assert user.received(ga.ResponseCreateEvent).response.instructions == "Be brief.\nBe kind."
        await user.answer(response={"instructions": "Sing."}, additional_instructions="Low.")
        assert user.received(ga.ResponseCreateEvent).response.instructions == "Sing.\nLow."


async def test_what_it_cannot_say_is_refused() -> None:
    async with client() as user:
        said = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}]}
        await user.send("response.create", response={"pre_generated_assistant_message": said})
        error = (await user.until("error"))["error"]
        assert error["param"] == "response.pre_generated_assistant_message"
        for frame in ('{"type": "session.update"}', '{"type": "session.update", "session": 5}'):
            await user.socket.send(frame)
            assert (await user.until("error"))["error"]["type"] == "invalid_request_error"
        assert (await user.configure(instructions="Be brief."))["instructions"] == "Be brief."


async def test_settings_of_any_name_are_kept_within_a_bound() -> None:
    async with client() as user:
        first = await user.configure(**{f"setting_{number}": number for number in range(60)})
        assert "setting_9" not in first
        assert first["setting_59"] == 59
        assert sum(name.startswith("setting_") for name in first) == 50

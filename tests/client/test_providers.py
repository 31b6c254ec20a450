"""Sessions with providers that differ from OpenAI, with the frames that they were seen to send.

Sources: recorded traffic of Azure Voice Live and xAI; their references.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import ErrorUpdate, RealtimeAPI, ResponseFailed, ServerError
from duologue.protocol import beta, ga
from duologue.protocol.model import UnknownEvent

if TYPE_CHECKING:
    from duologue.client.client import RealtimeClient

pytestmark = pytest.mark.asyncio

AZURE_VOICE = {"name": "en-US-AvaNeural", "type": "azure-standard", "style": None, "rate": None}
VOICE_LIVE_SESSION: dict[str, Any] = {
    "id": "sess_1",
    "object": "realtime.session",
    "model": "gpt-4.1",
    "modalities": ["audio", "text"],
    "instructions": "You are a speech chat assistant.",
    "voice": AZURE_VOICE,
    "input_audio_format": "pcm16",
    "output_audio_format": None,
    "input_audio_sampling_rate": 24_000,
    "input_audio_transcription": {"model": "azure-speech", "language": None, "phrase_list": None},
    "input_audio_noise_reduction": {"type": "azure_deep_noise_suppression"},
    "input_audio_echo_cancellation": {"type": "server_echo_cancellation", "channels": 1},
    "turn_detection": {
        "type": "azure_semantic_vad_multilingual",
        "threshold": None,
        "silence_duration_ms": None,
        "end_of_utterance_detection": {"model": "semantic_detection_v1", "timeout": None},
        "languages": ["en"],
    },
    "tools": [],
    "tool_choice": "auto",
    "temperature": 0.8,
    "max_response_output_tokens": "inf",
    "expires_at": 1_790_731_031,
    "animation": None,
    "avatar": None,
    "truncation_strategy": None,
    "include": None,
}
XAI_SESSION: dict[str, Any] = {
    "id": "sess_1",
    "object": "realtime.session",
    "instructions": "",
    "voice": "ara",
    "modalities": ["audio"],
    "turn_detection": {"type": None},
    "tools": [],
    "model": "grok-voice-latest",
}


class VoiceLive(MemoryServer):
    """Answers each `response.create` as Voice Live does."""

    def __init__(self) -> None:
        super().__init__(session=VOICE_LIVE_SESSION)
        self.answers["session.update"] = lambda event: self.send(
            "session.updated",
            session=VOICE_LIVE_SESSION | event["session"] | {"voice": AZURE_VOICE},
        )
        self.answers["response.create"] = lambda _event: self.respond()

    def respond(self) -> None:
        response: dict[str, Any] = {
            "id": "resp_1", "object": "realtime.response", "output": [], "status_details": None,
            "conversation_id": "", "modalities": ["audio", "text"], "voice": AZURE_VOICE,
            "temperature": None, "max_output_tokens": None, "metadata": None, "usage": None,
        }  # fmt: skip
        item = {"id": "msg_1", "object": "realtime.item", "type": "message", "role": "assistant"}
        place = {"response_id": "resp_1", "output_index": 0, "item_id": "msg_1", "content_index": 0}
        part = {"type": "audio", "transcript": "Good day."}
        whole = item | {"status": "completed", "content": [part]}
        # Its models of a cascade announce an item as incomplete.
        begun = item | {"status": "incomplete", "content": []}
        self.send("response.created", response=response | {"status": "in_progress"})
        self.send("response.output_item.added", response_id="resp_1", output_index=0, item=begun)
        self.send("conversation.item.created", previous_item_id=None, item=begun)
        self.send("response.content_part.added", **place, part={"type": "audio"})
        self.send("response.animation_viseme.delta", **place, viseme_id=4, audio_offset_ms=1.5)
        self.send("response.audio_transcript.delta", **place, delta="Good day.")
        self.send("response.audio.delta", **place, delta="AAAA")
        self.send("response.audio.done", **place)
        self.send("response.audio_transcript.done", **place, transcript="Good day.")
        self.send("response.content_part.done", **place, part=part)
        self.send("conversation.item.done", previous_item_id=None, item=whole)
        self.send("response.output_item.done", response_id="resp_1", output_index=0, item=whole)
        done = response | {"status": "completed", "output": [whole]}
        self.send("response.done", response=done)


class Xai(MemoryServer):
    """Answers each `response.create` as xAI does."""

    def __init__(self, status: str = "completed") -> None:
        super().__init__(session=XAI_SESSION)
        self.status = status
        self.answers["session.update"] = lambda _event: self.send(
            "session.updated", session=XAI_SESSION | {"temperature": -1.0}, previous_item_id=None
        )
        self.answers["response.create"] = lambda _event: self.respond()

    def respond(self) -> None:
        self.send("ping", timestamp=1_784_603_669_974, previous_item_id=None)
        response = {"id": "resp_1", "output": [], "status_details": "unimplemented", "usage": {}}
        item = {"id": "item_1", "type": "message", "role": "assistant", "status": "in_progress"}
        place = {"response_id": "resp_1", "output_index": 0, "item_id": "item_1"}
        place |= {"content_index": 0, "previous_item_id": None}
        self.send("response.created", response=response | {"status": "in_progress"})
        self.send("response.output_item.added", response_id="resp_1", output_index=0, item=item)
        self.send("conversation.item.added", previous_item_id="0", item=item | {"content": []})
        self.send("response.content_part.added", **place, part={"type": "audio"})
        self.send("response.output_audio.delta", **place, delta="AAAA", latency="0.62", ts=1)
        self.send("response.output_audio_transcript.delta", **place, delta="Hi.", start_time=0.0)
        self.send("response.output_audio_transcript.done", **place, transcript="Hi.")
        self.send("response.content_part.done", **place)
        item |= {"status": "completed"}
        self.send("response.output_item.done", response_id="resp_1", output_index=0, item=item)
        whole = item | {"content": [{"type": "audio", "transcript": "Hi."}]}
        response |= {"status": self.status, "output": [whole]}
        self.send("response.done", response=response, usage={"total_tokens": 89.0})


def watched(client: RealtimeClient) -> tuple[list[str], list[Exception]]:
    """Return the types of the server events of a client, and the errors that it reports."""
    types: list[str] = []
    errors: list[Exception] = []
    client.on("server.*", lambda event: types.append(event.type))
    client.on(ErrorUpdate, lambda update: errors.append(update.error))
    return types, errors


@pytest.mark.parametrize("dialect", ["beta", "auto"])
async def test_voice_live_holds_a_conversation(dialect: Any) -> None:
    server = VoiceLive()
    client = client_of(server, dialect=dialect)
    _, errors = watched(client)
    visemes: list[Any] = []
    client.on("response.animation_viseme.delta", visemes.append)
    async with client:
        response = client.send_user_message_content("Hello")
        await response
        assert (response.transcript, response.audio) == ("Good day.", b"\0\0\0")
        item = client.conversation.items[-1]
        assert (item.status, item.formatted.transcript) == ("completed", "Good day.")
        session: Any = client.session
        assert session.audio.output.voice == ga.VoiceId(extra=AZURE_VOICE)
        assert session.extra["input_audio_sampling_rate"] == 24_000
    assert errors == []
    assert [type(event) for event in visemes] == [UnknownEvent]


async def test_a_voice_of_azure_can_be_requested() -> None:
    server = VoiceLive()
    config = beta.SessionConfig(voice=beta.VoiceId(extra={"type": "azure-standard", "name": "Ava"}))
    async with client_of(server, dialect="beta", session=config):
        sent = await server.got("session.update")
        assert sent["session"]["voice"] == {"type": "azure-standard", "name": "Ava"}


@pytest.mark.parametrize("dialect", ["ga", "auto"])
async def test_xai_holds_a_conversation(dialect: Any) -> None:
    server = Xai()
    client = client_of(server, dialect=dialect)
    types, errors = watched(client)
    pings: list[UnknownEvent] = []
    client.on("ping", pings.append)
    async with client:
        response = client.send_user_message_content("Hello")
        await response
        assert (response.transcript, response.audio) == ("Hi.", b"\0\0\0")
        item = client.conversation.items[-1]
        assert (item.status, item.formatted.transcript) == ("completed", "Hi.")
    assert errors == []
    assert types.count("response.done") == 1
    [ping] = pings
    assert b"1784603669974" in ping.raw


async def test_a_status_that_nobody_knows_ends_a_response() -> None:
    async with client_of(Xai(status="exhausted")) as client:
        response = client.send_user_message_content("Hello")
        await response
        assert response.transcript == "Hi."


async def test_the_reason_of_a_failed_response_may_be_a_text() -> None:
    async with client_of(Xai(status="failed")) as client:
        with pytest.raises(ResponseFailed, match="unimplemented"):
            await client.send_user_message_content("Hello")


PROVIDER_EVENTS = [
    "output_audio_buffer.audio_started",
    "output_audio_buffer.audio_stopped",
    "output_audio_buffer.audio_cleared",
    "conversation.item.input_audio_transcription.updated",
    "ping",
    "session.avatar.connecting",
    "response.animation_blendshapes.delta",
    "response.audio_timestamp.delta",
]


@pytest.mark.parametrize("dialect", ["ga", "beta"])
@pytest.mark.parametrize("kind", PROVIDER_EVENTS)
async def test_an_event_of_a_provider_is_received_whole_by_its_name(
    kind: str, dialect: Any
) -> None:
    session = VOICE_LIVE_SESSION if dialect == "beta" else XAI_SESSION | {"type": "realtime"}
    server = MemoryServer(session=session)
    for face in (client_of(server, dialect=dialect), api_of(server, dialect)):
        seen: list[UnknownEvent] = []
        face.on(kind, seen.append)
        face.on(f"server.{kind}", seen.append)
        async with face:
            server.send(kind, item_id="item_1", custom_voice_id="v")
            await face.wait_for_next(kind, timeout=5)
        assert [type(event) for event in seen] == [UnknownEvent] * 2
        assert all(b'"custom_voice_id":"v"' in event.raw for event in seen)


def api_of(server: MemoryServer, dialect: Any) -> RealtimeAPI:
    return RealtimeAPI(connector=server.connect, dialect=dialect)


@pytest.mark.parametrize("error", ["Out of credit.", {"detail": "Out of credit.", "code": 402}])
async def test_the_words_of_an_error_reach_the_application(error: object) -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        server.send("error", error=error)
        update = await client.wait_for_next(ErrorUpdate, timeout=5)
    assert isinstance(update.error, ServerError)
    assert update.error.message == "Out of credit."

"""Transcription sessions over real sockets: OpenAI's own clients, and both dialects on the wire."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from duologue.server import LocalServer
from duologue.server.engine.scripted import ScriptedTranscriber

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from websockets.asyncio.client import ClientConnection

SPEECH = base64.b64encode(b"\x00\x30" * 12_000 + bytes(24_000)).decode()
BETA = {"OpenAI-Beta": "realtime=v1"}
CONFIGURE: dict[str, dict[str, Any]] = {
    "ga": {
        "type": "session.update",
        "session": {
            "type": "transcription",
            "audio": {"input": {"transcription": {"model": "whisper-1", "language": "en"}}},
        },
    },
    "beta": {
        "type": "transcription_session.update",
        "session": {"input_audio_transcription": {"model": "whisper-1", "language": "en"}},
    },
}
pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # the SDK's beta says so of itself
]


async def until(connection: ClientConnection, kind: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while not events or events[-1]["type"] != kind:
            events.append(json.loads(await connection.recv()))
    return events


async def transcript(connection: AsyncIterable[Any]) -> str:
    async with asyncio.timeout(5):
        async for event in connection:
            if event.type == "conversation.item.input_audio_transcription.completed":
                return event.transcript
    raise AssertionError("the connection ended before the words came")


@pytest.mark.parametrize("dialect", ["ga", "beta"])
async def test_a_spoken_turn_in_either_dialect(dialect: str) -> None:
    prefix = "" if dialect == "ga" else "transcription_"
    async with (
        LocalServer(stt=ScriptedTranscriber(["What time is it?"])) as server,
        connect(
            server.url + "?intent=transcription",
            additional_headers=BETA if dialect == "beta" else {},
        ) as connection,
    ):
        [created] = await until(connection, f"{prefix}session.created")
        assert created["session"]["object"] == "realtime.transcription_session"
        await connection.send(json.dumps(CONFIGURE[dialect]))
        [updated] = await until(connection, f"{prefix}session.updated")
        assert "whisper-1" in json.dumps(updated)
        append = {"type": "input_audio_buffer.append", "audio": SPEECH}
        await connection.send(json.dumps(append))
        events = await until(connection, "conversation.item.input_audio_transcription.completed")
        await connection.send(json.dumps({"type": "response.create", "event_id": "mine"}))
        [refused] = await until(connection, "error")
    items = (
        ["conversation.item.added", "conversation.item.done"]
        if dialect == "ga"
        else ["conversation.item.created"]
    )
    assert [event["type"] for event in events] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        *items,
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert events[-1]["transcript"] == "What time is it?"
    assert refused["error"]["event_id"] == "mine"


async def test_the_flat_session_of_beta_is_as_the_reference_shows_it() -> None:
    async with (
        LocalServer() as server,
        connect(server.url + "?intent=transcription", additional_headers=BETA) as connection,
    ):
        [created] = await until(connection, "transcription_session.created")
    session = created["session"]
    assert session.pop("id").startswith("sess_")
    assert session.pop("expires_at")
    assert session == {
        "object": "realtime.transcription_session",
        "input_audio_format": "pcm16",
        "input_audio_transcription": None,
        "input_audio_noise_reduction": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
        },
        "include": None,
    }


async def test_the_official_client_transcribes_in_ga() -> None:
    async with LocalServer(stt=ScriptedTranscriber(["Good morning."])) as server:
        base = server.url.removesuffix("/realtime")
        async with (
            AsyncOpenAI(
                api_key="any", base_url=base.replace("ws:", "http:"), websocket_base_url=base
            ) as client,
            client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
        ):
            created: Any = await connection.recv()
            assert (created.type, created.session.type) == ("session.created", "transcription")
            await connection.session.update(
                session={
                    "type": "transcription",
                    "audio": {
                        "input": {
                            "transcription": {"model": "gpt-4o-transcribe"},
                            "turn_detection": None,
                        }
                    },
                }
            )
            await connection.input_audio_buffer.append(audio=SPEECH)
            await connection.input_audio_buffer.commit()
            assert await transcript(connection) == "Good morning."


async def test_the_official_client_transcribes_in_beta() -> None:
    async with LocalServer(stt=ScriptedTranscriber(["Good morning."])) as server:
        base = server.url.removesuffix("/realtime")
        async with (
            AsyncOpenAI(
                api_key="any", base_url=base.replace("ws:", "http:"), websocket_base_url=base
            ) as client,
            client.beta.realtime.connect(
                model="", extra_query={"intent": "transcription"}
            ) as connection,
        ):
            created: Any = await connection.recv()
            assert created.type == "transcription_session.created"
            await connection.transcription_session.update(
                session={"input_audio_transcription": {"model": "gpt-4o-transcribe"}}
            )
            await connection.input_audio_buffer.append(audio=SPEECH)
            assert await transcript(connection) == "Good morning."


async def test_a_beta_client_that_names_a_model_besides_is_told_and_closed() -> None:
    async with (
        LocalServer() as server,
        connect(
            server.url + "?intent=transcription&model=whisper-1", additional_headers=BETA
        ) as connection,
    ):
        [error] = await until(connection, "error")
        assert error["error"]["code"] == "invalid_model"
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000


async def test_azure_names_the_transcriber_by_its_deployment() -> None:
    query = "?api-version=2025-04-01-preview&deployment=mine&intent=transcription"
    async with LocalServer() as server:
        url = server.url.replace("/v1/realtime", "/openai/realtime") + query
        async with connect(url) as connection:
            [created] = await until(connection, "transcription_session.created")
    assert created["session"]["input_audio_transcription"] == {
        "model": "mine",
        "language": None,
        "prompt": None,
    }


async def test_a_call_that_is_not_there_is_not_found() -> None:
    async with LocalServer() as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.url + "?call_id=rtc_1")
    response = refused.value.response
    assert response.status_code == 404
    assert json.loads(response.body or b"")["error"]["code"] == "call_id_not_found"


@pytest.mark.parametrize(
    ("dialect", "path", "field"),
    [
        (None, "/v1/realtime", "audio"),
        (None, "/openai/v1/realtime", "audio"),
        (None, "/openai/realtime", "input_audio_format"),
        (None, "/voice-live/realtime", "input_audio_format"),
        ("beta", "/v1/realtime", "input_audio_format"),
        ("ga", "/voice-live/realtime", "audio"),
    ],
)
async def test_each_path_speaks_its_dialect_unless_one_is_forced(
    dialect: Any, path: str, field: str
) -> None:
    async with (
        LocalServer(dialect=dialect) as server,
        connect(server.url.replace("/v1/realtime", path)) as connection,
    ):
        [created] = await until(connection, "session.created")
    assert field in created["session"]


async def test_a_client_secret_for_transcription_opens_such_a_session() -> None:
    async with LocalServer() as server:
        base = server.url.removesuffix("/realtime")
        async with AsyncOpenAI(api_key="any", base_url=base.replace("ws:", "http:")) as client:
            secret = await client.realtime.client_secrets.create(
                session={
                    "type": "transcription",
                    "audio": {"input": {"transcription": {"model": "whisper-1"}}},
                }
            )
        headers = {"Authorization": f"Bearer {secret.value}"}
        async with connect(server.url, additional_headers=headers) as connection:
            [created] = await until(connection, "session.created")
    assert created["session"]["type"] == "transcription"
    assert created["session"]["audio"]["input"]["transcription"] == {
        "model": "whisper-1",
        "language": None,
        "prompt": None,
    }

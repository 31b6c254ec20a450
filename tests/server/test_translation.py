"""Translation sessions over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI
from tests.doc_blocks import blocks
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from duologue.protocol import codec
from duologue.protocol.model import UnknownEvent
from duologue.protocol.validate import validate
from duologue.server import Listener, LocalServer, create_app
from duologue.server.engine.scripted import ScriptedTranscriber, scripted_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

SPEECH = base64.b64encode(b"\x00\x30" * 12_000 + bytes(48_000)).decode()
APPEND = {"type": "session.input_audio_buffer.append", "audio": SPEECH}
UPDATE = {
    "type": "session.update",
    "session": {
        "audio": {
            "input": {"transcription": {"model": "gpt-realtime-whisper"}},
            "output": {"language": "es"},
        }
    },
}
pytestmark = pytest.mark.asyncio


async def until(connection: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Return the events up to one of a type; each must be what the types of the surface say."""
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while not events or events[-1]["type"] != kind:
            frame = await connection.recv()
            event = codec.decode(frame, surface="translation")
            assert not isinstance(event, UnknownEvent)
            assert not validate(event)
            events.append(json.loads(frame))
    return events


def said(events: list[dict[str, Any]], side: str) -> str:
    kind = f"session.{side}_transcript.delta"
    return "".join(event["delta"] for event in events if event["type"] == kind)


async def test_speech_comes_out_in_another_language(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text(
        'transcripts = ["Hello there.", "How are you?"]\n'
        '[translations]\n"Hello there." = "Buenos días."\n'
    )
    async with (
        LocalServer(f"scripted:{script}") as server,
        connect(server.url + "/translations?model=gpt-realtime-translate") as connection,
    ):
        [created] = await until(connection, "session.created")
        assert created["session"]["type"] == "translation"
        for event in (UPDATE, APPEND, APPEND, {"type": "session.close"}):
            await connection.send(json.dumps(event))
        events = await until(connection, "session.closed")
        with pytest.raises(ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1000
    assert events[0]["type"] == "session.updated"
    assert said(events, "input") == "Hello there. How are you?"
    assert said(events, "output") == "Buenos días. [es] How are you?"
    audio = [event for event in events if event["type"] == "session.output_audio.delta"]
    assert sum(len(base64.b64decode(event["delta"])) for event in audio) > 48_000
    assert audio[0]["elapsed_ms"] < audio[-1]["elapsed_ms"]
    [session] = server.sessions
    assert [event.type for event in session.received] == [
        "session.update",
        "session.input_audio_buffer.append",
        "session.input_audio_buffer.append",
        "session.close",
    ]


async def test_an_engine_that_does_not_translate_says_so_and_the_session_lives() -> None:
    engine = replace(scripted_engine(), translator=None)
    listener = Listener()
    with closing(listener):
        async with (
            listener.serving(create_app(engine)),
            connect(listener.url + "/translations") as connection,
        ):
            await until(connection, "session.created")
            await connection.send(json.dumps(APPEND))
            [error] = await until(connection, "error")
            assert "not supported by this engine" in error["error"]["message"]
            await connection.send(json.dumps(UPDATE))
            await until(connection, "session.updated")


class DeafTranscriber(ScriptedTranscriber):
    """Fails."""

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        raise RuntimeError("no ears")
        yield ""


async def test_speech_that_cannot_be_understood_is_told_and_the_session_lives() -> None:
    async with (
        LocalServer(stt=DeafTranscriber()) as server,
        connect(server.url + "/translations") as connection,
    ):
        await until(connection, "session.created")
        await connection.send(json.dumps(APPEND))
        [error] = await until(connection, "error")
        assert (error["error"]["code"], error["error"]["message"]) == (
            "translation_failed",
            "no ears",
        )
        await connection.send(json.dumps({"type": "session.close"}))
        await until(connection, "session.closed")


async def test_a_translator_of_your_own_takes_the_words(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "page"}
    exec(blocks("server/events.md", "python")[0], namespace)  # noqa: S102  # our own page
    script = tmp_path / "script.toml"
    script.write_text('transcripts = ["Hello there."]\n')
    app = await namespace["make_app"](f"scripted:{script}")
    with closing(Listener()) as listener:
        async with (
            listener.serving(app),
            connect(listener.url + "/translations") as connection,
        ):
            for event in (APPEND, {"type": "session.close"}):
                await connection.send(json.dumps(event))
            events = await until(connection, "session.closed")
    assert said(events, "output") == "HELLO THERE."


async def test_a_client_secret_opens_a_translation_session() -> None:
    async with LocalServer() as server:
        base = server.url.removesuffix("/realtime").replace("ws:", "http:")
        async with AsyncOpenAI(api_key="any", base_url=base) as client:
            secret = await client.realtime.translations.client_secrets.create(
                session={
                    "model": "gpt-realtime-translate",
                    "audio": {"output": {"language": "fr"}},
                }
            )
        headers = {"Authorization": f"Bearer {secret.value}"}
        async with connect(server.url + "/translations", additional_headers=headers) as connection:
            [created] = await until(connection, "session.created")
        with pytest.raises(InvalidStatus):
            await connect(server.url, additional_headers=headers)
    assert created["session"]["audio"]["output"] == {"language": "fr"}

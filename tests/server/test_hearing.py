"""Hearing over real sockets: recorded speech, telephones' formats, silence that lasts."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect

from duologue.audio.streams import decoder, encoder
from duologue.audio.wav import read_wav
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format
from duologue.server import LocalServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

AUDIO = Path(__file__).parents[1] / "data" / "audio"
STARTED, STOPPED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def connected(server: LocalServer, **options: Any) -> AsyncIterator[ClientConnection]:
    async with connect(server.url, **options) as connection:
        await until(connection, "session.created")
        yield connection


async def send(connection: ClientConnection, type_: str, **event: Any) -> None:
    await connection.send(json.dumps({"type": type_, **event}))


async def listen(connection: ClientConnection, **input_audio: Any) -> None:
    session = {"type": "realtime", "audio": {"input": input_audio}}
    await send(connection, "session.update", session=session)
    await until(connection, "session.updated")


async def until(connection: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """Return the events up to one of this type."""
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not events or events[-1]["type"] != kind:
            events.append(json.loads(await connection.recv()))
            assert events[-1]["type"] != "error", events[-1]
    return events


async def play(connection: ClientConnection, audio: bytes, *, chunk: int = 4800) -> None:
    for start in range(0, len(audio), chunk):
        part = base64.b64encode(audio[start : start + chunk]).decode()
        await send(connection, "input_audio_buffer.append", audio=part)


def recording(name: str, *, silence_ms: int = 0) -> bytes:
    return read_wav(AUDIO / f"{name}.wav") + bytes(PCM16.bytes(silence_ms))


def encoded(pcm: bytes, format_: Format) -> bytes:
    stream = encoder(format_)
    return stream.feed(pcm) + stream.finish()


async def stops(connection: ClientConnection) -> int:
    """Speak the sentence with a pause; return how many turns it was."""
    await play(connection, recording("pause_midturn", silence_ms=1500))
    await send(connection, "conversation.item.create", item=MARK)
    events = await until(connection, "conversation.item.done")
    while events[-1]["item"]["role"] != "system":
        events += await until(connection, "conversation.item.done")
    return sum(event["type"] == STOPPED for event in events)


MARK: dict[str, Any] = {
    "type": "message",
    "role": "system",
    "content": [{"type": "input_text", "text": "until here"}],
}


async def test_a_pause_splits_a_sentence_under_server_vad_and_not_under_semantic_vad() -> None:
    async with LocalServer() as server:
        async with connected(server) as connection:
            await listen(connection, turn_detection={"type": "server_vad"})
            assert await stops(connection) == 2
        async with connected(server) as connection:
            await listen(connection, turn_detection={"type": "semantic_vad"})
            assert await stops(connection) == 1


class Dictation:
    """Writes what `pause_midturn` says, as far as it has got."""

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        whole = len(pcm) > PCM16.bytes(3000)
        yield "I would like to book a table for two people on Friday." if whole else "I would like"


class WordReader:
    """Waits for a full stop; remembers what it has read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def score(self, words: str) -> float:
        self.read.append(words)
        return 1.0 if words.endswith(".") else 0.0


async def test_words_end_a_turn_long_before_the_time_out() -> None:
    reader = WordReader()
    async with LocalServer(stt=Dictation(), turn=reader) as server, connected(server) as connection:
        transcription = {"model": "whisper-1"}
        detection = {"type": "semantic_vad", "eagerness": "low"}
        await listen(connection, turn_detection=detection, transcription=transcription)
        await play(connection, recording("pause_midturn", silence_ms=600), chunk=9600)
        events = await until(connection, "response.done")
    assert [event["type"] for event in events].count(STOPPED) == 1
    [completed] = [e for e in events if e["type"].endswith("transcription.completed")]
    assert completed["transcript"] == reader.read[-1]
    assert completed["transcript"].endswith("on Friday.")


async def test_noise_starts_nothing() -> None:
    async with LocalServer() as server, connected(server) as connection:
        await play(connection, recording("room_noise") * 4)
        await send(connection, "conversation.item.create", item=MARK)
        events = await until(connection, "conversation.item.done")
        assert [event["type"] for event in events] == [
            "conversation.item.added",
            "conversation.item.done",
        ]


async def test_a_telephone_is_heard_in_one_law_and_answered_in_the_other() -> None:
    async with LocalServer() as server, connected(server) as connection:
        formats = {
            "input": {"format": {"type": "audio/pcmu"}},
            "output": {"format": {"type": "audio/pcma"}},
        }
        await send(connection, "session.update", session={"type": "realtime", "audio": formats})
        await until(connection, "session.updated")
        await play(connection, encoded(recording("hello", silence_ms=600), G711_ULAW), chunk=160)
        events = await until(connection, "response.done")
    kinds = [event["type"] for event in events]
    assert kinds.index(STARTED) < kinds.index(STOPPED) < kinds.index("response.created")
    check_tones(events, "response.output_audio", G711_ALAW)


async def test_a_beta_telephone_is_heard_and_answered() -> None:
    beta = {"additional_headers": {"OpenAI-Beta": "realtime=v1"}}
    async with LocalServer() as server, connected(server, **beta) as connection:
        session = {"input_audio_format": "g711_alaw", "output_audio_format": "g711_ulaw"}
        await send(connection, "session.update", session=session)
        [*_, updated] = await until(connection, "session.updated")
        assert updated["session"].items() >= session.items()
        await play(connection, encoded(recording("hello", silence_ms=600), G711_ALAW), chunk=160)
        events = await until(connection, "response.done")
    check_tones(events, "response.audio", G711_ULAW)


def check_tones(events: list[dict[str, Any]], name: str, format_: Format) -> None:
    """Check that an answer in a format lasts as long as its words: 60 ms a character."""
    deltas = [event["delta"] for event in events if event["type"] == f"{name}.delta"]
    heard = b"".join(base64.b64decode(delta) for delta in deltas)
    [words] = [e["transcript"] for e in events if e["type"] == f"{name}_transcript.done"]
    assert format_.ms(len(heard)) == 60 * len(words.strip())
    assert max(decoder(format_).feed(heard), key=abs)


async def test_silence_after_an_answer_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    clock, passed = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: clock() + passed)
    async with LocalServer() as server, connected(server) as connection:
        detection = {"type": "server_vad", "idle_timeout_ms": 30_000}
        await listen(connection, turn_detection=detection)
        await play(connection, recording("hello", silence_ms=600))
        await until(connection, "response.done")
        passed = 45.0  # the answer lasts some seconds
        await play(connection, bytes(48_000))
        events = await until(connection, "response.done")
    kinds = [event["type"] for event in events if event["type"] != "rate_limits.updated"]
    assert kinds[:5] == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert events[-1]["response"]["status"] == "completed"

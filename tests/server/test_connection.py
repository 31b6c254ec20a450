"""What the edge adds to the core: tasks, faults of an engine, slow readers."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from typing import TYPE_CHECKING, Any, cast

import pytest
from websockets.asyncio.client import connect
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.uri import parse_uri

from duologue.protocol import ga
from duologue.server import Limits, LocalServer, asgi_transport, send_queue
from duologue.server import connection as connection_module
from duologue.server.engine.scripted import ScriptedBrain, ScriptedTranscriber, ToneSynthesizer
from duologue.server.engine.stages import BrainRequest, Call, Say, TokenCount
from duologue.server.faults import Delay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

    from duologue.server.engine.stages import BrainEvent

DELTA = "response.output_audio.delta"
SPEECH = base64.b64encode(b"\x00\x30" * 12_000 + bytes(24_000)).decode()


async def send(connection: ClientConnection, **event: Any) -> None:
    await connection.send(json.dumps(event))


async def receive(connection: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while True:
            event: dict[str, Any] = json.loads(await connection.recv())
            if event["type"] == kind:
                return event


class DeafTranscriber(ScriptedTranscriber):
    """Fails."""

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        raise RuntimeError("no ears")
        yield ""


class ScriptOfEvents(ScriptedBrain):
    """Yields what it is given; its warming fails."""

    def __init__(self, *events: BrainEvent) -> None:
        super().__init__()
        self.events = events
        self.is_closed = asyncio.Event()

    async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
        try:
            for event in self.events:
                yield event
        finally:
            self.is_closed.set()

    async def warm(self, request: BrainRequest) -> None:
        raise RuntimeError("cold")


@pytest.mark.asyncio
async def test_a_turn_whose_words_cannot_be_found_is_told_and_answered() -> None:
    async with LocalServer(stt=DeafTranscriber()) as server, connect(server.url) as connection:
        audio = {"input": {"transcription": {"model": "whisper-1"}}}
        await send(connection, type="session.update", session={"type": "realtime", "audio": audio})
        await send(connection, type="input_audio_buffer.append", audio=SPEECH)
        failed = await receive(connection, "conversation.item.input_audio_transcription.failed")
        assert failed["error"]["message"] == "no ears"
        done = await receive(connection, "response.done")
        assert done["response"]["status"] == "completed"


@pytest.mark.asyncio
async def test_words_calls_and_counts_of_a_brain_reach_the_client() -> None:
    brain = ScriptOfEvents(
        Say("One moment."), Call("look", "{}"), TokenCount(50, 20, 7, truncated=True)
    )
    async with LocalServer(brain) as server, connect(server.url) as connection:
        await send(connection, type="session.update", session={"type": "realtime"})
        await send(connection, type="response.create")
        done = await receive(connection, "response.done")
    response = done["response"]
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]
    assert response["status"] == "incomplete"
    assert response["usage"]["input_token_details"]["cached_tokens"] == 20
    assert response["usage"]["output_token_details"]["text_tokens"] == 7


@pytest.mark.asyncio
async def test_a_cancelled_answer_closes_the_brain_that_waits_for_the_voice() -> None:
    brain = ScriptOfEvents(Say("A long sentence that takes its time. "), Say("And another one. "))
    async with (
        LocalServer(brain, tts=ToneSynthesizer(pace=0.01)) as server,
        connect(server.url) as connection,
    ):
        await send(connection, type="response.create")
        await receive(connection, "response.output_audio.delta")
        assert not brain.is_closed.is_set()
        await send(connection, type="response.cancel")
        async with asyncio.timeout(5):
            await brain.is_closed.wait()


async def flood(connection: ClientConnection, frame: str) -> None:
    async with asyncio.timeout(15):
        while True:
            await connection.send(frame)


@pytest.mark.asyncio
async def test_a_client_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_queue, "ROOM_BYTES", 50_000)
    monkeypatch.setattr(connection_module, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(asgi_transport, "FLUSH_SECONDS", 0.2)
    monkeypatch.setattr(asgi_transport, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr("duologue.server.listening.CUT_SECONDS", 0.1)
    async with (
        LocalServer() as server,
        connect(server.url, max_queue=1) as connection,
    ):
        text = "x" * 1000
        item = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": text}],
        }
        frame = json.dumps({"type": "conversation.item.create", "item": item})
        with pytest.raises(ConnectionClosed):
            await flood(connection, frame)


@pytest.mark.asyncio
async def test_an_update_while_the_brain_warms_starts_anew() -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        for text in ("one", "two", "three"):
            session = {"type": "realtime", "instructions": text}
            await send(connection, type="session.update", session=session)
        updated = [await receive(connection, "session.updated") for _ in range(3)]
        assert [event["session"]["instructions"] for event in updated] == ["one", "two", "three"]


@pytest.mark.asyncio
async def test_a_client_that_asks_for_much_and_reads_it_is_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(send_queue, "ROOM_BYTES", 50_000)
    async with LocalServer() as server, connect(server.url) as connection:
        part = {"type": "input_audio", "audio": base64.b64encode(bytes(96_000)).decode()}
        item = {"id": "big", "type": "message", "role": "user", "content": [part]}
        await send(connection, type="conversation.item.create", item=item)
        for _ in range(40):
            await send(connection, type="conversation.item.retrieve", item_id="big")
        for _ in range(40):
            await receive(connection, "conversation.item.retrieved")


@pytest.mark.asyncio
async def test_a_session_ends_when_its_time_is_up() -> None:
    server = LocalServer(limits=Limits(session_seconds=0.06))
    async with server, connect(server.url) as connection:
        error = await receive(connection, "error")
        assert error["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed) as closed:
            await receive(connection, "nothing")
    assert closed.value.rcvd is not None
    reason = "Your session hit the maximum duration of 0.001 minutes."
    assert error["error"]["message"] == reason
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, reason)


@pytest.mark.asyncio
async def test_a_session_ends_in_time_although_a_delayed_response_goes_on() -> None:
    class Talker(ScriptedBrain):
        async def respond(self, request: BrainRequest) -> AsyncIterator[BrainEvent]:
            for number in range(1000):
                yield Say(f"Sentence {number}. ")
                await asyncio.sleep(0.01)

    limits = Limits(session_seconds=0.2)
    server = LocalServer(Talker(), faults=[Delay(0.1)], limits=limits)
    async with server, connect(server.url) as connection:
        await send(connection, type="response.create")
        with pytest.raises(ConnectionClosed) as closed:
            await receive(connection, "response.done")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


async def silent_client(
    url: str, *frames: dict[str, Any]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection whose client has sent frames and reads nothing."""
    host, _, port = url.removeprefix("ws://").partition("/")[0].partition(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    client = ClientProtocol(parse_uri(url))
    client.send_request(client.connect())
    writer.write(b"".join(client.data_to_send()))
    client.receive_data(await reader.readuntil(b"\r\n\r\n"))
    for frame in frames:
        client.send_text(json.dumps(frame).encode())
    writer.write(b"".join(client.data_to_send()))
    cast("asyncio.Transport", writer.transport).pause_reading()
    return reader, writer


LONG_ANSWER = {
    "type": "response.create",
    "response": {
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hear me out. " * 4000}],
            }
        ]
    },
}


@pytest.mark.asyncio
async def test_a_client_that_neither_reads_nor_says_anything_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_module, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(asgi_transport, "FLUSH_SECONDS", 0.2)
    monkeypatch.setattr(asgi_transport, "CLOSE_SECONDS", 0.1)
    async with LocalServer() as server:
        _, writer = await silent_client(server.url, LONG_ANSWER)
        async with asyncio.timeout(10):
            await server.sessions[0].wait_closed()
        assert "response.done" not in [event.type for event in server.sessions[0].sent]
        writer.close()


@pytest.mark.asyncio
async def test_a_session_whose_time_is_over_ends_though_nobody_reads_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asgi_transport, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(asgi_transport, "FLUSH_SECONDS", 0.3)
    async with LocalServer(limits=Limits(session_seconds=0.1)) as server:
        _, writer = await silent_client(server.url, LONG_ANSWER)
        async with asyncio.timeout(10):
            await server.sessions[0].wait_closed()
        sent = server.sessions[0].sent
        errors = [event.error.code for event in sent if isinstance(event, ga.RealtimeErrorEvent)]
        assert errors == ["session_expired"]
        writer.close()


@pytest.mark.asyncio
async def test_a_server_that_stops_cuts_a_client_that_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("duologue.server.listening.STOP_SECONDS", 0.1)
    part = {"type": "input_text", "text": "x" * (7 << 20)}  # twice, more than the system keeps
    item = {"type": "message", "role": "user", "content": [part]}
    async with LocalServer() as server:
        reader, writer = await silent_client(
            server.url,
            {"type": "conversation.item.create", "item": item},
            {"type": "conversation.item.create", "item": item},
        )
        await server.sessions[0].wait_for("conversation.item.done", nth=2)
    cast("asyncio.Transport", writer.transport).resume_reading()
    async with asyncio.timeout(5):
        found = await reader.read()
    writer.close()
    assert len(found) < 15 << 20, "the rest went with the server"

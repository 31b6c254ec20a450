"""Our server's events, in the order in which OpenAI's and Azure's came for the same client."""

from __future__ import annotations

import asyncio
import json
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from pybase64 import b64encode
from tests.server.recordings import Recording, recordings, the_order_of, the_words_of
from websockets.asyncio.client import connect

from duologue.protocol.formats import PCM16
from duologue.server import LocalServer
from duologue.server.engine.script import Rule, Step
from duologue.server.engine.scripted import ScriptedBrain, ScriptedTranscriber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from websockets.asyncio.client import ClientConnection

TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object"}}
TURN = array("h", [8000] * (PCM16.bytes(400) // 2)).tobytes() + bytes(PCM16.bytes(600))
HISTORY = [("user", "input_text"), ("assistant", "output_text"), ("user", "input_text")]


class DeafTranscriber(ScriptedTranscriber):
    """Fails, as Azure's does without a deployment."""

    async def transcribe(
        self, pcm: bytes, *, language: str | None, prompt: str | None
    ) -> AsyncIterator[str]:
        raise RuntimeError("no such deployment")
        yield ""


class Replay:
    """The recorded client, before our server."""

    def __init__(self, recording: Recording, connection: ClientConnection) -> None:
        self._recording = recording
        self._connection = connection
        self._call_id = ""
        self._messages = iter(HISTORY if "history" in recording.name else HISTORY[:1])
        self.received: list[str] = []

    async def run(self) -> None:
        """Send each event when the recorded client sent it, and hear the session to its end."""
        told: Counter[str] = Counter()
        ways = ["<", *(way for way, _ in self._recording.events)]
        for before, (way, kind) in zip(ways, self._recording.events, strict=False):
            if way == "<":
                told[kind] += not kind.endswith((".delta", "rate_limits.updated"))
            elif kind != "input_audio_buffer.append":
                await self._until(told)
                await self._send(kind)
            elif before == "<" and self._is_next_turn(told):
                await self._until(told)
                await self._send_audio()
        await self._until(told)

    def _is_next_turn(self, told: Counter[str]) -> bool:
        return told["response.done"] == told["input_audio_buffer.speech_started"]

    async def _until(self, told: Counter[str]) -> None:
        """Wait until as much was received as the recorded client had received."""
        async with asyncio.timeout(10):
            while told - Counter(self.received):
                event = json.loads(await self._connection.recv())
                self.received.append(event["type"])
                self._call_id = event.get("call_id", self._call_id)

    async def _send_audio(self) -> None:
        event = {"type": "input_audio_buffer.append", "audio": b64encode(TURN).decode()}
        await self._connection.send(json.dumps(event))

    async def _send(self, kind: str) -> None:
        body: dict[str, Any] = {"type": kind}
        if kind == "session.update":
            body["session"] = self._session()
        elif kind == "conversation.item.create":
            body["item"] = self._item()
        await self._connection.send(json.dumps(body))

    def _session(self) -> dict[str, Any]:
        speaks = "response.output_audio.done" in self._recording.received
        heard = bool(the_words_of(self._recording.received))
        transcription = {"model": "whisper-1"} if heard else None
        return {
            "type": "realtime",
            "output_modalities": ["audio" if speaks else "text"],
            "tools": [TOOL] if "tool" in self._recording.name else [],
            "audio": {"input": {"transcription": transcription}},
        }

    def _item(self) -> dict[str, Any]:
        if self._call_id:
            return {"type": "function_call_output", "call_id": self._call_id, "output": "mild"}
        role, part = next(self._messages)
        content = [{"type": part, "text": "What about the weather?"}]
        return {"type": "message", "role": role, "content": content}


def brain_of(recording: Recording) -> ScriptedBrain:
    """Return a brain that makes what the recorded one made."""
    if "function_call_arguments" not in " ".join(recording.received):
        return ScriptedBrain()
    first = recording.received.index("response.output_item.added")
    says = recording.received[first + 2] == "response.content_part.added"
    steps = [Step(say="Let me look."), Step(call="get_weather", arguments={})]
    return ScriptedBrain([Rule(match="weather", use="once", steps=steps if says else steps[1:])])


@pytest.mark.asyncio
@pytest.mark.parametrize("recording", recordings(), ids=str)
async def test_events_come_in_the_recorded_order(recording: Recording) -> None:
    fails = "failed" in the_words_of(recording.received)
    stt = DeafTranscriber() if fails else ScriptedTranscriber(["How is the weather?"] * 3)
    async with (
        LocalServer(brain_of(recording), stt=stt) as server,
        connect(server.url) as connection,
    ):
        replay = Replay(recording, connection)
        await replay.run()
    assert the_order_of(replay.received) == the_order_of(recording.received)
    assert the_words_of(replay.received) == the_words_of(recording.received)

"""Items as an application gets them: made, written as JSON, with the time of the user's speech."""

from __future__ import annotations

import json

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import FormattedItem, ItemCompleted, ItemSpeech
from duologue.protocol import ga


@pytest.mark.asyncio
async def test_a_spoken_message_has_the_time_of_its_speech() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        client.append_input_audio(bytes(48 * 2000))
        about = {"item_id": "item_u"}
        server.send("input_audio_buffer.speech_started", **about, audio_start_ms=200)
        server.send("input_audio_buffer.speech_stopped", **about, audio_end_ms=1200)
        server.send("input_audio_buffer.committed", **about, previous_item_id=None)
        content = [{"type": "input_audio", "transcript": None}]
        item = {"id": "item_u", "type": "message", "role": "user", "content": content}
        server.send("conversation.item.added", item=item, previous_item_id=None)
        added = (await client.wait_for_next(ItemCompleted, timeout=5)).item
        assert added.speech == ItemSpeech(200, 1200)
        assert client.conversation.item("item_u").speech == ItemSpeech(200, 1200)
        assert added.formatted.audio_bytes == 48 * 1000
        assert added.to_dict()["speech"] == {"audio_start_ms": 200, "audio_end_ms": 1200}


def test_an_item_is_made_without_a_session_and_written_as_json() -> None:
    parts: list[ga.ContentPart] = [
        ga.OutputText(text="Hello "),
        ga.OutputAudio(transcript="there"),
        ga.UnknownPart(raw={"type": "smell", "of": "roses"}),
    ]
    message = ga.Message(id="item_1", role="assistant", content=parts, status="completed")
    item = FormattedItem.of(message, audio=b"abc")
    assert (item.id, item.role, item.status) == ("item_1", "assistant", "completed")
    assert item.content == tuple(parts)
    fields = json.loads(json.dumps(item.to_dict()))
    assert fields == {
        "id": "item_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [
            {"type": "output_text", "text": "Hello "},
            {"type": "output_audio", "transcript": "there"},
            {"type": "smell", "of": "roses"},
        ],
        "formatted": {
            "text": "Hello ",
            "transcript": "there",
            "audio": "YWJj",
            "tool": None,
            "output": None,
        },
    }


def test_a_call_and_its_output_are_written_as_json() -> None:
    call = ga.FunctionCall(name="add", arguments="{}", call_id="call_1")
    written = FormattedItem.of(call).to_dict()
    assert written["role"] is None
    assert FormattedItem.of(call).formatted.to_dict()["tool"] == {
        "name": "add",
        "call_id": "call_1",
        "arguments": "{}",
        "type": "function",
    }
    output = ga.FunctionCallOutput(call_id="call_1", output="3")
    assert FormattedItem.of(output).formatted.to_dict()["output"] == "3"

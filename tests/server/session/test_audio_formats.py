"""A session's audio in the formats of telephones, each way."""

from __future__ import annotations

import base64
import math
import sys
from array import array
from typing import Any

import pytest
from tests.server.session.conftest import Harness

from duologue.audio.streams import encoder
from duologue.protocol import ga
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format
from duologue.server.engine.scripted import EnergyVad
from duologue.server.session.engine_work import NO_TOKENS, Respond, Transcribe

FORMATS = pytest.mark.parametrize("format_", [G711_ULAW, G711_ALAW], ids=["ulaw", "alaw"])


def tone(ms: int) -> bytes:
    step = 2 * math.pi * 400 / PCM16.rate_hz
    count = PCM16.rate_hz * ms // 1000
    return array("h", (round(8000 * math.sin(step * n)) for n in range(count))).tobytes()


def encoded(pcm: bytes, format_: Format) -> bytes:
    stream = encoder(format_)
    return stream.feed(pcm) + stream.finish()


def silence(ms: int, format_: Format) -> bytes:
    return encoded(bytes(PCM16.bytes(ms)), format_)


def hears(harness: Harness, format_: Format, **audio: Any) -> list[str]:
    return harness.configure(audio={"input": {"format": {"type": format_.name}, **audio}})


def speaks(harness: Harness, format_: Format) -> list[str]:
    return harness.configure(audio={"output": {"format": {"type": format_.name}}})


def append(harness: Harness, audio: bytes, *, chunk: int = 160) -> list[str]:
    types: list[str] = []
    for start in range(0, len(audio), chunk):
        harness.session.receive(
            ga.InputAudioBufferAppendEvent.of(audio[start : start + chunk]), harness.now
        )
        types += harness.take()
    return types


def transcribed(harness: Harness) -> bytes:
    return next(c.pcm for c in reversed(harness.commands) if isinstance(c, Transcribe))


def answer(harness: Harness, ms: int, params: dict[str, Any] | None = None) -> bytes:
    """Let the engine say a tone; return the audio that the client hears."""
    harness.send({"type": "response.create", "response": params or {}})
    [*_, asked] = [c for c in harness.commands if isinstance(c, Respond)]
    engine = harness.engine
    engine.text(asked.response_id, "Beep.")
    pcm = tone(ms)
    for start in range(0, len(pcm), 960):
        engine.audio(asked.response_id, pcm[start : start + 960])
    harness.take()
    engine.finish(asked.response_id, NO_TOKENS)
    harness.take()
    deltas = [
        event.audio_data
        for event in harness.events
        if isinstance(event, ga.ResponseAudioDeltaEvent) and event.response_id == asked.response_id
    ]
    assert all(deltas), "no delta is empty"
    return b"".join(deltas)


def retrieved(harness: Harness) -> bytes:
    item_id = harness.session.conversation.last_id
    harness.send({"type": "conversation.item.retrieve", "item_id": item_id})
    event = harness.last("conversation.item.retrieved")
    assert isinstance(event, ga.ConversationItemRetrieved)
    assert isinstance(event.item, ga.Message)
    part = event.item.content[0]
    assert isinstance(part, ga.InputAudio | ga.OutputAudio)
    return base64.b64decode(str(part.audio))


def error_of(harness: Harness) -> ga.RealtimeError:
    event = harness.last("error")
    assert isinstance(event, ga.RealtimeErrorEvent)
    return event.error


@FORMATS
def test_turns_are_found_on_the_same_clock(format_: Format) -> None:
    harness = Harness(score=EnergyVad().score)  # silence in A-law is not quite zero
    assert hears(harness, format_) == ["session.updated"]
    audio = silence(1000, format_) + encoded(tone(600), format_) + silence(600, format_)
    types = append(harness, audio)
    assert types[:3] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
    ]
    started = harness.last("input_audio_buffer.speech_started")
    stopped = harness.last("input_audio_buffer.speech_stopped")
    assert isinstance(started, ga.InputAudioBufferSpeechStartedEvent)
    assert isinstance(stopped, ga.InputAudioBufferSpeechStoppedEvent)
    assert abs(started.audio_start_ms - 700) <= 32
    assert abs(stopped.audio_end_ms - 1800) <= 48


@FORMATS
def test_what_is_committed_by_hand_is_whole(harness: Harness, format_: Format) -> None:
    hears(harness, format_, turn_detection=None)
    append(harness, encoded(tone(100), format_))
    committed = harness.send({"type": "input_audio_buffer.commit"})
    assert committed[0] == "input_audio_buffer.committed"
    assert len(transcribed(harness)) == PCM16.bytes(100)
    append(harness, encoded(tone(99), format_))
    assert harness.send({"type": "input_audio_buffer.commit"}) == ["error"]
    assert error_of(harness).message.endswith("buffer only has 99.00ms of audio.")


@FORMATS
def test_answers_are_heard_in_the_client_s_format(harness: Harness, format_: Format) -> None:
    speaks(harness, format_)
    heard = answer(harness, 1000)
    assert len(heard) == format_.bytes(1000)
    assert heard == encoded(tone(1000), format_)
    done = harness.last("response.done")
    assert isinstance(done, ga.ResponseDoneEvent)
    assert done.response.audio.output.format.__struct_config__.tag == format_.name  # type: ignore[union-attr]


def test_one_answer_may_be_in_another_format(harness: Harness) -> None:
    params = {"audio": {"output": {"format": {"type": "audio/pcma"}}}}
    assert len(answer(harness, 500, params)) == G711_ALAW.bytes(500)
    assert len(answer(harness, 500)) == PCM16.bytes(500)


@FORMATS
def test_milliseconds_are_the_same_in_every_format(harness: Harness, format_: Format) -> None:
    speaks(harness, format_)
    answer(harness, 1000)
    cut: dict[str, object] = {
        "type": "conversation.item.truncate",
        "item_id": harness.session.conversation.last_id,
        "content_index": 0,
    }
    assert harness.send(cut | {"audio_end_ms": 1001}) == ["error"]
    assert harness.send(cut | {"audio_end_ms": 400}) == ["conversation.item.truncated"]
    assert len(retrieved(harness)) == format_.bytes(400)


@FORMATS
def test_items_come_and_go_in_the_session_s_formats(harness: Harness, format_: Format) -> None:
    hears(harness, format_)
    sent = encoded(tone(300), format_)
    part = {"type": "input_audio", "audio": base64.b64encode(sent).decode()}
    item = {"type": "message", "role": "user", "content": [part]}
    harness.send({"type": "conversation.item.create", "item": item})
    assert len(transcribed(harness)) == PCM16.bytes(300)
    assert len(retrieved(harness)) == len(sent)
    harness.engine.transcript(str(harness.session.conversation.last_id), "beep")
    answer(harness, 200)
    assert retrieved(harness) == tone(200)


def test_input_of_a_response_is_in_the_session_s_format(harness: Harness) -> None:
    hears(harness, G711_ULAW)
    audio = base64.b64encode(encoded(tone(300), G711_ULAW)).decode()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
    params = {"input": [item], "conversation": "none"}
    harness.send({"type": "response.create", "response": params})
    assert len(transcribed(harness)) == PCM16.bytes(300)


def test_a_format_may_change_between_two_appends(harness: Harness) -> None:
    hears(harness, G711_ULAW, turn_detection=None)
    append(harness, encoded(tone(250), G711_ULAW))
    hears(harness, G711_ALAW)
    append(harness, encoded(tone(250), G711_ALAW))
    harness.configure(audio={"input": {"format": {"type": "audio/pcm", "rate": 24000}}})
    append(harness, tone(500), chunk=960)
    harness.send({"type": "input_audio_buffer.commit"})
    assert len(transcribed(harness)) == PCM16.bytes(1000)


def test_a_cleared_buffer_leaves_nothing_behind(harness: Harness) -> None:
    hears(harness, G711_ULAW, turn_detection=None)
    append(harness, encoded(tone(250), G711_ULAW))
    harness.send({"type": "input_audio_buffer.clear"})
    append(harness, encoded(tone(100), G711_ULAW))
    harness.send({"type": "input_audio_buffer.commit"})
    assert len(transcribed(harness)) == PCM16.bytes(100)


@pytest.mark.parametrize("side", ["input", "output"])
def test_without_its_packages_the_format_is_refused_by_name(
    harness: Harness, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duologue.audio.g711", None)
    audio = {side: {"format": {"type": "audio/pcmu"}}}
    assert harness.configure(audio=audio) == ["error"]
    error = error_of(harness)
    assert (error.code, error.param) == ("invalid_value", f"session.audio.{side}.format")
    assert "pip install 'duologue[audio]'" in error.message
    params = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    assert harness.send({"type": "response.create", "response": params}) == ["error"]
    assert error_of(harness).param == "response.audio.output.format"
    assert len(answer(harness, 100)) == PCM16.bytes(100)

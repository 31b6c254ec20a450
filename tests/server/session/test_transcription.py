"""A transcription session: the user's words, and never an answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.server.session.conftest import Harness

from duologue.protocol import codec, ga
from duologue.server.session.config import SessionType
from duologue.server.session.engine_work import PrewarmBrain, Respond, Transcribe

WORDS = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
TURN = [
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]


@pytest.fixture
def harness() -> Harness:
    """A transcription session that has said `session.created`."""
    return Harness(session_type=SessionType.TRANSCRIPTION, model=None)


def configure(harness: Harness, **session: object) -> list[str]:
    return harness.configure(type="transcription", **session)


def shown(harness: Harness, kind: str) -> dict[str, Any]:
    frame: dict[str, Any] = msgspec.json.decode(codec.encode(harness.last(kind)))
    return frame["session"]


def transcribe(harness: Harness) -> Transcribe:
    return next(c for c in reversed(harness.commands) if isinstance(c, Transcribe))


def error_of(harness: Harness) -> ga.RealtimeError:
    event = harness.last("error")
    assert isinstance(event, ga.RealtimeErrorEvent)
    return event.error


def test_it_is_told_as_what_it_is(harness: Harness) -> None:
    assert shown(harness, "session.created") == {
        "type": "transcription",
        "id": "sess_1",
        "object": "realtime.transcription_session",
        "expires_at": 0,
        "include": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 200,
                },
            }
        },
    }


def test_the_model_of_the_connection_is_the_one_that_transcribes() -> None:
    harness = Harness(session_type=SessionType.TRANSCRIPTION, model="my-deployment")
    heard = shown(harness, "session.created")["audio"]["input"]
    transcription = heard["transcription"]
    assert transcription == {"model": "my-deployment", "language": None, "prompt": None}


def test_an_update_changes_the_input_and_is_told_whole(harness: Harness) -> None:
    include = ["item.input_audio_transcription.logprobs"]
    assert configure(harness, include=include, **WORDS) == ["session.updated"]
    session = shown(harness, "session.updated")
    assert session["include"] == include
    assert session["audio"]["input"]["transcription"] == {
        "model": "whisper-1",
        "language": None,
        "prompt": None,
    }
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"


def test_a_spoken_turn_gives_words_and_no_answer(harness: Harness) -> None:
    configure(harness, **WORDS)
    assert harness.say(400) == ["input_audio_buffer.speech_started"]
    assert harness.say(0, silence_ms=300) == TURN
    item_id = transcribe(harness).item_id
    harness.engine.transcript_delta(item_id, "hello")
    harness.engine.transcript(item_id, "hello")
    assert harness.take() == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    assert not [
        command for command in harness.commands if isinstance(command, Respond | PrewarmBrain)
    ]


def test_a_commit_by_hand_gives_words(harness: Harness) -> None:
    audio: dict[str, Any] = {"input": WORDS["audio"]["input"] | {"turn_detection": None}}
    configure(harness, audio=audio)
    assert harness.say(400) == []
    assert harness.send({"type": "input_audio_buffer.commit"}) == TURN[1:]
    harness.engine.transcription_failed(transcribe(harness).item_id, "no ears")
    assert harness.take() == ["conversation.item.input_audio_transcription.failed"]


def test_what_turn_detection_says_of_answers_is_taken_and_without_meaning(
    harness: Harness,
) -> None:
    detection = {
        "type": "server_vad",
        "create_response": True,
        "interrupt_response": True,
        "idle_timeout_ms": 5000,
    }
    assert configure(harness, audio={"input": {"turn_detection": detection}}) == ["session.updated"]
    told = shown(harness, "session.updated")["audio"]["input"]["turn_detection"]
    assert not {"create_response", "interrupt_response", "idle_timeout_ms"} & set(told)


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ({"type": "response.create"}, "invalid_value", "type"),
        ({"type": "response.cancel"}, "invalid_value", "type"),
        (
            {"type": "session.update", "session": {"type": "realtime"}},
            "invalid_parameter",
            "session.type",
        ),
        (
            {
                "type": "session.update",
                "session": {"type": "transcription", "audio": {"output": {"voice": "ash"}}},
            },
            "unknown_parameter",
            "session.audio.output",
        ),
        (
            {
                "type": "session.update",
                "session": {"type": "transcription", "instructions": "Be brief."},
            },
            "unknown_parameter",
            "session.instructions",
        ),
    ],
)
def test_what_belongs_to_a_conversation_is_refused(
    harness: Harness, frame: dict[str, object], code: str, param: str
) -> None:
    assert harness.send(frame | {"event_id": "mine"}) == ["error"]
    error = error_of(harness)
    assert (error.code, error.param, error.event_id) == (code, param, "mine")


def test_an_engine_that_goes_on_after_the_end_says_nothing(harness: Harness) -> None:
    configure(harness, **WORDS)
    harness.say(400, silence_ms=300)
    item_id = transcribe(harness).item_id
    harness.engine.transcript(item_id, "hello")
    harness.take()
    harness.engine.transcript_delta(item_id, "and")
    harness.engine.transcript(item_id, "hello and")
    assert harness.take() == []

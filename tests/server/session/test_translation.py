"""A translation session's core: frames in, events out, the engine played by the test."""

from __future__ import annotations

import itertools
import json
from array import array
from typing import Any

import msgspec
import pytest
from tests.server.session.conftest import loud

from duologue.protocol import codec, ga
from duologue.protocol.formats import PCM16
from duologue.protocol.ga import translation
from duologue.server.session.engine_work import (
    CloseConnection,
    SourceTranscriptChunk,
    Translate,
    TranslationAudioChunk,
    TranslationFailed,
    TranslationFinished,
    TranslationResult,
    TranslationTextChunk,
    TranslationWork,
)
from duologue.server.session.translation import (
    TranslationServerSession,
)
from duologue.server.session.translation_steps import MAX_STRETCH_MS
from duologue.session.contract import SendEvent

APPEND = "session.input_audio_buffer.append"


class Harness:
    """Drives a `TranslationServerSession`; remembers its events and commands."""

    def __init__(self, asked: translation.TranslationSession | None = None) -> None:
        count = itertools.count(1)
        self.session = TranslationServerSession(
            model="gpt-realtime-translate",
            score=loud,
            new_id=lambda prefix: f"{prefix}_{next(count)}",
            requested=asked,
        )
        self.events: list[translation.KnownTranslationServerEvent] = []
        self.commands: list[TranslationWork] = []
        self.take()

    def send(self, frame: dict[str, object]) -> list[str]:
        event = codec.decode(json.dumps(frame), direction="client", surface="translation")
        self.session.receive(event, 0.0)
        return self.take()

    def say(self, ms: int, *, silence_ms: int = 0) -> list[str]:
        sound = array("h", [8000] * (PCM16.bytes(ms) // 2)).tobytes()
        self.session.receive(
            translation.RealtimeTranslationInputAudioBufferAppendEvent.of(
                sound + bytes(PCM16.bytes(silence_ms))
            ),
            0.0,
        )
        return self.take()

    def take(self) -> list[str]:
        new: list[translation.KnownTranslationServerEvent] = []
        for effect in self.session.effects():
            if isinstance(effect, SendEvent):
                new.append(effect.event)
            else:
                self.commands.append(effect)
        self.events += new
        return [event.type for event in new]

    def give(self, *results: TranslationResult) -> None:
        """Hand over results of the engine."""
        for result in results:
            self.session.send(result, 0.0)

    def last(self) -> dict[str, Any]:
        frame: dict[str, Any] = msgspec.json.decode(codec.encode(self.events[-1]))
        return frame

    def stretches(self) -> list[Translate]:
        return [command for command in self.commands if isinstance(command, Translate)]


@pytest.fixture
def harness() -> Harness:
    """A session that has said `session.created`."""
    return Harness()


def wants_words(harness: Harness, **transcription: str) -> None:
    heard = {"transcription": {"model": "gpt-realtime-whisper", **transcription}}
    harness.send({"type": "session.update", "session": {"audio": {"input": heard}}})


def test_the_first_event_is_the_whole_configuration(harness: Harness) -> None:
    assert harness.last() == {
        "type": "session.created",
        "event_id": "event_2",
        "session": {
            "type": "translation",
            "id": "sess_1",
            "model": "gpt-realtime-translate",
            "audio": {
                "input": {"transcription": None, "noise_reduction": None},
                "output": {"language": "en"},
            },
            "expires_at": 0,
        },
    }


def test_an_update_changes_what_it_names_and_tells_the_whole(harness: Harness) -> None:
    audio = {
        "input": {"noise_reduction": {"type": "near_field"}},
        "output": {"language": "es"},
    }
    assert harness.send({"type": "session.update", "session": {"audio": audio}}) == [
        "session.updated"
    ]
    wants_words(harness, language="en")
    assert harness.last()["session"]["audio"] == {
        "input": {
            "transcription": {"model": "gpt-realtime-whisper", "language": "en"},
            "noise_reduction": {"type": "near_field"},
        },
        "output": {"language": "es"},
    }


def test_a_client_secret_says_what_the_session_begins_with() -> None:
    asked = translation.TranslationSession(
        type="translation",
        id="sess_0",
        model="mine",
        audio=translation.TranslationAudio(output=translation.TranslationOutput(language="fr")),
        expires_at=1,
    )
    session = Harness(asked).last()["session"]
    assert (session["model"], session["audio"]["output"]) == ("mine", {"language": "fr"})


def test_speech_is_translated_at_its_pauses_without_a_commit(harness: Harness) -> None:
    wants_words(harness, language="de")
    assert harness.say(600, silence_ms=700) == []
    [asked] = harness.stretches()
    assert (asked.language, asked.source_language) == ("en", "de")
    assert 1000 <= PCM16.ms(len(asked.pcm)) <= 1100
    harness.give(SourceTranscriptChunk("Guten Tag"))
    harness.give(TranslationTextChunk("Good day"))
    harness.give(TranslationAudioChunk(bytes(480)))
    harness.give(TranslationFinished())
    assert harness.take() == [
        "session.input_transcript.delta",
        "session.output_transcript.delta",
        "session.output_audio.delta",
    ]
    audio = harness.last()
    assert audio["elapsed_ms"] == asked.end_ms
    assert (audio["format"], audio["sample_rate"], audio["channels"]) == ("pcm16", 24000, 1)


def test_what_was_said_is_told_to_clients_that_want_to_know_alone(harness: Harness) -> None:
    harness.say(600, silence_ms=700)
    harness.give(SourceTranscriptChunk("Guten Tag"))
    assert harness.take() == []


def test_stretches_are_translated_one_after_the_other(harness: Harness) -> None:
    harness.say(600, silence_ms=700)
    harness.say(600, silence_ms=700)
    assert len(harness.stretches()) == 1
    harness.give(TranslationTextChunk("One."))
    harness.give(TranslationFinished())
    harness.take()
    assert len(harness.stretches()) == 2
    harness.give(TranslationTextChunk("Two."))
    harness.take()
    assert harness.last()["delta"] == " Two."  # clients append deltas as they are


def test_who_speaks_on_and_on_is_translated_before_the_end(harness: Harness) -> None:
    for _ in range(40):
        harness.say(MAX_STRETCH_MS // 30)
    assert harness.stretches()


def test_silence_is_not_translated(harness: Harness) -> None:
    harness.say(0, silence_ms=5000)
    assert harness.stretches() == []


def test_closing_waits_for_what_was_said(harness: Harness) -> None:
    harness.say(600)
    assert harness.send({"type": "session.close"}) == []
    assert harness.stretches()
    assert harness.send({"type": "session.close", "event_id": "again"}) == ["error"]
    harness.give(TranslationTextChunk("Good day"))
    harness.give(TranslationFinished())
    assert harness.take() == ["session.output_transcript.delta", "session.closed"]
    assert isinstance(harness.commands[-1], CloseConnection)


def test_a_session_in_which_nobody_spoke_closes_at_once(harness: Harness) -> None:
    assert harness.send({"type": "session.close"}) == ["session.closed"]


def test_a_stretch_that_cannot_be_translated_is_told_and_the_next_one_is(harness: Harness) -> None:
    harness.say(600, silence_ms=700)
    harness.say(600, silence_ms=700)
    harness.give(TranslationFailed("no tongue", code="translation_failed"))
    assert harness.take() == ["error"]
    error = harness.last()["error"]
    assert (error["type"], error["code"]) == ("server_error", "translation_failed")
    assert len(harness.stretches()) == 2


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ({"type": "response.create"}, "invalid_value", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": {"model": "x"}}, "unknown_parameter", None),
        ({"type": APPEND, "audio": "!!"}, "invalid_value", "audio"),
        ({"type": APPEND, "audio": "AA=="}, "invalid_value", "audio"),
    ],
)
def test_a_refused_event_is_answered_by_one_error_that_names_it(
    harness: Harness, frame: dict[str, object], code: str, param: str | None
) -> None:
    assert harness.send(frame | {"event_id": "mine"}) == ["error"]
    error = harness.last()["error"]
    assert (error["code"], error["event_id"]) == (code, "mine")
    assert error["param"] == (param or "session.model")


def test_too_much_speech_at_once_is_refused(harness: Harness) -> None:
    minute = 60_000
    refused = [kind for _ in range(17) for kind in harness.say(minute, silence_ms=700)]
    assert refused
    assert harness.last()["error"]["code"] == "input_audio_buffer_full"


def test_an_error_that_the_connection_decides_on_is_sent(harness: Harness) -> None:
    error = ga.RealtimeError(type="server_error", code="session_expired", message="Time is up.")
    harness.session.report_error(error, 0.0)
    assert harness.take() == ["error"]
    event = harness.events[-1]
    assert isinstance(event, ga.RealtimeErrorEvent)
    assert event.error.code == "session_expired"

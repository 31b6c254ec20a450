from __future__ import annotations

from array import array
from base64 import b64encode
from typing import Any, get_args

import pytest
from tests.server.session.conftest import Harness

from duologue.protocol import codec, ga
from duologue.protocol.formats import PCM16
from duologue.server.session.engine_work import (
    CancelWork,
    ConversationResult,
    Respond,
    TextTokens,
    Transcribe,
)
from duologue.server.session.idle_timeout import IdleTimedOut
from duologue.server.session.session import REACTIONS
from duologue.server.session.turn_detection import TurnChange

SPOKEN_REPLY = [
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
]
TURN = [
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
]
TEXT_ITEM = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Hello"}],
}


def respond(harness: Harness) -> Respond:
    return next(c for c in reversed(harness.commands) if isinstance(c, Respond))


def transcribe(harness: Harness) -> Transcribe:
    return next(c for c in reversed(harness.commands) if isinstance(c, Transcribe))


def speak_a_turn(harness: Harness, words: str = "hello") -> str:
    """Say something, and return the id of the response that is asked for."""
    harness.say(400, silence_ms=300)
    harness.engine.transcript(transcribe(harness).item_id, words)
    harness.take()
    return respond(harness).response_id


def error_of(harness: Harness) -> ga.RealtimeError:
    event = harness.last("error")
    assert isinstance(event, ga.RealtimeErrorEvent)
    return event.error


def test_the_first_event_is_the_configuration_with_the_wire_defaults(harness: Harness) -> None:
    event = harness.events[0]
    assert isinstance(event, ga.SessionCreatedEvent)
    frame: dict[str, Any] = codec.msgspec.json.decode(codec.encode(event))
    session = frame["session"]
    assert session["type"] == "realtime"
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "create_response": True,
        "interrupt_response": True,
        "idle_timeout_ms": None,
    }
    assert session["audio"]["input"]["transcription"] is None


def test_a_spoken_turn_comes_in_the_recorded_order(harness: Harness) -> None:
    harness.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
    assert harness.say(400) == ["input_audio_buffer.speech_started"]
    assert harness.say(0, silence_ms=300) == TURN
    asked = transcribe(harness)
    harness.engine.transcript_delta(asked.item_id, "hello")
    harness.engine.transcript(asked.item_id, "hello")
    assert harness.take() == [
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]
    response_id = respond(harness).response_id
    engine = harness.engine
    engine.text(response_id, "Hi.")
    engine.audio(response_id, bytes(4800))
    engine.finish(response_id, TextTokens(input=7, output=3))
    assert harness.take() == SPOKEN_REPLY


def test_the_brain_waits_for_the_words_of_the_user(harness: Harness) -> None:
    harness.say(400, silence_ms=300)
    assert not [command for command in harness.commands if isinstance(command, Respond)]
    harness.engine.transcript(transcribe(harness).item_id, "what time is it")
    harness.take()
    message = respond(harness).items[-1]
    assert isinstance(message, ga.Message)
    assert message.content == [ga.InputAudio(transcript="what time is it")]


def test_words_are_not_told_to_a_client_that_did_not_ask(harness: Harness) -> None:
    harness.say(400, silence_ms=300)
    harness.engine.transcript(transcribe(harness).item_id, "hello")
    assert harness.take() == []


def test_a_failed_transcription_is_told_and_answered_without_words(harness: Harness) -> None:
    harness.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
    harness.say(400, silence_ms=300)
    harness.engine.transcription_failed(transcribe(harness).item_id, "out of memory")
    assert harness.take() == ["conversation.item.input_audio_transcription.failed"]
    assert respond(harness)


def test_a_text_turn_comes_in_the_recorded_order(harness: Harness) -> None:
    harness.configure(output_modalities=["text"])
    created = harness.send({"type": "conversation.item.create", "item": TEXT_ITEM})
    assert created == ["conversation.item.added", "conversation.item.done"]
    assert harness.send({"type": "response.create"}) == ["response.created"]
    response_id = respond(harness).response_id
    harness.engine.text(response_id, "Hi")
    harness.engine.text(response_id, " there")
    harness.engine.finish(response_id, TextTokens())
    assert harness.take() == [
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]


def test_a_call_streams_its_arguments_and_is_answered_by_a_message(harness: Harness) -> None:
    harness.send({"type": "conversation.item.create", "item": TEXT_ITEM})
    harness.send({"type": "response.create"})
    asked = respond(harness)
    harness.engine.call(asked.response_id, "get_weather", '{"city":"Paris"}')
    harness.engine.finish(asked.response_id, TextTokens())
    assert harness.take() == [
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    done = harness.last("response.output_item.done")
    assert isinstance(done, ga.ResponseOutputItemDoneEvent)
    assert isinstance(done.item, ga.FunctionCall)
    assert done.item.arguments == '{"city":"Paris"}'
    output = {"type": "function_call_output", "call_id": done.item.call_id, "output": "18"}
    harness.send({"type": "conversation.item.create", "item": output})
    harness.send({"type": "response.create"})
    assert isinstance(respond(harness).items[-1], ga.FunctionCallOutput)


def test_barge_in_closes_everything_that_was_open_and_says_why(harness: Harness) -> None:
    response_id = speak_a_turn(harness)
    harness.engine.text(response_id, "A long story")
    harness.engine.audio(response_id, bytes(48_000))
    harness.take()
    assert harness.say(100) == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    done = harness.last("response.done")
    assert isinstance(done, ga.ResponseDoneEvent)
    assert done.response.status == "cancelled"
    assert done.response.status_details == ga.ResponseStatusDetails(
        type="cancelled", reason="turn_detected"
    )
    assert CancelWork(response_id) in harness.commands
    item = done.response.output[0] if isinstance(done.response.output, list) else None
    assert isinstance(item, ga.Message)
    assert item.status == "incomplete"


def test_without_interrupt_response_the_answer_goes_on(harness: Harness) -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    harness.configure(audio={"input": {"turn_detection": detection}})
    response_id = speak_a_turn(harness)
    assert harness.say(100) == ["input_audio_buffer.speech_started"]
    harness.engine.text(response_id, "still here")
    assert "response.output_audio_transcript.delta" in harness.take()


def test_what_the_engine_says_after_a_cancel_is_dropped(harness: Harness) -> None:
    response_id = speak_a_turn(harness)
    assert "response.done" in harness.send({"type": "response.cancel"})
    engine = harness.engine
    engine.text(response_id, "late")
    engine.audio(response_id, bytes(480))
    engine.call(response_id, "late", "{}")
    engine.finish(response_id, TextTokens())
    assert harness.take() == []


def test_a_truncated_item_keeps_what_was_heard(harness: Harness) -> None:
    response_id = speak_a_turn(harness)
    engine = harness.engine
    for words in ("One two.", " Three four."):
        engine.text(response_id, words)
        engine.audio(response_id, bytes(48_000))  # a second
    harness.take()
    item_id = harness.session.conversation.last_id
    truncate: dict[str, object] = {
        "type": "conversation.item.truncate",
        "item_id": item_id,
        "content_index": 0,
    }
    assert harness.send(truncate | {"audio_end_ms": 1500}) == ["conversation.item.truncated"]
    harness.send({"type": "conversation.item.retrieve", "item_id": item_id})
    event = harness.last("conversation.item.retrieved")
    assert isinstance(event, ga.ConversationItemRetrieved)
    assert isinstance(event.item, ga.Message)
    part = event.item.content[0]
    assert isinstance(part, ga.OutputAudio)
    assert part.transcript == "One two. Three"
    assert len(str(part.audio)) == 72_000 * 4 // 3


def test_push_to_talk_answers_only_when_asked(harness: Harness) -> None:
    harness.configure(audio={"input": {"turn_detection": None}})
    assert harness.say(400, silence_ms=1000) == []
    assert harness.send({"type": "input_audio_buffer.commit"}) == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert harness.send({"type": "response.create"}) == ["response.created"]
    assert len(transcribe(harness).pcm) == 48 * 1400


def test_a_commit_during_speech_keeps_the_turn(harness: Harness) -> None:
    harness.say(400)
    started = harness.last("input_audio_buffer.speech_started")
    assert isinstance(started, ga.InputAudioBufferSpeechStartedEvent)
    harness.send({"type": "input_audio_buffer.commit"})
    committed = harness.last("input_audio_buffer.committed")
    assert isinstance(committed, ga.InputAudioBufferCommittedEvent)
    assert committed.item_id == started.item_id


def test_an_out_of_band_response_leaves_no_trace_in_the_conversation(harness: Harness) -> None:
    harness.send({"type": "response.create"})
    created = harness.send(
        {
            "type": "response.create",
            "response": {
                "conversation": "none",
                "metadata": {"topic": "mood"},
                "output_modalities": ["text"],
                "input": [TEXT_ITEM],
            },
        }
    )
    assert created == ["response.created"]
    asked = respond(harness)
    harness.engine.text(asked.response_id, "calm")
    harness.engine.finish(asked.response_id, TextTokens())
    assert "conversation.item.added" not in harness.take()
    done = harness.last("response.done")
    assert isinstance(done, ga.ResponseDoneEvent)
    assert done.response.conversation_id is None
    assert done.response.metadata == {"topic": "mood"}
    assert harness.session.conversation.items() == []


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        ({"type": "bogus"}, "invalid_value", "type"),
        ({"type": "conversation.item.delete"}, "missing_required_parameter", "item_id"),
        ({"type": "conversation.item.delete", "item_id": 5}, "invalid_type", "item_id"),
        (
            {"type": "conversation.item.delete", "item_id": "nowhere"},
            "item_retrieve_invalid_item_id",
            "item_id",
        ),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "input_audio_buffer.append", "audio": "!!"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "AA=="}, "invalid_value", "audio"),
        (
            {"type": "session.update", "session": {"type": "realtime", "output_modalities": []}},
            "invalid_value",
            "session.output_modalities",
        ),
        (
            {"type": "session.update", "session": {"type": "transcription"}},
            "invalid_parameter",
            "session.type",
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "dance"}},
            "invalid_value",
            "item.type",
        ),
        (
            {"type": "conversation.item.create", "previous_item_id": "x", "item": TEXT_ITEM},
            "invalid_value",
            "previous_item_id",
        ),
    ],
)
def test_a_refused_event_is_answered_by_one_error_that_names_it(
    harness: Harness, frame: dict[str, object], code: str, param: str | None
) -> None:
    assert harness.send(frame | {"event_id": "mine"}) == ["error"]
    error = error_of(harness)
    assert (error.code, error.param, error.event_id) == (code, param, "mine")
    assert harness.send({"type": "conversation.item.create", "item": TEXT_ITEM}) == [
        "conversation.item.added",
        "conversation.item.done",
    ]


def test_a_second_response_is_refused_while_one_is_active(harness: Harness) -> None:
    harness.send({"type": "response.create"})
    assert harness.send({"type": "response.create"}) == ["error"]
    assert error_of(harness).code == "conversation_already_has_active_response"


def test_the_voice_is_fixed_once_it_was_heard(harness: Harness) -> None:
    response_id = speak_a_turn(harness)
    harness.engine.audio(response_id, bytes(480))
    harness.take()
    assert harness.configure(audio={"output": {"voice": "marin"}}) == ["error"]
    assert error_of(harness).code == "cannot_update_voice"


def test_an_update_changes_only_what_it_names(harness: Harness) -> None:
    harness.configure(instructions="Be brief.", audio={"output": {"speed": 1.2}})
    harness.configure(audio={"input": {"turn_detection": {"type": "server_vad"}}})
    config = harness.session.config
    assert config.instructions == "Be brief."
    assert isinstance(config.audio, ga.AudioConfig)
    assert isinstance(config.audio.output, ga.AudioOutput)
    assert (config.audio.output.speed, config.audio.output.voice) == (1.2, "alloy")


def test_deleting_an_item_that_is_being_transcribed_frees_the_response(harness: Harness) -> None:
    harness.say(400, silence_ms=300)
    item_id = transcribe(harness).item_id
    harness.send({"type": "conversation.item.delete", "item_id": item_id})
    assert CancelWork(item_id) in harness.commands
    assert respond(harness).items == []


def eager() -> Harness:
    harness = Harness(transcribes_early=True)
    harness.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
    return harness


def test_a_guess_in_the_pause_is_the_transcript_when_the_turn_ends() -> None:
    harness = eager()
    harness.say(400, silence_ms=150)
    asked = transcribe(harness)
    harness.engine.transcript(asked.item_id, "hello")
    assert harness.take() == []
    assert harness.say(0, silence_ms=150) == [
        *TURN[:4],
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
    ]
    assert [c for c in harness.commands if isinstance(c, Transcribe)] == [asked]


def test_a_guess_that_comes_after_the_turn_is_waited_for() -> None:
    harness = eager()
    harness.say(400, silence_ms=300)
    assert not [command for command in harness.commands if isinstance(command, Respond)]
    harness.engine.transcript(transcribe(harness).item_id, "hello")
    harness.take()
    assert respond(harness)


def test_a_guess_is_thrown_away_when_the_user_goes_on() -> None:
    harness = eager()
    harness.say(400, silence_ms=150)
    first = transcribe(harness)
    harness.say(400, silence_ms=300)
    second = transcribe(harness)
    assert CancelWork(first.item_id) in harness.commands
    assert second.item_id == first.item_id
    assert len(second.pcm) > len(first.pcm)


def test_a_commit_does_not_take_a_guess_for_the_whole() -> None:
    harness = eager()
    harness.say(400, silence_ms=150)
    harness.engine.transcript(transcribe(harness).item_id, "hel")
    harness.send({"type": "input_audio_buffer.commit"})
    asked = [command for command in harness.commands if isinstance(command, Transcribe)]
    assert len(asked) == 2
    assert "conversation.item.input_audio_transcription.completed" not in harness.take()


def test_every_occurrence_has_its_row_in_the_table() -> None:
    unions = (ga.KnownClientEvent, ConversationResult, TurnChange)
    assert {each for union in unions for each in get_args(union)} | {IdleTimedOut} == set(REACTIONS)


def test_a_turn_begins_where_the_last_one_ended(harness: Harness) -> None:
    harness.say(1000, silence_ms=240)
    stopped = harness.last("input_audio_buffer.speech_stopped")
    assert isinstance(stopped, ga.InputAudioBufferSpeechStoppedEvent)
    harness.say(1000)
    started = harness.last("input_audio_buffer.speech_started")
    assert isinstance(started, ga.InputAudioBufferSpeechStartedEvent)
    assert started.audio_start_ms >= stopped.audio_end_ms


def test_what_is_said_over_an_answer_that_goes_on_is_answered_after_it(harness: Harness) -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    harness.configure(audio={"input": {"turn_detection": detection}})
    first = speak_a_turn(harness)
    harness.say(400, silence_ms=300)
    assert respond(harness).response_id == first
    harness.engine.finish(first, TextTokens())
    assert harness.take()[-1] == "response.created"
    harness.engine.transcript(transcribe(harness).item_id, "and then")
    harness.take()
    assert respond(harness).response_id != first


def test_responses_beside_the_conversation_are_bounded(harness: Harness) -> None:
    params = {"conversation": "none", "output_modalities": ["text"]}
    for _ in range(32):
        harness.send({"type": "response.create", "response": params})
    assert harness.send({"type": "response.create", "response": params}) == ["error"]
    assert error_of(harness).code == "too_many_responses"


def test_the_flat_update_of_beta_is_refused(harness: Harness) -> None:
    assert harness.send({"type": "transcription_session.update", "session": {}}) == ["error"]


# What nobody's event asked for cannot be refused to anybody, and must not end the session.


BESIDE = {
    "type": "response.create",
    "response": {"conversation": "none", "output_modalities": ["text"]},
}


def test_the_conversations_own_response_has_room_beside_all_others(harness: Harness) -> None:
    for _ in range(32):
        harness.send(BESIDE)
    assert harness.say(400, silence_ms=300) == ["input_audio_buffer.speech_started", *TURN]


def test_a_turn_that_its_words_end_is_refused_without_an_end_of_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness = Harness(judge_words=lambda _: 1.0)
    detection = {"type": "semantic_vad"}
    harness.configure(audio={"input": {"turn_detection": detection}})
    assert harness.say(400, silence_ms=600) == ["input_audio_buffer.speech_started"]
    item_id = transcribe(harness).item_id
    monkeypatch.setattr("duologue.server.session.conversation.MAX_ITEMS", 0)
    harness.engine.transcript(item_id, "That is all.")
    assert harness.take()[-1] == "error"
    assert error_of(harness).code == "conversation_full"
    monkeypatch.undo()
    assert harness.send({"type": "conversation.item.create", "item": TEXT_ITEM})


def test_silence_that_finds_the_conversation_full_is_told(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": 5000, "create_response": False}
    harness.configure(audio={"input": {"turn_detection": detection}})
    harness.say(400, silence_ms=300)
    monkeypatch.setattr("duologue.server.session.conversation.MAX_ITEMS", 1)
    assert harness.wait()[-1] == "error"
    assert error_of(harness).code == "conversation_full"


# Nothing grows without a bound.


def test_a_conversation_holds_so_many_bytes_and_takes_more_when_some_are_deleted(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("duologue.server.session.conversation.MAX_BYTES", 1000)
    part = {"type": "input_text", "text": "x" * 600}
    item: dict[str, object] = {"type": "message", "role": "user", "content": [part]}
    for item_id in ("one", "two"):
        harness.send({"type": "conversation.item.create", "item": {**item, "id": item_id}})
    assert error_of(harness).code == "conversation_full"
    harness.send({"type": "conversation.item.delete", "item_id": "one"})
    assert harness.send({"type": "conversation.item.create", "item": {**item, "id": "two"}}) == [
        "conversation.item.added",
        "conversation.item.done",
    ]


def test_speech_that_a_slow_engine_cannot_follow_is_refused(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "duologue.server.session.transcription.MAX_WAITING_BYTES", PCM16.bytes(1000)
    )
    harness.configure(audio={"input": {"turn_detection": None}})
    harness.say(900)
    harness.send({"type": "input_audio_buffer.commit"})
    part = {"type": "input_audio", "audio": b64encode(bytes(PCM16.bytes(200))).decode()}
    item = {"type": "message", "role": "user", "content": [part]}
    assert harness.send({"type": "conversation.item.create", "item": item}) == ["error"]
    assert error_of(harness).code == "input_audio_buffer_full"
    harness.engine.transcript(transcribe(harness).item_id, "at last")
    assert "error" not in harness.send({"type": "conversation.item.create", "item": item})


def test_of_many_pauses_in_one_event_only_the_last_is_guessed() -> None:
    harness = eager()
    sound = array("h", [8000] * (PCM16.bytes(400) // 2)).tobytes() + bytes(PCM16.bytes(150))
    harness.session.receive(ga.InputAudioBufferAppendEvent.of(sound * 20), harness.now)
    harness.take()
    [asked] = [command for command in harness.commands if isinstance(command, Transcribe)]
    assert PCM16.ms(len(asked.pcm)) > 19 * 550


def test_the_words_of_a_guess_that_come_in_pieces_are_all_told() -> None:
    harness = eager()
    harness.say(400, silence_ms=150)
    item_id = transcribe(harness).item_id
    harness.engine.transcript_delta(item_id, "one ")
    assert harness.say(0, silence_ms=150)
    harness.engine.transcript_delta(item_id, "two")
    harness.engine.transcript(item_id, "one two")
    harness.take()
    told = [
        event.delta
        for event in harness.events
        if isinstance(event, ga.ConversationItemInputAudioTranscriptionDeltaEvent)
    ]
    assert "".join(map(str, told)) == "one two"


def test_who_interrupts_is_not_answered_while_speaking(harness: Harness) -> None:
    detection = {"type": "server_vad", "interrupt_response": False}
    harness.configure(audio={"input": {"turn_detection": detection}})
    speak_a_turn(harness)
    harness.say(400, silence_ms=300)  # over the answer: it is owed one
    harness.configure(audio={"input": {"turn_detection": {"type": "server_vad"}}})
    assert "response.created" not in harness.say(400)

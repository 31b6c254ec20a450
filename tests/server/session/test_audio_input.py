"""What the user says and does not say: turns, buffers, silence, and the words of a pause."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import pytest
from tests.server.session.conftest import Harness, loud

from duologue.protocol import ga
from duologue.protocol.formats import PCM16
from duologue.server.engine.scripted import EnergyVad
from duologue.server.session.audio_input import FRAME_MS
from duologue.server.session.engine_work import CancelWork, Respond, TextTokens, Transcribe

AUDIO = Path(__file__).parents[2] / "data" / "audio"
STARTED, STOPPED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
COMMITTED = "input_audio_buffer.committed"
ITEM = ["conversation.item.added", "conversation.item.done"]
TURN = [STOPPED, COMMITTED, *ITEM, "response.created"]
IDLE = ["input_audio_buffer.timeout_triggered", COMMITTED, *ITEM, "response.created"]


def recording(name: str, *, silence_ms: int = 0) -> bytes:
    with wave.open(str(AUDIO / f"{name}.wav")) as file:
        return file.readframes(file.getnframes()) + bytes(PCM16.bytes(silence_ms))


def play(harness: Harness, pcm: bytes, *, chunk_ms: int = 20) -> list[str]:
    """Append audio as a microphone does; return the types of all events."""
    types: list[str] = []
    size = PCM16.bytes(chunk_ms)
    for start in range(0, len(pcm), size):
        harness.session.receive(
            ga.InputAudioBufferAppendEvent.of(pcm[start : start + size]), harness.now
        )
        types += harness.take()
    return types


def detect(harness: Harness, **detection: Any) -> list[str]:
    return harness.configure(audio={"input": {"turn_detection": detection or None}})


def asked_words(harness: Harness) -> Transcribe:
    return next(c for c in reversed(harness.commands) if isinstance(c, Transcribe))


def answer(harness: Harness, *, ms: int = 0) -> None:
    """Let the engine find the words and answer them aloud."""
    engine = harness.engine
    if harness.session.parts.transcription.pending:
        engine.transcript(asked_words(harness).item_id, "hello")
    harness.take()
    [*_, asked] = [c for c in harness.commands if isinstance(c, Respond)]
    if ms:
        engine.text(asked.response_id, "Hi.")
        engine.audio(asked.response_id, bytes(PCM16.bytes(ms)))
    engine.finish(asked.response_id, TextTokens())
    harness.take()


def last_item(harness: Harness) -> str:
    return str(harness.session.conversation.last_id)


# Each frame is looked at once.


class CountingVad:
    """Loudness, counted."""

    def __init__(self) -> None:
        self.frames = 0

    def score(self, frame: bytes) -> float:
        self.frames += 1
        return loud(frame)


@pytest.mark.parametrize("chunk_ms", [3, 20, 100, 5000])
def test_each_frame_of_audio_is_looked_at_once(chunk_ms: int) -> None:
    vad = CountingVad()
    harness = Harness(score=vad.score)
    audio = recording("pause_midturn", silence_ms=5000)
    play(harness, audio, chunk_ms=chunk_ms)
    assert vad.frames == len(audio) // PCM16.bytes(FRAME_MS)


def test_without_detection_nothing_is_looked_at() -> None:
    vad = CountingVad()
    harness = Harness(score=vad.score)
    detect(harness)
    play(harness, recording("hello", silence_ms=1000))
    assert vad.frames == 0
    detect(harness, type="server_vad")
    play(harness, bytes(PCM16.bytes(FRAME_MS * 10)))
    assert vad.frames == 10


# Noise and pauses.


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
def test_room_noise_starts_nothing(kind: str) -> None:
    harness = Harness(score=EnergyVad().score)
    detect(harness, type=kind)
    assert play(harness, recording("room_noise") * 4) == []


def test_a_pause_within_a_turn_splits_it_under_server_vad() -> None:
    harness = Harness(score=EnergyVad().score)
    types = play(harness, recording("pause_midturn", silence_ms=1500))
    assert types.count(STARTED) == types.count(STOPPED) == 2


@pytest.mark.parametrize("eagerness", ["auto", "medium", "low"])
def test_a_pause_within_a_turn_does_not_split_it_under_semantic_vad(eagerness: str) -> None:
    harness = Harness(score=EnergyVad().score)
    detect(harness, type="semantic_vad", eagerness=eagerness)
    types = play(harness, recording("pause_midturn", silence_ms=3000))
    assert types.count(STARTED) == types.count(STOPPED) == 1


# The words of a pause.


def judge(words: str) -> float:
    return 0.9 if words.endswith(".") else 0.0


def test_words_that_go_on_keep_the_turn_open_until_the_time_out() -> None:
    harness = Harness(judge_words=judge)
    detect(harness, type="semantic_vad", eagerness="high")
    harness.say(400, silence_ms=112)
    harness.engine.transcript(asked_words(harness).item_id, "I would like to")
    assert harness.say(0, silence_ms=1872) == []
    assert harness.say(0, silence_ms=32) == TURN
    stopped = harness.last(STOPPED)
    assert isinstance(stopped, ga.InputAudioBufferSpeechStoppedEvent)
    assert stopped.audio_end_ms == 2400


def test_words_that_are_finished_end_the_turn_and_are_its_transcript() -> None:
    harness = Harness(judge_words=judge)
    detect(harness, type="semantic_vad")
    harness.say(400, silence_ms=300)
    guessed = asked_words(harness)
    harness.engine.transcript(guessed.item_id, "That is all.")
    assert harness.take() == []
    assert harness.say(0, silence_ms=100) == TURN
    [asked] = [c for c in harness.commands if isinstance(c, Respond)]
    [item] = asked.items
    assert isinstance(item, ga.Message)
    assert item.content == [ga.InputAudio(transcript="That is all.")]
    assert [c for c in harness.commands if isinstance(c, Transcribe)] == [guessed]


def test_words_that_come_after_the_audio_end_the_turn_as_they_come() -> None:
    harness = Harness(judge_words=judge)
    detect(harness, type="semantic_vad")
    assert harness.say(400, silence_ms=3000) == [STARTED]
    harness.engine.transcript(asked_words(harness).item_id, "That is all.")
    assert harness.take() == TURN
    stopped = harness.last(STOPPED)
    assert isinstance(stopped, ga.InputAudioBufferSpeechStoppedEvent)
    assert stopped.audio_end_ms == 400 + 400


def test_who_goes_on_is_listened_to_anew() -> None:
    harness = Harness(judge_words=judge)
    detect(harness, type="semantic_vad")
    harness.say(400, silence_ms=200)
    first = asked_words(harness)
    harness.say(400, silence_ms=200)
    assert CancelWork(first.item_id) in harness.commands
    second = asked_words(harness)
    assert second.item_id == first.item_id
    assert len(second.pcm) > len(first.pcm)


def test_words_that_cannot_be_found_leave_silence_alone() -> None:
    harness = Harness(judge_words=judge)
    detect(harness, type="semantic_vad")
    harness.say(400, silence_ms=208)
    harness.engine.transcription_failed(asked_words(harness).item_id, "no model")
    assert harness.say(0, silence_ms=960) == []
    assert harness.say(0, silence_ms=64) == TURN


def test_semantic_vad_may_leave_the_answer_to_the_client() -> None:
    harness = Harness()
    detect(harness, type="semantic_vad", create_response=False, eagerness="high")
    assert harness.say(400, silence_ms=700) == [STARTED, STOPPED, COMMITTED, *ITEM]


# Detection that changes, and buttons pressed while it works.


def test_a_commit_in_the_middle_of_speech_ends_the_turn_and_hears_what_follows(
    harness: Harness,
) -> None:
    harness.say(400)
    started = harness.last(STARTED)
    assert isinstance(started, ga.InputAudioBufferSpeechStartedEvent)
    commit = harness.send({"type": "input_audio_buffer.commit"})
    assert commit == [STOPPED, COMMITTED, *ITEM]
    stopped = harness.last(STOPPED)
    assert isinstance(stopped, ga.InputAudioBufferSpeechStoppedEvent)
    assert (stopped.item_id, stopped.audio_end_ms) == (started.item_id, 400)
    assert last_item(harness) == started.item_id
    assert harness.say(400, silence_ms=300) == [STARTED, *TURN]
    assert last_item(harness) != started.item_id


def test_no_audio_is_lost_by_a_commit_in_the_middle_of_speech(harness: Harness) -> None:
    harness.say(410)
    harness.send({"type": "input_audio_buffer.commit"})
    harness.say(410, silence_ms=240)
    kept = [len(stored.audio) for stored in harness.session.conversation.stored()]
    assert sum(kept) >= PCM16.bytes(820 + 192)


def test_trailing_silence_is_an_item_if_the_client_wants_it(harness: Harness) -> None:
    harness.say(400, silence_ms=700)
    answer(harness)
    assert harness.send({"type": "input_audio_buffer.commit"}) == [COMMITTED, *ITEM]


def test_detection_that_is_switched_off_in_a_turn_leaves_its_end_to_the_client(
    harness: Harness,
) -> None:
    harness.say(400)
    started = harness.last(STARTED)
    assert isinstance(started, ga.InputAudioBufferSpeechStartedEvent)
    detect(harness)
    assert harness.say(0, silence_ms=1000) == []
    assert harness.send({"type": "input_audio_buffer.commit"}) == [STOPPED, COMMITTED, *ITEM]
    assert last_item(harness) == started.item_id
    assert len(asked_words(harness).pcm) == PCM16.bytes(1400)


def test_a_turn_goes_on_when_the_kind_of_detection_changes(harness: Harness) -> None:
    harness.say(400)
    detect(harness, type="semantic_vad")
    assert harness.say(0, silence_ms=1100) == []
    assert harness.say(0, silence_ms=200) == TURN
    detect(harness, type="server_vad", silence_duration_ms=400)
    assert harness.say(400, silence_ms=300)[0] == STARTED
    detect(harness, type="server_vad")
    assert harness.say(0, silence_ms=20)[: len(TURN) - 1] == TURN[:-1]


def test_a_detection_that_is_set_begins_from_the_defaults(harness: Harness) -> None:
    detect(harness, type="server_vad", threshold=0.9, idle_timeout_ms=6000)
    detect(harness, type="server_vad", silence_duration_ms=700)
    updated = harness.last("session.updated")
    assert isinstance(updated, ga.SessionUpdatedEvent)
    assert isinstance(updated.session, ga.RealtimeSession)
    assert updated.session.audio.input.turn_detection == ga.ServerVad(  # type: ignore[union-attr]
        threshold=0.5,
        prefix_padding_ms=300,
        silence_duration_ms=700,
        create_response=True,
        interrupt_response=True,
        idle_timeout_ms=None,
    )


def test_prefix_padding_is_what_the_client_asked_for(harness: Harness) -> None:
    detect(harness, type="server_vad", prefix_padding_ms=640)
    harness.say(0, silence_ms=3200)
    harness.say(400)
    started = harness.last(STARTED)
    assert isinstance(started, ga.InputAudioBufferSpeechStartedEvent)
    assert started.audio_start_ms == 3200 - 640


def test_a_client_cannot_have_silence_kept_without_end(harness: Harness) -> None:
    detect(harness, type="server_vad", prefix_padding_ms=10**9)
    play(harness, bytes(PCM16.bytes(70_000)), chunk_ms=1000)
    harness.say(400)
    started = harness.last(STARTED)
    assert isinstance(started, ga.InputAudioBufferSpeechStartedEvent)
    assert started.audio_start_ms >= 9_000


# Nobody speaks.


def idle(harness: Harness, ms: int = 5000) -> None:
    detect(harness, type="server_vad", idle_timeout_ms=ms)


def test_silence_after_an_answer_is_committed_and_answered(harness: Harness) -> None:
    idle(harness)
    harness.say(400, silence_ms=300)
    harness.now = 10.0
    answer(harness, ms=2000)
    assert harness.session.next_deadline() == 10 + 2 + 5
    harness.say(0, silence_ms=7000)
    assert harness.wait() == IDLE
    fired = harness.last(IDLE[0])
    assert isinstance(fired, ga.InputAudioBufferTimeoutTriggered)
    assert fired.audio_end_ms == 7700
    assert 0 <= 5000 - (fired.audio_end_ms - fired.audio_start_ms) < FRAME_MS
    assert last_item(harness) == fired.item_id
    assert harness.session.next_deadline() is None
    [*_, asked] = [c for c in harness.commands if isinstance(c, Respond)]
    assert not harness.session.parts.transcription.pending, (
        "nobody spoke: there are no words to find"
    )
    assert isinstance(asked.items[-1], ga.Message)
    answer(harness, ms=1000)
    assert harness.session.next_deadline() == 17 + 1 + 5


def test_silence_without_audio_is_answered_as_well(harness: Harness) -> None:
    idle(harness)
    harness.say(400, silence_ms=192)
    answer(harness)
    assert harness.wait() == IDLE
    fired = harness.last(IDLE[0])
    assert isinstance(fired, ga.InputAudioBufferTimeoutTriggered)
    assert fired.audio_start_ms == fired.audio_end_ms


def test_speech_that_is_made_slowly_is_heard_while_it_comes(harness: Harness) -> None:
    idle(harness)
    harness.say(400, silence_ms=300)
    harness.engine.transcript(asked_words(harness).item_id, "hello")
    harness.take()
    [asked] = [c for c in harness.commands if isinstance(c, Respond)]
    for now in (1.0, 2.0, 5.0):
        harness.now = now
        harness.engine.text(asked.response_id, "Hi.")
        harness.engine.audio(asked.response_id, bytes(PCM16.bytes(1500)))
        harness.take()
    harness.now = 5.5
    harness.engine.finish(asked.response_id, TextTokens())
    harness.take()
    assert harness.session.next_deadline() == 6.5 + 5


def test_who_speaks_in_time_is_not_asked(harness: Harness) -> None:
    idle(harness)
    harness.say(400, silence_ms=300)
    answer(harness)
    assert harness.session.next_deadline() == 5
    harness.say(100)
    assert harness.session.next_deadline() is None
    harness.session.handle_deadline(100.0)
    assert harness.take() == []


def test_a_turn_that_nobody_answers_is_counted_from(harness: Harness) -> None:
    detect(harness, type="server_vad", idle_timeout_ms=5000, create_response=False)
    harness.now = 3.0
    harness.say(400, silence_ms=300)
    assert harness.session.next_deadline() == 8
    assert harness.wait() == IDLE


def test_who_has_said_nothing_yet_and_heard_nothing_is_left_alone(harness: Harness) -> None:
    idle(harness)
    harness.say(0, silence_ms=6000)
    harness.send({"type": "input_audio_buffer.clear"})
    assert harness.session.next_deadline() is None


def test_a_cancelled_answer_is_not_heard_to_its_end(harness: Harness) -> None:
    idle(harness)
    harness.say(400, silence_ms=300)
    harness.engine.transcript(asked_words(harness).item_id, "hello")
    harness.take()
    [asked] = [c for c in harness.commands if isinstance(c, Respond)]
    harness.engine.text(asked.response_id, "A long story.")
    harness.engine.audio(asked.response_id, bytes(PCM16.bytes(60_000)))
    harness.take()
    harness.now = 4.0
    harness.send({"type": "response.cancel"})
    assert harness.session.next_deadline() == 9


def test_an_answer_beside_the_conversation_changes_nothing(harness: Harness) -> None:
    idle(harness)
    harness.say(400, silence_ms=300)
    answer(harness)
    harness.now = 2.0
    harness.send({"type": "response.create", "response": {"conversation": "none"}})
    assert harness.session.next_deadline() == 5


def test_the_time_is_over_at_once_for_nobody(harness: Harness) -> None:
    detect(harness, type="server_vad", idle_timeout_ms=30_000)
    harness.say(400, silence_ms=300)
    answer(harness)
    harness.now = 20.0
    idle(harness)
    assert harness.session.next_deadline() == 25
    detect(harness, type="semantic_vad")
    assert harness.session.next_deadline() is None


@pytest.mark.parametrize("ms", [4999, 30_001])
def test_a_timeout_out_of_bounds_is_refused(harness: Harness, ms: int) -> None:
    assert detect(harness, type="server_vad", idle_timeout_ms=ms) == ["error"]
    error = harness.last("error")
    assert isinstance(error, ga.RealtimeErrorEvent)
    assert error.error.param == "session.audio.input.turn_detection.idle_timeout_ms"


def test_an_answer_that_the_user_interrupts_starts_no_clock(harness: Harness) -> None:
    idle(harness)
    harness.say(400, silence_ms=300)
    assert "response.done" in harness.say(400)
    assert harness.session.next_deadline() is None

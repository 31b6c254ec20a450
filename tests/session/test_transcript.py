"""What was said, in spoken order: places, times, and what was heard."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from tests.session.session_events import (
    Probe,
    added,
    done,
    feed,
    message,
    new_core,
    output_item,
    part_event,
    response,
    server,
)
from tests.session.test_resumption import again, resumable

from duologue.protocol import ga
from duologue.session.retention import KEEP_NO_AUDIO, KEEP_RECENT, Retention
from duologue.session.transcript_entry import TranscriptWord

if TYPE_CHECKING:
    from duologue.session.transcript import Transcript

SECOND = bytes(48_000)
SPOKEN: dict[str, Any] = {"content": [{"type": "input_audio", "transcript": None}]}


def listen(core: Probe, seconds: float) -> None:
    """Append audio of the microphone."""
    core.append_audio(bytes(int(seconds * 48_000) // 2 * 2), 1.0)


def start(core: Probe, item_id: str, start_ms: int) -> None:
    feed(
        core,
        server("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=start_ms),
    )


def stop(core: Probe, item_id: str, end_ms: int, words: str | None = None) -> None:
    feed(
        core,
        server("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=end_ms),
        server("input_audio_buffer.committed", item_id=item_id),
        added(message(item_id) | SPOKEN),
    )
    if words is not None:
        hear(core, item_id, words)


def hear(core: Probe, item_id: str, words: str) -> None:
    kind = "conversation.item.input_audio_transcription.completed"
    feed(core, server(kind, item_id=item_id, content_index=0, transcript=words))


def begin(core: Probe, item_id: str, response_id: str = "resp_1") -> None:
    item = message(item_id, "assistant", status="in_progress")
    feed(
        core,
        response("created", response_id, status="in_progress"),
        output_item("added", item, response_id),
        added(item),
    )


def speak(core: Probe, item_id: str, words: str, ms: int, response_id: str = "resp_1") -> None:
    about = {"item_id": item_id, "response_id": response_id}
    sound = b64encode(bytes(48 * ms)).decode()
    feed(
        core,
        part_event("response.output_audio_transcript.delta", delta=words, **about),
        part_event("response.output_audio.delta", delta=sound, **about),
    )


def finish(core: Probe, item_id: str, response_id: str = "resp_1") -> None:
    item = message(item_id, "assistant", status="completed")
    feed(core, output_item("done", item, response_id), done(item))
    feed(core, response("done", response_id, status="completed"))


def cut(core: Probe, item_id: str, ms: int) -> None:
    kind = "conversation.item.truncated"
    feed(core, server(kind, item_id=item_id, content_index=0, audio_end_ms=ms))


def short(transcript: Transcript) -> list[tuple[str, int, int, str]]:
    return [(each.speaker, each.start_ms, each.end_ms, each.text) for each in transcript]


def dialogue(retention: Retention = KEEP_RECENT) -> Probe:
    """A question, and an answer that the user interrupts."""
    core = new_core(retention=retention)
    listen(core, 1.5)
    start(core, "item_u", 400)
    stop(core, "item_u", 1200, "What is it?")
    begin(core, "item_a")
    speak(core, "item_a", "One two three four", 1000)
    listen(core, 0.5)
    finish(core, "item_a")
    start(core, "item_v", 1900)
    cut(core, "item_a", 500)
    listen(core, 1.0)
    stop(core, "item_v", 2600, "Stop.")
    return core


def test_each_side_has_its_times_and_what_was_heard() -> None:
    question, answer, interruption = dialogue().conversation.transcript()
    assert (question.start_ms, question.end_ms, question.is_measured) == (400, 1200, True)
    assert (answer.start_ms, answer.end_ms, answer.full_end_ms) == (1500, 2000, 2500)
    assert (answer.is_measured, answer.is_spoken, answer.is_final) == (False, True, True)
    assert (answer.text, answer.heard, answer.unheard) == (
        "One two three four",
        "One two",
        "three four",
    )
    assert (interruption.item_id, interruption.start_ms) == ("item_v", 1900)
    assert (interruption.heard, interruption.unheard) == ("Stop.", "")


def test_words_are_spread_over_the_audio_by_their_letters() -> None:
    answer = dialogue().conversation.transcript()[1]
    assert answer.words == (
        TranscriptWord("One", 1500, 1666, is_heard=True),
        TranscriptWord("two", 1722, 1888, is_heard=True),
        TranscriptWord("three", 1944, 2222, is_heard=False),
        TranscriptWord("four", 2277, 2500, is_heard=False),
    )


@pytest.mark.parametrize("minutes", [0, 0.001, None])
def test_audio_that_was_dropped_keeps_its_length(minutes: float | None) -> None:
    core = dialogue(Retention(audio_minutes=minutes))
    assert core.conversation.transcript() == dialogue().conversation.transcript()


def test_what_is_heard_of_dropped_audio_is_restored() -> None:
    core = dialogue(KEEP_NO_AUDIO)
    [answer] = [state for state in core.conversation.states() if state.id == "item_a"]
    assert answer.heard_words == "One two"


def test_a_turn_that_began_before_an_answer_comes_before_it() -> None:
    core = new_core()
    listen(core, 2.0)
    start(core, "item_u", 0)
    stop(core, "item_u", 500, "Tell me")
    start(core, "item_v", 700)
    begin(core, "item_a")
    speak(core, "item_a", "Yes?", 400)
    finish(core, "item_a")
    listen(core, 1.0)
    stop(core, "item_v", 2800, "a story, please.")
    assert [item.id for item in core.conversation] == ["item_u", "item_a", "item_v"]
    assert short(core.conversation.transcript()) == [
        ("user", 0, 500, "Tell me"),
        ("user", 700, 2800, "a story, please."),
        ("assistant", 2000, 2400, "Yes?"),
    ]


def test_an_interruption_that_was_noticed_late_follows_what_it_interrupts() -> None:
    core = new_core()
    listen(core, 1.0)
    start(core, "item_u", 0)
    stop(core, "item_u", 500, "Hi")
    begin(core, "item_a")
    start(core, "item_v", 900)  # it is reported after the answer began at 1000
    stop(core, "item_v", 950, "Oh")
    speak(core, "item_a", "Hello", 300)
    assert short(core.conversation.transcript()) == [
        ("user", 0, 500, "Hi"),
        ("assistant", 900, 1200, "Hello"),
        ("user", 900, 950, "Oh"),
    ]


def test_messages_of_one_answer_follow_each_other() -> None:
    core = new_core()
    begin(core, "item_a")
    speak(core, "item_a", "First.", 700)
    item = message("item_b", "assistant", status="in_progress")
    feed(core, output_item("added", item), added(item, "item_a"))
    speak(core, "item_b", "Second.", 300)
    assert short(core.conversation.transcript()) == [
        ("assistant", 0, 700, "First."),
        ("assistant", 700, 1000, "Second."),
    ]


def test_a_recording_that_is_sent_at_once_keeps_the_order_of_the_conversation() -> None:
    core = new_core()
    listen(core, 60)
    for number, (begins, ends) in enumerate([(1000, 2000), (5000, 6000), (9000, 9500)]):
        start(core, f"item_u{number}", begins)
        stop(core, f"item_u{number}", ends, "Question")
        begin(core, f"item_a{number}", f"resp_{number}")
        speak(core, f"item_a{number}", "Answer", 800, f"resp_{number}")
        finish(core, f"item_a{number}", f"resp_{number}")
    assert [(each.start_ms, each.speaker) for each in core.conversation.transcript()] == [
        (1000, "user"),
        (5000, "assistant"),
        (5000, "user"),
        (9000, "assistant"),
        (9000, "user"),
        (60_000, "assistant"),
    ]


def test_without_turn_detection_a_turn_is_the_audio_of_its_commit() -> None:
    core = new_core()
    listen(core, 1.0)
    core.send(ga.InputAudioBufferCommitEvent(), 1.0)
    feed(
        core,
        server("input_audio_buffer.committed", item_id="item_u"),
        added(message("item_u") | SPOKEN),
    )
    [turn] = core.conversation.transcript()
    assert (turn.start_ms, turn.end_ms, turn.is_measured) == (0, 1000, False)
    assert (turn.text, turn.is_final, turn.is_spoken) == ("", False, True)


def test_a_transcript_that_streams_is_not_final() -> None:
    core = new_core()
    listen(core, 1.0)
    start(core, "item_u", 0)
    stop(core, "item_u", 800)
    kind = "conversation.item.input_audio_transcription.delta"
    feed(core, server(kind, item_id="item_u", content_index=0, delta="Hel"))
    [turn] = core.conversation.transcript()
    assert (turn.text, turn.is_final) == ("Hel", False)
    hear(core, "item_u", "Hello.")
    [turn] = core.conversation.transcript()
    assert (turn.text, turn.is_final) == ("Hello.", True)


def test_an_answer_that_streams_is_not_final() -> None:
    core = new_core()
    begin(core, "item_a")
    speak(core, "item_a", "One", 200)
    [answer] = core.conversation.transcript()
    assert (answer.text, answer.end_ms, answer.is_final) == ("One", 200, False)


def test_speech_without_words_is_final() -> None:
    core = new_core()
    listen(core, 1.0)
    start(core, "item_u", 0)
    stop(core, "item_u", 800, "")
    [turn] = core.conversation.transcript()
    assert (turn.text, turn.words, turn.is_final) == ("", (), True)


def test_typed_text_has_a_moment_and_the_rest_no_place() -> None:
    core = new_core()
    listen(core, 0.25)
    feed(
        core,
        added(message("item_s", "system", "Be brief.")),
        added(message("item_u", "user", "Hi there")),
        added({"id": "item_c", "type": "function_call", "name": "f", "call_id": "c"}),
    )
    [typed] = core.conversation.transcript()
    assert (typed.text, typed.start_ms, typed.end_ms) == ("Hi there", 250, 250)
    assert (typed.is_spoken, typed.is_final, typed.is_measured) == (False, True, False)


def test_words_that_came_with_the_item_are_final() -> None:
    core = new_core()
    content = [{"type": "input_audio", "transcript": "Hello"}]
    feed(core, added(message("item_u") | {"content": content}))
    assert [each.is_final for each in core.conversation.transcript()] == [True]


def test_an_item_that_is_cut_twice_has_what_was_heard_last() -> None:
    core = new_core()
    begin(core, "item_a")
    speak(core, "item_a", "One two three four", 1000)
    cut(core, "item_a", 900)
    cut(core, "item_a", 500)
    speak(core, "item_a", " five", 100)
    [answer] = core.conversation.transcript()
    assert (answer.heard, answer.unheard, answer.end_ms) == ("One two", "three four five", 500)


def test_audio_that_travels_another_way_is_as_long_as_what_was_heard() -> None:
    core = new_core()
    begin(core, "item_a")
    feed(core, part_event("response.output_audio_transcript.delta", delta="One two"))
    cut(core, "item_a", 700)
    [answer] = core.conversation.transcript()
    assert (answer.start_ms, answer.end_ms) == (0, 700)


def test_the_clock_goes_on_in_another_session() -> None:
    core = resumable()
    listen(core, 2.0)
    start(core, "item_u", 100)
    stop(core, "item_u", 900, "Before")
    begin(core, "item_a")
    speak(core, "item_a", "Answer", 500)
    finish(core, "item_a")
    listen(core, 3.0)
    core.input_audio.marks[:] = [(-10.0, 48 * 4000)]  # heard up to here; a second comes again
    again(core)
    core.events_to_send()
    listen(core, 1.0)
    start(core, "item_v", 1500)
    stop(core, "item_v", 1900, "After")
    begin(core, "item_b", "resp_2")
    speak(core, "item_b", "Good", 300, "resp_2")
    assert short(core.conversation.transcript()) == [
        ("user", 100, 900, "Before"),
        ("assistant", 2000, 2500, "Answer"),
        ("user", 5500, 5900, "After"),
        ("assistant", 6000, 6300, "Good"),
    ]


def test_what_was_deleted_is_gone() -> None:
    core = dialogue()
    feed(core, server("conversation.item.deleted", item_id="item_a"))
    assert [each.item_id for each in core.conversation.transcript()] == ["item_u", "item_v"]

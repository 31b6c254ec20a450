"""The times of turns, with virtual times."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.session.session_events import (
    Probe,
    message,
    new_core,
    output_item,
    part_event,
    response,
    server,
)

from duologue.protocol import ga
from duologue.protocol.dialects import dialect_adapter
from duologue.session.latency import (
    MAX_RESPONSES_PER_TURN,
    MAX_TURNS,
    LatencyReport,
    LatencyTracker,
    ResponseLatency,
    TurnLatency,
)

if TYPE_CHECKING:
    from duologue.protocol.model import Event, UnknownEvent

AUDIO = {"delta": "AAAA"}


def at(core: Probe, now: float, *events: Event | UnknownEvent) -> None:
    for event in events:
        core.receive(event, now)


def stopped() -> Any:
    return server("input_audio_buffer.speech_stopped", item_id="item_u", audio_end_ms=100)


def committed() -> Any:
    return server("input_audio_buffer.committed", item_id="item_u")


def begun(response_id: str = "resp_1", **fields: Any) -> Any:
    fields = {"status": "in_progress", "conversation_id": "conv_1"} | fields
    return response("created", response_id, **fields)


def ended(response_id: str = "resp_1", status: str = "completed", **fields: Any) -> Any:
    return response("done", response_id, status=status, **fields)


def delta(kind: str, response_id: str = "resp_1", **fields: Any) -> Any:
    fields = fields or {"delta": "Hi"}
    return part_event(f"response.{kind}.delta", response_id=response_id, **fields)


def item(response_id: str = "resp_1") -> Any:
    return output_item("added", message("item_a", "assistant"), response_id)


def turns(core: Probe) -> tuple[TurnLatency, ...]:
    return core.latency.report().turns


def test_a_turn_is_timed_from_the_end_of_speech_to_the_first_audio_and_the_end() -> None:
    core = new_core()
    at(core, 10.0, stopped())
    at(core, 10.1, committed())
    assert turns(core) == ()
    at(core, 10.3, begun(), item())
    at(core, 10.5, delta("output_audio_transcript"))
    at(core, 10.75, delta("output_audio", **AUDIO))
    at(core, 11.0, delta("output_audio_transcript"), delta("output_audio", **AUDIO))
    at(core, 12.0, ended())
    [turn] = turns(core)
    assert turn == TurnLatency(
        speech_stopped=10.0,
        committed=10.1,
        responses=(
            ResponseLatency(
                response_id="resp_1",
                created=10.3,
                first_delta=10.5,
                first_audio=10.75,
                done=12.0,
                status="completed",
            ),
        ),
    )
    assert turn.start == 10.0
    assert turn.to_commit == pytest.approx(0.1)
    assert turn.to_response == pytest.approx(0.3)
    assert turn.to_first_delta == 0.5
    assert turn.to_first_audio == 0.75
    assert turn.to_done == 2.0


def test_the_times_of_a_beta_session_are_the_same() -> None:
    core = new_core(dialect=dialect_adapter("beta"))
    place = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0, "content_index": 0}
    made = {"response": {"id": "resp_1", "status": "in_progress"}}
    scene: list[tuple[float, dict[str, Any]]] = [
        (1.0, {"type": "input_audio_buffer.speech_stopped", "item_id": "u", "audio_end_ms": 1}),
        (1.5, {"type": "input_audio_buffer.committed", "item_id": "u"}),
        (2.0, {"type": "response.created", **made}),
        (2.5, {"type": "response.audio_transcript.delta", **place, "delta": "Hi"}),
        (3.0, {"type": "response.audio.delta", **place, "delta": "AAAA"}),
        (3.5, {"type": "response.audio.delta", **place, "delta": "AAAA"}),
        (4.0, {"type": "response.done", "response": {"id": "resp_1", "status": "completed"}}),
    ]
    for now, event in scene:
        frame = msgspec.json.encode(event | {"event_id": "e"})
        core.receive(core.dialect.decode_server(frame), now)
    [turn] = turns(core)
    assert (turn.to_commit, turn.to_response, turn.to_first_delta) == (0.5, 1.0, 1.5)
    assert (turn.to_first_audio, turn.to_done) == (2.0, 3.0)


def test_push_to_talk_is_timed_from_the_commit_that_the_client_sends() -> None:
    core = new_core()
    core.send(ga.InputAudioBufferCommitEvent(), 5.0)
    core.create_response(ga.ResponseCreateEvent(), 5.0)
    at(core, 5.25, committed())
    at(core, 5.5, begun(), item())
    at(core, 6.0, delta("output_audio", **AUDIO))
    [turn] = turns(core)
    assert (turn.speech_stopped, turn.commit_sent) == (None, 5.0)
    assert (turn.to_commit, turn.to_response, turn.to_first_audio) == (0.25, 0.5, 1.0)
    assert turn.responses[0].requested == 5.0
    assert turn.to_done is None


def test_a_text_turn_is_timed_from_its_request() -> None:
    core = new_core()
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    at(core, 1.5, begun(), item())
    at(core, 2.0, delta("output_text"))
    at(core, 3.0, ended())
    [turn] = turns(core)
    assert (turn.start, turn.to_response, turn.to_first_delta, turn.to_done) == (1.0, 0.5, 1.0, 2.0)
    assert (turn.to_commit, turn.to_first_audio) == (None, None)


def test_a_request_that_waited_its_turn_is_timed_from_when_it_was_sent() -> None:
    core = new_core()
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    at(core, 1.5, begun())
    core.create_response(ga.ResponseCreateEvent(), 2.0)
    at(core, 8.0, ended())
    at(core, 8.5, begun("resp_2"))
    assert [turn.to_response for turn in turns(core)] == [0.5, 0.5]


def test_a_turn_goes_on_with_the_response_after_a_tool() -> None:
    core = new_core(has_tool=lambda _name: True)
    at(core, 1.0, stopped(), committed())
    at(core, 1.5, begun())
    call = {"id": "item_c", "type": "function_call", "name": "f", "call_id": "call_1"}
    at(core, 2.0, output_item("done", call | {"arguments": "{}"}), ended())
    core.answer_call("call_1", "1", None, 3.0)
    at(core, 3.5, begun("resp_2"), item("resp_2"))
    at(core, 4.0, delta("output_audio", "resp_2", **AUDIO))
    at(core, 5.0, ended("resp_2"))
    [turn] = turns(core)
    assert [each.response_id for each in turn.responses] == ["resp_1", "resp_2"]
    assert turn.responses[1].requested == 3.0
    assert (turn.to_response, turn.to_first_audio, turn.to_done) == (0.5, 3.0, 4.0)


def test_an_out_of_band_response_is_a_turn_of_its_own() -> None:
    core = new_core()
    at(core, 1.0, stopped(), committed())
    params = ga.ResponseCreateParams(conversation="none")
    core.create_response(ga.ResponseCreateEvent(response=params), 1.25)
    at(core, 1.5, begun("aside", conversation_id=None))
    at(core, 2.0, begun("resp_1"))
    aside, turn = turns(core)
    assert (aside.start, aside.to_response) == (1.25, 0.25)
    assert (turn.start, turn.to_response) == (1.0, 1.0)


def test_speech_that_got_no_answer_is_not_part_of_the_next_turn() -> None:
    core = new_core()
    at(core, 1.0, stopped(), committed())
    at(core, 9.0, stopped())
    at(core, 9.25, committed())
    at(core, 9.5, begun())
    [turn] = turns(core)
    assert (turn.start, turn.to_commit, turn.to_response) == (9.0, 0.25, 0.5)
    core.send(ga.InputAudioBufferCommitEvent(), 20.0)
    at(core, 21.0, committed())
    core.send(ga.InputAudioBufferCommitEvent(), 22.0)
    at(core, 23.0, committed(), begun("resp_2"))
    assert turns(core)[1].start == 22.0


def test_a_commit_that_the_server_refused_begins_no_turn() -> None:
    core = new_core()
    core.send(ga.InputAudioBufferCommitEvent(), 1.0)
    core.create_response(ga.ResponseCreateEvent(), 5.0)
    at(core, 5.5, begun())
    assert turns(core)[0].start == 5.0


def test_a_server_that_reports_nothing_before_the_response_begins_the_turn_with_it() -> None:
    core = new_core()
    at(core, 2.0, begun(), begun())
    at(core, 3.0, ended(), ended())
    at(core, 4.0, delta("output_text"), ended("unknown"))
    [turn] = turns(core)
    assert (turn.start, turn.to_response, turn.to_done, turn.to_first_delta) == (
        2.0,
        0.0,
        1.0,
        None,
    )
    assert math.isnan(TurnLatency().start)


def test_a_commit_without_anything_before_it_is_the_start() -> None:
    core = new_core()
    at(core, 1.0, committed())
    at(core, 2.0, committed())  # another one, without a response to the first
    at(core, 2.5, begun())
    assert turns(core)[0].start == 2.0


def test_audio_that_travels_another_way_is_timed_by_its_playback() -> None:
    core = new_core()
    at(core, 1.0, begun())
    at(core, 1.5, server("output_audio_buffer.started", response_id="resp_1"))
    assert turns(core)[0].to_first_audio == 0.5


def test_only_the_first_deltas_of_a_response_leave_the_fast_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core = new_core()
    seen: list[tuple[str, bool]] = []

    def on_delta(response_id: str, now: float, *, is_audio: bool) -> None:
        seen.append((response_id, is_audio))
        LatencyTracker.on_delta(core.latency, response_id, now, is_audio=is_audio)

    monkeypatch.setattr(core.latency, "on_delta", on_delta)
    for response_id in ("resp_1", "resp_2"):
        at(core, 1.0, begun(response_id), item(response_id))
        for _ in range(3):
            at(core, 2.0, delta("output_audio_transcript", response_id))
            at(core, 2.0, delta("output_audio", response_id, **AUDIO))
        at(core, 3.0, ended(response_id))
    assert seen == [("resp_1", False), ("resp_1", True), ("resp_2", False), ("resp_2", True)]
    state = core.conversation.find("item_a", "resp_2")
    assert state is not None
    assert state.snapshot().formatted.transcript == "HiHiHi"  # none is lost or added twice


def test_responses_in_parallel_each_have_their_first_audio() -> None:
    core = new_core()
    params = ga.ResponseCreateParams(conversation="none")
    core.create_response(ga.ResponseCreateEvent(response=params), 0.0)
    at(core, 1.0, begun("aside", conversation_id=None), begun("resp_1"))
    at(core, 2.0, delta("output_audio", "resp_1", **AUDIO))
    at(core, 3.0, delta("output_audio", "aside", **AUDIO))
    assert [turn.to_first_audio for turn in turns(core)] == [3.0, 1.0]


def test_the_end_of_a_session_ends_its_turns_and_keeps_their_times() -> None:
    tracker = LatencyTracker()
    core = new_core(latency=tracker)
    at(core, 1.0, stopped(), committed(), begun(), stopped(), committed())
    core.end(None)
    again = new_core(latency=tracker)
    at(again, 100.0, begun("resp_1"))
    first, second = tracker.report().turns
    assert (first.start, first.to_done) == (1.0, None)
    assert (second.start, len(second.responses)) == (100.0, 1)


def test_the_number_of_turns_and_of_responses_in_a_turn_is_bounded() -> None:
    tracker = LatencyTracker()
    for number in range(MAX_TURNS + 10):
        tracker.on_created(f"r{number}", float(number), requested=None)
    assert [turn.start for turn in tracker.report().turns] == [*range(10, MAX_TURNS + 10)]
    assert tracker.awaits(is_audio=True)
    for number in range(MAX_RESPONSES_PER_TURN):
        tracker.on_created(f"f{number}", 1000.0, requested=None, is_follow_up=True)
    *_, whole, rest = tracker.report().turns
    assert (len(whole.responses), len(rest.responses)) == (MAX_RESPONSES_PER_TURN, 1)


def test_percentiles_are_values_of_turns() -> None:
    numbers = [0.5, 0.1, 0.4, 0.2, 0.3]
    timed = [ResponseLatency(response_id="", created=0.0, first_audio=n) for n in numbers]
    quiet = ResponseLatency(response_id="", created=0.0)
    report = LatencyReport(tuple(TurnLatency(responses=(each,)) for each in [*timed, quiet]))
    assert report.values() == numbers
    assert [report.percentile(p) for p in (0, 20, 21, 50, 95, 100)] == [
        0.1, 0.1, 0.2, 0.3, 0.5, 0.5,
    ]  # fmt: skip
    assert report.percentile(50, "to_response") == 0.0
    assert report.percentile(50, "to_commit") is None

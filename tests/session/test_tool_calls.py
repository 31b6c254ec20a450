"""Calls are run once, answered once or given up, and followed by one response."""

from __future__ import annotations

from typing import Any

import pytest
from tests.session.session_events import Probe, feed, message, output_item, response, server

from duologue.protocol import ga
from duologue.session.responses import MAX_QUEUED
from duologue.session.tool_calls import INTERRUPTED, PATIENCE, STARTED, ToolPolicy

POLICIES = {
    "quiet": ToolPolicy(responds=False),
    "hasty": ToolPolicy(on_interrupt="cancel"),
    "slow": ToolPolicy(is_background=True),
}

STARTS = server("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=0)
COMMITS = server("input_audio_buffer.committed", item_id="item_u")


def new_core(**session: object) -> Probe:
    core = Probe(has_tool=lambda _: True, tool_policy=lambda name: POLICIES.get(name, ToolPolicy()))
    feed(core, server("session.created", session={"type": "realtime", **session}))
    return core


def call(call_id: str = "c1", name: str = "f", **fields: object) -> dict[str, Any]:
    item = {"id": f"item_{call_id}", "type": "function_call", "name": name, "call_id": call_id}
    return item | {"arguments": "{}", "status": "completed"} | fields


def calls(core: Probe, *items: dict[str, Any], status: str = "completed") -> None:
    """Let one response make calls, and end."""
    feed(core, response("created"))
    feed(core, *(output_item("done", item) for item in items))
    feed(core, response("done", status=status))


def sent(core: Probe) -> list[str]:
    """Return what is to be sent: outputs as they are, other events by their type."""
    told = []
    for event in core.events_to_send():
        item = event.item if isinstance(event, ga.ConversationItemCreateEvent) else None
        told.append(item.output if isinstance(item, ga.FunctionCallOutput) else event.type)
    return told


def output_seen(call_id: str = "c1") -> ga.AnyServerEvent:
    item = {"id": "o", "type": "function_call_output", "call_id": call_id, "output": "1"}
    return server("conversation.item.added", item=item)


def test_calls_of_a_response_are_gathered_and_followed_by_one_response() -> None:
    core = new_core()
    calls(core, call("c1"), call("c2"))
    assert [each.call_id for each in core.calls_to_run()] == ["c1", "c2"]
    core.answer_call("c2", "2", None, 1.0)
    assert sent(core) == ["2"]
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1", "response.create"]


def test_a_call_that_is_told_again_is_neither_run_nor_answered_again() -> None:
    core = new_core()
    calls(core, call())
    core.calls_to_run()
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1", "response.create"]
    calls(core, call())
    core.answer_call("c1", "1", None, 1.0)
    core.answer_call("nobody's", "1", None, 1.0)
    assert core.calls_to_run() == []
    assert sent(core) == []


@pytest.mark.parametrize(
    "item", [call(status="incomplete"), call() | {"call_id": None}, message("m")]
)
def test_what_is_no_whole_call_is_not_run(item: dict[str, Any]) -> None:
    core = new_core()
    calls(core, item)
    assert core.calls_to_run() == []
    assert sent(core) == []


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_response_that_was_cut_is_answered_and_not_followed(status: str) -> None:
    core = new_core()
    calls(core, call(), status=status)
    assert sent(core) == []
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]


def test_a_tool_that_does_not_respond_is_followed_by_nothing_unless_another_does() -> None:
    core = new_core()
    calls(core, call(name="quiet"))
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]
    calls(core, call("c2", "quiet"), call("c3"))
    core.answer_call("c3", "3", None, 1.0)
    core.answer_call("c2", "2", None, 1.0)
    assert sent(core) == ["3", "2", "response.create"]


@pytest.mark.parametrize(
    "choice",
    [
        "required", {"type": "function", "name": "f"}, {"type": "mcp", "server_label": "m"},
        {"type": "function", "name": "f", "novel": 1}, {"type": "novel", "of": {}},
    ],
)  # fmt: skip
def test_a_forced_choice_is_not_forced_upon_the_next_response(choice: object) -> None:
    core = new_core(tool_choice=choice)
    calls(core, call())
    core.answer_call("c1", "1", None, 1.0)
    _, asked = core.events_to_send()
    assert isinstance(asked, ga.ResponseCreateEvent)
    assert asked.response == ga.ResponseCreateParams(tool_choice="auto")


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_free_choice_is_left_as_it_is(choice: str) -> None:
    core = new_core(tool_choice=choice)
    calls(core, call())
    core.answer_call("c1", "1", None, 1.0)
    _, asked = core.events_to_send()
    assert isinstance(asked, ga.ResponseCreateEvent)
    assert not asked.response


def test_an_impatient_tool_is_given_up_when_the_user_speaks() -> None:
    core = new_core()
    calls(core, call(name="hasty"), call("c2"))
    feed(core, STARTS)
    assert core.calls_to_cancel() == ["c1"]
    assert core.calls_to_cancel() == []
    assert sent(core) == [INTERRUPTED]
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == []


def test_an_impatient_tool_is_given_up_when_its_response_is_cancelled() -> None:
    core = new_core()
    calls(core, call(name="hasty"), call("c2"), status="cancelled")
    assert core.calls_to_cancel() == ["c1"]
    assert sent(core) == [INTERRUPTED]


def test_the_response_to_the_users_turn_takes_the_answers_up() -> None:
    core = new_core()
    calls(core, call())
    feed(core, STARTS)
    core.answer_call("c1", "1", None, 1.0)
    feed(core, output_seen(), COMMITS)
    assert sent(core) == ["1"]
    assert core.next_deadline() == 1.0 + PATIENCE
    feed(core, response("created", "resp_2"), response("done", "resp_2", status="completed"))
    assert core.next_deadline() is None
    assert sent(core) == []


def test_a_response_that_began_without_an_answer_is_followed_by_one_with_it() -> None:
    core = new_core()
    calls(core, call())
    feed(core, STARTS, COMMITS)
    core.answer_call("c1", "1", None, 1.0)
    feed(core, response("created", "resp_2"), output_seen())
    assert sent(core) == ["1"]
    feed(core, response("done", "resp_2", status="completed"))
    assert sent(core) == ["response.create"]


def test_a_response_beside_the_conversation_takes_nothing_up() -> None:
    core = new_core()
    calls(core, call())
    feed(core, STARTS)
    core.answer_call("c1", "1", None, 1.0)
    params = ga.ResponseCreateParams(conversation="none")
    core.create_response(ga.ResponseCreateEvent(response=params), 1.0)
    feed(core, output_seen(), response("created", "resp_2", conversation_id=None))
    assert sent(core) == ["1", "response.create"]
    feed(core, server("input_audio_buffer.cleared"))
    assert sent(core) == ["response.create"]


def test_a_server_that_does_not_answer_the_user_is_not_waited_for() -> None:
    core = new_core()
    calls(core, call())
    feed(core, STARTS, COMMITS)
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]
    core.handle_deadline(0.9 + PATIENCE)
    assert sent(core) == []
    core.handle_deadline(1.0 + PATIENCE)
    assert sent(core) == ["response.create"]
    assert core.next_deadline() is None


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
def test_turns_that_the_application_answers_hold_nothing_back_when_they_end(kind: str) -> None:
    detection = {"type": kind, "create_response": False}
    core = new_core(audio={"input": {"turn_detection": detection}})
    calls(core, call())
    feed(core, STARTS)
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]
    feed(core, COMMITS)
    assert sent(core) == ["response.create"]


def test_a_background_tool_is_answered_at_once_and_tells_its_result_later() -> None:
    core = new_core()
    calls(core, call(name="slow"))
    assert sent(core) == [STARTED, "response.create"]
    feed(core, response("created", "resp_2"), STARTS)
    assert core.calls_to_cancel() == []
    feed(core, response("done", "resp_2", status="cancelled"), server("input_audio_buffer.cleared"))
    core.answer_call("c1", '"ready"', None, 1.0)
    told, asked = core.events_to_send()
    assert isinstance(told, ga.ConversationItemCreateEvent)
    assert told.item == ga.Message(
        role="system",
        content=[ga.InputText(text='The tool slow, called as c1, has finished: "ready"')],
    )
    assert asked.type == "response.create"
    core.answer_call("c1", '"again"', None, 1.0)
    assert sent(core) == []


def test_results_that_come_while_a_response_is_in_progress_ask_for_one_more() -> None:
    core = new_core()
    calls(core, call("c1", "slow"), call("c2", "slow"))
    feed(core, response("created", "resp_2"))
    core.events_to_send()
    core.answer_call("c1", "1", None, 1.0)
    core.answer_call("c2", "2", None, 1.0)
    assert sent(core) == ["conversation.item.create"] * 2
    feed(core, response("done", "resp_2", status="completed"))
    assert sent(core) == ["response.create"]


def test_where_many_responses_wait_their_turn_answers_ask_for_no_more() -> None:
    core = new_core()
    calls(core, call())
    feed(core, response("created", "resp_2"))
    for _ in range(MAX_QUEUED):
        core.create_response(ga.ResponseCreateEvent(), 1.0)
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]
    assert core.responses.waiting == MAX_QUEUED


def test_the_round_of_a_call_may_be_forgotten_before_it_is_answered() -> None:
    core = new_core()
    feed(core, output_item("done", call()))
    for index in range(64):
        feed(core, output_item("done", call(f"d{index}"), response_id=f"resp_d{index}"))
    core.answer_call("c1", "1", None, 1.0)
    feed(core, response("done", status="completed"))
    assert sent(core) == ["1"]


def test_answers_that_are_faster_than_the_response_wait_for_it() -> None:
    core = new_core()
    feed(core, response("created"), output_item("done", call()))
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]
    feed(core, response("done", status=None))
    assert sent(core) == ["response.create"]


def test_a_call_that_only_the_end_of_its_response_tells_of_is_run_once() -> None:
    core = new_core()
    feed(core, response("created"), output_item("done", call("c1")))
    feed(core, response("done", output=[call("c1"), message("m"), call("c2")]))
    assert [each.call_id for each in core.calls_to_run()] == ["c1", "c2"]
    core.answer_call("c1", "1", None, 1.0)
    core.answer_call("c2", "2", None, 1.0)
    assert sent(core) == ["1", "2", "response.create"]
    feed(core, response("done", output=[call("c2")]))
    feed(core, response("done", "resp_2", status="cancelled", output=[call("c3")]))
    assert core.calls_to_run() == []


def test_calls_that_the_application_declared_by_hand_are_left_to_it() -> None:
    core = Probe(has_tool=lambda _: False)
    tools = [{"type": "function", "name": "f"}]
    feed(core, server("session.updated", session={"type": "realtime", "tools": tools}))
    feed(core, response("created"), output_item("done", call()))
    assert core.calls_to_run() == []
    feed(core, output_item("done", call("c2", "unheard_of")))
    assert [told.name for told in core.calls_to_run()] == ["unheard_of"]


def test_calls_beside_the_conversation_are_left_to_the_application() -> None:
    core = new_core()
    params = ga.ResponseCreateParams(conversation="none")
    core.create_response(ga.ResponseCreateEvent(response=params), 1.0)
    feed(core, response("created", conversation_id=None), output_item("done", call()))
    assert core.calls_to_run() == []


def test_a_core_without_tools_runs_none() -> None:
    core = Probe()
    feed(core, output_item("done", call()), response("done", response_id="", status="completed"))
    assert core.calls_to_run() == []

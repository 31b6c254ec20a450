"""Tool calls are run once, answered or cancelled once, and followed by one response."""

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
    """Process the events of one response that makes calls."""
    feed(core, response("created"))
    feed(core, *(output_item("done", item) for item in items))
    feed(core, response("done", status=status))


def sent(core: Probe) -> list[str]:
    """Return the events to send: tool outputs as text, other events by type."""
    sent = []
    for event in core.events_to_send():
        item = event.item if isinstance(event, ga.ConversationItemCreateEvent) else None
        sent.append(item.output if isinstance(item, ga.FunctionCallOutput) else event.type)
    return sent


def output_seen(call_id: str = "c1") -> ga.AnyServerEvent:
    item = {"id": "o", "type": "function_call_output", "call_id": call_id, "output": "1"}
    return server("conversation.item.added", item=item)


def test_calls_of_a_response_lead_to_one_response() -> None:
    core = new_core()
    calls(core, call("c1"), call("c2"))
    assert [each.call_id for each in core.calls_to_run()] == ["c1", "c2"]
    core.answer_call("c2", "2", None, 1.0)
    assert sent(core) == ["2"]
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1", "response.create"]


def test_a_repeated_call_is_run_and_answered_once() -> None:
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
def test_incomplete_calls_are_not_run(item: dict[str, Any]) -> None:
    core = new_core()
    calls(core, item)
    assert core.calls_to_run() == []
    assert sent(core) == []


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_calls_of_a_cancelled_or_failed_response_lead_to_no_response(status: str) -> None:
    core = new_core()
    calls(core, call(), status=status)
    assert sent(core) == []
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]


def test_a_tool_that_does_not_respond_leads_to_no_response_unless_another_does() -> None:
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
def test_a_forced_tool_choice_is_auto_in_the_next_response(choice: object) -> None:
    core = new_core(tool_choice=choice)
    calls(core, call())
    core.answer_call("c1", "1", None, 1.0)
    _, create = core.events_to_send()
    assert isinstance(create, ga.ResponseCreateEvent)
    assert create.response == ga.ResponseCreateParams(tool_choice="auto")


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_a_free_tool_choice_is_left_unchanged(choice: str) -> None:
    core = new_core(tool_choice=choice)
    calls(core, call())
    core.answer_call("c1", "1", None, 1.0)
    _, create = core.events_to_send()
    assert isinstance(create, ga.ResponseCreateEvent)
    assert not create.response


def test_an_interruptible_tool_is_cancelled_when_the_user_speaks() -> None:
    core = new_core()
    calls(core, call(name="hasty"), call("c2"))
    feed(core, STARTS)
    assert core.calls_to_cancel() == ["c1"]
    assert core.calls_to_cancel() == []
    assert sent(core) == [INTERRUPTED]
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == []


def test_an_interruptible_tool_is_cancelled_with_its_response() -> None:
    core = new_core()
    calls(core, call(name="hasty"), call("c2"), status="cancelled")
    assert core.calls_to_cancel() == ["c1"]
    assert sent(core) == [INTERRUPTED]


def test_the_response_to_the_users_turn_uses_the_outputs() -> None:
    core = new_core()
    calls(core, call())
    feed(core, STARTS)
    core.answer_call("c1", "1", None, 1.0)
    feed(core, output_seen(), COMMITS)
    assert sent(core) == ["1"]
    assert core.next_deadline() == 1.0 + PATIENCE
    feed(core, response("created", "resp_2"), response("done", "resp_2", status="completed"))
    assert core.tools.deadline is None
    assert sent(core) == []


def test_a_response_that_began_before_an_output_is_followed_by_another() -> None:
    core = new_core()
    calls(core, call())
    feed(core, STARTS, COMMITS)
    core.answer_call("c1", "1", None, 1.0)
    feed(core, response("created", "resp_2"), output_seen())
    assert sent(core) == ["1"]
    feed(core, response("done", "resp_2", status="completed"))
    assert sent(core) == ["response.create"]


def test_an_out_of_band_response_does_not_use_the_outputs() -> None:
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


def test_waiting_for_the_users_response_has_a_deadline() -> None:
    core = new_core()
    calls(core, call())
    feed(core, STARTS, COMMITS)
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]
    core.handle_deadline(0.9 + PATIENCE)
    assert sent(core) == []
    core.handle_deadline(1.0 + PATIENCE)
    assert sent(core) == ["response.create"]
    assert core.tools.deadline is None


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
def test_without_create_response_outputs_wait_only_until_the_turn_ends(kind: str) -> None:
    detection = {"type": kind, "create_response": False}
    core = new_core(audio={"input": {"turn_detection": detection}})
    calls(core, call())
    feed(core, STARTS)
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]
    feed(core, COMMITS)
    assert sent(core) == ["response.create"]


def test_a_background_tool_is_answered_at_once_and_sends_its_result_later() -> None:
    core = new_core()
    calls(core, call(name="slow"))
    assert sent(core) == [STARTED, "response.create"]
    feed(core, response("created", "resp_2"), STARTS)
    assert core.calls_to_cancel() == []
    feed(core, response("done", "resp_2", status="cancelled"), server("input_audio_buffer.cleared"))
    core.answer_call("c1", '"ready"', None, 1.0)
    result, create = core.events_to_send()
    assert isinstance(result, ga.ConversationItemCreateEvent)
    assert result.item == ga.Message(
        role="system",
        content=[ga.InputText(text='The tool slow, called as c1, has finished: "ready"')],
    )
    assert create.type == "response.create"
    core.answer_call("c1", '"again"', None, 1.0)
    assert sent(core) == []


def test_results_during_a_response_request_one_more() -> None:
    core = new_core()
    calls(core, call("c1", "slow"), call("c2", "slow"))
    feed(core, response("created", "resp_2"))
    core.events_to_send()
    core.answer_call("c1", "1", None, 1.0)
    core.answer_call("c2", "2", None, 1.0)
    assert sent(core) == ["conversation.item.create"] * 2
    feed(core, response("done", "resp_2", status="completed"))
    assert sent(core) == ["response.create"]


def test_outputs_request_no_response_when_the_queue_is_full() -> None:
    core = new_core()
    calls(core, call())
    feed(core, response("created", "resp_2"))
    for _ in range(MAX_QUEUED):
        core.create_response(ga.ResponseCreateEvent(), 1.0)
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]
    assert core.responses.waiting == MAX_QUEUED


def test_a_call_can_be_answered_after_its_response_is_forgotten() -> None:
    core = new_core()
    feed(core, output_item("done", call()))
    for index in range(64):
        feed(core, output_item("done", call(f"d{index}"), response_id=f"resp_d{index}"))
    core.answer_call("c1", "1", None, 1.0)
    feed(core, response("done", status="completed"))
    assert sent(core) == ["1"]


def test_outputs_before_the_end_of_the_response_wait_for_it() -> None:
    core = new_core()
    feed(core, response("created"), output_item("done", call()))
    core.answer_call("c1", "1", None, 1.0)
    assert sent(core) == ["1"]
    feed(core, response("done", status=None))
    assert sent(core) == ["response.create"]


def test_a_call_that_is_only_in_response_done_is_run_once() -> None:
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


def test_calls_of_configured_tools_are_left_to_the_application() -> None:
    core = Probe(has_tool=lambda _: False)
    tools = [{"type": "function", "name": "f"}]
    feed(core, server("session.updated", session={"type": "realtime", "tools": tools}))
    feed(core, response("created"), output_item("done", call()))
    assert core.calls_to_run() == []
    feed(core, output_item("done", call("c2", "unheard_of")))
    assert [each.name for each in core.calls_to_run()] == ["unheard_of"]


def test_calls_of_out_of_band_responses_are_left_to_the_application() -> None:
    core = new_core()
    params = ga.ResponseCreateParams(conversation="none")
    core.create_response(ga.ResponseCreateEvent(response=params), 1.0)
    feed(core, response("created", conversation_id=None), output_item("done", call()))
    assert core.calls_to_run() == []


def test_a_core_without_tools_runs_none() -> None:
    core = Probe()
    feed(core, output_item("done", call()), response("done", response_id="", status="completed"))
    assert core.calls_to_run() == []

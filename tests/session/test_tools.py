"""Calls are run once, answered once, and followed by one response."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from tests.session.session_events import feed, message, output_item, response, server

from duologue.protocol import ga
from duologue.session.client_session import ClientSession


def new_core(*names: str) -> ClientSession:
    numbers = itertools.count(1)
    return ClientSession(
        new_id=lambda kind: f"{kind}_{next(numbers)}",
        runs_tool=lambda name, is_declared: name in names or not is_declared,
    )


def call(call_id: str = "c1", name: str = "f", **fields: object) -> dict[str, Any]:
    item = {"id": f"item_{call_id}", "type": "function_call", "name": name, "call_id": call_id}
    return item | {"arguments": "{}", "status": "completed"} | fields


def sent(core: ClientSession) -> list[str]:
    return [event.type for event in core.events_to_send()]


def test_the_next_response_is_due_after_the_response_and_the_last_answer() -> None:
    core = new_core("f")
    feed(
        core, response("created"), output_item("done", call("c1")), output_item("done", call("c2"))
    )
    assert [told.call_id for told in core.tools.take_new()] == ["c1", "c2"]
    core.answer_call("c1", "1", 1.0)
    feed(core, response("done", status="completed"))
    assert sent(core) == ["conversation.item.create"]
    core.answer_call("c2", "2", 1.0)
    assert sent(core) == ["conversation.item.create", "response.create"]


def test_answers_that_are_faster_than_the_response_wait_for_it() -> None:
    core = new_core("f")
    feed(core, response("created"), output_item("done", call()))
    core.answer_call("c1", "1", 1.0)
    assert sent(core) == ["conversation.item.create"]
    feed(core, response("done", status=None))
    assert sent(core) == ["response.create"]
    core.answer_call("c1", "1", 1.0)
    assert sent(core) == ["conversation.item.create"]


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_response_that_was_cut_is_not_followed_by_another(status: str) -> None:
    core = new_core("f")
    feed(core, response("created"), output_item("done", call()))
    core.answer_call("c1", "1", 1.0)
    feed(core, response("done", status=status))
    assert sent(core) == ["conversation.item.create"]


@pytest.mark.parametrize(
    "item", [call(status="incomplete"), call() | {"call_id": None}, message("m")]
)
def test_what_is_no_whole_call_is_not_run(item: dict[str, Any]) -> None:
    core = new_core("f")
    feed(core, response("created"), output_item("done", item))
    assert core.tools.take_new() == []


def test_a_call_that_is_told_twice_is_run_once() -> None:
    core = new_core("f")
    feed(core, response("created"), output_item("done", call()), output_item("done", call()))
    assert len(core.tools.take_new()) == 1


def test_calls_that_the_application_declared_by_hand_are_left_to_it() -> None:
    core = new_core()
    tools = [{"type": "function", "name": "f"}]
    feed(core, server("session.updated", session={"type": "realtime", "tools": tools}))
    feed(core, response("created"), output_item("done", call()))
    assert core.tools.take_new() == []
    feed(core, output_item("done", call("c2", "unheard_of")))
    assert [told.name for told in core.tools.take_new()] == ["unheard_of"]


def test_calls_beside_the_conversation_are_left_to_the_application() -> None:
    core = new_core("f")
    params = ga.ResponseCreateParams(conversation="none")
    core.request_response(ga.ResponseCreateEvent(response=params))
    feed(core, response("created", conversation_id=None), output_item("done", call()))
    assert core.tools.take_new() == []


def test_a_core_without_tools_runs_none() -> None:
    core = ClientSession(new_id=lambda kind: kind)
    feed(core, output_item("done", call()), response("done", response_id="", status="completed"))
    assert core.tools.take_new() == []
    assert not core.tools.answer("nobody's")

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.session.session_events import (
    Probe,
    feed,
    message,
    new_core,
    output_item,
    response,
    server,
)

from duologue.errors import Closed, ResponseFailed, ServerError
from duologue.protocol import ga
from duologue.session.response_state import REQUEST_TRANSITIONS, RequestInput, RequestState
from duologue.session.updates import ErrorUpdate

SENT = {RequestState.REQUESTED, RequestState.IN_PROGRESS}


def ask(core: Probe, event_id: str, params: ga.ResponseCreateParams | None = None) -> None:
    core.send(ga.ResponseCreateEvent(event_id=event_id, response=params), 1.0)


def refusal(event_id: str | None, code: str | None = None) -> ga.AnyServerEvent:
    error = {"type": "invalid_request_error", "message": "no", "event_id": event_id, "code": code}
    return server("error", error=error)


@given(st.sampled_from(RequestState), st.sampled_from(RequestInput))
def test_the_table_is_total_and_final_states_stay(state: RequestState, cause: RequestInput) -> None:
    is_new, is_sent = state is RequestState.QUEUED, state in SENT
    begins = {RequestInput.SENT: is_new, RequestInput.CREATED: is_sent, RequestInput.BUSY: is_sent}
    if not begins.get(cause, True):
        assert is_new or is_sent or REQUEST_TRANSITIONS[state, cause] is state
        return
    after = REQUEST_TRANSITIONS[state, cause]
    went = {
        RequestInput.SENT: "REQUESTED",
        RequestInput.CREATED: "IN_PROGRESS",
        RequestInput.BUSY: "QUEUED",
    }
    assert after.name == went.get(cause, cause.name) if is_new or is_sent else after is state


@pytest.mark.parametrize("status", ["completed", "incomplete", "cancelled", "failed"])
def test_a_request_ends_with_the_status_of_its_response(status: str) -> None:
    core = new_core()
    ask(core, "mine")
    request = core.responses.request("mine")
    assert request is not None
    feed(core, response("created", status="in_progress"))
    assert request.state is RequestState.IN_PROGRESS
    assert core.responses.active is request.response
    feed(core, response("done", status=status, metadata=None))
    assert request.state.name.lower() == status
    assert core.settled_requests() == [request]
    assert core.settled_requests() == []
    assert core.responses.active is None
    state = core.responses.get("resp_1")
    assert state is not None
    assert (state.status, state.is_done, state.usage, state.metadata) == (status, True, None, {})


def test_a_refused_request_has_the_servers_error() -> None:
    core = new_core()
    ask(core, "mine")
    request = core.responses.request("mine")
    assert request is not None
    updates = feed(core, refusal("mine", "x"))
    assert request.state is RequestState.REFUSED
    assert isinstance(request.error, ServerError)
    assert request.error.code == "x"
    assert updates == [ErrorUpdate(request.error)]


def test_a_refusal_corrects_a_wrongly_matched_response() -> None:
    """Turn detection began a response while our request was on its way."""
    core = new_core()
    ask(core, "mine")
    request = core.responses.request("mine")
    assert request is not None
    feed(core, response("created", "resp_vad"))
    feed(core, refusal("mine", "conversation_already_has_active_response"))
    assert (request.state, request.response) == (RequestState.REFUSED, None)
    assert core.responses.active is core.responses.get("resp_vad")


def test_an_active_response_error_without_an_id_refuses_the_oldest_open_request() -> None:
    core = new_core()
    ask(core, "first")
    feed(core, response("created"))
    ask(core, "second")
    feed(core, refusal(None, "conversation_already_has_active_response"))
    assert [request.event_id for request in core.settled_requests()] == ["second"]


def test_responses_are_matched_by_metadata_and_conversation() -> None:
    core = new_core()
    aside = ga.ResponseCreateParams(conversation="none", metadata={"topic": "a"})
    ask(core, "aside", aside)
    ask(core, "default")
    ask(core, "other", ga.ResponseCreateParams(conversation="none"))
    feed(core, response("created", "resp_o", conversation_id=None))
    feed(core, response("created", "resp_d", conversation_id="conv_1"))
    feed(core, response("created", "resp_a", conversation_id=None, metadata={"topic": "a"}))
    found = {}
    for name in ("aside", "default", "other"):
        request = core.responses.request(name)
        assert request is not None
        assert request.response is not None
        found[name] = (request.response.id, request.response.is_out_of_band)
    assert found == {
        "aside": ("resp_a", True),
        "default": ("resp_d", False),
        "other": ("resp_o", True),
    }
    assert core.responses.active is core.responses.get("resp_d")


def test_without_metadata_a_response_answers_the_oldest_request() -> None:
    core = new_core()
    for topic in ("a", "b"):
        ask(core, topic, ga.ResponseCreateParams(conversation="none", metadata={"topic": topic}))
    feed(core, response("created", "resp_n", metadata=None))  # has metadata, but not ours
    feed(core, response("created"), response("done", status="completed"))
    assert [request.event_id for request in core.settled_requests()] == ["a"]


def test_a_busy_server_is_recognised_by_the_type_of_its_error() -> None:
    core = new_core()
    request = core.create_response(ga.ResponseCreateEvent(event_id="mine"), 1.0)
    feed(core, response("created", "resp_vad", metadata=None))
    busy = {"type": "conversation_already_has_active_response", "message": "no"}
    assert feed(core, server("error", error=busy | {"event_id": "mine"})) == []
    assert request.state is RequestState.QUEUED


def test_a_failure_without_a_code_has_the_type_of_its_error() -> None:
    core = new_core()
    details = {"type": "failed", "error": {"type": "response_failed", "code": None}}
    (update,) = feed(core, response("done", status="failed", status_details=details))
    assert isinstance(update, ErrorUpdate)
    assert isinstance(update.error, ResponseFailed)
    assert update.error.code == "response_failed"


def test_the_failure_of_an_unrequested_response_is_reported() -> None:
    core = new_core()
    details = {"type": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}
    updates = feed(core, response("done", status="failed", status_details=details))
    assert [type(u.error) for u in updates if isinstance(u, ErrorUpdate)] == [ResponseFailed]
    assert "slow" in str(updates)


def test_repeated_responses_and_responses_without_an_id_are_ignored() -> None:
    core = new_core()
    feed(core, response("created"), response("created"), server("response.created", response={}))
    assert [state.id for state in core.responses] == ["resp_1"]


def test_a_reused_id_is_another_response() -> None:
    core = new_core()
    feed(core, response("created"), response("done", status="completed"))
    ask(core, "mine")
    request = core.responses.request("mine")
    assert request is not None
    feed(core, response("created"), response("done", status="completed"))
    feed(core, response("done", status="completed"))
    assert request.state is RequestState.COMPLETED


def test_events_of_unknown_responses_change_nothing() -> None:
    core = new_core()
    feed(core, server("response.done", response={"status": "failed"}))
    feed(core, output_item("added", message("item_a", "assistant")))
    feed(core, response("created"), output_item("added", message("item_a", "assistant")))
    feed(core, output_item("added", message("item_a", "assistant")))
    assert [state.output for state in core.responses] == [["item_a"]]


def test_ending_loses_open_requests() -> None:
    core = new_core()
    ask(core, "mine")
    core.end(Closed("over"))
    (request,) = core.settled_requests()
    assert request.state is RequestState.LOST
    assert request.snapshots() == ()

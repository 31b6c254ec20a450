"""Queue of response requests: the conversation has one active response at a time."""

from __future__ import annotations

import pytest
from tests.session.session_events import (
    Probe,
    feed,
    message,
    new_core,
    output_item,
    response,
    server,
)

from duologue.errors import Closed, LocalProtocolError, ServerError
from duologue.protocol import ga
from duologue.protocol.model import UNSET
from duologue.session.response_state import RequestState, ResponseRequest
from duologue.session.responses import BUSY, MAX_QUEUED


def ask(core: Probe, **params: object) -> ResponseRequest:
    given = ga.ResponseCreateParams(**params) if params else UNSET  # type: ignore[arg-type]  # by name
    return core.create_response(ga.ResponseCreateEvent(response=given), 1.0)


def busy(request: ResponseRequest) -> ga.AnyServerEvent:
    error = {"type": "invalid_request_error", "message": "busy", "code": BUSY}
    return server("error", error=error | {"event_id": request.event_id})


def sent(core: Probe) -> list[str]:
    return [event.type for event in core.events_to_send()]


def test_a_request_waits_until_the_active_response_is_done() -> None:
    core = new_core()
    feed(core, response("created", "resp_vad"))
    first, second = ask(core), ask(core)
    assert sent(core) == []
    assert (core.responses.waiting, first.state) == (2, RequestState.QUEUED)
    feed(core, response("done", "resp_vad", status="completed"))
    assert core.events_to_send() == [first.event]
    feed(core, response("created", "resp_1"))
    assert second.state is RequestState.QUEUED
    feed(core, response("done", "resp_1", status="completed"))
    assert core.events_to_send() == [second.event]
    assert first.state is RequestState.COMPLETED


def test_an_out_of_band_request_does_not_wait() -> None:
    core = new_core()
    feed(core, response("created", "resp_vad"))
    aside = ask(core, conversation="none")
    assert core.events_to_send() == [aside.event]


def test_a_request_refused_as_busy_is_queued_again() -> None:
    core = new_core()
    request = ask(core)
    assert sent(core) == ["response.create"]
    feed(core, response("created", "resp_vad"))  # turn detection was faster
    assert feed(core, busy(request)) == []
    assert (request.state, request.response) == (RequestState.QUEUED, None)
    feed(core, response("done", "resp_vad", status="completed"))
    assert core.events_to_send() == [request.event]
    feed(core, response("created", "resp_1"))
    assert request.response is core.responses.get("resp_1")


def test_requeued_requests_keep_their_order() -> None:
    core = new_core()
    requests = [ask(core) for _ in range(3)]
    sent(core)
    feed(core, response("created", "resp_vad", metadata={"not": "ours"}))
    feed(core, busy(requests[1]), busy(requests[0]), busy(requests[2]))
    for number, request in enumerate(requests):
        before = f"resp_{number - 1}" if number else "resp_vad"
        feed(core, response("done", before, status="completed"))
        assert core.events_to_send() == [request.event]
        feed(core, response("created", f"resp_{number}"))


def test_a_busy_error_without_an_active_response_refuses_the_request() -> None:
    core = new_core()
    request = ask(core)
    feed(core, busy(request))
    assert request.state is RequestState.REFUSED
    assert isinstance(request.error, ServerError)


def test_a_request_sent_as_an_event_is_refused_and_not_queued_again() -> None:
    core = new_core()
    core.send(ga.ResponseCreateEvent(event_id="mine"), 1.0)
    request = core.responses.request("mine")
    assert request is not None
    feed(core, response("created", "resp_vad"), busy(request))
    assert request.state is RequestState.REFUSED


def test_a_refusal_lets_the_next_request_go() -> None:
    core = new_core()
    feed(core, response("created", "resp_vad"))
    first, second = ask(core), ask(core)
    feed(core, response("done", "resp_vad", status="completed"))
    sent(core)
    error = {"type": "invalid_request_error", "message": "no", "event_id": first.event_id}
    feed(core, server("error", error=error))
    assert core.events_to_send() == [second.event]


def test_cancelling_a_queued_request_sends_nothing() -> None:
    core = new_core()
    feed(core, response("created", "resp_vad"))
    request = ask(core)
    core.cancel_request(request, 1.0)
    assert (request.state, core.responses.waiting) == (RequestState.CANCELLED, 0)
    assert core.settled_requests() == [request]
    assert sent(core) == []
    core.cancel_request(request, 1.0)
    assert sent(core) == []


def test_cancelling_before_the_response_begins_is_sent_when_it_does() -> None:
    core = new_core()
    request = ask(core)
    core.cancel_request(request, 1.0)
    assert sent(core) == ["response.create"]
    feed(core, response("created", "resp_1"))
    (cancel,) = core.events_to_send()
    assert isinstance(cancel, ga.ResponseCancelEvent)
    assert cancel.response_id == "resp_1"
    feed(core, response("created", "resp_1"))
    assert sent(core) == []
    feed(core, response("done", "resp_1", status="cancelled"))
    assert request.state is RequestState.CANCELLED


def test_a_response_in_progress_is_cancelled_by_its_id() -> None:
    core = new_core()
    request = ask(core)
    feed(core, response("created", "resp_1"))
    sent(core)
    core.cancel_request(request, 1.0)
    (cancel,) = core.events_to_send()
    assert isinstance(cancel, ga.ResponseCancelEvent)
    assert cancel.response_id == "resp_1"


def test_a_cancelled_request_is_not_queued_again() -> None:
    core = new_core()
    request = ask(core)
    core.cancel_request(request, 1.0)
    sent(core)
    feed(core, response("created", "resp_vad", metadata={"not": "ours"}), busy(request))
    assert request.state is RequestState.CANCELLED
    feed(core, response("done", "resp_vad", status="completed"))
    assert sent(core) == []


def test_too_many_queued_requests_raise() -> None:
    core = new_core()
    feed(core, response("created", "resp_vad"))
    for _ in range(MAX_QUEUED):
        ask(core)
    with pytest.raises(LocalProtocolError, match="wait for their turn"):
        ask(core)


def test_ending_loses_queued_requests() -> None:
    core = new_core()
    feed(core, response("created", "resp_vad"))
    request = ask(core)
    core.end(Closed("over"))
    assert core.settled_requests() == [request]
    assert request.state is RequestState.LOST
    with pytest.raises(LocalProtocolError):
        core.cancel_request(request, 1.0)


def test_an_item_id_used_by_two_responses_is_two_items() -> None:
    core = new_core()
    item = message("item_a", "assistant", status="in_progress")
    feed(core, response("created", "resp_1"), output_item("added", item, "resp_1"))
    feed(core, server("conversation.item.added", item=item))
    aside = ask(core, conversation="none")
    feed(core, response("created", "resp_2", conversation_id=None))
    feed(core, output_item("added", item, "resp_2"), output_item("added", item, "resp_2"))
    about = {"item_id": "item_a", "output_index": 0, "content_index": 0}
    for response_id, words in (("resp_1", "aloud"), ("resp_2", "aside")):
        kind = "response.output_text.delta"
        feed(core, server(kind, **about, response_id=response_id, delta=words))
    assert core.conversation.item("item_a").formatted.text == "aloud"
    assert [item.formatted.text for item in aside.snapshots()] == ["aside"]

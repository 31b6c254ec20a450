"""Rate limits: when the next response is requested."""

from __future__ import annotations

from typing import Any

import pytest
from tests.session.session_events import Probe, feed, new_core, response, server

from duologue.errors import ConfigurationError, ConnectionLost, ResponseFailed, ServerError
from duologue.protocol import beta, ga
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.model import UNSET
from duologue.session.rate_limits import MAX_LIMITS, RateLimitPolicy, advised_seconds
from duologue.session.response_state import RequestState, ResponseRequest
from duologue.session.updates import ErrorUpdate, RateLimited

POLICY = RateLimitPolicy(max_delay=30.0, first_delay=1.0)

WORDS = "Rate limit reached for gpt-realtime on tokens per min. Please try again in 2.5s."

NOW = 1.0
"""The time of `feed`."""


def limited(**options: Any) -> Probe:
    return new_core(rate_limits=POLICY, **options)


def ask(core: Probe, now: float = NOW, **params: Any) -> ResponseRequest:
    given = ga.ResponseCreateParams(**params) if params else UNSET
    return core.create_response(ga.ResponseCreateEvent(response=given), now)


def refusal(request: ResponseRequest | None, words: str = WORDS) -> ga.AnyServerEvent:
    error = {"type": "requests", "code": "rate_limit_exceeded", "message": words}
    return server("error", error=error | ({"event_id": request.event_id} if request else {}))


def failure(response_id: str = "resp_1", words: str = WORDS) -> ga.AnyServerEvent:
    error = {"type": "tokens", "code": "rate_limit_exceeded", "message": words}
    details = {"type": "failed", "error": error}
    return response("done", response_id, status="failed", status_details=details)


def rates(**fields: Any) -> ga.AnyServerEvent:
    limit = {"name": "requests", "limit": 100, "remaining": 0, "reset_seconds": 50.0} | fields
    return server("rate_limits.updated", rate_limits=[limit])


def sent(core: Probe) -> list[str]:
    return [event.type for event in core.events_to_send()]


def due(core: Probe) -> tuple[float, list[str]]:
    """Let the time pass until the next deadline; return it, and the events that are sent then."""
    now = core.next_deadline()
    assert now is not None
    core.handle_deadline(now)
    return now, sent(core)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Please try again in 1.2s.", 1.2),
        ("Please try again in 340ms. Visit https://x/1 to learn more.", 0.34),
        ("try again in 1m2.5s", 62.5),
        ("Please try again in 6m0s.", 360.0),
        ("Please retry after 6 seconds.", 6.0),
        ("Try Again In 2 minutes 5 secs", 125.0),
        ("Retry after 30", 30.0),
        ("try again in 20s 429 errors", 20.0),
        ("try again in 1h", 3600.0),
        ("Please try again in a moment.", None),
        ("Please try again in 0s.", None),
        ("", None),
        ("try again in " + "9" * 400, float("inf")),
        ("try again in " + "1 " * 50_000, 50_000.0),
    ],
)
def test_the_delay_is_read_from_the_words_of_a_refusal(words: str, seconds: float | None) -> None:
    assert advised_seconds(words) == seconds


@pytest.mark.parametrize("names_it", [True, False])
def test_a_refused_request_is_repeated_once_after_the_delay(*, names_it: bool) -> None:
    core = limited(timeout=None)
    request = ask(core)
    sent(core)
    (update,) = feed(core, refusal(request if names_it else None))
    assert isinstance(update, RateLimited)
    assert isinstance(update.error, ServerError)
    assert (update.seconds, update.error.code) == (2.5, "rate_limit_exceeded")
    assert (request.state, sent(core)) == (RequestState.QUEUED, [])
    assert due(core) == (3.5, ["response.create"])
    feed(core, response("created"), response("done", status="completed"))
    assert request.state is RequestState.COMPLETED
    assert core.next_deadline() is None


def test_a_request_that_is_refused_again_fails_with_the_refusal() -> None:
    core = limited(timeout=None)
    request = ask(core)
    feed(core, refusal(request))
    due(core)
    (update,) = feed(core, refusal(request))
    assert isinstance(update, ErrorUpdate)
    assert (request.state, request.error) == (RequestState.REFUSED, update.error)


def test_the_next_request_waits_after_a_refusal() -> None:
    core = limited(timeout=None)
    first = ask(core)
    feed(core, refusal(first))
    due(core)
    feed(core, refusal(first))
    sent(core)
    second = ask(core)
    assert [type(update) for update in core.take_updates()] == [RateLimited]
    assert sent(core) == []
    assert due(core) == (3.5, ["response.create"])
    assert second.state is RequestState.REQUESTED


def test_without_advice_a_request_fails_and_each_refusal_doubles_the_delay_of_the_next() -> None:
    core = new_core(rate_limits=RateLimitPolicy(retries=9), timeout=None)
    request = ask(core)
    delays: list[float] = []
    now = NOW
    for _ in range(8):
        core.receive(refusal(request, "slow down"), now)
        assert request.state is RequestState.REFUSED
        request = core.create_response(ga.ResponseCreateEvent(), now)
        delays += [u.seconds for u in core.take_updates() if isinstance(u, RateLimited)]
        now = due(core)[0]
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]
    core.receive(response("created"), now)
    core.receive(response("done", status="completed"), now)
    core.receive(refusal(core.create_response(ga.ResponseCreateEvent(), now), "slow down"), now)
    core.create_response(ga.ResponseCreateEvent(), now)
    (update,) = [u for u in core.take_updates() if isinstance(u, RateLimited)]
    assert update.seconds == 1


def test_a_delay_beyond_the_policy_fails_the_request_at_once_and_holds_the_next() -> None:
    core = limited(timeout=None)
    request = ask(core)
    feed(core, refusal(request, "Please try again in 6m0s."))
    assert request.state is RequestState.REFUSED
    sent(core)
    ask(core)
    assert due(core) == (31.0, ["response.create"])


@pytest.mark.parametrize(
    "error",
    [
        {"type": "rate_limit_error", "code": "insufficient_quota", "message": WORDS},
        {"type": "invalid_request_error", "code": "invalid_value", "message": WORDS},
        {"type": "tokens", "code": "rate_limit_exceeded", "message": "Request too large for TPM."},
    ],
)
def test_a_refusal_that_no_waiting_ends_is_not_repeated(error: dict[str, Any]) -> None:
    core = limited(timeout=None)
    request = ask(core)
    feed(core, server("error", error=error | {"event_id": request.event_id}))
    assert request.state is RequestState.REFUSED
    sent(core)
    ask(core)
    assert sent(core) == ["response.create"]


def test_a_refusal_of_another_event_holds_no_request() -> None:
    core = limited(timeout=None)
    command = core.send_command(ga.ConversationItemDeleteEvent(item_id="item_1"), NOW)
    error = {"type": "requests", "code": "rate_limit_exceeded", "message": WORDS}
    feed(core, server("error", error=error | {"event_id": command.event_id}))
    assert command.error is not None
    sent(core)
    ask(core)
    assert sent(core) == ["response.create"]


def test_a_failed_response_is_requested_again_after_the_delay() -> None:
    core = limited(timeout=None)
    request = ask(core)
    feed(core, response("created"))
    sent(core)
    (update,) = feed(core, failure())
    assert isinstance(update, RateLimited)
    assert isinstance(update.error, ResponseFailed)
    assert (request.state, sent(core)) == (RequestState.QUEUED, [])
    assert due(core) == (3.5, ["response.create"])
    feed(core, response("created", "resp_2"))
    assert request.response is core.responses.get("resp_2")
    (failed,) = feed(core, failure("resp_2"))
    assert isinstance(failed, ErrorUpdate)
    assert request.state is RequestState.FAILED
    assert sent(core) == []


def test_a_response_of_turn_detection_is_requested_in_its_place() -> None:
    core = limited(timeout=None)
    feed(core, response("created", "resp_vad"))
    updates = feed(core, failure("resp_vad"))
    assert [type(update) for update in updates] == [RateLimited]
    assert due(core) == (3.5, ["response.create"])
    feed(core, response("created", "resp_2"))
    (update,) = feed(core, failure("resp_2"))
    assert isinstance(update, ErrorUpdate)
    assert sent(core) == []


def test_the_users_next_turn_replaces_the_response_that_waits() -> None:
    core = limited(timeout=None)
    detection = {"type": "server_vad"}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    feed(core, server("session.created", session=session))
    feed(core, response("created", "resp_vad"), failure("resp_vad"))
    assert core.responses.waiting == 1
    feed(core, server("input_audio_buffer.committed", item_id="item_u"))
    feed(core, response("created", "resp_2"), response("done", "resp_2", status="completed"))
    assert (core.responses.waiting, sent(core)) == (0, [])


def test_a_response_that_called_tools_is_not_requested_again() -> None:
    core = limited(timeout=None, has_tool=lambda _: True)
    request = ask(core)
    call = {"id": "item_c", "type": "function_call", "name": "f", "call_id": "c"}
    call |= {"arguments": "{}", "status": "completed"}
    done = server("response.output_item.done", item=call, response_id="resp_1", output_index=0)
    feed(core, response("created"), done, failure())
    assert request.state is RequestState.FAILED


def test_a_request_that_was_sent_as_an_event_is_not_repeated() -> None:
    core = limited(timeout=None)
    core.send(ga.ResponseCreateEvent(event_id="mine"), NOW)
    request = core.responses.request("mine")
    assert request is not None
    feed(core, refusal(request))
    assert request.state is RequestState.REFUSED
    core.send(ga.ResponseCreateEvent(event_id="other"), NOW)
    feed(core, response("created"), failure())
    assert core.responses.request("other") is None


@pytest.mark.parametrize(
    ("fields", "delay"),
    [
        ({}, 0.5),  # one of a hundred requests that refill in 50 seconds
        ({"limit": UNSET}, 30.0),  # all of them, but never longer than the policy allows
        ({"name": "tokens", "limit": 1000, "reset_seconds": 20.0}, 5.0),  # as the last response
        ({"name": "tokens", "limit": 100, "reset_seconds": 20.0}, 20.0),
        ({"remaining": 1}, None),
        ({"remaining": UNSET}, None),
        ({"remaining": -3}, 50 * 4 / 103),
        ({"reset_seconds": 0}, None),
        ({"reset_seconds": "soon"}, None),
        ({"reset_seconds": 1e300}, None),
        ({"limit": 0}, 30.0),
    ],
)
def test_a_limit_of_which_nothing_is_left_delays_the_next_request(
    fields: dict[str, Any], delay: float | None
) -> None:
    core = limited(timeout=None)
    usage = {"total_tokens": 250}
    feed(core, response("created"), response("done", status="completed", usage=usage))
    given = {name: value for name, value in fields.items() if value is not UNSET}
    event = rates(**given)
    if UNSET in fields.values():
        (name,) = fields
        limit = ga.RateLimit(
            name=ga.RateLimitName.REQUESTS,
            limit=UNSET if name == "limit" else 100,
            remaining=UNSET if name == "remaining" else 0,
            reset_seconds=50.0,
        )
        event = ga.RateLimitsUpdatedEvent(event_id="event_s", rate_limits=[limit])
    feed(core, event)
    ask(core)
    updates = core.take_updates()
    if delay is None:
        assert (updates, sent(core)) == ([], ["response.create"])
        return
    (update,) = updates
    assert isinstance(update, RateLimited)
    assert (update.seconds, update.error) == (pytest.approx(delay), None)
    assert sent(core) == []
    assert due(core)[1] == ["response.create"]


def test_a_later_report_ends_the_delay() -> None:
    core = limited(timeout=None)
    feed(core, rates(limit=1))
    ask(core)
    assert sent(core) == []
    feed(core, rates(limit=1, remaining=1))
    assert sent(core) == ["response.create"]


def test_the_delay_does_not_count_as_silence_of_the_server() -> None:
    core = limited(timeout=10.0)
    request = ask(core)
    sent(core)
    feed(core, refusal(request, "Please try again in 25s."))
    assert due(core) == (26.0, ["response.create"])
    assert core.next_deadline() == 36.0


def test_a_request_that_waits_can_be_cancelled() -> None:
    core = limited(timeout=None)
    request = ask(core)
    feed(core, refusal(request))
    core.cancel_request(request, NOW)
    assert request.state is RequestState.CANCELLED
    assert core.next_deadline() is None


def test_out_of_band_requests_wait_too_and_go_one_at_a_time_until_one_succeeds() -> None:
    core = limited(timeout=None)
    first, second, third = (ask(core, conversation="none", metadata={"n": n}) for n in "123")
    assert sent(core) == ["response.create"] * 3
    feed(core, refusal(first), refusal(second))
    feed(core, response("created", "resp_3", conversation_id=None, metadata={"n": "3"}))
    feed(core, failure("resp_3"))
    assert sent(core) == []
    assert due(core) == (3.5, ["response.create"])
    assert core.next_deadline() is None
    feed(core, response("created", "resp_1", conversation_id=None, metadata={"n": "1"}))
    assert sent(core) == []
    feed(core, response("done", "resp_1", status="completed"))
    assert sent(core) == ["response.create"] * 2
    states = [request.state for request in (first, second, third)]
    assert states == [RequestState.COMPLETED, RequestState.REQUESTED, RequestState.REQUESTED]


def test_requests_keep_waiting_across_a_reconnection() -> None:
    core = limited(timeout=None)
    conversation, aside = ask(core), ask(core, conversation="none")
    feed(core, refusal(conversation), refusal(aside))
    sent(core)
    core.suspend(ConnectionLost("reset"), 2.0)
    during = ask(core, conversation="none")
    core.resume(core.restoration(()), attempts=1, now=3.0)
    assert sent(core) == []
    assert due(core) == (3.5, ["response.create"])
    assert aside.state is RequestState.REQUESTED
    feed(core, response("created", conversation_id=None), response("done", status="completed"))
    assert {conversation.state, during.state} == {RequestState.REQUESTED}


def test_an_out_of_band_request_made_without_a_connection_is_sent_once() -> None:
    core = new_core(timeout=None)
    core.suspend(ConnectionLost("reset"), NOW)
    ask(core, conversation="none")
    ask(core)
    core.send(ga.ResponseCreateEvent(), NOW)
    core.resume(core.restoration(()), attempts=1, now=2.0)
    assert sent(core) == ["response.create"] * 2


def test_without_a_policy_limits_are_remembered_and_nothing_waits() -> None:
    core = new_core(timeout=None)
    feed(core, rates())
    assert core.limiter.latest["requests"].remaining == 0
    request = ask(core)
    assert sent(core) == ["response.create"]
    feed(core, refusal(request))
    assert request.state is RequestState.REFUSED
    ask(core)
    assert sent(core) == ["response.create"]


def test_the_names_of_limits_are_bounded() -> None:
    core = limited()
    for number in range(100):
        feed(core, rates(name=f"limit_{number}", remaining=1))
    assert len(core.limiter.latest) == MAX_LIMITS
    assert "limit_99" in core.limiter.latest


def test_a_beta_session_waits_too() -> None:
    core = limited(timeout=None, dialect=dialect_adapter("beta"))
    request = ask(core)
    (create,) = core.events_to_send()
    assert isinstance(create, beta.ResponseCreateEvent | ga.ResponseCreateEvent)
    feed(core, refusal(request))
    assert due(core) == (3.5, ["response.create"])
    feed(core, rates(), response("created"), response("done", status="completed"))
    assert core.limiter.latest["requests"].limit == 100


@pytest.mark.parametrize(
    "options",
    [
        {"retries": -1}, {"retries": 1.5}, {"retries": True}, {"retries": 101},
        {"max_delay": 0}, {"max_delay": "1"}, {"first_delay": float("nan")},
        {"first_delay": float("inf")}, {"max_delay": True},
    ],
)  # fmt: skip
def test_a_policy_has_sensible_numbers(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        RateLimitPolicy(**options)

"""Tokens by modality, their cost, and the budget for both."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest
from tests.session.session_events import feed, new_core, output_item, response, server

from duologue.errors import BudgetExceeded, ConfigurationError
from duologue.protocol import beta, ga
from duologue.protocol.dialects import dialect_adapter
from duologue.session.effects import SendFrame
from duologue.session.prices import PRICES, ModalityTokens, Prices, PriceTable, TokenUsage
from duologue.session.response_state import RequestState
from duologue.session.tool_calls import ToolPolicy
from duologue.session.updates import ErrorUpdate
from duologue.session.usage import MAX_MODELS, OTHER_MODELS, Budget, UsageMeter

USAGE = {
    "total_tokens": 1100,
    "input_tokens": 1000,
    "output_tokens": 100,
    "input_token_details": {
        "text_tokens": 300,
        "audio_tokens": 600,
        "image_tokens": 100,
        "cached_tokens": 450,
        "cached_tokens_details": {"text_tokens": 200, "audio_tokens": 250, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 70},
}
COST = (100 * 4 + 200 * 0.4 + 350 * 32 + 250 * 0.4 + 100 * 5 + 30 * 16 + 70 * 64) / 1_000_000
"""Cost of `USAGE` with gpt-realtime."""

ONE = {"total_tokens": 10, "input_tokens": 7, "output_tokens": 3}
ONE |= {"input_token_details": {"text_tokens": 7}, "output_token_details": {"text_tokens": 3}}


def created(model: str | None = "gpt-realtime", transcription: str | None = "whisper-1") -> Any:
    audio = {"input": {"transcription": {"model": transcription} if transcription else None}}
    named = {} if model is None else {"model": model}
    return server("session.created", session={"type": "realtime", "audio": audio, **named})


def answered(response_id: str, usage: Any = USAGE, status: str = "completed") -> list[Any]:
    begun = response("created", response_id, status="in_progress", conversation_id="conv_1")
    return [begun, response("done", response_id, status=status, usage=usage)]


def transcribed(**fields: Any) -> Any:
    return server(
        "conversation.item.input_audio_transcription.completed",
        item_id="item_u",
        content_index=0,
        transcript="Hello",
        **fields,
    )


def core_of(**options: Any) -> Any:
    return new_core(usage=UsageMeter(**options))


def test_the_tokens_of_all_responses_are_summed_by_modality() -> None:
    core = core_of()
    feed(core, created(), *answered("resp_1"), *answered("resp_2"))
    report = core.usage.report()
    assert report.responses == TokenUsage(
        count=2,
        input=ModalityTokens(text=600, audio=1200, image=200),
        cached=ModalityTokens(text=400, audio=500),
        output=ModalityTokens(text=60, audio=140),
    )
    assert report.total.total_tokens == 2200
    assert report.cost == pytest.approx(2 * COST, rel=1e-15)
    assert report.unpriced == ()
    assert report.prices is PRICES


def test_a_done_that_the_server_repeats_is_counted_once_and_a_reused_id_again() -> None:
    core = core_of()
    begun, done = answered("resp_1")
    feed(core, created(), begun, done, done)
    assert core.usage.report().responses.count == 1
    feed(core, begun, done)
    assert core.usage.report().responses.count == 2


def test_a_cancelled_response_counts_and_a_failed_one_may_have_no_usage() -> None:
    core = core_of()
    feed(core, created(), *answered("a", status="cancelled"), *answered("b", None, "failed"))
    report = core.usage.report()
    assert report.responses.count == 2
    assert report.responses.total_tokens == 1100
    assert report.cost == pytest.approx(COST)


def test_a_completed_response_without_usage_makes_the_cost_unknown() -> None:
    core = core_of()
    feed(core, created(), *answered("a"), *answered("b", None))
    report = core.usage.report()
    assert report.responses.unreported == 1
    assert report.cost is None
    assert report.unpriced == ("gpt-realtime",)


@pytest.mark.parametrize("model", ["mine", None])
def test_an_unknown_model_has_no_cost(model: str | None) -> None:
    core = core_of()
    feed(core, created(model), *answered("a"))
    report = core.usage.report()
    assert report.cost is None
    assert report.unpriced == (model or "",)
    assert report.cost_of("another") == 0.0  # it was not used


def test_an_application_may_bring_its_own_prices() -> None:
    prices = PRICES.updated({"mine": Prices(text_in=1.0, text_out=2.0)}, as_of=date(2030, 1, 1))
    core = core_of(prices=prices)
    feed(core, created("mine"), *answered("a", ONE))
    assert core.usage.report().cost == 13 / 1_000_000
    assert prices.as_of == date(2030, 1, 1)
    assert prices.find("gpt-realtime") is PRICES.find("gpt-realtime")
    assert "mine" not in PRICES.models
    feed(core, *answered("b"))  # audio and images, which have no price
    assert core.usage.report().cost is None


def test_a_dated_snapshot_costs_what_its_model_costs() -> None:
    assert PRICES.find("gpt-realtime-2025-08-28") is PRICES.models["gpt-realtime"]
    older = PRICES.find("gpt-4o-realtime-preview-2024-10-01")
    assert older is not None
    assert older.audio_out == 200.0  # listed, as it costs more
    assert PRICES.find("gpt-realtime-2027") is None


def test_every_price_of_the_table_is_above_zero() -> None:
    assert PRICES.as_of > date(2026, 1, 1)
    for model, prices in PRICES.models.items():
        known = [getattr(prices, name) for name in prices.__slots__]
        assert any(known), model
        assert all(price is None or price > 0 for price in known), model


def test_a_transcription_by_duration_is_counted_by_its_own_model() -> None:
    core = core_of()
    usage = {"type": "duration", "seconds": 30.0}
    feed(core, created(), transcribed(usage=usage), transcribed(usage=usage), *answered("a"))
    report = core.usage.report()
    assert report.transcriptions == TokenUsage(count=2, audio_seconds=60.0)
    assert set(report.models) == {"whisper-1", "gpt-realtime"}
    assert report.cost_of("whisper-1") == pytest.approx(0.006)
    assert report.cost == pytest.approx(0.006 + COST)


@pytest.mark.parametrize("details", [{"text_tokens": 0, "audio_tokens": 20}, None])
def test_a_transcription_by_token_is_of_audio(details: Any) -> None:
    core = core_of()
    usage = {"type": "tokens", "input_tokens": 20, "output_tokens": 4, "total_tokens": 24}
    usage |= {} if details is None else {"input_token_details": details}
    feed(core, created(transcription="gpt-4o-transcribe"), transcribed(usage=usage))
    report = core.usage.report()
    assert report.transcriptions.input == ModalityTokens(audio=20)
    assert report.transcriptions.output == ModalityTokens(text=4)
    assert report.cost == pytest.approx((20 * 2.5 + 4 * 10) / 1_000_000)


@pytest.mark.parametrize("fields", [{}, {"usage": {"type": "by_the_word", "words": 1}}])
def test_a_transcription_of_unknown_usage_makes_the_cost_unknown(fields: Any) -> None:
    core = core_of()
    feed(core, created(), transcribed(**fields))
    assert core.usage.report().transcriptions == TokenUsage(count=1, unreported=1)
    assert core.usage.report().cost is None


def test_the_transcription_session_names_its_model() -> None:
    core = core_of()
    audio = {"input": {"transcription": {"model": "gpt-transcribe"}}}
    feed(core, server("session.created", session={"type": "transcription", "audio": audio}))
    feed(core, transcribed(usage={"type": "duration", "seconds": 60}))
    assert core.usage.report().cost == pytest.approx(0.0045)


def test_tokens_without_a_modality_are_kept_apart_and_have_no_price() -> None:
    core = core_of()
    feed(core, created(), *answered("a", {"input_tokens": 5, "output_tokens": 2}))
    report = core.usage.report()
    assert report.responses.input == ModalityTokens(unspecified=5)
    assert report.responses.output == ModalityTokens(unspecified=2)
    assert report.total.total_tokens == 7
    assert report.cost is None


def test_cached_tokens_without_details_are_text_if_all_input_is() -> None:
    core = core_of()
    details = {"text_tokens": 10, "cached_tokens": 8}
    usage = {"input_tokens": 10, "output_tokens": 0, "input_token_details": details}
    feed(core, created(), *answered("a", usage))
    assert core.usage.report().responses.cached == ModalityTokens(text=8)
    details = {"text_tokens": 10, "audio_tokens": 1, "cached_tokens": 8}
    feed(core, *answered("b", usage | {"input_token_details": details}))
    assert core.usage.report().responses.cached == ModalityTokens(text=8, unspecified=8)
    assert core.usage.report().cost is None


def test_a_server_that_contradicts_itself_never_makes_a_cost_negative() -> None:
    core = core_of()
    details = {"text_tokens": -3, "audio_tokens": 2, "cached_tokens_details": {"audio_tokens": 9}}
    feed(core, created(), *answered("a", {"input_tokens": 2, "input_token_details": details}))
    responses = core.usage.report().responses
    assert (responses.input, responses.cached) == (ModalityTokens(audio=2),) * 2


@pytest.mark.parametrize(("output_tokens", "text"), [(50, 40), (60, 50), (99, 50)])
def test_reasoning_is_text_wherever_the_server_counts_it(output_tokens: int, text: int) -> None:
    core = core_of()
    details = {"text_tokens": 40, "audio_tokens": 10, "reasoning_tokens": 10}
    usage = {"output_tokens": output_tokens, "output_token_details": details}
    feed(core, created(), *answered("a", usage))
    output = core.usage.report().responses.output
    assert (output.text, output.audio) == (text, 10)
    assert output.total == output_tokens


def test_the_usage_of_a_beta_session_is_the_same() -> None:
    core = core_of()
    core.set_dialect(dialect_adapter("beta"))
    session = {"model": "gpt-realtime", "input_audio_transcription": {"model": "whisper-1"}}
    for event in (
        {"type": "session.created", "session": session},
        {"type": "response.done", "response": {"id": "r", "status": "completed", "usage": USAGE}},
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "item_u",
            "content_index": 0,
            "transcript": "Hello",
            "usage": {"type": "duration", "seconds": 60},
        },
    ):
        frame = msgspec.json.encode(event | {"event_id": "e"})
        core.receive(core.dialect.decode_server(frame), 1.0)
    report = core.usage.report()
    assert report.responses.cached == ModalityTokens(text=200, audio=250)
    assert report.cost == pytest.approx(COST + 0.006)


def test_the_number_of_models_is_bounded() -> None:
    meter = UsageMeter()
    usage = ga.TranscriptionDurationUsage(seconds=1.0)
    for number in range(MAX_MODELS + 5):
        meter.on_transcription(f"model-{number}", usage)
    report = meter.report()
    assert len(report.models) == MAX_MODELS + 1
    assert report.models[OTHER_MODELS].count == 5
    assert report.total.audio_seconds == MAX_MODELS + 5


# The budget.


@pytest.mark.parametrize(
    "limits",
    [{}, {"cost": 0}, {"cost": -1.0}, {"tokens": 0}, {"cost": float("nan")}, {"tokens": True}],
)
def test_a_budget_needs_a_limit_above_zero(limits: Any) -> None:
    with pytest.raises(ConfigurationError, match="budget"):
        Budget(**limits)
    with pytest.raises(ConfigurationError, match="budget"):
        Budget(cost="1")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (Budget(tokens=1100), "the budget is used up: 1,100 tokens of 1,100 tokens"),
        (Budget(cost=COST / 2), r"the budget is used up: \$0\.01724 of \$0\.00862"),
    ],
)
def test_a_used_up_budget_refuses_every_way_to_request_a_response(
    budget: Budget, text: str
) -> None:
    core = core_of(budget=budget)
    feed(core, created())
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, *answered("a"))
    core.take(SendFrame)
    with pytest.raises(BudgetExceeded, match=text) as caught:
        core.create_response(ga.ResponseCreateEvent(), 1.0)
    with pytest.raises(BudgetExceeded, match=text):
        core.send(ga.ResponseCreateEvent(), 1.0)
    core.set_dialect(dialect_adapter("beta"))
    with pytest.raises(BudgetExceeded, match=text):
        core.send(beta.ResponseCreateEvent(), 1.0)
    assert core.events_to_send() == []
    assert caught.value.spent is not None
    assert caught.value.spent >= caught.value.limit
    core.send(ga.ResponseCancelEvent(), 1.0)  # anything else is sent
    assert len(core.events_to_send()) == 1


def test_audio_is_not_committed_for_a_response_that_is_refused() -> None:
    core = core_of(budget=Budget(tokens=1))
    feed(core, created(), *answered("a"))
    core.send(ga.SessionUpdateEvent(session=ga.RealtimeSession(audio=PUSH_TO_TALK)), 1.0)
    core.append_audio(b"\0\0", 1.0)
    core.take(SendFrame)
    with pytest.raises(BudgetExceeded):
        core.create_response(ga.ResponseCreateEvent(), 1.0)
    assert core.events_to_send() == []


PUSH_TO_TALK = ga.AudioConfig(input=ga.AudioInput(turn_detection=None))


def test_requests_that_wait_their_turn_are_refused_when_it_comes() -> None:
    core = core_of(budget=Budget(tokens=1000))
    feed(core, created())
    begun, done = answered("a")
    requests = [core.create_response(ga.ResponseCreateEvent(), 1.0)]
    feed(core, begun)
    requests += [core.create_response(ga.ResponseCreateEvent(), 1.0) for _ in range(2)]
    updates = feed(core, done)
    assert [request.state for request in requests] == [
        RequestState.COMPLETED,
        RequestState.REFUSED,
        RequestState.REFUSED,
    ]
    assert len(core.events_to_send()) == 1
    errors = [update.error for update in updates if isinstance(update, ErrorUpdate)]
    assert [type(error) for error in errors] == [BudgetExceeded] * 2
    assert core.responses.waiting == 0


def test_a_request_that_the_server_was_too_busy_for_is_not_repeated() -> None:
    core = core_of(budget=Budget(tokens=1000))
    feed(core, created())
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    faster = response("created", "a", metadata={"by": "turn detection"})
    error = {"code": "conversation_already_has_active_response", "event_id": request.event_id}
    error |= {"type": "invalid_request_error", "message": "no"}
    feed(core, faster, server("error", error=error), answered("a")[1])
    assert request.state is RequestState.REFUSED
    assert isinstance(request.error, BudgetExceeded)
    assert len(core.events_to_send()) == 1


def test_the_response_after_a_tool_is_refused_visibly() -> None:
    core = core_of(budget=Budget(tokens=1000))
    core = new_core(
        usage=core.usage, has_tool=lambda _name: True, tool_policy=lambda _name: ToolPolicy()
    )
    feed(core, created())
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    begun, done = answered("a")
    call = {"id": "item_c", "type": "function_call", "name": "f", "call_id": "call_1"}
    feed(core, begun, output_item("done", call | {"arguments": "{}"}, "a"), done)
    core.take(SendFrame)
    core.answer_call("call_1", "1", None, 1.0)
    [update] = core.take_updates()
    assert isinstance(update, ErrorUpdate)
    assert isinstance(update.error, BudgetExceeded)
    assert [event.type for event in core.events_to_send()] == ["conversation.item.create"]
    assert request.follow_up is not None
    assert request.follow_up.error is update.error


def test_a_response_that_the_server_begins_itself_is_reported_once() -> None:
    core = core_of(budget=Budget(tokens=1000))
    updates = feed(core, created(), *answered("a"))
    assert updates == []
    updates = feed(core, *answered("b"), *answered("c"))
    [error] = [update.error for update in updates if isinstance(update, ErrorUpdate)]
    assert isinstance(error, BudgetExceeded)
    assert (error.spent, error.limit, error.unit) == (1100, 1000, "tokens")


@pytest.mark.parametrize("session", [created("mine"), created(None)])
def test_a_cost_budget_refuses_a_model_without_a_price(session: Any) -> None:
    core = core_of(budget=Budget(cost=1.0))
    feed(core, session)
    with pytest.raises(BudgetExceeded, match=r"no price for the model .*: add one to `prices`"):
        core.create_response(ga.ResponseCreateEvent(), 1.0)


def test_a_cost_budget_refuses_after_a_transcription_without_a_price() -> None:
    core = core_of(budget=Budget(cost=1.0))
    feed(core, created(transcription="ears-1"))
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, transcribed(usage={"type": "duration", "seconds": 1}))
    with pytest.raises(BudgetExceeded, match="no price for the model 'ears-1'") as caught:
        core.create_response(ga.ResponseCreateEvent(), 1.0)
    assert caught.value.spent is None


@pytest.mark.parametrize("budget", [Budget(cost=1.0), Budget(tokens=9)])
def test_a_budget_refuses_if_the_server_reports_no_usage(budget: Budget) -> None:
    core = core_of(budget=budget)
    feed(core, created(), *answered("a", None))
    with pytest.raises(BudgetExceeded, match="does not report all of the usage"):
        core.create_response(ga.ResponseCreateEvent(), 1.0)


def test_the_budget_outlives_a_session() -> None:
    meter = UsageMeter(budget=Budget(tokens=1000))
    feed(new_core(usage=meter), created(), *answered("a"))
    core = new_core(usage=meter)
    feed(core, created())
    with pytest.raises(BudgetExceeded):
        core.create_response(ga.ResponseCreateEvent(), 1.0)


def test_a_price_table_is_made_of_prices() -> None:
    table = PriceTable(date(2026, 1, 1), {"m": Prices(minute=0.6)})
    core = core_of(prices=table)
    feed(core, created(transcription="m"), transcribed(usage={"type": "duration", "seconds": 1}))
    assert core.usage.report().cost == pytest.approx(0.01)

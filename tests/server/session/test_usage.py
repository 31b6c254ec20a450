from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.protocol import ga
from duologue.server.session.engine_work import Respond, TextTokens
from duologue.server.session.usage import TOKENS_PER_MINUTE

if TYPE_CHECKING:
    from tests.server.session.conftest import Harness


def limits_after_a_response(harness: Harness, tokens: TextTokens) -> list[ga.RateLimit]:
    harness.send({"type": "response.create", "response": {"output_modalities": ["text"]}})
    asked = next(c for c in reversed(harness.commands) if isinstance(c, Respond))
    harness.engine.finish(asked.response_id, tokens)
    assert harness.take()[-2:] == ["response.done", "rate_limits.updated"]
    event = harness.last("rate_limits.updated")
    assert isinstance(event, ga.RateLimitsUpdatedEvent)
    return event.rate_limits


def test_a_response_takes_a_request_and_its_tokens_off_the_limits(harness: Harness) -> None:
    harness.now = 1000.0
    assert limits_after_a_response(harness, TextTokens(input=9_000, output=1_000)) == [
        ga.RateLimit(name="tokens", limit=100_000, remaining=90_000, reset_seconds=6.0),
    ]


def test_limits_fill_up_again_with_time_and_not_beyond(harness: Harness) -> None:
    limits_after_a_response(harness, TextTokens(input=50_000, output=1))
    harness.now += 15.0
    [tokens] = limits_after_a_response(harness, TextTokens(input=1, output=1))
    assert tokens.remaining == 50_000 - 1 + 25_000 - 2
    harness.now += 3600.0
    [tokens] = limits_after_a_response(harness, TextTokens(input=1, output=1))
    assert tokens.remaining == TOKENS_PER_MINUTE - 2


def test_what_is_spent_beyond_a_limit_is_not_owed(harness: Harness) -> None:
    [tokens] = limits_after_a_response(harness, TextTokens(input=10 * TOKENS_PER_MINUTE))
    assert (tokens.remaining, tokens.reset_seconds) == (0, 60.0)

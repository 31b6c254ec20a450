"""Rules for connecting again: which endings allow it, and when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue import (
    Closed,
    ConfigurationError,
    ConnectionLost,
    HandshakeRefused,
    LocalProtocolError,
    ReconnectPolicy,
    ServerError,
    SessionRefused,
)
from duologue.session.reconnect import GiveUp, Retry, next_attempt


@pytest.mark.parametrize(
    "error",
    [
        *(ConnectionLost("gone", code=code) for code in (None, 1001, 1005, 1006, 1011, 1012, 4500)),
        *(HandshakeRefused(status) for status in (401, 403, 408, 425, 429, 500, 502, 503, 529)),
        TimeoutError("slow"),
        OSError("unreachable"),
    ],
    ids=repr,
)
def test_connecting_again_is_tried_where_it_may_help(error: Exception) -> None:
    assert next_attempt(error, 1) == Retry(None)


@pytest.mark.parametrize(
    "error",
    [
        *(ConnectionLost("no", code=code) for code in (1000, 1002, 1003, 1007, 1008, 1010)),
        *(HandshakeRefused(status) for status in (400, 404, 405, 410, 426)),
        SessionRefused("invalid key", code=3000),
        ServerError("no such voice"),
        ConfigurationError("no key"),
        LocalProtocolError("no"),
        Closed("by us"),
    ],
    ids=repr,
)
def test_connecting_again_is_not_tried_where_the_server_would_do_the_same(
    error: Exception,
) -> None:
    advice = next_attempt(error)
    assert isinstance(advice, GiveUp)
    assert advice.reason


def test_the_server_says_how_long_to_wait() -> None:
    assert next_attempt(HandshakeRefused(429, retry_after=7)) == Retry(7)


def test_credentials_are_refreshed_once() -> None:
    assert next_attempt(HandshakeRefused(401), 1) == Retry()
    assert isinstance(next_attempt(HandshakeRefused(401), 2), GiveUp)
    assert isinstance(next_attempt(HandshakeRefused(403), 2), GiveUp)


def test_the_first_attempt_follows_at_once() -> None:
    policy = ReconnectPolicy(first_delay=60)
    assert [policy.delay(0, chance) for chance in (0.0, 1.0)] == [0.0, 0.0]


def test_each_delay_is_twice_the_last_up_to_the_longest() -> None:
    policy = ReconnectPolicy(first_delay=0.5, max_delay=3.0)
    assert [policy.delay(number, 0.0) for number in range(1, 6)] == [0.5, 1.0, 2.0, 3.0, 3.0]


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_chance_shortens_a_delay_by_up_to_a_half(number: int, chance: float) -> None:
    policy = ReconnectPolicy()
    longest = policy.delay(number, 0.0)
    assert longest / 2 <= policy.delay(number, chance) <= longest <= policy.max_delay


@pytest.mark.parametrize("name", sorted({*ReconnectPolicy.__slots__} - {"asks_again"}))
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "1", True, [1]])
def test_a_wrong_value_is_refused_with_its_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        ReconnectPolicy(**{name: value})


def test_every_part_can_be_switched_off() -> None:
    policy = ReconnectPolicy(
        budget=0, first_delay=0, max_delay=0, resend_seconds=0, history_bytes=0, rollover_seconds=0
    )
    assert policy.delay(9, 0.5) == 0.0

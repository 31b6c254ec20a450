"""Faults as they are written on a command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.errors import ConfigurationError
from duologue.server.faults import (
    Close,
    Delay,
    Drop,
    Duplicate,
    Expire,
    Fault,
    RefuseHandshake,
    Reorder,
    SendError,
    SlowNetwork,
    Stall,
    TruncateFrame,
    parse_fault,
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "close=1011@response.output_audio.delta#3",
            Close(1011, at="response.output_audio.delta", nth=3),
        ),
        ("close=1001,after=10,reason=so long", Close(1001, "so long", after=10)),
        ("drop@response.done:0.1", Drop(at="response.done", chance=0.1)),
        ("drop=response.done:0.1", Drop(at="response.done", chance=0.1)),
        ("drop", Drop()),
        ("delay=0.2@response.*,jitter=0.1", Delay(0.2, 0.1, at="response.*")),
        ("reorder=2@client.*,within=0.5", Reorder(2, 0.5, at="client.*")),
        ("duplicate,times=4", Duplicate(times=4)),
        ("truncate=0.25@session.created", TruncateFrame(0.25, at="session.created")),
        ("slow=16000,latency=0.1,jitter=0.05", SlowNetwork(16000, 0.1, 0.05)),
        ("stall", Stall()),
        ("stall=3@response.create", Stall(3, at="response.create")),
        ("error=rate_limit_exceeded", SendError("rate_limit_exceeded")),
        ("expire,after=30", Expire(after=30)),
        ("refuse=429,retry_after=5,connection=1", RefuseHandshake(429, 5, connection=1)),
    ],
)
def test_what_is_written_is_what_is_meant(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault
    assert parse_fault(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("explode", "KIND is one of drop, delay"),
        ("", "KIND is one of"),
        ("drop@respons.done", "did you mean 'response.done'?"),
        ("drop@response.audio.delta", "did you mean 'response.output_audio.delta'?"),
        ("drop@server.response.create", "no event matches"),
        ("drop@client.bananas", "use its GA name, or a pattern"),
        ("close=often", "'often' is not a number for code"),
        ("close=1005", "1005 is not a valid close code"),
        (f"close,reason={'x' * 200}", "at most 123 bytes"),
        ("drop@response.done#0", "nth of 'drop' must be at least 1"),
        ("drop:2", "chance of 'drop' must be from 0 to 1"),
        ("drop:nan", "chance of 'drop' must be from 0 to 1"),
        ("drop,colour=red", "'colour=red' does not set a field of drop"),
        ("drop,after", "'after' does not set"),
        ("refuse=404", "401, 403, 429 or 503, not 404"),
        ("refuse@session.created", "do not apply to a handshake"),
    ],
)
def test_what_cannot_be_read_is_answered_with_the_reason_and_the_grammar(
    text: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        parse_fault(text)
    assert reason in str(refused.value)
    assert "KIND[=VALUE][@EVENT][#NTH][:CHANCE][,FIELD=VALUE]" in str(refused.value)


def test_a_type_without_its_sender_is_found_on_the_side_that_has_it() -> None:
    assert str(Drop(at="response.create")) == "drop@response.create"
    with pytest.raises(ConfigurationError):
        Drop(at="client.response.created")


@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        fault = parse_fault(text)
    except ConfigurationError:
        return
    assert parse_fault(str(fault)) == fault

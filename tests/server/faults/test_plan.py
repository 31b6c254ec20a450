"""What happens to events, without any connection."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
)
from duologue.server.faults.delay_line import DelayLine
from duologue.server.faults.plan import NOTHING, FaultPlan, HandshakeFaults, Verdict

if TYPE_CHECKING:
    from duologue.server.faults.plan import Dice

KINDS = st.sampled_from(["response.created", "response.done", "response.output_audio.delta"])


def dice(index: int) -> Dice:
    return random.Random(f"7/1/{index}").random  # noqa: S311  # to be foreseen


def plan(*faults: Fault, connection: int = 1) -> FaultPlan:
    made = FaultPlan(connection, 100.0, dice)
    made.add(faults, 100.0)
    return made


def received(faults: list[Fault], kinds: list[str]) -> list[str]:
    """Return what comes out of a line, in the order in which it comes."""
    decided, line = plan(*faults), DelayLine[str]()
    arrivals = [
        arrival
        for second, kind in enumerate(kinds)
        for arrival in line.put(kind, 10, decided.decide("server", kind, 100.0 + second), second)
    ]
    arrivals += line.take_due(1e9)
    assert [arrival.due for arrival in arrivals] == sorted(arrival.due for arrival in arrivals)
    return [arrival.item for arrival in arrivals]


@given(st.lists(KINDS))
def test_without_faults_everything_comes_as_it_is(kinds: list[str]) -> None:
    assert received([], kinds) == kinds


@given(st.lists(KINDS))
def test_faults_that_only_take_time_change_nothing_else(kinds: list[str]) -> None:
    slow: list[Fault] = [Delay(0.5, 0.5, at="*"), SlowNetwork(100, 0.2, 0.3)]
    assert received(slow, kinds) == kinds


@given(st.lists(KINDS), st.floats(0, 1), st.integers(1, 4))
def test_what_is_dropped_and_duplicated_adds_up(
    kinds: list[str], chance: float, copies: int
) -> None:
    faults: list[Fault] = [Drop(at="response.done", chance=chance), Duplicate(copies)]
    survivors = received(faults[:1], kinds)
    assert len(received(faults, kinds)) == len(survivors) * (copies + 1)
    assert [kind for kind in survivors if kind != "response.done"] == [
        kind for kind in kinds if kind != "response.done"
    ]


@given(st.lists(KINDS), st.integers(1, 3))
def test_reordering_loses_and_invents_nothing(kinds: list[str], by: int) -> None:
    assert sorted(received([Reorder(by)], kinds)) == sorted(kinds)


def test_one_event_at_a_time_waits_to_be_overtaken() -> None:
    kinds = ["response.created", "response.done", "session.created", "session.updated"]
    swapped = [kinds[1], kinds[0], kinds[3], kinds[2]]
    assert received([Reorder()], kinds) == swapped
    assert received([Reorder(2, at="response.created")], kinds) == [*kinds[1:3], kinds[0], kinds[3]]


@given(st.lists(KINDS), st.floats(0, 1))
def test_the_same_seed_has_the_same_luck_whatever_the_other_direction_does(
    kinds: list[str], chance: float
) -> None:
    faults = Drop(chance=chance), Drop(at="client.*", chance=0.5)
    alone, disturbed = plan(*faults), plan(*faults)
    for kind in kinds:
        disturbed.decide("client", "response.create", 101.0)
        assert alone.decide("server", kind, 101.0) == disturbed.decide("server", kind, 101.0)


def test_the_nth_event_is_counted_among_those_that_fit() -> None:
    asked = plan(Drop(at="response.output_*", nth=2))
    kinds = ["response.output_item.added", "response.created", "response.output_item.done"]
    fates = [asked.decide("server", kind, 101.0).is_dropped for kind in kinds * 2]
    assert fates == [False, False, True, False, False, False]


def test_a_rule_waits_for_its_time_and_ends_after_its_times() -> None:
    asked = plan(Drop(after=5, times=2))
    fates = [
        asked.decide("server", "response.done", now).is_dropped for now in (104, 105, 106, 107)
    ]
    assert fates == [False, True, True, False]


def test_a_rule_for_one_connection_is_of_no_other() -> None:
    assert plan(Drop(connection=2)).decide("server", "error", 100.0) is NOTHING
    assert plan(Drop(connection=2), connection=2).decide("server", "error", 100.0).is_dropped


def test_faults_compose_in_their_order() -> None:
    close = Close(at="response.done")
    assert plan(close, Drop()).decide("server", "response.done", 100.0).acts == (close,)
    assert plan(Drop(), close).decide("server", "response.done", 100.0).acts == ()
    verdict = plan(TruncateFrame(0.5), Delay(1), Duplicate(), Delay(2), TruncateFrame(0.5)).decide(
        "server", "response.done", 100.0
    )
    assert (verdict.keep, verdict.delay, verdict.copies) == (0.25, 3, 2)


def test_an_error_is_never_answered_with_an_error() -> None:
    asked = plan(SendError(at="*"))
    assert asked.decide("server", "error", 100.0) is NOTHING
    assert asked.decide("server", "response.done", 100.0).acts == (SendError(at="*"),)


def test_acts_without_an_event_are_a_matter_of_time() -> None:
    asked = plan(Expire(after=2), Stall(after=1), Close(after=1, chance=0.0))
    assert asked.next_deadline() == 101.0
    assert [each.fault for each in asked.take_due(101.5)] == [Stall(after=1)]
    assert asked.next_deadline() == 102.0
    assert [each.fault for each in asked.take_due(102.0)] == [Expire(after=2)]
    assert asked.next_deadline() is None


def test_faults_added_later_count_from_then() -> None:
    asked = plan(Drop(nth=1, at="response.created"))
    asked.add([Drop(at="response.done", after=1)], 110.0)
    assert not asked.decide("server", "response.done", 110.5).is_dropped
    assert asked.decide("server", "response.done", 111.0).is_dropped


def test_a_line_takes_its_time_for_every_byte() -> None:
    line = DelayLine[str]()
    verdict = Verdict(bytes_per_second=100, delay=0.5, copies=2)
    assert [arrival.due for arrival in line.put("a", 200, verdict, 10.0)] == [12.5, 14.5]
    assert [arrival.due for arrival in line.put("b", 100, verdict, 20.0)] == [21.5, 22.5]


def test_a_stalled_line_lets_through_all_that_waited_or_nothing() -> None:
    line = DelayLine[str]()
    line.stall(15.0)
    assert [arrival.due for arrival in line.put("a", 1, NOTHING, 10.0)] == [15.0]
    assert [arrival.due for arrival in line.put("b", 1, NOTHING, 16.0)] == [16.0]
    line.stall(float("inf"))
    assert line.put("c", 1, NOTHING, 17.0) == []


@pytest.mark.parametrize(("connection", "is_refused"), [(1, False), (2, True)])
def test_a_handshake_is_refused_by_its_number(connection: int, is_refused: bool) -> None:
    handshakes = HandshakeFaults()
    fault = RefuseHandshake(429, connection=2)
    handshakes.add(fault, dice(0))
    assert handshakes.refusal(connection) == (fault if is_refused else None)

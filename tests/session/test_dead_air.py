"""Servers that keep the connection and do not answer: asked once more, then given up."""

from __future__ import annotations

import pytest
from tests.session.session_events import Probe, feed, new_core, part_event, response, server

from duologue.errors import ConfigurationError
from duologue.protocol import ga
from duologue.session.dead_air import DeadAirPolicy
from duologue.session.effects import DropConnection
from duologue.session.reconnect import ReconnectPolicy
from duologue.session.response_state import RequestState
from duologue.session.updates import DeadAir

POLICY = DeadAirPolicy(begin_seconds=10, go_on_seconds=20)


def watching(**options: object) -> Probe:
    return new_core(timeout=None, reconnect=ReconnectPolicy(), dead_air=POLICY, **options)


def overdue(core: Probe) -> tuple[list[DeadAir], list[str], int]:
    """Let the time pass; return the updates, the types of what is sent, and the losses."""
    deadline = core.next_deadline()
    assert deadline is not None
    core.handle_deadline(deadline)
    updates = [update for update in core.take_updates() if isinstance(update, DeadAir)]
    sent = [event.type for event in core.events_to_send()]
    return updates, sent, len(core.take(DropConnection))


def commit_turn(core: Probe) -> None:
    detection = {"type": "server_vad", "create_response": True}
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    feed(core, server("session.created", session=session))
    feed(core, server("input_audio_buffer.committed", item_id="item_u"))


def test_a_response_that_does_not_begin_ends_the_connection() -> None:
    core = watching()
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    core.events_to_send()
    update = DeadAir(kind="response_not_begun", seconds=10, remedy="reconnecting")
    assert core.next_deadline() == 11.0
    assert overdue(core) == ([update], [], 1)


def test_a_turn_that_is_not_answered_is_asked_for_and_then_ends_the_connection() -> None:
    core = watching()
    commit_turn(core)
    update = DeadAir(kind="turn_not_answered", seconds=10, remedy="asked_again")
    assert overdue(core) == ([update], ["response.create"], 0)
    update = DeadAir(kind="response_not_begun", seconds=10, remedy="reconnecting")
    assert overdue(core) == ([update], [], 1)


def test_a_turn_that_is_answered_is_not_asked_for() -> None:
    core = watching()
    commit_turn(core)
    feed(core, response("created"), response("done", status="completed"))
    assert core.next_deadline() is None


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_response_that_stalls_is_cancelled_and_requested_again(*, is_ours: bool) -> None:
    core = watching()
    request = core.create_response(ga.ResponseCreateEvent(), 1.0) if is_ours else None
    core.events_to_send()
    feed(core, response("created"))
    update = DeadAir(kind="response_stalled", seconds=20, remedy="asked_again")
    assert overdue(core) == ([update], ["response.cancel"], 0)
    feed(core, response("done", status="cancelled"))
    assert [event.type for event in core.events_to_send()] == ["response.create"]
    feed(core, response("created", "resp_2"), response("done", "resp_2", status="completed"))
    assert core.next_deadline() is None
    if request is not None:
        assert request.state is RequestState.COMPLETED
        assert request.response is core.responses.get("resp_2")


def test_a_response_that_cannot_be_cancelled_ends_the_connection() -> None:
    core = watching()
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, response("created"))
    overdue(core)
    update = DeadAir(kind="response_stalled", seconds=40, remedy="reconnecting")
    assert overdue(core) == ([update], [], 1)


def test_a_response_that_goes_on_is_left_alone() -> None:
    core = watching()
    feed(core, response("created"))
    item = {"id": "item_a", "type": "message", "role": "assistant", "content": []}
    feed(
        core,
        server("response.output_item.added", response_id="resp_1", output_index=0, item=item),
        part_event("response.output_text.delta", delta="Well"),
    )
    assert overdue(core) == ([], [], 0)
    update = DeadAir(kind="response_stalled", seconds=20, remedy="asked_again")
    assert overdue(core)[0] == [update]


def test_without_reconnection_the_silence_is_only_reported() -> None:
    core = new_core(timeout=None, dead_air=POLICY)
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    core.events_to_send()
    update = DeadAir(kind="response_not_begun", seconds=10, remedy="none")
    assert overdue(core) == ([update], [], 0)


def test_a_policy_without_limits_waits() -> None:
    core = new_core(timeout=None, dead_air=DeadAirPolicy(None, None))
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, response("created"))
    assert core.next_deadline() is None


@pytest.mark.parametrize("value", [0, -1, True, "10", float("inf"), float("nan")])
def test_a_limit_is_a_positive_number(value: object) -> None:
    with pytest.raises(ConfigurationError, match="begin_seconds"):
        DeadAirPolicy(begin_seconds=value)  # type: ignore[arg-type]  # what is tested

"""What a session keeps when its connection is lost, and what the next server gets."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from tests.session.session_events import (
    Probe,
    added,
    done,
    feed,
    message,
    new_core,
    output_item,
    part_event,
    response,
    server,
)

from duologue import ConnectionLost, Disconnected, LocalProtocolError, Reconnected, ReconnectPolicy
from duologue.protocol import ga
from duologue.session.commands import Command, CommandState
from duologue.session.input_audio import SentAudio
from duologue.session.response_state import RequestState, ResponseRequest
from duologue.session.responses import MAX_CUTS, MAX_QUEUED
from duologue.session.resumption import MAX_HELD

LOST = ConnectionLost("the connection was cut", code=1006)
CREATED = server("session.created", session={"type": "realtime", "id": "sess_1"})
MANUAL = server(
    "session.created",
    session={"type": "realtime", "audio": {"input": {"turn_detection": None}}},
)
SPOKEN = message("item_u") | {"content": [{"type": "input_audio", "transcript": None}]}
SECOND = 48_000


def resumable(*events: Any, session: Any = CREATED, **policy: Any) -> Probe:
    core = new_core(reconnect=ReconnectPolicy(**policy))
    feed(core, session, *events)
    return core


def lose(core: Probe, now: float = 2.0) -> list[Any]:
    core.take_updates()
    core.events_to_send()
    core.suspend(LOST, now)
    assert core.events_to_send() == []
    return core.take_updates()


def resume(
    core: Probe, *, refuse: tuple[str, ...] = (), rename: dict[str, str] | None = None
) -> Reconnected:
    """Restore the conversation in a new session, which refuses or renames some items."""
    names = rename or {}
    exchange = core.restoration(core.resumption.history().items)
    exchange.receive(MANUAL if not core.active.detects_turns else CREATED)
    created = [msgspec.json.decode(frame) for frame, _ in exchange.take_frames()]
    for event, item in zip(created, core.resumption.history().items, strict=True):
        if item.item_id in refuse:
            error = {"type": "x", "message": "no", "event_id": event["event_id"]}
            exchange.receive(server("error", error=error))
        else:
            name = names.get(item.item_id, item.item_id)
            exchange.receive(added(message(name, text="copy")))
    assert exchange.is_complete
    core.resume(exchange, attempts=1, now=3.0)
    [update] = [u for u in core.take_updates() if isinstance(u, Reconnected)]
    return update


def _restored(core: Probe) -> Any:
    exchange = core.restoration(())
    exchange.receive(CREATED)
    return exchange


def again(core: Probe) -> Reconnected:
    lose(core)
    return resume(core)


def sent(core: Probe) -> list[str]:
    return [event.type for event in core.events_to_send()]


def ask(core: Probe, **params: Any) -> ResponseRequest:
    event = ga.ResponseCreateEvent(response=ga.ResponseCreateParams(**params))
    return core.create_response(event, 1.0)


def begin(core: Probe, response_id: str = "resp_1", item_id: str = "item_a", **fields: Any) -> None:
    """Let the server begin a response with a word."""
    item = message(item_id, "assistant", status="in_progress")
    about = {"response_id": response_id, "item_id": item_id}
    feed(
        core,
        response("created", response_id, **{"status": "in_progress"} | fields),
        output_item("added", item, response_id),
        *([] if fields.get("conversation_id", "") is None else [added(item)]),
        part_event("response.output_text.delta", delta="One", **about),
    )


def finish(core: Probe, response_id: str = "resp_1") -> None:
    feed(core, response("done", response_id, status="completed"))


def call(number: int = 1, **fields: Any) -> dict[str, Any]:
    item = {"id": f"item_c{number}", "type": "function_call", "status": "completed"}
    return item | {"name": "clock", "call_id": f"call_{number}", "arguments": "{}"} | fields


# Updates.


def test_the_application_learns_of_both_ends_of_the_gap() -> None:
    core = resumable(added(message("item_1", text="Hello")))
    assert lose(core) == [Disconnected(LOST, will_retry=True)]
    assert resume(core) == Reconnected(
        error=LOST,
        attempts=1,
        seconds=1.0,
        restored_items=1,
        missing_items=(),
        renamed_items={},
        asked_again=0,
        resent_audio_ms=0.0,
        lost_audio_ms=0.0,
    )
    assert sent(core) == []


def test_items_that_the_new_server_refuses_are_missing() -> None:
    core = resumable(*(added(message(f"item_{n}", text="Hello")) for n in (1, 2)))
    lose(core)
    update = resume(core, refuse=("item_1",))
    assert (update.restored_items, update.missing_items) == (1, ("item_1",))
    assert [item.id for item in core.conversation] == ["item_1", "item_2"]


# Responses.


def test_a_response_that_was_cut_is_requested_again() -> None:
    core = resumable()
    request = ask(core, instructions="Count.")
    begin(core)
    assert "item_a" in core.conversation
    lose(core)
    assert "item_a" not in core.conversation
    update = resume(core)
    assert core.events_to_send() == [request.event]
    assert (update.asked_again, update.missing_items) == (1, ("item_a",))
    begin(core, "resp_2", "item_b")
    finish(core, "resp_2")
    assert request.state is RequestState.COMPLETED
    assert [item.id for item in core.conversation] == ["item_b"]


def test_a_response_is_requested_again_a_few_times_only() -> None:
    core = resumable()
    request = ask(core)
    for number in range(MAX_CUTS):
        begin(core, f"resp_{number}", f"item_{number}")
        assert again(core).asked_again == 1
        assert sent(core) == ["response.create"]
    begin(core, "resp_last", "item_last")
    assert again(core).asked_again == 0
    assert (request.state, request.error) == (RequestState.LOST, LOST)
    assert sent(core) == []
    assert [item.status for item in core.conversation] == ["incomplete"]


def test_a_request_that_was_not_answered_is_sent_again_a_few_times_only() -> None:
    core = resumable()
    request = ask(core)
    for _ in range(MAX_CUTS):
        assert again(core).asked_again == 0
        assert core.events_to_send() == [request.event]
    again(core)
    assert (request.state, request.error, sent(core)) == (RequestState.LOST, LOST, [])


def test_a_request_that_waits_its_turn_may_wait_for_any_number_of_connections() -> None:
    core = resumable()
    lose(core)
    request = ask(core)
    for _ in range(MAX_CUTS + 2):
        core.suspend(LOST, 2.5)
    resume(core)
    assert core.events_to_send() == [request.event]


def test_without_asking_again_a_cut_response_fails_and_keeps_its_words() -> None:
    core = resumable(asks_again=False)
    cut, waiting = ask(core), ask(core)
    begin(core)
    again(core)
    assert (cut.state, cut.error) == (RequestState.LOST, LOST)
    assert core.events_to_send() == [waiting.event]
    [item] = core.conversation
    assert (item.status, item.formatted.text) == ("incomplete", "One")


def test_requests_wait_in_their_order() -> None:
    core = resumable()
    first, second = ask(core), ask(core)
    begin(core)
    lose(core)
    third = ask(core)
    resume(core)
    assert core.events_to_send() == [first.event]
    for number, following in ((2, second), (3, third)):
        begin(core, f"resp_{number}", f"item_{number}")
        finish(core, f"resp_{number}")
        assert core.events_to_send() == [following.event]


def test_an_out_of_band_response_does_not_wait() -> None:
    core = resumable()
    of_conversation, aside = ask(core), ask(core, conversation="none", metadata={"a": "b"})
    begin(core, "resp_x", "item_x", conversation_id=None, metadata={"a": "b"})
    assert aside.state is RequestState.IN_PROGRESS
    update = again(core)
    assert core.events_to_send() == [aside.event, of_conversation.event]
    assert (update.asked_again, update.missing_items) == (1, ())


def test_out_of_band_responses_while_away_are_sent_at_once_and_have_a_limit() -> None:
    core = resumable()
    lose(core)
    for _ in range(MAX_QUEUED):
        ask(core, conversation="none")
    with pytest.raises(LocalProtocolError, match="await some of them"):
        ask(core, conversation="none")
    with pytest.raises(LocalProtocolError, match="await some of them"):
        core.send(ga.ResponseCreateEvent(), 2.0)
    resume(core)
    assert sent(core) == ["response.create"] * MAX_QUEUED
    ask(core)
    assert sent(core) == ["response.create"]


def test_a_raw_request_while_away_is_sent_later() -> None:
    core = resumable()
    lose(core)
    core.send(ga.ResponseCreateEvent(), 2.5)
    resume(core)
    assert sent(core) == ["response.create"]


def test_the_response_that_turn_detection_owes_is_requested() -> None:
    core = resumable(server("input_audio_buffer.committed", item_id="item_u"), added(SPOKEN))
    assert again(core).asked_again == 1
    assert sent(core) == ["response.create"]


def test_the_response_of_turn_detection_that_was_cut_is_requested() -> None:
    core = resumable()
    begin(core)
    assert again(core).asked_again == 1
    assert sent(core) == ["response.create"]


def test_one_request_is_enough_for_what_turn_detection_owes() -> None:
    core = resumable(server("input_audio_buffer.committed", item_id="item_u"), added(SPOKEN))
    ask(core)
    again(core)
    assert sent(core) == ["response.create"]


def test_a_server_that_fails_at_each_turn_is_not_asked_for_ever() -> None:
    core = resumable()
    asked = 0
    for number in range(MAX_CUTS + 3):
        feed(core, server("input_audio_buffer.committed", item_id=f"item_{number}"))
        feed(core, added(SPOKEN | {"id": f"item_{number}"}))
        asked += again(core).asked_again
        core.responses.lose(LOST)  # the request fails, too
    assert asked == MAX_CUTS


def test_a_finished_response_is_not_requested_again() -> None:
    core = resumable()
    request = ask(core)
    begin(core)
    feed(core, done(message("item_a", "assistant", "One", status="completed")))
    finish(core)
    assert again(core) == Reconnected(
        error=LOST,
        attempts=1,
        seconds=1.0,
        restored_items=1,
        missing_items=(),
        renamed_items={},
        asked_again=0,
        resent_audio_ms=0.0,
        lost_audio_ms=0.0,
    )
    assert request.state is RequestState.COMPLETED
    assert sent(core) == []


# Cancelling.


def test_a_cut_response_that_is_cancelled_while_away_is_not_requested() -> None:
    core = resumable()
    request = ask(core)
    begin(core)
    lose(core)
    core.cancel_response(None, None, 0, 2.5)
    assert resume(core).asked_again == 0
    assert request.state is RequestState.CANCELLED
    assert sent(core) == []


def test_a_handle_that_is_cancelled_while_away_is_not_requested() -> None:
    core = resumable()
    request = ask(core)
    begin(core)
    lose(core)
    core.cancel_request(request, 2.5)
    assert resume(core).asked_again == 0
    assert sent(core) == []


def test_cancelling_while_away_leaves_out_of_band_responses_alone() -> None:
    core = resumable()
    aside = ask(core, conversation="none")
    begin(core, conversation_id=None)
    lose(core)
    core.cancel_response(None, None, 0, 2.5)
    assert resume(core).asked_again == 1
    core.events_to_send()
    begin(core, "resp_2", conversation_id=None)
    lose(core)
    core.cancel_response("resp_2", None, 0, 2.5)
    resume(core)
    assert aside.state is RequestState.CANCELLED
    assert sent(core) == []


def test_cancelling_while_away_cancels_what_turn_detection_owes() -> None:
    core = resumable()
    begin(core)
    lose(core)
    core.cancel_response(None, None, 0, 2.5)
    assert resume(core).asked_again == 0
    assert sent(core) == []


def test_a_request_that_was_cancelled_before_it_began_is_not_sent_again() -> None:
    core = resumable()
    request = ask(core)
    core.cancel_request(request, 1.5)
    again(core)
    assert request.state is RequestState.CANCELLED
    assert sent(core) == []


# Tools.


def with_tool(**policy: Any) -> Probe:
    core = new_core(reconnect=ReconnectPolicy(**policy), has_tool=lambda _name: True)
    feed(core, CREATED)
    return core


def begin_call(core: Probe) -> ResponseRequest:
    request = ask(core)
    feed(
        core,
        response("created", status="in_progress"),
        output_item("added", call(status="in_progress")),
        added(call(status="in_progress")),
        output_item("done", call()),
        done(call()),
    )
    return request


@pytest.mark.parametrize("is_away", [True, False])
def test_a_call_is_answered_once_after_a_loss(is_away: bool) -> None:
    core = with_tool()
    request = begin_call(core)
    assert [each.call_id for each in core.calls_to_run()] == ["call_1"]
    lose(core)
    if is_away:
        core.answer_call("call_1", "noon", None, 2.5)
    update = resume(core)
    assert (update.asked_again, update.missing_items) == (0, ())
    if not is_away:
        assert sent(core) == []
        core.answer_call("call_1", "noon", None, 3.5)
    output, following = core.events_to_send()
    assert isinstance(output, ga.ConversationItemCreateEvent)
    assert isinstance(output.item, ga.FunctionCallOutput)
    assert (output.item.call_id, following.type) == ("call_1", "response.create")
    assert request.state is RequestState.INCOMPLETE
    assert request.follow_up is not None
    assert core.calls_to_run() == []


def test_an_answer_that_was_not_confirmed_is_sent_again() -> None:
    core = with_tool()
    begin_call(core)
    core.answer_call("call_1", "noon", None, 1.5)
    again(core)
    assert sent(core) == ["conversation.item.create", "response.create"]


def test_a_call_that_the_application_runs_itself_is_not_requested_again() -> None:
    core = resumable()
    begin_call(core)
    assert again(core).asked_again == 0
    assert "item_c1" in core.conversation
    assert sent(core) == []


def test_a_call_that_was_cut_is_requested_again() -> None:
    core = with_tool()
    ask(core)
    feed(
        core,
        response("created", status="in_progress"),
        output_item("added", call(status="in_progress")),
        added(call(status="in_progress")),
    )
    update = again(core)
    assert (update.asked_again, update.missing_items) == (1, ("item_c1",))
    assert core.calls_to_run() == []


def test_of_two_calls_the_one_that_was_cut_is_not_restored() -> None:
    core = with_tool()
    begin_call(core)
    second = call(2, status="in_progress")
    feed(core, output_item("added", second), added(second))
    update = again(core)
    assert update.missing_items == ("item_c2",)


# Commands.


def text_event(words: str, **fields: Any) -> ga.ConversationItemCreateEvent:
    item = ga.Message(role="user", content=[ga.InputText(text=words)])
    return ga.ConversationItemCreateEvent(item=item, **fields)


def test_commands_are_sent_again_until_they_are_answered() -> None:
    core = resumable()
    before = core.send_command(text_event("one"), 1.0)
    lose(core)
    during = core.send_command(text_event("two"), 2.5)
    resume(core)
    assert core.events_to_send() == [before.event, during.event]
    feed(core, added(message("item_1", text="one")), added(message("item_2", text="two")))
    assert [each.state for each in (before, during)] == [CommandState.ANSWERED] * 2
    assert [item.formatted.text for item in core.conversation] == ["one", "two"]
    again(core)
    assert sent(core) == []


def test_the_time_of_commands_stops_while_away() -> None:
    core = new_core(reconnect=ReconnectPolicy(), timeout=10.0)
    feed(core, CREATED)
    first = core.send_command(text_event("one"), 1.0)
    lose(core)  # at 2.0
    second = core.send_command(text_event("two"), 2.5)
    core.limit(second, 5.0, 2.5)
    assert core.next_deadline() is None
    resume(core)  # at 3.0
    assert (first.deadline, second.deadline) == (12.0, 8.0)
    core.handle_deadline(8.0)
    assert (first.state, second.state) == (CommandState.PENDING, CommandState.FAILED)


def test_a_command_whose_time_was_up_is_not_sent_again() -> None:
    core = new_core(reconnect=ReconnectPolicy(), timeout=10.0)
    feed(core, CREATED)
    core.send_command(text_event("one"), 1.0)
    core.handle_deadline(11.0)
    again(core)
    assert sent(core) == []


def test_an_item_is_added_at_the_end_if_the_one_before_it_is_missing() -> None:
    core = resumable(added(message("item_1", text="Hello")))
    core.send_command(text_event("two", previous_item_id="item_1"), 1.0)
    lose(core)
    resume(core, refuse=("item_1",))
    [event] = core.events_to_send()
    assert isinstance(event, ga.ConversationItemCreateEvent)
    assert not event.previous_item_id


def test_events_without_an_answer_wait_up_to_a_limit() -> None:
    core = resumable()
    lose(core)
    for number in range(MAX_HELD):
        core.send(ga.OutputAudioBufferClearEvent(event_id=f"event_x{number}"), 2.5)
    with pytest.raises(LocalProtocolError, match="wait for the connection"):
        core.send(ga.OutputAudioBufferClearEvent(), 2.5)
    resume(core)
    assert sent(core) == ["output_audio_buffer.clear"] * MAX_HELD


# Items: deleting, cutting, and other ids.


def replied(**fields: Any) -> list[Any]:
    speech = {"type": "output_audio", "transcript": "One two three four"}
    item = message("item_a", "assistant", status="completed") | {"content": [speech]}
    return [added(item | fields), done(item | fields)]


@pytest.mark.parametrize("moment", ["before", "away"])
def test_an_item_that_is_deleted_without_a_connection_is_gone(moment: str) -> None:
    core = resumable(*replied())
    event = ga.ConversationItemDeleteEvent(item_id="item_a")
    command = core.send_command(event, 1.0) if moment == "before" else None
    lose(core)
    command = command or core.send_command(event, 2.5)
    assert command.state is CommandState.ANSWERED
    assert resume(core).restored_items == 0
    assert (len(core.conversation), sent(core)) == (0, [])


@pytest.mark.parametrize("moment", ["before", "away", "after"])
def test_an_item_is_cut_in_the_mirror_where_the_server_has_only_words(moment: str) -> None:
    core = resumable(*replied())
    event = ga.ConversationItemTruncateEvent(item_id="item_a", content_index=0, audio_end_ms=0)
    command: Command | None = None
    if moment == "before":
        command = core.send_command(event, 1.0)
    lose(core)
    if moment == "away":
        command = core.send_command(event, 2.5)
    resume(core)
    if moment == "after":
        command = core.send_command(event, 3.5)
    assert command is not None
    assert command.state is CommandState.ANSWERED
    assert core.conversation.item("item_a").formatted.transcript == ""
    assert sent(core) == []


def test_a_restored_item_is_deleted_at_the_server() -> None:
    core = resumable(*replied())
    again(core)
    command = core.send_command(ga.ConversationItemDeleteEvent(item_id="item_a"), 3.5)
    assert core.events_to_send() == [command.event]
    feed(core, server("conversation.item.deleted", item_id="item_a"))
    assert command.state is CommandState.ANSWERED
    assert len(core.conversation) == 0


def test_an_item_that_the_server_does_not_have_is_deleted_in_the_mirror() -> None:
    core = resumable(*replied())
    lose(core)
    resume(core, refuse=("item_a",))
    command = core.send_command(ga.ConversationItemDeleteEvent(item_id="item_a"), 3.5)
    assert (command.state, len(core.conversation)) == (CommandState.ANSWERED, 0)
    assert sent(core) == []


def test_a_renamed_item_keeps_its_id_for_the_application() -> None:
    core = resumable(*replied())
    lose(core)
    resume(core, rename={"item_a": "item_of_2"})
    delete = core.send_command(ga.ConversationItemDeleteEvent(item_id="item_a"), 3.5)
    retrieve = core.send_command(ga.ConversationItemRetrieveEvent(item_id="item_a"), 3.5)
    assert [getattr(event, "item_id", "") for event in core.events_to_send()] == ["item_of_2"] * 2
    copy = message("item_of_2", "assistant", "One two three four")
    feed(core, server("conversation.item.retrieved", item=copy))
    feed(core, server("conversation.item.deleted", item_id="item_of_2"))
    assert [each.state for each in (delete, retrieve)] == [CommandState.ANSWERED] * 2
    assert isinstance(retrieve.answer, ga.ConversationItemRetrieved)
    assert retrieve.answer.item.id == "item_a"
    assert len(core.conversation) == 0


def test_a_renamed_item_is_cut_in_the_mirror() -> None:
    core = resumable(*replied())
    lose(core)
    resume(core, rename={"item_a": "item_of_2"})
    event = ga.ConversationItemTruncateEvent(item_id="item_a", content_index=0, audio_end_ms=0)
    command = core.send_command(event, 3.5)
    assert (command.state, sent(core)) == (CommandState.ANSWERED, [])


def test_a_command_names_an_item_as_each_server_does() -> None:
    core = resumable(*replied())
    for name in ("item_of_2", "item_of_3"):
        lose(core)
        resume(core, rename={"item_a": name})
        if name == "item_of_2":
            core.send(ga.ConversationItemRetrieveEvent(item_id="item_a"), 3.5)
        [event] = core.events_to_send()
        assert isinstance(event, ga.ConversationItemRetrieveEvent)
        assert event.item_id == name


def test_an_item_of_the_application_is_restored_although_the_server_did_not_complete_it() -> None:
    core = resumable(added(message("item_a", "assistant", "Hello", status="in_progress")))
    assert [item.item_id for item in core.resumption.history().items] == ["item_a"]


# Audio.


def pcm(seconds: float, value: int = 1) -> bytes:
    return bytes([value]) * int(seconds * SECOND)


def appended(core: Probe) -> list[str | bytes]:
    """Return what was sent: the audio joined, and the types of other events."""
    found: list[str | bytes] = []
    for event in core.events_to_send():
        if isinstance(event, ga.InputAudioBufferAppendEvent):
            audio = event.audio_data
            last = found.pop() if found and isinstance(found[-1], bytes) else b""
            found.append(last + audio if isinstance(last, bytes) else audio)
        else:
            found.append(event.type)
    return found


def speech_started(ms: int, item_id: str = "item_u") -> Any:
    return server("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=ms)


def speech_stopped(ms: int, item_id: str = "item_u") -> Any:
    return server("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=ms)


def committed(item_id: str = "item_u") -> Any:
    return server("input_audio_buffer.committed", item_id=item_id)


def test_a_turn_under_way_is_sent_again_with_what_follows() -> None:
    core = resumable()
    core.append_audio(pcm(1, 1), 1.0)
    core.append_audio(pcm(1, 2), 1.0)
    feed(core, speech_started(1000))
    lose(core)
    core.append_audio(pcm(1, 3), 2.5)
    update = resume(core)
    assert appended(core) == [pcm(1, 2) + pcm(1, 3)]
    assert (update.resent_audio_ms, update.lost_audio_ms) == (2000.0, 0.0)


def test_audio_without_speech_is_sent_again_as_far_as_speech_may_have_begun_in_it() -> None:
    core = resumable()
    for second in range(-6, 2):
        core.append_audio(pcm(1), second)
    assert again(core).resent_audio_ms == 5000.0


def test_audio_that_came_faster_than_real_time_is_sent_again() -> None:
    core = resumable()
    core.append_audio(pcm(8), 1.0)
    assert again(core).resent_audio_ms == 8000.0


def test_audio_that_was_just_sent_again_is_sent_again_to_the_next_server() -> None:
    """No server has had the time to find the speech in it, however long ago it was spoken."""
    core = resumable()
    core.append_audio(pcm(1), 0.0)
    feed(core, speech_started(0))
    lose(core)
    for second in range(1, 8):
        core.append_audio(bytes(SECOND), second)
    core.resume(_restored(core), attempts=1, now=8.0)
    core.events_to_send()
    core.suspend(None, 8.1)
    core.resume(_restored(core), attempts=1, now=8.1)
    [update] = [u for u in core.take_updates() if isinstance(u, Reconnected)][-1:]
    assert update.resent_audio_ms == 8000.0


def test_a_session_that_is_replaced_may_have_been_dead() -> None:
    core = resumable()
    for second in range(-6, 2):
        core.append_audio(pcm(1), second)
    core.suspend(None, 2.0)
    assert resume(core).resent_audio_ms == 5000.0


def test_the_first_audio_of_all_may_come_while_away() -> None:
    core = resumable()
    lose(core)
    core.append_audio(pcm(1), 2.5)
    update = resume(core)
    assert (update.resent_audio_ms, appended(core)) == (1000.0, [pcm(1)])


def test_a_turn_that_became_a_message_is_not_sent_again() -> None:
    core = resumable()
    core.append_audio(pcm(2), 1.0)
    feed(core, speech_started(500), speech_stopped(2000), committed(), added(SPOKEN))
    update = again(core)
    assert (update.resent_audio_ms, appended(core)) == (0.0, ["response.create"])


def test_a_turn_that_was_committed_by_the_server_but_has_no_message_is_sent_again() -> None:
    core = resumable()
    core.append_audio(pcm(2), 1.0)
    feed(core, speech_started(500), speech_stopped(1500), committed())
    update = again(core)
    assert (update.resent_audio_ms, update.asked_again) == (1500.0, 0)


def test_a_commit_is_sent_again_with_its_audio() -> None:
    core = resumable(session=MANUAL)
    core.append_audio(pcm(1, 1), 1.0)
    first = core.send_command(ga.InputAudioBufferCommitEvent(), 1.0)
    core.append_audio(pcm(1, 2), 1.0)
    second = core.send_command(ga.InputAudioBufferCommitEvent(), 1.0)
    core.append_audio(pcm(1, 3), 1.0)
    again(core)
    assert appended(core) == [
        pcm(1, 1),
        "input_audio_buffer.commit",
        pcm(1, 2),
        "input_audio_buffer.commit",
        pcm(1, 3),
    ]
    feed(core, committed("item_1"), committed("item_2"))
    assert [each.state for each in (first, second)] == [CommandState.ANSWERED] * 2
    assert core.input_audio.uncommitted == pcm(1, 3)


def test_an_answered_commit_without_a_message_is_committed_again_first() -> None:
    core = resumable(session=MANUAL)
    core.append_audio(pcm(1, 1), 1.0)
    first = core.send_command(ga.InputAudioBufferCommitEvent(), 1.0)
    core.append_audio(pcm(1, 2), 1.0)
    second = core.send_command(ga.InputAudioBufferCommitEvent(), 1.0)
    feed(core, committed("item_1"))
    assert first.state is CommandState.ANSWERED
    again(core)
    assert appended(core) == [
        pcm(1, 1),
        "input_audio_buffer.commit",
        pcm(1, 2),
        "input_audio_buffer.commit",
    ]
    feed(core, committed("item_3"), committed("item_4"))
    assert isinstance(second.answer, ga.InputAudioBufferCommittedEvent)
    assert second.answer.item_id == "item_4"
    feed(core, *(added(SPOKEN | {"id": item_id}) for item_id in ("item_3", "item_4")))
    assert core.conversation.item("item_3").formatted.audio == pcm(1, 1)
    assert core.conversation.item("item_4").formatted.audio == pcm(1, 2)
    assert again(core).resent_audio_ms == 0.0


def test_audio_that_was_cleared_is_not_sent_again() -> None:
    core = resumable(session=MANUAL)
    core.append_audio(pcm(1, 1), 1.0)
    core.send(ga.InputAudioBufferClearEvent(), 1.0)
    core.append_audio(pcm(1, 2), 1.0)
    again(core)
    assert appended(core) == ["input_audio_buffer.clear", pcm(1, 2)]


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_turn_that_was_cleared_is_not_sent_again(is_answered: bool) -> None:
    core = resumable()
    core.append_audio(pcm(2, 1), 1.0)
    feed(core, speech_started(500))
    core.send(ga.InputAudioBufferClearEvent(), 1.0)
    core.append_audio(pcm(1, 2), 1.0)
    feed(core, *[server("input_audio_buffer.cleared")] * is_answered)
    assert core.input_audio.has_turn is not is_answered
    again(core)
    assert pcm(1, 2) in appended(core)


def test_a_turn_that_the_server_dropped_is_not_sent_again_for_ever() -> None:
    core = resumable()
    core.append_audio(pcm(3), 1.0)
    feed(core, speech_started(0, "item_x"))
    feed(core, speech_started(1000), speech_stopped(2500), committed(), added(SPOKEN))
    assert not core.input_audio.has_turn
    assert again(core).resent_audio_ms == 500.0


def test_of_a_turn_that_is_too_long_the_beginning_is_lost() -> None:
    core = resumable(resend_seconds=2.0)
    core.append_audio(pcm(5), 1.0)
    feed(core, speech_started(1000))
    update = again(core)
    assert (update.resent_audio_ms, update.lost_audio_ms) == (2000.0, 2000.0)


def test_the_clock_of_the_new_session_begins_with_its_first_byte() -> None:
    core = resumable()
    core.append_audio(pcm(2, 1), 1.0)
    core.append_audio(pcm(1, 2), 1.0)
    feed(core, speech_started(2000))
    again(core)
    core.append_audio(pcm(1, 3), 3.5)
    feed(core, speech_started(0), speech_stopped(1500), committed(), added(SPOKEN))
    assert core.conversation.item("item_u").formatted.audio == pcm(1, 2) + pcm(0.5, 3)


def test_large_audio_is_sent_in_parts() -> None:
    core = resumable(session=MANUAL)
    core.append_audio(pcm(10), 1.0)
    lose(core)
    resume(core)
    sizes = [len(event.audio_data) for event in core.events_to_send()]  # type: ignore[attr-defined]
    assert sum(sizes) == 10 * SECOND
    assert max(sizes) <= 32 * 1024


def test_audio_beyond_the_ring_is_not_kept() -> None:
    numbers = itertools.count(1)
    audio = SentAudio(resend_seconds=1.0)
    audio.detects_turns = False
    for value in range(10):
        audio.append(pcm(1, value))
    again = audio.begin_session(0, now=0.0, new_id=lambda: f"event_{next(numbers)}")
    assert again.rest == pcm(1, 9)
    assert again.lost_ms == 9000.0
    assert again.before_commits == {}

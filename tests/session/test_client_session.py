from __future__ import annotations

import msgspec
import pytest
from tests.session.session_events import (
    added,
    feed,
    message,
    new_core,
    part_event,
    response,
    server,
)

from duologue.errors import (
    Closed,
    ConnectionLost,
    LocalProtocolError,
    RemoteProtocolError,
    ServerError,
)
from duologue.protocol import codec, ga
from duologue.protocol.dialects import dialect_adapter
from duologue.session.commands import MAX_PENDING, CommandState
from duologue.session.effects import Notify, RunTool, SendFrame, Settled
from duologue.session.response_state import RequestState
from duologue.session.updates import ConversationUpdated, ErrorUpdate, RealtimeEvent


def error(event_id: str | None, code: str | None = None) -> ga.AnyServerEvent:
    details = {"type": "invalid_request_error", "message": "no", "event_id": event_id, "code": code}
    return server("error", error=details)


def test_a_sent_event_gets_an_id_and_is_sent_once() -> None:
    core = new_core()
    core.send(ga.ResponseCancelEvent(), 1.0)
    assert core.events_to_send() == [ga.ResponseCancelEvent(event_id="event_1")]
    assert core.events_to_send() == []


def test_an_event_of_an_unknown_type_is_sent_unchanged() -> None:
    core = new_core()
    event = codec.decode(b'{"type":"future.event"}', direction="client")
    core.send(event, 1.0)
    core.send(ga.OutputAudioBufferClearEvent(event_id="x"), 1.0)
    assert core.events_to_send()[0] == event


def test_the_raw_event_follows_the_updates_it_causes() -> None:
    core = new_core()
    event = added(message("item_u"))
    core.receive(event, 2.5)
    (effect,) = core.effects()
    assert isinstance(effect, Notify)
    assert effect.updates[-1] == RealtimeEvent("server", event, 2.5)
    assert len(effect.updates) == 4


def test_the_fast_way_of_a_delta_returns_the_updates_that_receive_lists() -> None:
    by_effects, by_hand = new_core(), new_core()
    for core in (by_effects, by_hand):
        feed(core, added(message("item_a", "assistant")))
    delta = part_event("response.output_text.delta", delta="Hi")
    by_effects.receive(delta, 1.0)
    (effect,) = by_effects.effects()
    assert isinstance(effect, Notify)
    updates = by_hand.receive_delta(delta, 1.0)
    assert [repr(update) for update in updates] == [repr(update) for update in effect.updates]
    assert updates[-1] == RealtimeEvent("server", delta, 1.0)
    assert by_hand.effects() == []


def test_an_unknown_event_is_passed_on_and_an_invalid_one_reported() -> None:
    core = new_core()
    assert feed(core, server("future.event")) == []
    (update,) = feed(core, server("session.updated"))
    assert isinstance(update, ErrorUpdate)
    assert isinstance(update.error, RemoteProtocolError)
    assert "session" in str(update.error)


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        (
            ga.SessionUpdateEvent(session=ga.RealtimeSession()),
            server("session.updated", session={"type": "realtime"}),
        ),
        (
            ga.InputAudioBufferCommitEvent(),
            server("input_audio_buffer.committed", item_id="item_u"),
        ),
        (ga.InputAudioBufferClearEvent(), server("input_audio_buffer.cleared")),
        (
            ga.ConversationItemDeleteEvent(item_id="item_u"),
            server("conversation.item.deleted", item_id="item_u"),
        ),
        (
            ga.ConversationItemTruncateEvent(item_id="item_u", content_index=0, audio_end_ms=1),
            server(
                "conversation.item.truncated", item_id="item_u", content_index=0, audio_end_ms=1
            ),
        ),
        (
            ga.ConversationItemRetrieveEvent(item_id="item_u"),
            server("conversation.item.retrieved", item=message("item_u")),
        ),
        (
            ga.ConversationItemCreateEvent(
                item=ga.Message(role="user", content=[ga.InputText(text="x")])
            ),
            added(message("item_u", text="x")),
        ),
        (
            ga.ConversationItemCreateEvent(item=ga.FunctionCallOutput(call_id="c", output="x")),
            added({"id": "o", "type": "function_call_output", "call_id": "c", "output": "x"}),
        ),
        (
            ga.ConversationItemCreateEvent(item=ga.FunctionCall(name="f", arguments="")),
            added({"id": "f", "type": "function_call", "name": "f", "arguments": ""}),
        ),
        (
            ga.ConversationItemCreateEvent(item=ga.Message(id="m", role="user", content=[])),
            added(message("m")),
        ),
    ],
)
def test_a_command_is_answered_or_refused(
    event: ga.KnownClientEvent, answer: ga.AnyServerEvent
) -> None:
    core = new_core()
    core.send(event, 1.0)
    core.send(event, 1.0)
    feed(core, answer)
    (answered,) = core.settled_commands()
    assert (answered.event_id, answered.state, answered.answer) == (
        "event_1",
        CommandState.ANSWERED,
        answer,
    )
    (update,) = feed(core, error("event_2"))
    (refused,) = core.settled_commands()
    assert isinstance(refused.error, ServerError)
    assert update == ErrorUpdate(refused.error)
    assert (refused.event_id, refused.state) == ("event_2", CommandState.FAILED)
    assert len(core.commands) == 0


def test_an_error_that_is_awaited_is_not_reported() -> None:
    core = new_core()
    command = core.send_command(ga.InputAudioBufferClearEvent(), 1.0)
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    command.waiters = request.waiters = 1
    assert feed(core, error(command.event_id), error(request.event_id)) == []
    assert (command.state, request.state) == (CommandState.FAILED, RequestState.REFUSED)


def test_effects_are_updates_then_settled_records_then_tools_then_frames() -> None:
    core = new_core(has_tool=lambda _: True)
    first = core.create_response(ga.ResponseCreateEvent(), 1.0)
    second = core.create_response(ga.ResponseCreateEvent(), 1.0)
    core.receive(response("created"), 1.0)
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    core.effects()
    call = {"id": "c", "type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"}
    done = response("done", status="completed", output=[call])
    core.receive(done, 2.0)
    shown, settled, run = core.effects()
    assert isinstance(shown, Notify)
    assert (shown.updates[-1], settled) == (RealtimeEvent("server", done, 2.0), Settled(first))
    assert isinstance(run, RunTool)
    core.receive(response("created", "resp_2"), 3.0)
    core.receive(response("done", "resp_2", status="completed"), 3.0)
    *_, settled, shown, sent = core.effects()
    assert settled == Settled(second)
    assert isinstance(sent, SendFrame)
    assert isinstance(shown, Notify)
    (update,) = shown.updates
    assert isinstance(update, RealtimeEvent)
    assert update.event.type == sent.type == "response.create"


def test_an_answer_for_another_item_settles_nothing() -> None:
    core = new_core()
    core.send(ga.ConversationItemDeleteEvent(item_id="a"), 1.0)
    core.send(ga.ConversationItemRetrieveEvent(item_id="a"), 1.0)
    item = ga.Message(id="a", role="user", content=[])
    core.send(ga.ConversationItemCreateEvent(item=item), 1.0)
    feed(core, added(message("b")), server("conversation.item.deleted", item_id="b"))
    feed(core, server("conversation.item.retrieved", item=message("b")))
    assert core.settled_commands() == []


def test_an_unrelated_error_is_reported_and_a_late_cancel_is_not() -> None:
    core = new_core()
    (update,) = feed(core, error("someone", "x"))
    assert isinstance(update, ErrorUpdate)
    assert str(update.error) == "no (code=x, event_id=someone)"
    assert feed(core, error(None, "response_cancel_not_active")) == []
    details = {"type": "input_audio_buffer_commit_empty", "message": "no", "code": None}
    assert feed(core, server("error", error=details)) == []


def test_an_error_without_an_id_refuses_the_command_its_code_names() -> None:
    core = new_core()
    core.send(ga.InputAudioBufferCommitEvent(), 1.0)
    assert feed(core, error(None, "input_audio_buffer_commit_empty")) == []
    assert [command.event_id for command in core.settled_commands()] == ["event_1"]


def test_unanswered_commands_are_bounded() -> None:
    core = new_core()
    for _ in range(MAX_PENDING + 1):
        core.send(ga.InputAudioBufferClearEvent(), 1.0)
    (oldest,) = core.settled_commands()
    assert oldest.event_id == "event_1"
    assert isinstance(oldest.error, RemoteProtocolError)


def test_the_same_id_cannot_await_two_answers() -> None:
    core = new_core()
    core.send(ga.InputAudioBufferClearEvent(event_id="x"), 1.0)
    with pytest.raises(LocalProtocolError, match="'x'"):
        core.send(ga.ResponseCreateEvent(event_id="x"), 1.0)


def test_ending_fails_everything_pending_and_stops_sending() -> None:
    core = new_core()
    core.send(ga.InputAudioBufferClearEvent(), 1.0)
    lost = ConnectionLost("gone")
    core.end(lost)
    assert [command.error for command in core.settled_commands()] == [lost]
    assert core.events_to_send() == []
    with pytest.raises(LocalProtocolError):
        core.send(ga.InputAudioBufferClearEvent(), 1.0)
    with pytest.raises(LocalProtocolError):
        core.append_audio(b"12", 1.0)
    core.end(Closed("again"))


def test_appended_audio_is_recorded_and_invalid_base64_refused() -> None:
    core = new_core()
    core.send(ga.InputAudioBufferAppendEvent.of(b"1234"), 1.0)
    assert core.input_audio.sent_bytes == 4
    with pytest.raises(LocalProtocolError):
        core.send(ga.InputAudioBufferAppendEvent(audio=msgspec.Raw(b'"!!"')), 1.0)


def test_the_active_configuration_is_the_servers_last() -> None:
    core = new_core()
    audio = {"input": {"turn_detection": None, "format": {"type": "audio/pcmu"}}}
    audio |= {"output": {"format": {"type": "audio/pcma"}}}
    feed(core, server("session.created", session={"type": "realtime", "audio": audio}))
    assert isinstance(core.active.session, ga.RealtimeSession)
    assert not core.active.detects_turns
    assert core.input_audio.format.name == "audio/pcmu"
    assert core.conversation.output_format.name == "audio/pcma"
    feed(core, server("session.updated", session={"type": "hologram"}))
    assert isinstance(core.active.session, ga.UnknownSession)


def test_without_a_deadline_nothing_happens() -> None:
    core = new_core()
    assert core.next_deadline() is None
    core.handle_deadline(1.0)
    assert core.effects() == []


def test_with_validation_an_invalid_event_is_refused_before_it_is_sent() -> None:
    core = new_core(validates=True)
    params = ga.ResponseCreateParams(max_output_tokens=9999)
    with pytest.raises(LocalProtocolError, match="Fix: "):
        core.create_response(ga.ResponseCreateEvent(response=params), 1.0)
    core.send(ga.InputAudioBufferClearEvent(), 1.0)
    assert len(core.events_to_send()) == 1


def test_an_empty_commit_error_without_a_waiter_is_not_reported() -> None:
    core = new_core()
    assert feed(core, error("someone", "input_audio_buffer_commit_empty")) == []


def test_a_beta_event_is_processed_as_ga_and_passed_on_unchanged() -> None:
    core = new_core(dialect=dialect_adapter("beta"))
    item = message("item_a", "assistant", status="in_progress")
    feed(core, added(item))
    place = {"item_id": "item_a", "response_id": "r", "output_index": 0, "content_index": 0}
    body = {"type": "response.text.delta", "event_id": "e", **place, "delta": "Hi"}
    delta = codec.decode(msgspec.json.encode(body), dialect="beta")
    core.receive(delta, 1.0)
    (effect,) = core.effects()
    assert isinstance(effect, Notify)
    update, shown = effect.updates
    assert isinstance(update, ConversationUpdated)
    assert update.item.formatted.text == "Hi"
    assert isinstance(shown, RealtimeEvent)
    assert shown.event is delta
    assert [type(meaning) for meaning in shown.meanings] == [ga.ResponseTextDeltaEvent]


def test_an_item_sent_with_previous_item_root_comes_first() -> None:
    core = new_core()
    feed(core, added(message("item_a")))
    item = ga.Message(role="user", content=[ga.InputText(text="first")])
    core.send(ga.ConversationItemCreateEvent(item=item, previous_item_id="root"), 1.0)
    feed(core, added(message("item_b", text="other")), added(message("item_c", text="first")))
    assert [item.id for item in core.conversation] == ["item_c", "item_a", "item_b"]


def test_a_spoken_item_does_not_answer_a_sent_text_item() -> None:
    core = new_core()
    item = ga.Message(role="user", content=[ga.InputText(text="x")])
    core.send(ga.ConversationItemCreateEvent(item=item), 1.0)
    spoken = message("item_s") | {"content": [{"type": "input_audio", "transcript": "x"}]}
    feed(core, added(spoken))
    assert core.settled_commands() == []
    feed(core, added(message("item_t", text="x")))
    assert len(core.settled_commands()) == 1

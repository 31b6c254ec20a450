"""Servers that answer late, inexactly or never: every command and response ends in time."""

from __future__ import annotations

from typing import Any

import pytest
from tests.session.session_events import (
    Probe,
    added,
    feed,
    message,
    new_core,
    output_item,
    part_event,
    response,
    server,
)

from duologue.errors import RemoteProtocolError, ServerError
from duologue.protocol import ga
from duologue.session.commands import (
    DEFAULT_TIMEOUT,
    OVERTAKEN_TIMEOUT,
    Command,
    CommandState,
)
from duologue.session.response_state import RequestState
from duologue.session.responses import RACE_SECONDS
from duologue.session.tool_calls import SPEECH_TIMEOUT
from duologue.session.updates import ConversationUpdated, ErrorUpdate

TEXT = ga.Message(role="user", content=[ga.InputText(text="hello")])
CREATE = ga.ConversationItemCreateEvent(item=TEXT)
DELETE = ga.ConversationItemDeleteEvent(item_id="item_1")
RETRIEVE = ga.ConversationItemRetrieveEvent(item_id="item_1")
TRUNCATE = ga.ConversationItemTruncateEvent(item_id="item_1", content_index=0, audio_end_ms=5)
UPDATE = ga.SessionUpdateEvent(session=ga.RealtimeSession(instructions="x"))
CLEAR = ga.InputAudioBufferClearEvent()
COMMIT = ga.InputAudioBufferCommitEvent()


def error(code: str | None = None, param: str | None = None) -> ga.AnyServerEvent:
    details = {"type": "invalid_request_error", "message": "no", "code": code, "param": param}
    return server("error", error=details | {"event_id": None})


def truncated(item_id: str) -> ga.AnyServerEvent:
    kind = "conversation.item.truncated"
    return server(kind, item_id=item_id, content_index=0, audio_end_ms=5)


def outcome(command: Command) -> str:
    return command.state.name if command.error is None else type(command.error).__name__


@pytest.mark.parametrize("event", [CREATE, DELETE, RETRIEVE, TRUNCATE, UPDATE, CLEAR, COMMIT])
def test_a_command_without_an_answer_fails_in_time_and_names_what_it_waited_for(
    event: ga.KnownClientEvent,
) -> None:
    core = new_core()
    command = core.send_command(event, 1.0)
    assert core.next_deadline() == 1.0 + DEFAULT_TIMEOUT
    core.handle_deadline(0.9 + DEFAULT_TIMEOUT)
    assert command.state is CommandState.PENDING
    core.handle_deadline(1.0 + DEFAULT_TIMEOUT)
    assert core.settled_commands() == [command]
    assert str(command.error) == f"the server did not answer {event.type} in time"
    (update,) = core.take_updates()
    assert isinstance(update, ErrorUpdate)
    assert update.error is command.error
    assert core.next_deadline() is None


def test_the_limit_can_be_set_for_the_client_and_for_a_call() -> None:
    core = new_core(timeout=3.0)
    command = core.send_command(CLEAR, 1.0)
    assert core.next_deadline() == 4.0
    core.limit(command, 9.0, 1.0)
    assert core.next_deadline() == 10.0
    core.limit(command, None, 1.0)
    assert core.next_deadline() is None
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    core.limit(request, 1.0, 1.0)
    assert core.next_deadline() == 2.0


def test_a_late_answer_does_not_settle_a_later_command() -> None:
    core = new_core(timeout=1.0)
    first = core.send_command(CLEAR, 0.0)
    core.handle_deadline(1.0)
    second = core.send_command(CLEAR, 1.5)
    feed(core, server("input_audio_buffer.cleared"))
    assert (outcome(first), outcome(second)) == ("TimeoutError", "PENDING")
    feed(core, server("input_audio_buffer.cleared"))
    assert outcome(second) == "ANSWERED"


def test_a_command_that_is_overtaken_ends_soon() -> None:
    core = new_core()
    skipped = core.send_command(RETRIEVE, 1.0)
    core.send_command(CLEAR, 1.0)
    feed(core, server("input_audio_buffer.cleared"))
    assert core.next_deadline() == 1.0 + OVERTAKEN_TIMEOUT
    core.handle_deadline(1.0 + OVERTAKEN_TIMEOUT)
    assert outcome(skipped) == "TimeoutError"


def test_an_output_may_wait_for_the_end_of_its_response() -> None:
    """The server adds the output of a call when the response that called has ended."""
    core = new_core()
    feed(core, response("created"))
    output = ga.FunctionCallOutput(call_id="c", output="{}")
    core.send_command(ga.ConversationItemCreateEvent(item=output), 1.0)
    core.send_command(CLEAR, 1.0)
    feed(core, server("input_audio_buffer.cleared"))
    assert core.commands.deadline == 1.0 + DEFAULT_TIMEOUT


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        (error("item_not_found", "item_id"), DELETE),
        (error("item_already_exists", "item.id"), CREATE),
        (error(None, "session.voice"), UPDATE),
        (error("cannot_update_voice"), UPDATE),
        (error(None), RETRIEVE),
    ],
)
def test_an_error_without_an_id_refuses_the_event_that_it_can_only_mean(
    event: ga.AnyServerEvent, answer: ga.KnownClientEvent
) -> None:
    core = new_core()
    command = core.send_command(answer, 1.0)
    feed(core, event)
    assert outcome(command) == "ServerError"


def test_an_error_without_an_id_refuses_nothing_if_it_may_mean_several() -> None:
    core = new_core()
    commands = [core.send_command(event, 1.0) for event in (DELETE, RETRIEVE)]
    (update,) = feed(core, error("item_not_found", "item_id"))
    assert isinstance(update, ErrorUpdate)
    assert [outcome(command) for command in commands] == ["PENDING", "PENDING"]


def test_a_response_that_is_refused_without_an_id_ends() -> None:
    core = new_core()
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, error("rate_limit_exceeded"))
    assert request.state is RequestState.REFUSED
    assert isinstance(request.error, ServerError)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (DELETE, server("conversation.item.deleted", item_id="")),
        (TRUNCATE, truncated("")),
        (CREATE, added(message("item_server", text="hello"))),
        (CREATE, added(message("item_server"))),
        (CREATE, added(message("item_server", text="hello", status="completed", object="x"))),
        (
            ga.ConversationItemCreateEvent(
                item=ga.Message(id="mine", role="user", content=[ga.InputText(text="hello")])
            ),
            added(message("item_server", text="hello")),
        ),
        (
            ga.ConversationItemCreateEvent(item=TEXT),
            added(message("m") | {"content": [{"type": "text", "text": "hello"}]}),
        ),
    ],
    ids=["deleted without id", "truncated without id", "own id", "empty", "more fields", "other id",
         "other class"],
)  # fmt: skip
def test_an_inexact_answer_settles_the_command_that_it_can_mean(
    sent: ga.KnownClientEvent, answer: ga.AnyServerEvent
) -> None:
    core = new_core()
    command = core.send_command(sent, 1.0)
    feed(core, answer)
    assert outcome(command) == "ANSWERED"


def test_an_item_that_a_turn_or_a_response_announced_answers_no_command() -> None:
    core = new_core()
    command = core.send_command(CREATE, 1.0)
    feed(core, server("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_u"))
    feed(core, server("input_audio_buffer.committed", item_id="item_u", previous_item_id=None))
    feed(core, added(message("item_u")))
    feed(core, response("created"), output_item("added", message("item_a", "assistant")))
    feed(core, added(message("item_a", "assistant")))
    assert outcome(command) == "PENDING"


# Responses.


def test_a_request_that_the_server_does_not_begin_ends_in_time() -> None:
    core = new_core(timeout=2.0)
    first = core.create_response(ga.ResponseCreateEvent(), 1.0)
    second = core.create_response(ga.ResponseCreateEvent(), 1.0)
    core.limit(second, 9.0, 1.0)
    core.handle_deadline(3.0)
    assert str(first.error) == "the server did not answer response.create in time"
    assert (first.state, second.state) == (RequestState.LOST, RequestState.REQUESTED)
    assert core.next_deadline() == 10.0


def test_a_response_that_stalls_ends_and_one_that_grows_goes_on() -> None:
    core = new_core(timeout=2.0)
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, response("created"), output_item("added", message("item_a", "assistant")))
    feed(core, part_event("response.output_text.delta", delta="x"))
    core.handle_deadline(3.0)
    assert request.state is RequestState.IN_PROGRESS
    core.handle_deadline(5.0)
    assert str(request.error) == "the server did not go on with the response resp_1 in time"
    assert core.responses.active is None


def test_a_stalled_response_of_turn_detection_does_not_hold_up_requests_for_ever() -> None:
    core = new_core(timeout=2.0)
    feed(core, response("created", "resp_vad"))
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    assert request.state is RequestState.QUEUED
    core.handle_deadline(core.next_deadline() or 0.0)
    assert request.state is RequestState.REQUESTED


@pytest.mark.parametrize("times", [1, 2])
def test_a_request_that_lost_the_race_against_turn_detection_is_repeated(times: int) -> None:
    """The refusal may lack the id, come twice, and come after the other response was begun."""
    core = new_core()
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, response("created", "resp_vad"))
    for _ in range(times):
        feed(core, error("conversation_already_has_active_response"))
    assert request.state is RequestState.QUEUED
    feed(core, response("done", "resp_vad", status="completed"))
    assert request.state is RequestState.REQUESTED
    feed(core, response("created", "resp_1"), response("done", "resp_1", status="completed"))
    assert request.state is RequestState.COMPLETED
    assert request.response is core.responses.get("resp_1")


def commit_turn(core: Probe) -> None:
    """Commit a turn of the user, which turn detection is to answer."""
    detection = {"type": "server_vad", "create_response": True}
    audio = {"input": {"turn_detection": detection}}
    feed(core, server("session.created", session={"type": "realtime", "audio": audio}))
    feed(core, server("input_audio_buffer.committed", item_id="item_u"))


@pytest.mark.parametrize("has_id", [True, False], ids=["event_id", "no event_id"])
@pytest.mark.parametrize("status", ["cancelled", "completed"])
@pytest.mark.parametrize("is_next_active", [True, False], ids=["next turn", "nothing active"])
def test_a_refusal_that_comes_after_the_end_of_the_other_response_is_not_too_late(
    status: str, *, has_id: bool, is_next_active: bool
) -> None:
    """Two turns in one burst: the second cancels the response to the first."""
    core = new_core()
    commit_turn(core)
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, response("created", "resp_vad"), response("done", "resp_vad", status=status))
    assert request.is_open
    if is_next_active:
        feed(core, response("created", "resp_next"))
    refusal = {"type": "conversation_already_has_active_response", "message": "busy"}
    feed(core, server("error", error=refusal | ({"event_id": request.event_id} if has_id else {})))
    if is_next_active:
        assert request.state is RequestState.QUEUED
        feed(core, response("done", "resp_next", status="completed"))
    assert request.state is RequestState.REQUESTED
    feed(core, response("created", "resp_1"), response("done", "resp_1", status="completed"))
    assert request.state is RequestState.COMPLETED
    assert request.response is core.responses.get("resp_1")


def test_a_request_whose_refusal_does_not_come_ends_as_its_response_did() -> None:
    core = new_core()
    commit_turn(core)
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, response("created"), response("done", status="cancelled"))
    assert core.next_deadline() == 1.0 + RACE_SECONDS
    core.handle_deadline(1.0 + RACE_SECONDS)
    assert request.state is RequestState.CANCELLED
    assert core.settled_requests() == [request]


def test_a_request_ends_with_its_response_when_no_turn_is_owed_one() -> None:
    core = new_core()
    commit_turn(core)
    feed(core, response("created", "resp_vad"), response("done", "resp_vad", status="completed"))
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, response("created"), response("done", status="cancelled"))
    assert request.state is RequestState.CANCELLED


# Speech that never ends.


def call() -> dict[str, Any]:
    item = {"id": "c", "type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"}
    return item | {"status": "completed"}


def interrupted_by_speech() -> Probe:
    """A core with an answered call whose response waits for the end of the user's turn."""
    core = new_core(has_tool=lambda _: True)
    feed(core, response("created"), output_item("done", call()))
    core.append_audio(bytes(480), 1.0)
    feed(core, server("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_u"))
    feed(core, response("done", status="completed"))
    core.answer_call("c", "{}", None, 1.0)
    assert "response.create" not in [event.type for event in core.events_to_send()]
    return core


def test_the_answer_of_a_tool_is_used_when_the_audio_stops_for_good() -> None:
    core = interrupted_by_speech()
    core.append_audio(bytes(480), 4.0)
    core.handle_deadline(1.0 + SPEECH_TIMEOUT)
    assert "response.create" not in [event.type for event in core.events_to_send()]
    core.handle_deadline(4.0 + SPEECH_TIMEOUT)
    assert [event.type for event in core.events_to_send()] == ["response.create"]


@pytest.mark.parametrize(
    "event",
    [
        server("input_audio_buffer.cleared"),
        server(
            "session.updated",
            session={"type": "realtime", "audio": {"input": {"turn_detection": None}}},
        ),
    ],
    ids=["cleared", "detection off"],
)
def test_the_answer_of_a_tool_is_used_when_nothing_can_end_the_turn(
    event: ga.AnyServerEvent,
) -> None:
    core = interrupted_by_speech()
    feed(core, event)
    assert [event.type for event in core.events_to_send()] == ["response.create"]


def test_the_answer_of_a_tool_is_used_when_its_response_never_ends() -> None:
    core = new_core(has_tool=lambda _: True, timeout=2.0)
    feed(core, response("created"), output_item("done", call()))
    core.answer_call("c", "{}", None, 1.0)
    core.events_to_send()
    core.handle_deadline(3.0)  # the call came in this time, so the response has gone on
    core.handle_deadline(5.0)
    assert "response.create" in [event.type for event in core.events_to_send()]


# Words and whole parts.


@pytest.mark.parametrize(
    ("kind", "fields", "field"),
    [
        ("response.output_text.done", {"text": "hello"}, "text"),
        ("response.output_audio_transcript.done", {"transcript": "hello"}, "transcript"),
        (
            "response.content_part.done",
            {"part": {"type": "output_text", "text": "hello"}},
            "text",
        ),
        (
            "response.content_part.done",
            {"part": {"type": "output_audio", "transcript": "hello"}},
            "transcript",
        ),
    ],
)
@pytest.mark.parametrize("deltas", [(), ("hel",), ("hel", "lo")])
def test_the_end_of_a_part_completes_its_words(
    kind: str, fields: dict[str, Any], field: str, deltas: tuple[str, ...]
) -> None:
    core = new_core()
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    item = message("item_a", "assistant")
    feed(core, response("created"), output_item("added", item), added(item))
    name = "output_text" if field == "text" else "output_audio_transcript"
    updates = feed(core, *(part_event(f"response.{name}.delta", delta=delta) for delta in deltas))
    updates += feed(core, part_event(kind, **fields))
    appended = [getattr(u.delta, field) for u in updates if isinstance(u, ConversationUpdated)]
    assert "".join(words for words in appended if words) == "hello"
    assert getattr(core.conversation.item("item_a").formatted, field) == "hello"


def test_arguments_that_come_only_at_the_end_are_kept() -> None:
    core = new_core()
    item = call() | {"arguments": "", "status": "in_progress"}
    core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, response("created"), output_item("added", item), added(item))
    kind = "response.function_call_arguments.done"
    feed(core, part_event(kind, item_id="c", call_id="c", arguments='{"a":1}'))
    tool = core.conversation.item("c").formatted.tool
    assert tool is not None
    assert tool.arguments == '{"a":1}'


@pytest.mark.parametrize("times", [1, 4])
def test_a_transcript_is_reported_once(times: int) -> None:
    core = new_core()
    feed(core, added(message("item_u") | {"content": [{"type": "input_audio"}]}))
    kind = "conversation.item.input_audio_transcription"
    about = {"item_id": "item_u", "content_index": 0}
    events = [server(f"{kind}.delta", **about, delta=word) for word in ("one ", "two")]
    events += [server(f"{kind}.completed", **about, transcript="one two") for _ in range(times)]
    updates = feed(core, *events)
    deltas = [u.delta for u in updates if isinstance(u, ConversationUpdated)]
    assert "".join(delta.transcript or "" for delta in deltas if delta) == "one two"


# Faults of ours.


def test_an_event_that_cannot_be_processed_does_not_end_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core = new_core()

    def fail(_event: object) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(core.conversation, "on_item_done", fail)
    event = server("conversation.item.done", item=message("m"))
    (update,) = feed(core, event)
    assert isinstance(update, ErrorUpdate)
    assert isinstance(update.error, RemoteProtocolError)
    assert isinstance(update.error.__cause__, KeyError)
    assert update.event is event
    assert core.failures == 1
    assert feed(core, added(message("m"))) != []


@pytest.mark.parametrize("ms", [1e308, -1, 10**30, 0])
def test_no_time_of_speech_is_too_large(ms: float) -> None:
    core = new_core()
    core.append_audio(bytes(480), 1.0)
    for name, field in (("speech_started", "audio_start_ms"), ("speech_stopped", "audio_end_ms")):
        feed(core, server(f"input_audio_buffer.{name}", item_id="item_u", **{field: ms}))
    assert core.failures == 0

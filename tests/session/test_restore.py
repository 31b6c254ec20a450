"""The history of a new session, and the exchange that restores it."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from pybase64 import b64decode, b64encode
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

from duologue.protocol import codec, ga
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.model import UNSET
from duologue.session.history import RestoredItem, choose_history, restored_item
from duologue.session.items import ItemState
from duologue.session.restore import Restoration

CREATED = server("session.created", session={"type": "realtime", "id": "sess_2"})


def state(item: dict[str, Any]) -> ItemState:
    event = added(item)
    assert isinstance(event, ga.ConversationItemAdded)
    return ItemState(item["id"], event.item)


def spoken(transcript: str | None = None) -> dict[str, Any]:
    part = {"type": "input_audio", "transcript": transcript}
    return message("item_u") | {"content": [part]}


def call(number: int = 1) -> dict[str, Any]:
    return {
        "id": f"item_c{number}",
        "type": "function_call",
        "status": "completed",
        "name": "clock",
        "call_id": f"call_{number}",
        "arguments": '{"zone":"UTC"}',
    }


def output(number: int = 1) -> dict[str, Any]:
    return {
        "id": f"item_o{number}",
        "type": "function_call_output",
        "call_id": f"call_{number}",
        "output": "noon",
    }


def as_json(item: ga.Item | None) -> Any:
    return None if item is None else msgspec.json.decode(codec.encode_model(item))


# One item.


def test_text_is_restored_as_it_is() -> None:
    assert as_json(restored_item(state(message("item_1", text="Hello")))) == {
        "id": "item_1",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hello"}],
    }


def test_speech_of_the_assistant_is_restored_as_its_words() -> None:
    item = message("item_a", "assistant") | {
        "content": [{"type": "output_audio", "transcript": "Good morning"}]
    }
    assert as_json(restored_item(state(item)))["content"] == [
        {"type": "output_text", "text": "Good morning"}
    ]


def test_speech_of_the_user_is_restored_as_its_transcript() -> None:
    assert as_json(restored_item(state(spoken("What time is it?"))))["content"] == [
        {"type": "input_text", "text": "What time is it?"}
    ]


@pytest.mark.parametrize("transcript", [None, "", " "])
def test_speech_without_words_is_restored_as_audio(transcript: str | None) -> None:
    speech = state(spoken())
    speech.attach_audio(b"\x01\x02" * 100)
    if transcript is not None:
        speech.add_user_words(0, transcript, is_final=True)
    [part] = as_json(restored_item(speech))["content"]
    assert part["type"] == "input_audio"
    assert b64decode(part["audio"]) == b"\x01\x02" * 100


def test_speech_of_which_nothing_is_kept_cannot_be_restored() -> None:
    assert restored_item(state(spoken())) is None


def test_a_message_with_audio_of_the_application_is_restored_with_it() -> None:
    core = new_core()
    audio = b64encode(bytes(range(100))).decode()
    parts = [ga.InputText(text="Listen:"), ga.InputAudio(audio=audio)]
    core.send(
        ga.ConversationItemCreateEvent(item=ga.Message(id="item_u", role="user", content=parts)),
        1.0,
    )
    copy = [{"type": "input_text", "text": "Listen:"}, {"type": "input_audio", "transcript": None}]
    feed(core, added(message("item_u") | {"content": copy}))
    assert core.conversation.item("item_u").formatted.audio == bytes(range(100))
    assert as_json(restored_item(core.conversation.states()[0]))["content"] == [
        {"type": "input_text", "text": "Listen:"},
        {"type": "input_audio", "audio": audio},
    ]


def test_an_image_that_the_server_does_not_repeat_is_left_out() -> None:
    item = message("item_u", text="Look:")
    item["content"].append({"type": "input_image"})
    assert as_json(restored_item(state(item)))["content"] == [
        {"type": "input_text", "text": "Look:"}
    ]


def test_a_truncated_item_is_restored_as_it_was_heard() -> None:
    core = new_core()
    audio = b64encode(bytes(48 * 1000)).decode()
    item = message("item_a", "assistant", status="in_progress")
    feed(
        core,
        response("created", status="in_progress"),
        output_item("added", item),
        added(item),
        part_event("response.output_audio_transcript.delta", delta="One two three four"),
        part_event("response.output_audio.delta", delta=audio),
        server("conversation.item.truncated", item_id="item_a", content_index=0, audio_end_ms=500),
    )
    [cut] = core.conversation.states()
    assert as_json(restored_item(cut))["content"] == [{"type": "output_text", "text": "One two"}]


def test_an_item_that_was_cut_before_its_first_word_is_not_restored() -> None:
    item = state(message("item_a", "assistant", "One two"))
    item.truncate(0, 0)
    assert restored_item(item) is None


def test_a_call_is_restored_with_its_arguments() -> None:
    assert as_json(restored_item(state(call()))) == {
        "id": "item_c1",
        "type": "function_call",
        "name": "clock",
        "call_id": "call_1",
        "arguments": '{"zone":"UTC"}',
    }


def test_a_call_that_was_cut_is_not_restored() -> None:
    cut = state(call() | {"status": "incomplete"})
    cut.response_id = "resp_1"
    assert restored_item(cut) is None


def test_a_call_of_the_application_is_restored_whatever_its_status() -> None:
    assert restored_item(state(call() | {"status": None})) is not None


def test_an_id_that_is_too_long_is_left_to_the_server() -> None:
    item = restored_item(state(message("item_" + "x" * 40, text="Hello")))
    assert item is not None
    assert item.id is UNSET


def test_an_item_that_only_servers_make_is_not_restored() -> None:
    assert (
        restored_item(
            state({"id": "mcp_1", "type": "mcp_list_tools", "server_label": "x", "tools": []})
        )
        is None
    )
    assert restored_item(state({"id": "item_x", "type": "of_tomorrow"})) is None


# Many items.


def test_the_latest_items_are_chosen() -> None:
    states = [state(message(f"item_{n}", text="word " * 20)) for n in range(10)]
    limit = 2 * len(codec.encode_model(restored_item(states[0]))) + 10  # type: ignore[type-var]
    history = choose_history(states, limit)
    assert [item.item_id for item in history.items] == ["item_7", "item_8", "item_9"]
    assert [left.id for left in history.left_out] == [f"item_{n}" for n in range(7)]
    assert history.lost == ()


def test_the_newest_item_is_restored_however_large_it_is() -> None:
    """A turn that is not transcribed is restored as audio, and its response is owed."""
    states = [state(message(f"item_{n}", text="word")) for n in range(3)]
    long = state(message("item_u", text="word " * 1000))
    history = choose_history([*states, long], 500)
    assert [item.item_id for item in history.items] == ["item_0", "item_1", "item_2", "item_u"]
    assert [item.item_id for item in choose_history([*states, long], 0).items] == ["item_u"]
    assert choose_history([], 0).items == ()


@pytest.mark.parametrize("limit", range(0, 1200, 25))
def test_an_output_is_never_chosen_without_its_call(limit: int) -> None:
    items = [message("item_1", text="What time is it?"), call(1), call(2), output(1), output(2)]
    items.append(message("item_2", "assistant", "It is noon."))
    history = choose_history(map(state, items), limit)
    chosen = [item.item_id for item in history.items]
    for number in (1, 2):
        assert f"item_o{number}" not in chosen or f"item_c{number}" in chosen
    left_out = [left.id for left in history.left_out]
    assert sorted(chosen + left_out) == sorted(item["id"] for item in items)


def test_items_that_cannot_be_restored_are_named() -> None:
    history = choose_history([state(spoken()), state(message("item_2", text="Hello"))], 1000)
    assert history.lost == ("item_u",)
    assert [item.item_id for item in history.items] == ["item_2"]


# The exchange.


def restoration(
    *states: ItemState, configuration: ga.SessionUpdateEvent | None = None, **options: Any
) -> Restoration:
    numbers = itertools.count(1)
    return Restoration(
        configuration,
        choose_history(states, 10**6).items,
        dialect=dialect_adapter(options.get("dialect", "ga")),
        new_id=lambda kind: f"{kind}_{next(numbers)}",
    )


def sent(exchange: Restoration) -> list[Any]:
    return [msgspec.json.decode(frame) for frame, _ in exchange.take_frames()]


def refused(event_id: str | None) -> Any:
    error = {"type": "invalid_request_error", "message": "no", "event_id": event_id}
    return server("error", error=error)


def three() -> list[ItemState]:
    return [state(message(f"item_{n}", text=f"{n}")) for n in (1, 2, 3)]


def test_nothing_is_sent_before_the_session_has_begun() -> None:
    exchange = restoration(*three())
    assert sent(exchange) == []
    exchange.receive(CREATED)
    assert [event["item"]["id"] for event in sent(exchange)] == ["item_1", "item_2", "item_3"]
    assert not exchange.is_complete


def test_a_conversation_without_items_is_restored_at_once() -> None:
    exchange = restoration()
    exchange.receive(CREATED)
    assert exchange.is_complete


def test_the_configuration_comes_first_and_must_be_in_force() -> None:
    update = ga.SessionUpdateEvent(session=ga.RealtimeSession(instructions="Be brief."))
    exchange = restoration(*three(), configuration=update)
    exchange.receive(CREATED)
    assert [event["type"] for event in sent(exchange)][:2] == [
        "session.update",
        "conversation.item.create",
    ]
    for item in three():
        exchange.receive(added(msgspec.to_builtins(item.wire) | {"type": "message"}))
    assert not exchange.is_configured
    exchange.receive(server("session.updated", session={"type": "realtime"}))
    assert exchange.is_complete


@pytest.mark.parametrize("event_id", ["event_1", None])
def test_a_configuration_that_is_refused_ends_the_exchange(event_id: str | None) -> None:
    update = ga.SessionUpdateEvent(session=ga.RealtimeSession(instructions="Be brief."))
    exchange = restoration(*three(), configuration=update)
    exchange.receive(CREATED)
    exchange.receive(refused(event_id))
    assert exchange.error is not None


def test_the_server_may_rename_items() -> None:
    long = "item_" + "x" * 40
    exchange = restoration(state(message(long, text="1")), *three()[1:])
    exchange.receive(CREATED)
    exchange.receive(added(message("item_of_the_server", text="1")))
    for item_id in ("item_2", "item_3"):
        exchange.receive(added(message(item_id, text="2")))
    assert exchange.is_complete
    assert exchange.renamed == {long: "item_of_the_server"}
    assert exchange.restored == [long, "item_2", "item_3"]


def test_an_item_that_is_announced_twice_counts_once() -> None:
    exchange = restoration(*three())
    exchange.receive(CREATED)
    for item_id in ("item_1", "item_1", "item_2", "item_2"):
        exchange.receive(added(message(item_id, text="1")))
    assert exchange.restored == ["item_1", "item_2"]
    assert not exchange.is_complete


def test_items_are_recognized_in_any_order() -> None:
    exchange = restoration(*three())
    exchange.receive(CREATED)
    for item_id in ("item_3", "item_1", "item_2"):
        exchange.receive(added(message(item_id, text="1")))
    assert exchange.is_complete
    assert exchange.renamed == {}


def test_a_refused_item_is_left_out() -> None:
    exchange = restoration(*three())
    exchange.receive(CREATED)
    event_id = sent(exchange)[1]["event_id"]
    exchange.receive(refused(event_id))
    for item_id in ("item_1", "item_3"):
        exchange.receive(added(message(item_id, text="1")))
    assert exchange.is_complete
    assert [item_id for item_id, _ in exchange.refused] == ["item_2"]


def test_an_error_without_an_id_refuses_the_next_item() -> None:
    exchange = restoration(*three())
    exchange.receive(CREATED)
    exchange.receive(added(message("item_1", text="1")))
    exchange.receive(refused(None))
    exchange.receive(added(message("item_3", text="1")))
    assert exchange.is_complete
    assert [item_id for item_id, _ in exchange.refused] == ["item_2"]


def test_beta_announces_items_in_another_way() -> None:
    exchange = restoration(*three()[:1], dialect="beta")
    exchange.receive(
        codec.decode(b'{"type":"session.created","event_id":"e","session":{}}', dialect="beta")
    )
    [event] = sent(exchange)
    assert event["item"]["content"] == [{"type": "input_text", "text": "1"}]
    item = {"id": "item_1", "type": "message", "role": "user", "content": []}
    raw = {"type": "conversation.item.created", "event_id": "e", "item": item}
    exchange.receive(codec.decode(msgspec.json.encode(raw), dialect="beta"))
    assert exchange.is_complete


def restored_items(*states: ItemState) -> tuple[RestoredItem, ...]:
    return choose_history(states, 10**6).items


def loaded(*states: ItemState) -> Restoration:
    exchange = restoration(*states)
    exchange.receive(CREATED)
    sent(exchange)
    for each in states:
        exchange.receive(added(message(each.id, text="1")))
    return exchange


def test_a_session_that_is_up_to_date_gets_nothing() -> None:
    states = three()
    exchange = loaded(*states)
    assert exchange.update(restored_items(*states)) is False
    assert sent(exchange) == []


def test_items_that_were_added_since_are_appended() -> None:
    first, *others = three()
    exchange = loaded(first)
    assert exchange.update(restored_items(first, *others))
    events = sent(exchange)
    assert [event["item"]["id"] for event in events] == ["item_2", "item_3"]
    assert all("previous_item_id" not in event for event in events)


def test_an_item_between_others_is_created_behind_the_one_before() -> None:
    first, second, third = three()
    exchange = loaded(first, third)
    exchange.update(restored_items(first, second, third))
    [event] = sent(exchange)
    assert event["previous_item_id"] == "item_1"


def test_an_item_in_front_of_all_is_created_at_the_root() -> None:
    first, *others = three()
    exchange = loaded(*others)
    exchange.update(restored_items(first, *others))
    [event] = sent(exchange)
    assert event["previous_item_id"] == "root"


def test_an_item_that_was_deleted_since_is_deleted() -> None:
    first, second, third = three()
    exchange = loaded(first, second, third)
    assert exchange.update(restored_items(first, third))
    [event] = sent(exchange)
    assert (event["type"], event["item_id"]) == ("conversation.item.delete", "item_2")
    assert exchange.restored == ["item_1", "item_3"]


def test_an_item_that_was_changed_since_is_replaced() -> None:
    first, second, third = three()
    exchange = loaded(first, second, third)
    second.truncate(0, 0)
    second.heard_words = "tw"
    exchange.update(restored_items(first, second, third))
    assert [event["type"] for event in sent(exchange)] == [
        "conversation.item.delete",
        "conversation.item.create",
    ]
    exchange.receive(server("conversation.item.deleted", item_id="item_2"))
    exchange.receive(added(message("item_2", text="tw")))
    assert exchange.is_complete
    assert sorted(exchange.restored) == ["item_1", "item_2", "item_3"]


def test_the_copy_of_a_renamed_item_does_not_replace_it() -> None:
    long = "item_" + "x" * 40
    core: Probe = new_core()
    feed(core, CREATED, added(message(long, text="Hello")))
    core.suspend(None, 2.0)
    exchange = core.restoration(core.resumption.history().items)
    exchange.receive(CREATED)
    copy = message("item_of_the_server", text="Hello")
    exchange.receive(added(copy))
    core.resume(exchange, attempts=1, now=3.0)
    feed(core, done(copy | {"content": []}))
    [item] = core.conversation
    assert (item.id, item.formatted.text) == (long, "Hello")
    assert item.wire.id == long


def test_the_audio_of_an_item_with_two_parts_is_restored_once() -> None:
    item = spoken()
    two_parts = state(item | {"content": item["content"] * 2})
    two_parts.attach_audio(b"12")
    restored = restored_item(two_parts)
    assert isinstance(restored, ga.Message)
    assert restored.content == [ga.InputAudio(audio="MTI=")]

"""Items that clients create, reference, retrieve, cut and delete."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.server.session.conftest import Harness

from duologue.protocol import ga
from duologue.server.session import conversation
from duologue.server.session.conversation import AudioStore
from duologue.server.session.engine_work import NO_TOKENS, Respond, Transcribe

SECOND = base64.b64encode(bytes(48_000)).decode()


def create(harness: Harness, item: dict[str, Any], **event: Any) -> list[str]:
    return harness.send({"type": "conversation.item.create", "item": item, **event})


def message(role: str, *content: dict[str, Any], **item: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(content), **item}


def text(value: str) -> dict[str, Any]:
    return {"type": "input_text", "text": value}


def error_of(harness: Harness) -> tuple[str | None, str | None]:
    event = harness.last("error")
    assert isinstance(event, ga.RealtimeErrorEvent)
    return event.error.code or None, event.error.param or None


def ids(harness: Harness) -> list[str]:
    return [str(item.id) for item in harness.session.conversation.items()]


def test_items_go_where_the_client_wants_them(harness: Harness) -> None:
    create(harness, message("user", text("b"), id="b"))
    create(harness, message("user", text("a"), id="a"), previous_item_id="root")
    create(harness, message("user", text("c"), id="c"))
    create(harness, message("user", text("between"), id="x"), previous_item_id="a")
    assert ids(harness) == ["a", "x", "b", "c"]
    added = harness.last("conversation.item.added")
    assert isinstance(added, ga.ConversationItemAdded)
    assert added.previous_item_id == "a"


def test_an_id_cannot_be_used_twice(harness: Harness) -> None:
    create(harness, message("user", text("one"), id="same"))
    assert create(harness, message("user", text("two"), id="same")) == ["error"]
    assert error_of(harness) == ("item_already_exists", "item.id")


def test_the_id_of_the_turn_under_way_is_taken(harness: Harness) -> None:
    harness.say(300)
    started = harness.last("input_audio_buffer.speech_started")
    assert isinstance(started, ga.InputAudioBufferSpeechStartedEvent)
    assert create(harness, message("user", text("one"), id=started.item_id)) == ["error"]
    assert error_of(harness) == ("item_already_exists", "item.id")
    harness.say(0, silence_ms=700)
    assert ids(harness)[:1] == [started.item_id]


def test_audio_that_comes_with_an_item_is_transcribed_and_kept(harness: Harness) -> None:
    part = {"type": "input_audio", "audio": SECOND}
    create(harness, message("user", text("listen:"), part, id="spoken"))
    [asked] = [command for command in harness.commands if isinstance(command, Transcribe)]
    assert (asked.item_id, len(asked.pcm)) == ("spoken", 48_000)
    item = harness.session.conversation.items()[0]
    assert isinstance(item, ga.Message)
    assert item.content[1] == ga.InputAudio()
    harness.send({"type": "conversation.item.retrieve", "item_id": "spoken"})
    got = harness.last("conversation.item.retrieved")
    assert isinstance(got, ga.ConversationItemRetrieved)
    assert isinstance(got.item, ga.Message)
    assert got.item.content[1] == ga.InputAudio(audio=SECOND)


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        (message("robot", text("hm")), "invalid_value", "item.role"),
        (message("assistant", text("hm")), "invalid_value", "item.content[0].type"),
        (
            message("assistant", {"type": "output_audio", "transcript": "hm"}),
            "missing_required_parameter",
            "item.content[0].text",
        ),
        (
            message("user", {"type": "input_text"}),
            "missing_required_parameter",
            "item.content[0].text",
        ),
        (
            message("user", {"type": "input_audio", "audio": "?"}),
            "invalid_value",
            "item.content[0].audio",
        ),
        ({"type": "item_reference", "id": "x"}, "invalid_value", "item.type"),
    ],
)
def test_an_item_that_cannot_be_is_refused(
    harness: Harness, item: dict[str, Any], code: str, param: str
) -> None:
    assert create(harness, item) == ["error"]
    assert error_of(harness) == (code, param)
    assert ids(harness) == []


def test_history_of_every_kind_is_taken(harness: Harness) -> None:
    items: list[dict[str, Any]] = [
        message("system", text("Be kind.")),
        message("user", text("Hi")),
        message("assistant", {"type": "output_text", "text": "Hello"}),
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
    ]
    for item in items:
        assert create(harness, item) == ["conversation.item.added", "conversation.item.done"]
    harness.send({"type": "response.create"})
    harness.engine.finish(ids(harness)[0], NO_TOKENS)  # no response of this id: nothing
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    harness.engine.text(asked.response_id, "Fine.")
    harness.engine.finish(asked.response_id, NO_TOKENS)
    harness.take()
    done = harness.last("response.done")
    assert isinstance(done, ga.ResponseDoneEvent)
    usage = done.response.usage
    assert isinstance(usage, ga.Usage)
    assert usage.input_tokens == usage.input_token_details.text_tokens  # type: ignore[union-attr]
    assert int(str(usage.input_tokens)) > len("Be kind.HiHellof{}1") // 4


def test_a_response_may_read_chosen_items(harness: Harness) -> None:
    create(harness, message("user", text("first"), id="one"))
    create(harness, message("user", text("second"), id="two"))
    chosen = [{"type": "item_reference", "id": "one"}, message("user", text("new"))]
    harness.send({"type": "response.create", "response": {"input": chosen}})
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    assert [part.text for item in asked.items for part in item.content] == ["first", "new"]  # type: ignore[union-attr]
    missing = [{"type": "item_reference", "id": "nowhere"}]
    params = {"input": missing, "conversation": "none"}
    assert harness.send({"type": "response.create", "response": params}) == ["error"]
    assert error_of(harness) == ("item_retrieve_invalid_item_id", "response.input[0].id")


def test_only_spoken_answers_can_be_truncated(harness: Harness) -> None:
    create(harness, message("user", text("hm"), id="typed"))
    cut: dict[str, object] = {
        "type": "conversation.item.truncate",
        "content_index": 0,
        "audio_end_ms": 0,
    }
    assert harness.send(cut | {"item_id": "typed"}) == ["error"]
    assert error_of(harness)[0] == "unsupported_content_type"


def test_an_answer_cannot_be_cut_beyond_its_end(harness: Harness) -> None:
    item_id = answer_aloud(harness)
    cut: dict[str, object] = {
        "type": "conversation.item.truncate",
        "content_index": 0,
        "item_id": item_id,
    }
    assert harness.send(cut | {"audio_end_ms": 1001}) == ["error"]
    assert error_of(harness) == ("invalid_value", "audio_end_ms")


def test_an_answer_that_is_cut_while_it_is_made_stays_cut(harness: Harness) -> None:
    item_id = answer_aloud(harness)
    cut: dict[str, object] = {
        "type": "conversation.item.truncate",
        "content_index": 0,
        "item_id": item_id,
    }
    assert harness.send(cut | {"audio_end_ms": 500}) == ["conversation.item.truncated"]
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    harness.engine.text(asked.response_id, " And five.")
    harness.engine.audio(asked.response_id, bytes(48_000))
    harness.engine.finish(asked.response_id, NO_TOKENS)
    assert len(harness.session.conversation.stored()[-1].audio) == 24_000
    item = harness.session.conversation.items()[-1]
    assert isinstance(item, ga.Message)
    assert item.content == [ga.OutputAudio(transcript="One two")]


def answer_aloud(harness: Harness) -> str:
    """Let the assistant begin an answer of a second, and return its item's id."""
    harness.send({"type": "response.create"})
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    harness.engine.text(asked.response_id, "One two three four.")
    harness.engine.audio(asked.response_id, bytes(48_000))
    harness.take()
    return ids(harness)[-1]


def test_old_audio_is_forgotten_words_are_not() -> None:
    harness = Harness(audio_store=AudioStore(100_000))
    for name in ("a", "b", "c"):
        create(harness, message("user", {"type": "input_audio", "audio": SECOND}, id=name))
        harness.engine.transcript(name, f"words of {name}")
    sizes = [len(stored.audio) for stored in harness.session.conversation.stored()]
    assert sizes == [0, 48_000, 48_000]
    first = harness.session.conversation.items()[0]
    assert isinstance(first, ga.Message)
    assert first.content == [ga.InputAudio(transcript="words of a")]
    harness.send({"type": "conversation.item.delete", "item_id": "b"})
    create(harness, message("user", {"type": "input_audio", "audio": SECOND}, id="d"))
    assert [len(s.audio) for s in harness.session.conversation.stored()] == [0, 48_000, 48_000]


def test_sessions_share_the_room_for_audio_and_give_it_back() -> None:
    audio_store = AudioStore(100_000)
    one, other = Harness(audio_store=audio_store), Harness(audio_store=audio_store)

    def sizes(harness: Harness) -> list[int]:
        return [len(stored.audio) for stored in harness.session.conversation.stored()]

    for harness, name in ((one, "a"), (other, "b"), (other, "c")):
        create(harness, message("user", {"type": "input_audio", "audio": SECOND}, id=name))
    assert (sizes(one), sizes(other)) == ([0], [48_000, 48_000])
    other.session.conversation.close()
    for name in ("d", "e"):
        create(one, message("user", {"type": "input_audio", "audio": SECOND}, id=name))
    assert (sizes(one), sizes(other)) == ([0, 48_000, 48_000], [48_000, 48_000])


def test_a_conversation_has_an_end(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "MAX_ITEMS", 1)
    create(harness, message("user", text("one")))
    assert create(harness, message("user", text("two"))) == ["error"]
    assert error_of(harness)[0] == "conversation_full"


def test_a_tool_that_is_not_there_cannot_be_chosen(harness: Harness) -> None:
    chosen = {"tool_choice": {"type": "function", "name": "f"}}
    assert harness.send({"type": "response.create", "response": chosen}) == ["error"]
    assert error_of(harness) == ("invalid_value", "response.tool_choice")


def test_a_choice_of_the_session_waits_for_its_tool(harness: Harness) -> None:
    harness.configure(tool_choice={"type": "function", "name": "f"})
    assert harness.send({"type": "response.create"}) == ["response.created"]
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    assert asked.tool_choice == "auto"


def test_an_answer_cut_at_its_token_limit_is_incomplete(harness: Harness) -> None:
    harness.send({"type": "response.create", "response": {"max_output_tokens": 5}})
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    assert asked.max_output_tokens == 5
    harness.engine.text(asked.response_id, "One two")
    harness.engine.finish(asked.response_id, NO_TOKENS, truncated=True)
    harness.take()
    done = harness.last("response.done")
    assert isinstance(done, ga.ResponseDoneEvent)
    assert done.response.status == "incomplete"
    assert done.response.status_details == ga.ResponseStatusDetails(
        type="incomplete", reason="max_output_tokens"
    )


def test_a_custom_voice_is_passed_on_by_its_id(harness: Harness) -> None:
    harness.configure(audio={"output": {"voice": {"id": "voice_1"}}})
    harness.send({"type": "response.create"})
    [asked] = [command for command in harness.commands if isinstance(command, Respond)]
    assert asked.voice == "voice_1"


def test_clearing_forgets_the_open_turn(harness: Harness) -> None:
    harness.say(400)
    assert harness.send({"type": "input_audio_buffer.clear"}) == ["input_audio_buffer.cleared"]
    assert harness.say(0, silence_ms=400) == []


def test_the_output_buffer_is_not_for_websockets(harness: Harness) -> None:
    assert harness.send({"type": "output_audio_buffer.clear"}) == ["error"]


def test_a_failed_guess_is_tried_again_when_the_turn_ends() -> None:
    harness = Harness(transcribes_early=True)
    harness.say(400, silence_ms=150)
    [guess] = [command for command in harness.commands if isinstance(command, Transcribe)]
    harness.engine.transcription_failed(guess.item_id, "busy")
    harness.say(0, silence_ms=150)
    assert len([command for command in harness.commands if isinstance(command, Transcribe)]) == 2


def test_a_full_buffer_refuses_more(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duologue.server.session.audio_input.MAX_BUFFER_MS", 500)
    harness.configure(audio={"input": {"turn_detection": None}})
    assert harness.say(400) == []
    assert harness.say(400) == ["error"]
    assert error_of(harness) == ("input_audio_buffer_full", "audio")

"""Responses in full: limits, calls, what is read and what it costs, items being written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pybase64 import b64encode
from tests.server.session.conftest import Harness

from duologue.protocol import codec, ga
from duologue.protocol.formats import PCM16
from duologue.server.session.deferred import MAX_WAITING
from duologue.server.session.engine_work import CancelWork, Respond, TextTokens, Transcribe

ALOUD = {"output_modalities": ["audio"]}
IN_TEXT = {"output_modalities": ["text"]}


def user(text: str, **item: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **item}


def add(harness: Harness, item: dict[str, Any], **event: Any) -> list[str]:
    return harness.send({"type": "conversation.item.create", "item": item, **event})


def ask(harness: Harness, **response: Any) -> Respond:
    """Ask for a response, and return what the engine is asked for."""
    harness.send({"type": "response.create", "response": response})
    return next(c for c in reversed(harness.commands) if isinstance(c, Respond))


def plain(event: ga.KnownServerEvent) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(codec.encode(event))
    return body


def done(harness: Harness) -> dict[str, Any]:
    body: dict[str, Any] = plain(harness.last("response.done"))["response"]
    return body


def error_of(harness: Harness) -> dict[str, Any]:
    body: dict[str, Any] = plain(harness.last("error"))["error"]
    return body


def test_words_beyond_the_token_limit_are_cut_and_the_response_is_incomplete(
    harness: Harness,
) -> None:
    asked = ask(harness, max_output_tokens=3, **IN_TEXT)
    engine = harness.engine
    engine.text(asked.response_id, "twelve chars and more")
    engine.text(asked.response_id, "nobody hears this")
    engine.finish(asked.response_id, TextTokens())
    harness.take()
    ended = done(harness)
    assert ended["status"] == "incomplete"
    assert ended["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert ended["max_output_tokens"] == 3
    [item] = ended["output"]
    assert item["status"] == "incomplete"
    assert item["content"] == [{"type": "output_text", "text": "twelve chars"}]
    assert ended["usage"]["output_tokens"] == 3
    assert harness.commands[-1] == CancelWork(asked.response_id)


def test_speech_counts_towards_the_limit_as_it_is_billed(harness: Harness) -> None:
    asked = ask(harness, max_output_tokens=10, **ALOUD)
    harness.engine.text(asked.response_id, "12345678")
    harness.engine.audio(asked.response_id, bytes(PCM16.bytes(1000)))
    harness.take()
    ended = done(harness)
    assert ended["status_details"]["reason"] == "max_output_tokens"
    assert ended["usage"]["output_token_details"] == {"text_tokens": 2, "audio_tokens": 8}
    item_id = ended["output"][0]["id"]
    assert harness.session.conversation.get(item_id).audio_bytes == PCM16.bytes(400)


def test_a_call_that_does_not_fit_is_left_incomplete(harness: Harness) -> None:
    asked = ask(harness, max_output_tokens=2)
    harness.engine.call(asked.response_id, "f", '{"city": "Oslo"}')
    harness.take()
    [item] = done(harness)["output"]
    assert (item["status"], item["arguments"]) == ("incomplete", '{"city":')


def test_an_answer_that_just_fits_is_complete(harness: Harness) -> None:
    asked = ask(harness, max_output_tokens=2, **IN_TEXT)
    harness.engine.text(asked.response_id, "12345678")
    harness.engine.finish(asked.response_id, TextTokens())
    harness.take()
    assert done(harness)["status"] == "completed"


@pytest.mark.parametrize(("parallel", "names"), [(True, ["a", "b"]), (False, ["a"])])
def test_calls_are_parallel_unless_the_client_wants_one(
    harness: Harness, parallel: bool, names: list[str]
) -> None:
    harness.configure(parallel_tool_calls=not parallel)
    asked = ask(harness, parallel_tool_calls=parallel, **IN_TEXT)
    assert asked.parallel_tool_calls is parallel
    engine = harness.engine
    engine.text(asked.response_id, "Let me look.")
    engine.call(asked.response_id, "a", "{}")
    engine.call(asked.response_id, "b", "{}")
    engine.finish(asked.response_id, TextTokens())
    harness.take()
    said, *calls = done(harness)["output"]
    assert said["content"][0]["text"] == "Let me look."
    assert [call["name"] for call in calls] == names
    assert len({call["call_id"] for call in calls}) == len(calls)


def test_tool_choice_none_lets_no_call_through(harness: Harness) -> None:
    asked = ask(harness, tool_choice="none")
    harness.engine.call(asked.response_id, "a", "{}")
    harness.engine.finish(asked.response_id, TextTokens())
    harness.take()
    assert done(harness)["output"] == []


def test_an_item_in_progress_is_retrieved_with_its_words_and_sound_so_far(
    harness: Harness,
) -> None:
    asked = ask(harness, **ALOUD)
    engine = harness.engine
    engine.text(asked.response_id, "Well, ")
    engine.audio(asked.response_id, b"\x01\x00" * 240)
    engine.text(asked.response_id, "hello.")
    harness.take()
    item_id = plain(harness.last("response.output_item.added"))["item"]["id"]
    harness.send({"type": "conversation.item.retrieve", "item_id": item_id})
    item = plain(harness.last("conversation.item.retrieved"))["item"]
    assert item["status"] == "in_progress"
    [part] = item["content"]
    assert part["transcript"] == "Well, hello."
    assert part["audio"] == b64encode(b"\x01\x00" * 240).decode()


def test_an_item_in_progress_is_cut_to_what_was_heard_and_cut_again(harness: Harness) -> None:
    asked = ask(harness, **ALOUD)
    engine = harness.engine
    engine.text(asked.response_id, "one two three four")
    engine.audio(asked.response_id, bytes(PCM16.bytes(400)))
    engine.text(asked.response_id, " five")
    harness.take()
    item_id = plain(harness.last("response.output_item.added"))["item"]["id"]
    for audio_end_ms, words in ((400, "one two three four"), (200, "one two"), (0, "")):
        frame = {"item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
        assert harness.send({"type": "conversation.item.truncate", **frame}) == [
            "conversation.item.truncated"
        ]
        [item] = harness.session.conversation.items()
        assert isinstance(item, ga.Message)
        assert item.content == [ga.OutputAudio(transcript=words)]


def test_an_item_deleted_while_it_is_written_stays_deleted(harness: Harness) -> None:
    asked = ask(harness, **ALOUD)
    engine = harness.engine
    engine.text(asked.response_id, "one")
    engine.audio(asked.response_id, bytes(480))
    harness.take()
    item_id = plain(harness.last("response.output_item.added"))["item"]["id"]
    harness.send({"type": "conversation.item.delete", "item_id": item_id})
    engine.audio(asked.response_id, bytes(480))
    engine.finish(asked.response_id, TextTokens())
    assert "conversation.item.done" not in harness.take()
    assert harness.session.conversation.items() == []
    assert done(harness)["output"][0]["id"] == item_id


def test_a_response_beside_the_conversation_reads_the_words_so_far(harness: Harness) -> None:
    asked = ask(harness, **IN_TEXT)
    harness.engine.text(asked.response_id, "half a sen")
    beside = ask(harness, conversation="none")
    [item] = beside.items
    assert isinstance(item, ga.Message)
    assert item.content == [ga.OutputText(text="half a sen")]


def test_speech_in_the_input_of_a_response_is_understood_first(harness: Harness) -> None:
    harness.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
    speech = {"type": "input_audio", "audio": b64encode(bytes(4800)).decode()}
    item = {"type": "message", "role": "user", "content": [speech]}
    frame = {"type": "response.create", "response": {"conversation": "none", "input": [item]}}
    assert harness.send(frame) == ["response.created"]
    [heard] = [c for c in harness.commands if isinstance(c, Transcribe)]
    harness.engine.transcript(heard.item_id, "what time is it")
    assert harness.take() == []
    [asked] = [c for c in harness.commands if isinstance(c, Respond)]
    [read] = asked.items
    assert isinstance(read, ga.Message)
    assert read.content == [ga.InputAudio(transcript="what time is it")]


def test_a_referenced_item_is_read_with_the_words_found_meanwhile(harness: Harness) -> None:
    harness.configure(audio={"input": {"turn_detection": None}})
    harness.say(400)
    harness.send({"type": "input_audio_buffer.commit"})
    [heard] = [c for c in harness.commands if isinstance(c, Transcribe)]
    reference = {"type": "item_reference", "id": heard.item_id}
    harness.send({"type": "response.create", "response": {"input": [reference]}})
    harness.engine.transcript(heard.item_id, "hello")
    harness.take()
    [asked] = [c for c in harness.commands if isinstance(c, Respond)]
    [read] = asked.items
    assert isinstance(read, ga.Message)
    assert read.content == [ga.InputAudio(transcript="hello")]


def usage_of_turn(harness: Harness, **response: Any) -> dict[str, Any]:
    asked = ask(harness, **IN_TEXT, **response)
    harness.engine.text(asked.response_id, "Yes.")
    harness.engine.finish(asked.response_id, TextTokens())
    harness.take()
    usage: dict[str, Any] = done(harness)["usage"]
    return usage


def test_what_an_earlier_response_read_is_cached_and_no_more(harness: Harness) -> None:
    harness.configure(instructions="x" * 400)
    add(harness, user("a" * 40, id="one"))
    first = usage_of_turn(harness)
    assert first["input_tokens"] == 110
    assert first["input_token_details"]["cached_tokens"] == 0
    second = usage_of_turn(harness)
    assert second["input_tokens"] == 111  # the answer is read as well
    assert second["input_token_details"]["cached_tokens_details"] == {
        "text_tokens": 110,
        "audio_tokens": 0,
        "image_tokens": 0,
    }
    usage_of_turn(harness, conversation="none", instructions="another", input=[])
    assert usage_of_turn(harness)["input_token_details"]["cached_tokens"] == 111
    harness.send({"type": "conversation.item.delete", "item_id": "one"})
    assert usage_of_turn(harness)["input_token_details"]["cached_tokens"] == 100
    harness.configure(instructions="y")
    assert usage_of_turn(harness)["input_token_details"]["cached_tokens"] == 0


def test_usage_tells_the_modalities_apart(harness: Harness) -> None:
    harness.configure(instructions="", audio={"input": {"turn_detection": None}})
    pixel = "data:image/png;base64,iVBORw0KGgo="
    for detail in ("low", "high"):
        image = {"type": "input_image", "image_url": pixel, "detail": detail}
        add(harness, {"type": "message", "role": "user", "content": [image]})
    harness.say(1000)
    harness.send({"type": "input_audio_buffer.commit"})
    [heard] = [c for c in harness.commands if isinstance(c, Transcribe)]
    harness.engine.transcript(heard.item_id, "hello")
    usage = usage_of_turn(harness)
    details = usage["input_token_details"]
    assert (details["text_tokens"], details["audio_tokens"]) == (0, 10)
    assert details["image_tokens"] == 85 + 765
    assert usage["input_tokens"] == 860
    assert usage["total_tokens"] == 861


def test_the_brains_own_count_of_text_goes_first(harness: Harness) -> None:
    asked = ask(harness, **IN_TEXT)
    harness.engine.text(asked.response_id, "Yes.")
    harness.engine.finish(asked.response_id, TextTokens(input=70, cached=60, output=5))
    harness.take()
    usage = done(harness)["usage"]
    assert usage["input_token_details"]["cached_tokens"] == 60
    assert (usage["input_tokens"], usage["output_tokens"]) == (70, 5)


def test_a_response_cancelled_before_the_brain_read_anything_cost_nothing(
    harness: Harness,
) -> None:
    harness.say(400, silence_ms=300)  # its words are awaited
    harness.send({"type": "response.cancel"})
    assert done(harness)["usage"]["total_tokens"] == 0


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,iVBORw0KGgo=", "https://example.org/cat.jpg"]
)
def test_an_image_is_taken(harness: Harness, url: str) -> None:
    part = {"type": "input_image", "image_url": url}
    item = {"type": "message", "role": "user", "content": [part]}
    assert add(harness, item) == ["conversation.item.added", "conversation.item.done"]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/cat.jpg",
        "file:///etc/passwd",
        "data:text/html;base64,aGVsbG8=",
        "data:image/png;base64,???",
        "data:image/png;base64,",
        "data:image/png,iVBORw0KGgo=",
    ],
)
def test_what_is_no_image_is_refused(harness: Harness, url: str) -> None:
    part = {"type": "input_image", "image_url": url}
    item = {"type": "message", "role": "user", "content": [part]}
    assert add(harness, item, event_id="mine") == ["error"]
    error = error_of(harness)
    assert (error["code"], error["param"], error["event_id"]) == (
        "invalid_value",
        "item.content[0].image_url",
        "mine",
    )


def output(call_id: str, **item: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "21", **item}


def test_an_output_that_comes_early_joins_when_the_response_is_done(harness: Harness) -> None:
    asked = ask(harness)
    engine = harness.engine
    engine.call(asked.response_id, "a", "{}")
    harness.take()
    first = plain(harness.last("response.function_call_arguments.done"))["call_id"]
    assert add(harness, output(first, id="out")) == []
    assert add(harness, user("and?", id="next"), previous_item_id="out") == []
    assert harness.send({"type": "conversation.item.retrieve", "item_id": "out"}) == []
    engine.call(asked.response_id, "b", "{}")
    harness.take()
    engine.finish(asked.response_id, TextTokens())
    assert harness.take() == [
        "response.done",
        "rate_limits.updated",
        *("conversation.item.added", "conversation.item.done") * 2,
        "conversation.item.retrieved",
    ]
    kinds = [item.__struct_config__.tag for item in harness.session.conversation.items()]
    assert kinds == ["function_call", "function_call", "function_call_output", "message"]


def test_an_output_of_an_earlier_call_does_not_wait(harness: Harness) -> None:
    asked = ask(harness)
    harness.engine.call(asked.response_id, "a", "{}")
    harness.engine.finish(asked.response_id, TextTokens())
    harness.take()
    call_id = done(harness)["output"][0]["call_id"]
    ask(harness)
    assert add(harness, output(call_id)) == ["conversation.item.added", "conversation.item.done"]


def test_an_early_output_that_cannot_be_is_refused_by_its_event_id(harness: Harness) -> None:
    add(harness, user("taken", id="taken"))
    asked = ask(harness)
    harness.engine.call(asked.response_id, "a", "{}")
    harness.take()
    call_id = plain(harness.last("response.function_call_arguments.done"))["call_id"]
    assert add(harness, output(call_id, id="taken"), event_id="mine") == []
    harness.send({"type": "response.cancel"})
    error = error_of(harness)
    assert (error["code"], error["event_id"]) == ("item_already_exists", "mine")


def test_what_waits_for_a_response_is_bounded(harness: Harness) -> None:
    asked = ask(harness)
    harness.engine.call(asked.response_id, "a", "{}")
    harness.take()
    call_id = plain(harness.last("response.function_call_arguments.done"))["call_id"]
    answers = [add(harness, output(call_id)) for _ in range(MAX_WAITING + 1)]
    assert answers == [*([[]] * MAX_WAITING), ["error"]]
    assert error_of(harness)["code"] == "too_many_waiting"


def test_an_output_of_no_call_is_refused(harness: Harness) -> None:
    assert add(harness, output("call_x"), event_id="mine") == ["error"]
    error = error_of(harness)
    assert (error["code"], error["event_id"]) == ("invalid_tool_call_id", "mine")
    assert error["message"] == "Tool call ID 'call_x' not found in conversation."

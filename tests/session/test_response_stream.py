"""Deltas of a response, read at the reader's own pace."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from tests.session.session_events import (
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

from duologue.protocol import ga
from duologue.session.response_stream import ResponseStream
from duologue.session.updates import Delta

if TYPE_CHECKING:
    from duologue.protocol.ga import AnyServerEvent

ASSISTANT = message("item_a", "assistant", status="in_progress")
CALL = {"id": "item_f", "type": "function_call", "name": "f", "call_id": "c", "arguments": ""}


def text(words: str) -> AnyServerEvent:
    return part_event("response.output_text.delta", delta=words)


def test_a_stream_yields_every_kind_of_delta_once_from_the_beginning() -> None:
    core = new_core()
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    stream = ResponseStream(request)
    assert stream.take() == []
    feed(core, response("created"), output_item("added", ASSISTANT), added(ASSISTANT))
    feed(core, text("Hel"), text("lo"))
    assert stream.take() == [Delta(text="Hel"), Delta(text="lo")]
    assert stream.take() == []
    sound = b64encode(b"\x01\x02").decode()
    feed(core, part_event("response.output_audio_transcript.delta", delta="Hi"))
    feed(core, part_event("response.output_audio.delta", delta=sound))
    words, sound = stream.take()
    assert (words, sound.audio) == (Delta(transcript="Hi"), b"\x01\x02")
    about = {"response_id": "resp_1", "output_index": 1, "item_id": "item_f", "call_id": "c"}
    feed(core, output_item("added", CALL))
    feed(core, server("response.function_call_arguments.delta", **about, delta="{}"))
    assert stream.take() == [Delta(arguments="{}")]
    late = ResponseStream(request).take()
    assert [delta.audio for delta in late if delta.audio] == [b"\x01\x02"]
    assert len(late) == 5


def test_a_late_stream_contains_audio_that_was_read_before() -> None:
    core = new_core()
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    feed(core, response("created"), output_item("added", ASSISTANT), added(ASSISTANT))
    feed(core, part_event("response.output_audio.delta", delta="AQI="))
    assert core.conversation.item("item_a").formatted.audio == b"\x01\x02"
    (delta,) = ResponseStream(request).take()
    assert delta.audio == b"\x01\x02"


def test_text_that_only_the_final_item_has_is_in_the_stream() -> None:
    core = new_core()
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    stream = ResponseStream(request)
    feed(core, response("created"), output_item("added", ASSISTANT), added(ASSISTANT))
    assert stream.take() == []
    feed(core, done(message("item_a", "assistant", "whole", status="completed")))
    assert stream.take() == [Delta(text="whole")]
    assert ResponseStream(request).take() == [Delta(text="whole")]


def test_truncation_does_not_repeat_deltas() -> None:
    core = new_core()
    request = core.create_response(ga.ResponseCreateEvent(), 1.0)
    stream = ResponseStream(request)
    feed(core, response("created"), output_item("added", ASSISTANT), added(ASSISTANT))
    feed(core, part_event("response.output_audio_transcript.delta", delta="one"))
    assert stream.take() == [Delta(transcript="one")]
    cut = server("conversation.item.truncated", item_id="item_a", content_index=0, audio_end_ms=0)
    feed(core, cut)
    assert stream.take() == []
    feed(core, part_event("response.output_audio_transcript.delta", delta="two"))
    assert stream.take() == [Delta(transcript="two")]

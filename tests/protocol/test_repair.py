"""Repair of server events that do not fit their types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from duologue.errors import DecodeError
from duologue.protocol import codec, ga, repair
from duologue.protocol.model import UnknownEvent

PLACE = {"response_id": "resp_1", "output_index": 0, "item_id": "item_a", "content_index": 0}


def frame_of(kind: str, **fields: object) -> bytes:
    return json.dumps({"type": kind, **fields}).encode()


def read(kind: str, **fields: object) -> Any:
    return repair.repairing_decoder()(frame_of(kind, **fields))


def test_what_fits_is_read_as_it_is() -> None:
    frame = frame_of("response.output_text.delta", event_id="event_1", **PLACE, delta="Hi")
    assert repair.repairing_decoder()(frame) == codec.decode(frame)
    future = repair.repairing_decoder()(frame_of("future.event"))
    assert isinstance(future, UnknownEvent)
    assert future.reason is None


def test_ids_and_indices_may_be_left_out() -> None:
    event = read("response.output_audio.delta", item_id="item_a", delta="AQI=", more=1)
    assert isinstance(event, ga.ResponseAudioDeltaEvent)
    assert (event.event_id, event.content_index, event.audio_data) == ("", 0, b"\x01\x02")
    assert event.extra == {"more": 1}
    part = read("response.content_part.added", **PLACE)
    assert isinstance(part, ga.ResponseContentPartAddedEvent)


def test_a_commit_may_leave_out_which_message_it_became() -> None:
    event = read("input_audio_buffer.committed", event_id="event_1")
    assert isinstance(event, ga.InputAudioBufferCommittedEvent)
    assert event.item_id == ""
    assert isinstance(read("conversation.item.deleted", event_id="event_1"), UnknownEvent)


def test_the_frame_of_a_mended_event_is_kept() -> None:
    frame = frame_of("input_audio_buffer.cleared")
    event = repair.repairing_decoder()(frame)
    assert isinstance(event, ga.InputAudioBufferClearedEvent)
    assert codec.encode(event) == frame


def test_a_message_without_content_is_empty() -> None:
    item = {"id": "item_a", "type": "message", "role": "assistant", "status": "completed"}
    event = read("conversation.item.done", item=item)
    assert event.item == ga.Message(id="item_a", role="assistant", status="completed", content=[])


def test_an_item_that_lacks_what_its_type_needs_is_one_of_an_unknown_type() -> None:
    item = {"id": "item_x", "type": "mcp_list_tools", "server_label": "docs"}
    event = read("conversation.item.added", event_id="event_1", item=item)
    assert event.item == ga.UnknownItem(raw=item)


def test_half_a_character_stays_half() -> None:
    event = read("response.output_text.delta", event_id="event_1", **PLACE, delta="hi \ud83d")
    assert event.delta == "hi \ud83d"
    beta = repair.repairing_decoder("beta")(
        frame_of("response.text.delta", event_id="event_1", **PLACE, delta="\ude00!")
    )
    assert isinstance(beta, ga.ResponseTextDeltaEvent) is False
    assert beta.type == "response.text.delta"


def test_what_cannot_be_mended_stays_unknown_and_says_why() -> None:
    event = read("response.output_item.done", event_id="event_1", **PLACE)
    assert isinstance(event, UnknownEvent)
    assert event.path == "item"


@pytest.mark.parametrize(
    "frame",
    [b"nonsense", b"[]", b"{}", b'{"type":"future.event","x":"\\ud83d"}', b"[" * 100_000],
)
def test_what_is_no_event_raises(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        repair.repairing_decoder()(frame)

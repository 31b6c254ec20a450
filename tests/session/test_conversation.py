from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
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

from duologue.errors import DecodeError, ItemNotFound
from duologue.protocol import ga
from duologue.protocol.formats import G711_ULAW
from duologue.protocol.ga import OutputAudio, OutputText, ResponseCreateEvent, UnknownPart
from duologue.session.conversation import (
    MAX_EARLY_ITEMS,
    MAX_EARLY_PIECES,
)
from duologue.session.updates import (
    ConversationUpdated,
    Delta,
    Interrupted,
    ItemAppended,
    ItemCompleted,
)

if TYPE_CHECKING:
    from duologue.protocol.ga import AnyServerEvent
    from duologue.session.updates import Update

ASSISTANT = message("item_a", "assistant", status="in_progress")


def kinds(updates: list[Update]) -> list[type]:
    return [type(update) for update in updates]


def deltas_of(updates: list[Update]) -> list[Delta]:
    deltas = (update.delta for update in updates if isinstance(update, ConversationUpdated))
    return [delta for delta in deltas if delta is not None]


def audio_delta(audio: bytes) -> AnyServerEvent:
    return part_event("response.output_audio.delta", delta=b64encode(audio).decode())


def streaming() -> Probe:
    core = new_core()
    feed(core, response("created"), output_item("added", ASSISTANT), added(ASSISTANT))
    return core


def test_a_user_message_is_complete_at_once() -> None:
    core = new_core()
    updates = feed(core, added(message("item_u", text="Hi")), done(message("item_u", text="Hi")))
    assert kinds(updates) == [ConversationUpdated, ItemAppended, ItemCompleted]
    item = core.conversation.item("item_u")
    assert (item.type, item.role, item.status) == ("message", "user", "completed")
    assert item.formatted.text == "Hi"


def test_items_are_ordered_by_their_previous_item() -> None:
    core = new_core()
    feed(core, added(message("a")), added(message("b"), "a"), added(message("c"), "a"))
    feed(core, added(message("d"), "nobody"))
    assert [item.id for item in core.conversation.items] == ["a", "c", "b", "d"]
    assert len(core.conversation) == 4
    assert "c" in core.conversation


def test_an_item_without_an_id_is_not_mirrored() -> None:
    core = new_core()
    item = message("x")
    del item["id"]
    assert feed(core, added(item), output_item("added", item)) == []


def test_an_item_added_twice_keeps_its_content() -> None:
    core = streaming()
    feed(core, part_event("response.output_text.delta", delta="Hel"))
    assert kinds(feed(core, added(ASSISTANT))) == [ConversationUpdated]
    feed(core, part_event("response.output_text.delta", delta="lo"))
    assert core.conversation.item("item_a").formatted.text == "Hello"


def test_a_streamed_message_completes_once() -> None:
    core = streaming()
    whole = message("item_a", "assistant", "Hello", status="completed")
    updates = feed(
        core,
        part_event("response.content_part.added", part={"type": "text", "text": ""}),
        part_event("response.output_text.delta", delta="Hello"),
        done(whole),
        output_item("done", whole),
    )
    assert kinds(updates) == [ConversationUpdated, ConversationUpdated, ItemCompleted]
    item = core.conversation.item("item_a")
    assert (item.status, item.formatted.text) == ("completed", "Hello")
    assert item.content == (OutputText(text="Hello"),)


def test_an_item_without_item_done_is_completed_by_output_item_done() -> None:
    core = streaming()
    whole = message("item_a", "assistant", "Hello", status="completed")
    updates = feed(core, output_item("done", whole))
    assert kinds(updates) == [ConversationUpdated, ItemCompleted]
    assert core.conversation.item("item_a").formatted.text == "Hello"


def test_an_incomplete_item_is_not_reported_as_completed() -> None:
    core = streaming()
    cut = message("item_a", "assistant", status="incomplete")
    assert kinds(feed(core, done(cut), output_item("done", cut))) == [ConversationUpdated]
    assert core.conversation.item("item_a").status == "incomplete"


def test_a_snapshot_never_changes() -> None:
    core = streaming()
    first = feed(core, part_event("response.output_text.delta", delta="one"), audio_delta(b"1234"))
    feed(core, part_event("response.output_text.delta", delta=" two"), audio_delta(b"5678"))
    feed(
        core,
        server("conversation.item.truncated", item_id="item_a", content_index=0, audio_end_ms=0),
    )
    then = first[-1]
    assert isinstance(then, ConversationUpdated)
    assert then.item.formatted.text == "one"
    assert then.item.formatted.audio == b"1234"
    assert core.conversation.item("item_a").formatted.audio == b""
    assert core.conversation.item("item_a").formatted.text == "one two"


def test_deltas_contain_the_added_content() -> None:
    core = streaming()
    updates = feed(
        core,
        part_event("response.output_audio_transcript.delta", delta="Hi"),
        audio_delta(b"\x01\x00"),
    )
    deltas = deltas_of(updates)
    assert deltas[0] == Delta(transcript="Hi")
    assert deltas[0].audio is None
    assert deltas[1].audio == b"\x01\x00"
    assert repr(deltas[1]) == "Delta(audio=...)"
    assert repr(deltas[0]) == "Delta(transcript='Hi')"


def test_a_sample_split_over_two_deltas_arrives_whole() -> None:
    core = streaming()
    updates = feed(core, audio_delta(b"abc"), audio_delta(b"def"))
    assert [delta.audio for delta in deltas_of(updates)] == [b"ab", b"cdef"]
    assert core.conversation.item("item_a").formatted.audio == b"abcdef"


def test_invalid_base64_raises_when_read_and_is_left_out_of_the_item() -> None:
    core = streaming()
    broken = part_event("response.output_audio.delta", delta="!!")
    updates = feed(core, audio_delta(b"12"), broken, audio_delta(b"34"))
    first, second, third = deltas_of(updates)
    with pytest.raises(DecodeError):
        assert second.audio
    assert (first.audio, third.audio) == (b"12", b"34")
    item = core.conversation.item("item_a")
    assert (item.formatted.audio, item.formatted.audio_bytes) == (b"1234", 4)


def test_a_function_call_collects_its_arguments() -> None:
    core = new_core()
    call = {"id": "item_f", "type": "function_call", "name": "f", "call_id": "c", "arguments": ""}
    feed(core, response("created"), output_item("added", call), added(call))
    kind = "response.function_call_arguments.delta"
    updates = feed(core, part_event_of_call(kind, '{"x"'), part_event_of_call(kind, ":1}"))
    assert [u.delta for u in updates if isinstance(u, ConversationUpdated)] == [
        Delta(arguments='{"x"'),
        Delta(arguments=":1}"),
    ]
    tool = core.conversation.item("item_f").formatted.tool
    assert tool is not None
    assert (tool.name, tool.call_id, tool.arguments) == ("f", "c", '{"x":1}')
    feed(core, output_item("done", {**call, "arguments": '{"x":2}', "status": "completed"}))
    tool = core.conversation.item("item_f").formatted.tool
    assert tool is not None
    assert tool.arguments == '{"x":2}'


def part_event_of_call(kind: str, delta: str) -> AnyServerEvent:
    return server(
        kind, item_id="item_f", response_id="resp_1", output_index=0, call_id="c", delta=delta
    )


def test_a_function_call_output_has_its_output() -> None:
    core = new_core()
    output = {"id": "o", "type": "function_call_output", "call_id": "c", "output": "21"}
    assert kinds(feed(core, added(output)))[-1] is ItemCompleted
    assert core.conversation.item("o").formatted.output == "21"
    assert "output='21'" in repr(core.conversation.item("o"))


def test_an_item_of_an_unknown_type_is_kept() -> None:
    core = new_core()
    item = {"id": "x", "type": "hologram", "status": "shining"}
    feed(core, added(item), done(item))
    assert core.conversation.item("x").type == "hologram"
    assert core.conversation.item("x").status == "shining"


def test_a_user_transcript_can_arrive_before_or_after_its_item() -> None:
    core = new_core()
    spoken = message("item_u")
    spoken["content"] = [{"type": "input_audio", "transcript": None}]
    kind = "conversation.item.input_audio_transcription"
    early = server(f"{kind}.delta", item_id="item_u", content_index=0, delta="Hel")
    assert feed(core, early) == []
    feed(core, added(spoken))
    assert core.conversation.item("item_u").formatted.transcript == "Hel"
    feed(core, server(f"{kind}.delta", item_id="item_u", content_index=0, delta="lo"))
    assert core.conversation.item("item_u").formatted.transcript == "Hello"
    final = server(f"{kind}.completed", item_id="item_u", content_index=0, transcript="")
    assert [u.delta for u in feed(core, final) if isinstance(u, ConversationUpdated)] == [
        Delta(transcript="")
    ]
    assert core.conversation.item("item_u").formatted.transcript == " "
    feed(core, done(spoken))
    assert core.conversation.item("item_u").formatted.transcript == " "


def test_truncation_cuts_the_audio_and_drops_the_transcript() -> None:
    core = streaming()
    core.conversation.set_output_format(G711_ULAW)
    feed(
        core,
        part_event("response.output_audio_transcript.delta", delta="one"),
        audio_delta(bytes(160)),
    )
    cut = server("conversation.item.truncated", item_id="item_a", content_index=0, audio_end_ms=15)
    assert kinds(feed(core, cut)) == [ConversationUpdated]
    item = core.conversation.item("item_a")
    assert (item.formatted.audio_bytes, item.formatted.transcript) == (120, "")
    whole = message("item_a", "assistant", status="completed")
    whole["content"] = [{"type": "output_audio", "transcript": "one"}]
    feed(core, done(whole))
    assert core.conversation.item("item_a").formatted.transcript == ""


def test_late_deltas_do_not_restore_a_deleted_item() -> None:
    core = streaming()
    updates = feed(core, server("conversation.item.deleted", item_id="item_a"))
    assert kinds(updates) == [ConversationUpdated]
    late = part_event("response.output_text.delta", delta="late")
    assert feed(core, late, audio_delta(b"12"), output_item("done", ASSISTANT)) == []
    assert core.conversation.items == ()
    with pytest.raises(ItemNotFound):
        core.conversation.item("item_a")


def test_speech_started_is_an_interruption() -> None:
    core = new_core()
    event = server("input_audio_buffer.speech_started", item_id="item_u", audio_start_ms=40)
    assert feed(core, event) == [Interrupted("item_u", 40)]


@pytest.mark.parametrize(
    "event",
    [
        part_event("response.output_text.delta", delta="x"),
        part_event("response.output_audio_transcript.delta", delta="x"),
        part_event("response.output_audio.delta", delta="AAA="),
        part_event("response.content_part.added", part={"type": "text"}),
        part_event_of_call("response.function_call_arguments.delta", "x"),
        server("conversation.item.truncated", item_id="item_a", content_index=0, audio_end_ms=0),
        server("conversation.item.deleted", item_id="item_a"),
        done(ASSISTANT),
        output_item("done", ASSISTANT),
        server("response.hologram.delta", delta="x"),
    ],
)
def test_events_of_unknown_items_change_nothing(event: AnyServerEvent) -> None:
    core = new_core()
    assert feed(core, event) == []
    assert core.conversation.items == ()


def test_a_part_of_an_unknown_type_is_kept_unchanged() -> None:
    core = streaming()
    feed(
        core,
        part_event("response.content_part.added", part={"type": "hologram"}),
        part_event("response.output_text.delta", delta="x"),
        part_event("response.output_audio_transcript.delta", delta="y"),
    )
    item = core.conversation.item("item_a")
    assert item.content == (UnknownPart(raw={"type": "hologram"}),)
    assert (item.formatted.text, item.formatted.transcript) == ("x", "y")
    assert not core.conversation.item("item_a").formatted.audio


def test_audio_parts_and_parts_without_a_type_are_added() -> None:
    core = streaming()
    feed(core, part_event("response.content_part.added", part={"type": "audio"}))
    assert core.conversation.item("item_a").content == (OutputAudio(transcript=""),)
    feed(core, added(message("item_b", "assistant")))
    feed(core, part_event("response.content_part.added", item_id="item_b", part={}))
    assert core.conversation.item("item_b").content == (UnknownPart(raw={}),)


def test_an_mcp_item_has_a_status_if_the_server_sends_one() -> None:
    core = new_core()
    item: dict[str, object] = {
        "id": "m",
        "type": "mcp_list_tools",
        "server_label": "docs",
        "tools": [],
    }
    feed(core, added(item), added({**item, "id": "n", "status": "completed"}))
    assert [item.status for item in core.conversation] == [None, "completed"]


def test_an_audio_item_of_the_history_has_its_transcript() -> None:
    core = new_core()
    item = message("item_a", "assistant", status="completed")
    item["content"] = [{"type": "output_audio", "transcript": "before"}]
    feed(core, added(item), done({**item, "status": None}))
    assert core.conversation.item("item_a").formatted.transcript == "before"


def test_a_transcript_for_a_text_part_or_no_part_is_kept() -> None:
    core = new_core()
    feed(core, added(message("item_u", text="typed")))
    kind = "conversation.item.input_audio_transcription"
    for index in (0, 7):
        feed(core, server(f"{kind}.delta", item_id="item_u", content_index=index, delta="x"))
        feed(
            core,
            server(f"{kind}.completed", item_id="item_u", content_index=index, transcript="said"),
        )
    item = core.conversation.item("item_u")
    assert (item.formatted.text, item.formatted.transcript) == ("typed", "said")
    feed(
        core,
        server("conversation.item.truncated", item_id="item_u", content_index=7, audio_end_ms=0),
    )
    assert core.conversation.item("item_u").formatted.transcript == ""


def test_an_out_of_band_response_never_enters_the_conversation() -> None:
    core = new_core()
    updates = feed(
        core,
        response("created", conversation_id=None),
        output_item("added", ASSISTANT),
        part_event("response.content_part.added", part={"type": "text", "text": ""}),
        part_event("response.output_text.delta", delta="aside"),
        output_item("done", message("item_a", "assistant", "aside", status="completed")),
    )
    assert updates == []
    assert core.conversation.items == ()
    state = core.responses.get("resp_1")
    assert state is not None
    assert [item.snapshot().formatted.text for item in state.items] == ["aside"]


@pytest.mark.parametrize("fields", [{"conversation_id": "conv_1"}, {}])
def test_a_streamed_message_enters_the_conversation_without_item_added(
    fields: dict[str, str],
) -> None:
    """Hugging Face's speech-to-speech and CopilotKit's aimock send no `conversation.item.added`."""
    core = new_core()
    core.create_response(ResponseCreateEvent(), 1.0)
    feed(core, response("created", **fields), output_item("added", ASSISTANT))
    assert core.conversation.items == ()
    part = part_event("response.content_part.added", part={"type": "text", "text": ""})
    assert kinds(feed(core, part)) == [ConversationUpdated, ItemAppended]
    updates = feed(core, part_event("response.output_text.delta", delta="Hello"))
    assert deltas_of(updates) == [Delta(text="Hello")]
    whole = message("item_a", "assistant", "Hello", status="completed")
    updates = feed(core, output_item("done", whole), done(whole), added(whole))
    assert kinds(updates).count(ItemCompleted) == 1
    assert [item.formatted.text for item in core.conversation.items] == ["Hello"]


def test_a_function_call_enters_the_conversation_without_item_added() -> None:
    core = new_core()
    core.create_response(ResponseCreateEvent(), 1.0)
    call = {"id": "item_f", "type": "function_call", "call_id": "call_1", "name": "look"}
    feed(core, response("created"), output_item("added", call | {"arguments": ""}))
    updates = feed(core, output_item("done", call | {"arguments": "{}", "status": "completed"}))
    assert kinds(updates) == [
        ConversationUpdated,
        ItemAppended,
        ConversationUpdated,
        ItemCompleted,
    ]
    tool = core.conversation.item("item_f").formatted.tool
    assert tool is not None
    assert tool.arguments == "{}"


def test_content_streamed_before_item_added_is_kept() -> None:
    core = new_core()
    feed(core, response("created"), output_item("added", ASSISTANT))
    feed(core, part_event("response.output_text.delta", delta="early"), added(ASSISTANT))
    assert core.conversation.item("item_a").formatted.text == "early"


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=7)), max_size=20))
def test_any_chunking_gives_the_same_state(chunks: list[tuple[bool, bytes]]) -> None:
    """Each chunk is audio, or text made of the same bytes; some are read in between."""
    core = streaming()
    text, audio = "", b""
    played = b""
    for is_text, chunk in chunks:
        if is_text:
            text += chunk.hex()
            event = part_event("response.output_text.delta", delta=chunk.hex())
        else:
            audio += chunk
            event = audio_delta(chunk)
        for update in feed(core, event):
            assert isinstance(update, ConversationUpdated)
            if update.delta is not None and update.delta.audio is not None:
                played += update.delta.audio
            if len(chunk) % 3 == 0:
                assert update.item.formatted.audio == audio
                assert update.item.formatted.text == text
    item = core.conversation.item("item_a")
    assert (item.formatted.text, item.formatted.audio) == (text, audio)
    assert played == audio[: len(audio) // 2 * 2]


def test_items_of_a_response_outside_the_conversation_make_no_updates() -> None:
    core = new_core()
    feed(core, response("created"), output_item("added", ASSISTANT))
    feed(core, output_item("added", {**ASSISTANT, "id": "item_b"}))
    call = {"id": "item_f", "type": "function_call", "name": "f", "call_id": "c", "arguments": ""}
    feed(core, output_item("added", call))
    updates = feed(
        core,
        part_event("response.output_audio_transcript.delta", delta="x"),
        audio_delta(b"12"),
        part_event_of_call("response.function_call_arguments.delta", "{}"),
    )
    assert updates == []
    feed(core, added({**ASSISTANT, "id": "item_c"}), added({**ASSISTANT, "id": "item_b"}))
    assert [item.id for item in core.conversation] == ["item_c", "item_b"]


def test_a_part_added_twice_keeps_its_content() -> None:
    core = streaming()
    part = part_event("response.content_part.added", part={"type": "text", "text": ""})
    feed(core, part, part_event("response.output_text.delta", delta="Hi"), part)
    assert core.conversation.item("item_a").content == (OutputText(text="Hi"),)


def test_the_final_item_corrects_the_content_and_leaves_the_streamed_text() -> None:
    core = streaming()
    feed(core, part_event("response.output_text.delta", delta="Helo"))
    feed(core, done(message("item_a", "assistant", "Hello", status="completed")))
    item = core.conversation.item("item_a")
    assert (item.content, item.formatted.text) == ((OutputText(text="Hello"),), "Helo")


def test_an_output_item_can_follow_item_added() -> None:
    core = new_core()
    feed(core, response("created"), added(ASSISTANT), output_item("added", ASSISTANT))
    feed(core, part_event("response.output_text.delta", delta="Hi"))
    assert core.conversation.item("item_a").formatted.text == "Hi"


def test_transcripts_that_arrive_before_their_item_are_bounded() -> None:
    conversation = new_core().conversation
    for number in range(MAX_EARLY_ITEMS + 1):
        conversation.on_user_words(str(number), 0, "x", is_final=False)
    for _ in range(MAX_EARLY_PIECES + 1):
        conversation.on_user_words("1", 0, "x", is_final=False)
    for item_id in ("0", "1"):
        event = added(message(item_id))
        assert isinstance(event, ga.ConversationItemAdded)
        conversation.on_item_added(event)
    assert conversation.item("0").formatted.transcript == ""
    assert conversation.item("1").formatted.transcript == "x" * MAX_EARLY_PIECES


def test_the_final_transcript_is_kept_beyond_the_bound_of_early_deltas() -> None:
    conversation = new_core().conversation
    for _ in range(MAX_EARLY_PIECES + 1):
        conversation.on_user_words("1", 0, "x", is_final=False)
    conversation.on_user_words("1", 0, "whole", is_final=True)
    event = added(message("1"))
    assert isinstance(event, ga.ConversationItemAdded)
    conversation.on_item_added(event)
    assert conversation.item("1").formatted.transcript == "whole"

"""Items of the conversation, as public threads report what servers do with them.

The threads are on GitHub, written as `owner/repository#number`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.client.replays.service import Service, Watch, both_dialects, message, speech

from duologue import PlaybackCut, ServerError
from duologue.protocol import ga

if TYPE_CHECKING:
    from duologue.protocol.codec import Dialect

pytestmark = pytest.mark.asyncio


@both_dialects
@pytest.mark.parametrize("ends", [("item",), ("response",), ("item", "response")])
async def test_an_item_that_was_never_announced_is_not_lost(
    dialect: Dialect, ends: tuple[str, ...]
) -> None:
    """openai/openai-realtime-api-beta#110: `response.output_item.done` of an unknown item ends the
    program. Its words come only there, or only with `response.done`.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        response = client.create_response()
        await server.got("response.create")
        server.begin()
        item = message("item_a", "Hello.")
        if "item" in ends:
            server.send(
                "response.output_item.done", response_id="resp_1", output_index=0, item=item
            )
        server.finish(output=[item] if "response" in ends else [])
        await response
        assert response.transcript == "Hello."
        assert watch.conversation() == [("item_a", "Hello.")]
        assert watch.appended == watch.completed == ["item_a"]
        assert watch.errors == []


@both_dialects
async def test_an_item_that_was_deleted_does_not_come_back_with_its_response(
    dialect: Dialect,
) -> None:
    """openai/openai-realtime-api-beta#110: the same event, of an item that was known before."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.begin()
        whole = server.speak("Hello.", ends=False)
        server.send("conversation.item.deleted", item_id="item_a")
        server.send("response.output_item.done", response_id="resp_1", output_index=0, item=whole)
        server.finish(output=[whole])
        await server.processed(client)
        assert watch.conversation() == []
        assert watch.errors == []


@both_dialects
async def test_an_item_may_come_before_the_one_that_it_follows(dialect: Dialect) -> None:
    """openclaw/openclaw#133493: the answer is created before the words of the user."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.add(message("item_0", "Zero", role="user"))
        server.add(message("item_2", "Two"), "item_1")
        server.add(message("item_3", "Three"), "item_2")
        server.add(message("item_1", "One", role="user"), "item_0")
        server.add(message("item_4", "Four"), "item_3")
        server.add(message("item_6", "Six"), "item_5")
        server.add(speech("item_5"))
        await server.processed(client)
        assert [item_id[-1] for item_id, _ in watch.conversation()] == list("0123456")


@both_dialects
@pytest.mark.parametrize("after", [None, "0", "", "item_of_yesterday"])
async def test_items_without_a_known_predecessor_are_in_order_of_arrival(
    dialect: Dialect, after: str | None
) -> None:
    """livekit/agents#5320 (xAI): `previous_item_id` is always null, or of no item."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        for number in range(4):
            server.add(message(f"item_{number}", "Hello", role="user"), after)
        await server.processed(client)
        assert [item_id[-1] for item_id, _ in watch.conversation()] == list("0123")


@both_dialects
@pytest.mark.parametrize("answer", [{"item_id": ""}, {"item_id": None}, {}])
async def test_a_deletion_may_be_confirmed_without_an_id(
    dialect: Dialect, answer: dict[str, Any]
) -> None:
    """livekit/agents#5320, #6391 (xAI): `conversation.item.deleted` has an empty `item_id`."""
    server = Service(dialect)
    server.answers["conversation.item.delete"] = lambda _: server.send(
        "conversation.item.deleted", **answer
    )
    async with server.client() as client:
        watch = Watch(client)
        server.add(message("item_1", "One", role="user"))
        await server.processed(client)
        await client.delete_item("item_1")
        assert watch.errors == []


@both_dialects
async def test_an_item_that_is_added_twice_is_one(dialect: Dialect) -> None:
    """dograh-hq/dograh#684 (xAI), openai/openai-openapi#518: the same item in two events."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.hear("item_u")
        server.send("conversation.item.created", previous_item_id=None, item=speech("item_u"))
        server.add(speech("item_u"))
        server.begin()
        whole = server.speak("Hello.")
        server.add(whole, "item_u")
        server.finish(output=[whole])
        await server.processed(client)
        assert watch.conversation() == [("item_u", ""), ("item_a", "Hello.")]
        assert watch.appended == watch.completed == ["item_u", "item_a"]
        assert watch.words == {"item_a": "Hello."}


@both_dialects
@pytest.mark.parametrize("status", ["completed", "incomplete", None])
async def test_a_retrieved_copy_does_not_change_the_conversation(
    dialect: Dialect, status: str | None
) -> None:
    """openai/openai-agents-python#4597, openai/openai-agents-js#533: the copy lacks words, audio
    and status.
    """
    server = Service(dialect)
    server.answers["conversation.item.retrieve"] = lambda event: server.send(
        "conversation.item.retrieved", item=message(event["item_id"]) | {"status": status}
    )
    async with server.client() as client:
        watch = Watch(client)
        server.answer("Hello.")
        await server.processed(client)
        copy = await client.retrieve_item("item_a")
        assert copy.id == "item_a"
        [item] = client.conversation
        assert (item.status, item.formatted.transcript) == ("completed", "Hello.")
        assert watch.completed == ["item_a"]


@both_dialects
async def test_an_item_is_not_cut_beyond_its_audio(dialect: Dialect) -> None:
    """twilio-samples/speech-assistant-openai-realtime-api-python#45, pipecat-ai/pipecat#2106,
    openclaw/openclaw#138592: the time on a clock is longer than the audio, and the server refuses.
    """
    server = Service(dialect)
    async with server.client() as client:
        server.begin()
        server.speak("One", audio=bytes(4800), ends=False)
        await server.processed(client)
        client.truncate_item("item_a", 57_340)
        client.truncate_items([PlaybackCut("item_a", 0, 999_999, 41_666)])
        await server.got("conversation.item.truncate", 2)
        cuts = [e["audio_end_ms"] for e in server.received if "audio_end_ms" in e]
        assert cuts == [100, 100]


@both_dialects
async def test_an_item_without_audio_is_deleted_instead_of_cut(dialect: Dialect) -> None:
    """livekit/agents#6157, #6249: interrupted before the first audio, a cut at 0 is refused with
    "Only model output audio messages can be truncated".
    """
    server = Service(dialect)
    async with server.client() as client:
        server.begin()
        server.speak("", ends=False)
        await server.processed(client)
        client.truncate_items([PlaybackCut("item_a", 0, 0, 0), PlaybackCut("item_x", 0, 0, 0)])
        deleted = await server.got("conversation.item.delete")
        assert deleted["item_id"] == "item_a"
        assert "conversation.item.truncate" not in server.types()


@both_dialects
async def test_a_refused_cut_changes_nothing(dialect: Dialect) -> None:
    """openclaw/openclaw#138592: the model would believe that it said something else."""
    server = Service(dialect)
    server.answers["conversation.item.truncate"] = server.refuse
    async with server.client() as client:
        watch = Watch(client)
        server.begin()
        server.speak("One", audio=bytes(4800), ends=False)
        await server.processed(client)
        with pytest.raises(ServerError):
            await client.truncate_item("item_a", 50)
        [item] = client.conversation
        assert (item.formatted.transcript, item.formatted.audio_bytes) == ("One", 4800)
        assert watch.errors == []


@both_dialects
@pytest.mark.parametrize("indices", [(0, 1), (1, 0), (0, 0)])
async def test_a_response_may_say_two_things(dialect: Dialect, indices: tuple[int, int]) -> None:
    """pipecat-ai/pipecat#4465, livekit/agents#5684: gpt-realtime-2 comments before it answers.

    xAI gives every item of a response the index 0.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        response = client.create_response()
        await server.got("response.create")
        server.begin()
        first = server.speak("Let me see.", audio=bytes(480), index=indices[0])
        second = server.speak("It is sunny.", item_id="item_b", index=indices[1])
        server.sound(bytes(960), item_id="item_b")
        server.finish(output=[first, second])
        await response
        assert [item.formatted.transcript for item in response.items] == [
            "Let me see.",
            "It is sunny.",
        ]
        assert [item.formatted.audio_bytes for item in response.items] == [480, 960]
        assert watch.completed == ["item_a", "item_b"]


@both_dialects
@pytest.mark.parametrize("kind", ["output_audio", "audio"])
async def test_the_parts_of_an_item_may_have_the_names_of_either_dialect(
    dialect: Dialect, kind: str
) -> None:
    """openai/openai-agents-python#3230, openai/openai-agents-js#1287: words in parts of the other
    name are lost.
    """
    server = Service("ga") if dialect == "ga" else Service("beta")
    async with server.client() as client:
        watch = Watch(client)
        item = message("item_a") | {"content": [{"type": kind, "transcript": "Hello."}]}
        server.begin()
        output = {"response_id": "resp_1", "output_index": 0, "item": item}
        server.send("response.output_item.added", **output)
        server.send("response.output_item.done", **output)
        server.finish(output=[item])
        await server.processed(client)
        [mirrored] = client.conversation
        assert mirrored.content == (ga.OutputAudio(transcript="Hello."),)
        assert watch.conversation() == [("item_a", "Hello.")]


@both_dialects
@pytest.mark.parametrize("part", [{"part": {"type": "audio"}}, {"part": None}, {"part": {}}, {}])
async def test_a_part_may_have_no_description(dialect: Dialect, part: dict[str, Any]) -> None:
    """livekit/agents-js#929 (xAI): `response.content_part.done` has no `part`."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        server.begin()
        place = {"response_id": "resp_1", "output_index": 0, "item_id": "item_a"}
        item = message("item_a", status="in_progress")
        server.send("response.output_item.added", response_id="resp_1", output_index=0, item=item)
        server.send("response.content_part.added", **place, content_index=0, **part)
        server.send("response.output_audio_transcript.delta", **place, delta="Hello.")
        server.send("response.content_part.done", **place, content_index=0, **part)
        server.send("response.output_audio_transcript.done", **place)
        server.send("response.output_item.done", response_id="resp_1", item=message("item_a"))
        server.finish()
        await server.processed(client)
        assert watch.conversation() == [("item_a", "Hello.")]
        assert watch.completed == ["item_a"]
        assert watch.errors == []


@both_dialects
async def test_text_instead_of_speech_is_text(dialect: Dialect) -> None:
    """openai/openai-realtime-agents#32, livekit/agents#1855, #2694: text comes though speech was
    asked for, and only the end of the item has it.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        response = client.create_response()
        await server.got("response.create")
        server.begin()
        item = message("item_a") | {"content": [{"type": "output_text", "text": "Hello."}]}
        begun = message("item_a", status="in_progress")
        output = {"response_id": "resp_1", "output_index": 0}
        server.send("response.output_item.added", **output, item=begun)
        server.send("response.output_item.done", **output, item=item)
        server.finish(output=[item])
        await response
        assert (response.text, response.transcript, response.audio) == ("Hello.", "", b"")
        assert watch.conversation() == [("item_a", "Hello.")]


@both_dialects
async def test_ids_may_be_used_again(dialect: Dialect) -> None:
    """Of no thread: simple servers count from the start again with each response."""
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        first = client.create_response()
        await server.got("response.create")
        server.answer("One.")
        await first
        second = client.create_response()
        await server.got("response.create", 2)
        server.answer("Two.")
        await second
        assert watch.errors == []
        assert client.is_connected
        assert "Two." in second.transcript


@both_dialects
@pytest.mark.parametrize("is_announced", [True, False])
async def test_content_may_come_before_the_announcement(
    dialect: Dialect, is_announced: bool
) -> None:
    """Of no thread: deltas without `response.content_part.added`, and before, or without,
    `conversation.item.added`. An application that plays and shows deltas must get all of them.
    """
    server = Service(dialect)
    async with server.client() as client:
        watch = Watch(client)
        response = client.create_response()
        await server.got("response.create")
        server.begin()
        begun = message("item_a", status="in_progress")
        server.send("response.output_item.added", response_id="resp_1", output_index=0, item=begun)
        place = {"response_id": "resp_1", "output_index": 0, "item_id": "item_a"}
        server.send("response.output_audio_transcript.delta", **place, delta="Hello, ")
        server.sound(bytes(480))
        await server.processed(client)
        assert watch.words == {"item_a": "Hello, "}
        if is_announced:
            server.send("conversation.item.added", previous_item_id=None, item=begun)
        server.send("response.output_audio_transcript.delta", **place, delta="Ann.")
        whole = message("item_a", "Hello, Ann.")
        server.send("response.output_item.done", response_id="resp_1", output_index=0, item=whole)
        server.finish(output=[whole])
        await response
        assert watch.words == {"item_a": "Hello, Ann."}
        assert watch.appended == watch.completed == ["item_a"]
        assert response.audio == bytes(480)

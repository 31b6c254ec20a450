"""Truncation to the audio that was heard, never beyond the audio that was received."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import Closed, PlaybackCut, RealtimeClient, Retention
from duologue.protocol import ga
from duologue.server import LocalServer

if TYPE_CHECKING:
    from duologue.server import SessionRecord

pytestmark = pytest.mark.asyncio

TRUNCATE = "conversation.item.truncate"


async def speak(client: RealtimeClient, words: str = "Hello") -> tuple[str, int]:
    """Let the assistant speak; return the item's id and its length in milliseconds."""
    handle = client.send_user_message_content(words)
    await handle
    item = client.conversation.items[-1]
    return item.id, client.conversation.output_format.ms(item.formatted.audio_bytes)


def truncations(session: SessionRecord) -> list[int]:
    events = [
        each for each in session.received if isinstance(each, ga.ConversationItemTruncateEvent)
    ]
    return [each.audio_end_ms for each in events]


@pytest.mark.parametrize("format_", ["pcm16", "g711_ulaw"])
async def test_an_item_heard_to_its_end_is_not_truncated(format_: str) -> None:
    async with (
        LocalServer() as server,
        RealtimeClient(url=server.url, output_audio_format=format_) as client,
    ):
        item_id, length_ms = await speak(client)
        rate_hz = client.conversation.output_format.rate_hz
        for end_ms in (length_ms, length_ms + 5000):
            pending = client.truncate_item(item_id, end_ms)
            assert pending.is_done
            assert await pending is None
            client.cancel_response(item_id=item_id, heard_samples=end_ms * rate_hz // 1000)
        client.truncate_items([PlaybackCut(item_id, 0, length_ms * rate_hz // 1000, length_ms)])
        assert client.conversation.item(item_id).formatted.transcript == "You said: Hello"
        await client.truncate_item(item_id, length_ms - 1)
        [session] = server.sessions
        assert truncations(session) == [length_ms - 1]
    with pytest.raises(Closed):
        client.truncate_item(item_id, length_ms)


async def test_an_item_in_progress_is_truncated_to_the_received_audio() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        server.begin()
        server.say("")
        about = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0}
        audio = base64.b64encode(bytes(4800)).decode()
        server.send("response.output_audio.delta", **about, content_index=0, delta=audio)
        await client.wait_for_next("response.output_audio.delta")
        client.truncate_item("item_a", 5000)
        client.cancel_response(item_id="item_a", heard_samples=99_999)
        event = await server.got(TRUNCATE, 2)
        assert [each["audio_end_ms"] for each in server.received if each["type"] == TRUNCATE] == [
            100,
            100,
        ]
        assert event["content_index"] == 0


async def test_an_item_without_mirrored_audio_is_truncated_as_requested() -> None:
    async with (
        LocalServer() as server,
        RealtimeClient(url=server.url, retention=Retention(audio_minutes=0)) as client,
    ):
        item_id, _ = await speak(client)
        await client.truncate_item(item_id, 40)
        [session] = server.sessions
        assert truncations(session) == [40]


async def test_items_are_truncated_deleted_or_left_alone() -> None:
    async with LocalServer() as server, RealtimeClient(url=server.url) as client:
        (begun, _), (unheard, _) = await speak(client), await speak(client)
        client.truncate_items(
            [
                PlaybackCut("item_nobody", 0, 0, 0),
                PlaybackCut(begun, 0, 1234, 51),
                PlaybackCut(unheard, 0, 23, 0),
            ]
        )
        [session] = server.sessions
        await session.wait_for("conversation.item.deleted")
        assert begun in client.conversation
        assert unheard not in client.conversation
        assert truncations(session) == [51]
        assert [event for event in session.sent if event.type == "error"] == []


async def test_without_cuts_a_closed_session_does_not_matter() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        pass
    client.truncate_items([])
    with pytest.raises(Closed):
        client.truncate_items([PlaybackCut("item_a", 0, 0, 0)])


async def test_an_item_with_text_is_truncated_rather_than_deleted() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        server.begin()
        server.say("See the page.")
        about = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0}
        part = {"type": "audio", "transcript": ""}
        server.send("response.content_part.added", **about, content_index=1, part=part)
        await client.wait_for_next("response.content_part.added")
        client.truncate_items([PlaybackCut("item_a", 1, 0, 0)])
        event = await server.got(TRUNCATE)
        assert (event["content_index"], event["audio_end_ms"]) == (1, 0)

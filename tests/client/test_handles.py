"""Handles: streaming a response's deltas, waiting for its turn, and its end."""

from __future__ import annotations

import asyncio

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import ConfigurationError, ConnectionLost, ItemNotFound, LocalProtocolError
from duologue.session.response_state import RequestState

pytestmark = pytest.mark.asyncio


async def test_a_handle_yields_the_deltas_of_its_response() -> None:
    server = MemoryServer()
    usage = {"total_tokens": 3, "input_tokens": 1, "output_tokens": 2}
    async with client_of(server) as client:
        handle = client.create_response()
        assert handle.usage is None

        async def read() -> list[str | None]:
            return [delta.text async for delta in handle]

        reading = asyncio.ensure_future(read())
        await server.got("response.create")
        server.begin()
        server.say("Hello")
        await client.wait_for_next("response.output_text.delta")
        server.finish(usage=usage)
        assert await reading == list("Hello")
        assert [delta.text async for delta in handle] == list("Hello")
        assert handle.usage is not None
        assert handle.usage.total_tokens == 3


async def test_responses_run_one_after_the_other_and_each_handle_gets_its_own() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        server.begin("resp_vad")
        await client.wait_for_next("response.created")
        first, second = client.create_response(), client.create_response()
        assert second.state is RequestState.QUEUED
        assert server.types() == []
        second.cancel()
        assert (await second).status == "cancelled"
        server.finish("resp_vad")
        await server.got("response.create")
        server.begin("resp_1")
        server.say("Hi", "resp_1")
        server.finish("resp_1")
        assert (await first).id == "resp_1"
        assert server.types() == ["response.create"]
        assert [response.id for response in client.responses] == ["resp_vad", "resp_1"]


async def test_a_stream_raises_when_its_connection_is_lost() -> None:
    server = MemoryServer()
    async with client_of(server, reconnect=False) as client:
        handle = client.create_response()
        reading = asyncio.ensure_future(anext(aiter(handle), None))
        await server.got("response.create")
        server.end.cut()
        async with asyncio.timeout(5):
            with pytest.raises(ConnectionLost):
                await reading


async def test_a_stream_ends_when_the_session_is_closed() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        handle = client.create_response()
        reading = asyncio.ensure_future(anext(aiter(handle), None))
        await server.got("response.create")
    assert await reading is None


async def test_a_stream_yields_what_arrived_before_its_connection_was_lost() -> None:
    server = MemoryServer()
    async with client_of(server, reconnect=False) as client:
        handle = client.create_response()
        await server.got("response.create")
        server.begin()
        server.say("Hi")
        deltas = aiter(handle)
        assert [(await anext(deltas)).text, (await anext(deltas)).text] == ["H", "i"]
        server.end.cut()
        with pytest.raises(ConnectionLost):
            await anext(deltas)


async def test_cancelling_with_an_item_truncates_it_to_the_heard_audio() -> None:
    server = MemoryServer()
    async with client_of(server, output_audio_format="pcm16") as client:
        server.begin()
        server.say("x")
        part = {"type": "audio", "transcript": ""}
        about = {"response_id": "resp_1", "item_id": "item_a", "output_index": 0}
        server.send("response.content_part.added", **about, content_index=1, part=part)
        await client.wait_for_next("response.content_part.added")
        client.cancel_response(item_id="item_a", heard_samples=2400)
        event = await server.got("conversation.item.truncate")
        assert (event["content_index"], event["audio_end_ms"]) == (1, 100)
        with pytest.raises(ItemNotFound):
            client.cancel_response(item_id="item_z")
        user: dict[str, object] = {"id": "item_u", "type": "message", "role": "user", "content": []}
        server.send("conversation.item.added", item=user)
        await client.wait_for_next_item()
        with pytest.raises(LocalProtocolError, match="assistant"):
            client.cancel_response(item_id="item_u")
    with pytest.raises(ConfigurationError, match="pcm16"):
        client.update_session(input_audio_format="mp3")


async def test_beta_keywords_of_a_configuration_are_accepted() -> None:
    server = MemoryServer()
    async with client_of(server, modalities=("text", "audio"), max_response_output_tokens=9):
        session = server.received[0]["session"]
        assert session == {
            "type": "realtime",
            "output_modalities": ["audio"],
            "max_output_tokens": 9,
        }

"""Floods in both directions: the client stays within its limits, and shows what it dropped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import ConversationUpdated, RealtimeEvent
from duologue.client.update_stream import CAPACITY
from duologue.session.input_backlog import ROOM_BYTES

if TYPE_CHECKING:
    from duologue import FormattedItem

FLOOD = 3 * CAPACITY

CHUNK = bytes(16 * 1024)


@pytest.mark.asyncio
async def test_drain_waits_for_the_audio_that_waits_too() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        server.end.pause_reading()
        for _ in range(20):
            client.append_input_audio(CHUNK)
        waiting = client.statistics().waiting_input_ms
        draining = asyncio.create_task(client.drain())
        await asyncio.sleep(0)
        assert 0 < waiting < 20 * len(CHUNK) / 48
        assert not draining.done()
        server.end.resume_reading()
        await draining
        assert client.statistics().waiting_input_ms == client.statistics().dropped_input_ms == 0
        await server.got("input_audio_buffer.append", times=20)


@pytest.mark.asyncio
async def test_a_program_that_drains_after_each_append_never_makes_audio_wait() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        for _ in range(3 * ROOM_BYTES // len(CHUNK)):
            client.append_input_audio(CHUNK)
            assert client.statistics().waiting_input_ms == 0
            await client.drain()


@pytest.mark.asyncio
async def test_a_flood_of_deltas_costs_a_slow_iteration_its_oldest_and_the_item_nothing() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        updates = aiter(client)
        await anext(updates)
        server.begin()
        server.say("x" * FLOOD)
        server.finish()
        done = await client.wait_for_next("response.done", timeout=15)
        assert done is not None
        statistics = client.statistics()
        assert statistics.waiting_updates <= 2 * CAPACITY
        assert statistics.dropped_updates >= 2 * (FLOOD - CAPACITY)
        last: FormattedItem | None = None
        events = changes = 0
        while client.statistics().waiting_updates:
            update = await anext(updates)
            events += isinstance(update, RealtimeEvent)
            if isinstance(update, ConversationUpdated):
                changes += 1
                last = update.item
        assert (events, changes) == (CAPACITY, pytest.approx(CAPACITY, abs=2))
        assert last is not None
        assert last.formatted.text == "x" * FLOOD


@pytest.mark.asyncio
async def test_a_flood_of_deltas_costs_a_slow_callback_its_oldest_calls() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        may_go_on, is_complete = asyncio.Event(), asyncio.Event()

        async def slow(update: ConversationUpdated) -> None:
            await may_go_on.wait()
            if len(update.item.formatted.text) == FLOOD:
                is_complete.set()

        client.on(ConversationUpdated, slow)
        server.begin()
        server.say("x" * FLOOD)
        server.finish()
        await client.wait_for_next("response.done", timeout=15)
        statistics = client.statistics()
        assert statistics.waiting_calls <= CAPACITY
        assert statistics.dropped_calls >= FLOOD - CAPACITY - 2
        may_go_on.set()
        async with asyncio.timeout(10):
            await is_complete.wait()


@pytest.mark.asyncio
async def test_a_frame_of_20_megabytes_arrives_whole() -> None:
    server = MemoryServer()
    async with client_of(server) as client:
        server.begin()
        server.say("")
        about = {"response_id": "resp_1", "output_index": 0, "item_id": "item_a"}
        words = "x" * 20_000_000
        server.send("response.output_text.delta", **about, content_index=0, delta=words)
        server.finish()
        await client.wait_for_next("response.done", timeout=15)
        assert len(client.conversation.item("item_a").formatted.text) == 20_000_000
        assert client.statistics().failed_events == 0

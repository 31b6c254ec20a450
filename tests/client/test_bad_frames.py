"""Frames that are no events: reported, counted in the log, and bounded in time and memory."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.client.client_doubles import MemoryServer, client_of

from duologue import DecodeError, ErrorUpdate, RealtimeAPI
from duologue.transport.repeated_warning import RepeatedWarning

pytestmark = pytest.mark.asyncio


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    ours = [each for each in caplog.records if each.name.startswith("duologue")]
    return [each.getMessage() for each in ours if each.levelno == logging.WARNING]


async def test_many_bad_frames_are_a_few_lines_and_an_update_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, errors = MemoryServer(), list[ErrorUpdate]()
    async with client_of(server) as client:
        client.on(ErrorUpdate, errors.append)
        for _ in range(1234):
            server.end.send(b"no json")
        server.send("input_audio_buffer.cleared")
        await client.wait_for_next("input_audio_buffer.cleared")
        assert client.is_connected
    assert len(errors) == 1234
    assert all(isinstance(update.error, DecodeError) for update in errors)
    first, *counts = lines(caplog)
    assert first.startswith("< a frame of 7 bytes is no event: the frame is not JSON")
    assert counts == [
        "< 10 frames so far are no events",
        "< 100 frames so far are no events",
        "< 1000 frames so far are no events",
        "< 1234 frames so far are no events",
    ]


async def test_a_single_bad_frame_is_a_single_line(caplog: pytest.LogCaptureFixture) -> None:
    server = MemoryServer()
    async with RealtimeAPI(connector=server.connect) as api:
        server.end.send(b"[]")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert api.is_connected
    assert lines(caplog) == [
        "< a frame of 2 bytes is no event: the frame is not an object; repetitions are counted"
    ]


async def test_the_total_is_written_once(caplog: pytest.LogCaptureFixture) -> None:
    warning = RepeatedWarning(logging.getLogger("duologue.test"), "%d in all")
    warning.finish()
    for number in range(12):
        warning.warn("the first: %d", number)
    warning.finish()
    warning.finish()
    assert lines(caplog) == ["the first: 0", "10 in all", "12 in all"]
    assert warning.count == 12


async def test_a_frame_of_too_many_values_is_an_update_and_the_session_goes_on() -> None:
    server, errors = MemoryServer(), list[ErrorUpdate]()
    parts = b",".join([b'{"type":"zz"}'] * 1_000_000)
    async with client_of(server) as client:
        client.on(ErrorUpdate, errors.append)
        server.end.send(
            b'{"type":"conversation.item.added","event_id":"e","previous_item_id":null,"item":'
            b'{"id":"i","type":"message","role":"user","content":[' + parts + b"]}}"
        )
        server.send("input_audio_buffer.cleared")
        await client.wait_for_next("input_audio_buffer.cleared")
        assert client.is_connected
    assert "more than 40000 values" in str(errors[0].error)

"""The memory pair, beyond the common contract (`test_transport_contract.py`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.transport.transport_doubles import Recorder

from duologue.errors import ConnectionLost
from duologue.transport import Transport, memory_pair

if TYPE_CHECKING:
    from collections.abc import Callable


class Answering(Recorder):
    """Sends each number back, reduced by one, until it is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.end: Transport
        self.depth = 0

    def on_frame(self, frame: bytes) -> None:
        assert self.depth == 0, "called from inside a send"
        self.depth += 1
        super().on_frame(frame)
        if number := int(frame):
            self.end.send(b"%d" % (number - 1))
        self.depth -= 1


async def turns(count: int) -> None:
    """Let the event loop run `count` iterations."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_two_ends_that_answer_each_other_do_not_recurse() -> None:
    first, second = Answering(), Answering()
    first.end, second.end = memory_pair(first, second)
    first.end.send(b"5000")
    assert second.frames == []
    assert (await second.has_frames(2501))[-1] == b"0"
    assert len(first.frames) == 2500


@pytest.mark.asyncio
async def test_a_frame_arrives_in_the_next_iteration() -> None:
    got = Recorder()
    _, far = memory_pair(got, Recorder())
    far.send(b"1")
    far.send(b"2")
    assert got.frames == []
    await turns(1)
    assert got.frames == [b"1", b"2"]


@pytest.mark.asyncio
async def test_a_cut_drops_what_was_under_way_and_reaches_a_paused_end() -> None:
    near_got, far_got = Recorder(), Recorder()
    near, far = memory_pair(near_got, far_got)
    far.pause_reading()
    near.send(b"lost")
    far.send(b"lost too")
    near.cut()
    await turns(2)
    assert (near_got.frames, far_got.frames) == ([], [])
    assert [(await got.loss()).code for got in (near_got, far_got)] == [1006, 1006]
    far.cut()
    await far.close()
    assert len(far_got.endings) == 1


@pytest.mark.asyncio
async def test_a_paused_end_gets_everything_later() -> None:
    got = Recorder()
    near, far = memory_pair(got, Recorder())
    near.pause_reading()
    far.send(b"1")
    await far.close(1001, "bye")
    await turns(3)
    assert (got.frames, got.endings) == ([], [])
    near.resume_reading()
    assert (await got.loss()).reason == "bye"
    assert got.frames == [b"1"]


@pytest.mark.asyncio
@pytest.mark.parametrize("act", ["pause", "close", "cut"])
async def test_a_receiver_may_act_on_its_own_end_between_two_frames(act: str) -> None:
    class Acting(Recorder):
        def on_frame(self, frame: bytes) -> None:
            super().on_frame(frame)
            actions[act]()

    got = Acting()
    near, far = memory_pair(got, Recorder())
    tasks: list[asyncio.Future[None]] = []
    actions: dict[str, Callable[[], object]] = {
        "pause": near.pause_reading,
        "close": lambda: tasks.append(asyncio.ensure_future(near.close())),
        "cut": near.cut,
    }
    far.send(b"1")
    far.send(b"2")
    await turns(1)
    assert got.frames == ([b"1", b"2"] if act == "close" else [b"1"])
    near.resume_reading()
    await near.close()
    await asyncio.gather(*tasks)
    assert len(got.endings) == 1


@pytest.mark.asyncio
async def test_what_is_sent_to_an_end_that_has_left_is_lost() -> None:
    near_got, far_got = Recorder(), Recorder()
    near, far = memory_pair(near_got, far_got)
    closing = asyncio.ensure_future(near.close())
    await turns(1)
    far.send(b"into the void")
    await closing
    await turns(1)
    with pytest.raises(ConnectionLost):
        far.send(b"and now it knows")
    assert near_got.frames == []

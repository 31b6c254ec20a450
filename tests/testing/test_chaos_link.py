"""Which bytes the chaos proxy forwards when: literal times, no sockets."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.testing._chaos_link import CHUNK_BYTES, MAX_WAITING_BYTES, Conditions, Cut, Link
from duologue.testing._frame_scanner import MAX_HEAD_BYTES, FrameScanner
from duologue.testing._raw_server import PING, TEXT, frame

if TYPE_CHECKING:
    from collections.abc import Iterable

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def new_link(conditions: Conditions, dice: Iterable[float] = (), *, frames: bool = False) -> Link:
    luck = iter(dice)
    return Link(conditions, lambda: next(luck, 0.0), FrameScanner() if frames else None)


def forwarded(link: Link, now: float) -> bytes:
    """Return all bytes that are due at this time."""
    pieces = b""
    while link.reached_cut is None and isinstance(piece := link.take(now), bytes):
        pieces += piece
    return pieces


def test_a_good_link_forwards_at_once() -> None:
    link = new_link(Conditions())
    link.push(b"abc", now=10.0)
    assert link.next_due() == 10.0
    assert link.take(10.0) == b"abc"
    assert (link.take(10.0), link.next_due()) == (None, None)


def test_a_delay_shifts_bytes_and_the_end() -> None:
    link = new_link(Conditions(delay=0.5))
    link.push(b"abc", now=10.0)
    link.hang_up("reset", now=10.25)
    assert link.take(10.25) is None
    assert link.take(10.5) == b"abc"
    assert link.next_due() == 10.75
    assert link.take(10.75) == "reset"


def test_jitter_never_changes_the_order() -> None:
    link = new_link(Conditions(delay=1.0, jitter=2.0), dice=[1.0, 0.0, 0.25])
    for number, data in enumerate([b"a", b"b", b"c"]):
        link.push(data, now=float(number))
    assert forwarded(link, 2.75) == b""
    assert forwarded(link, 3.0) == b"ab"  # b would arrive at 2.0, but waits for a
    assert forwarded(link, 3.25) == b""
    assert forwarded(link, 3.5) == b"c"


def test_a_change_of_the_delay_applies_to_the_bytes_that_wait() -> None:
    conditions = Conditions(delay=3600)
    link = new_link(conditions)
    link.push(b"a", now=10.0)
    conditions.delay = 0.0
    assert link.take(11.0) == b"a"


def test_bandwidth_is_exact_also_if_the_timers_are_late() -> None:
    link = new_link(Conditions(bytes_per_second=1000))
    link.push(bytes(100), now=10.0)
    link.push(bytes(900), now=10.0)
    assert len(link.take(10.02) or b"") == 20
    assert len(forwarded(link, 10.5)) == 480
    assert len(forwarded(link, 11.0)) == 500


def test_no_bandwidth_is_saved_up_during_a_pause() -> None:
    conditions = Conditions(bytes_per_second=100, is_stalled=True)
    link = new_link(conditions)
    link.push(b"x" * 100, now=10.0)
    assert link.next_due() is None
    conditions.is_stalled = False
    link.restart(now=20.0)
    assert len(forwarded(link, 20.5)) == 50


def test_less_than_a_byte_per_slice_is_one_byte_at_a_time() -> None:
    link = new_link(Conditions(bytes_per_second=2))
    link.push(b"ab", now=10.0)
    assert link.next_due() == 10.5
    assert link.take(10.5) == b"a"


@pytest.mark.parametrize("size", [1, 64, 65536])
def test_what_waits_is_bounded(size: int) -> None:
    link = new_link(Conditions(is_stalled=True))
    pushed = 0
    while not link.is_full:
        link.push(bytes(size), now=10.0)
        pushed += 1
    assert pushed * (size + CHUNK_BYTES) < MAX_WAITING_BYTES + size + CHUNK_BYTES
    link.clear()
    assert not link.is_full


def test_a_cut_after_bytes_is_exact() -> None:
    link = new_link(Conditions())
    link.push(b"abcd", now=10.0)
    cut = Cut(6, "reset")
    link.cut(cut)
    assert forwarded(link, 10.0) == b"abcd"
    assert link.reached_cut is None
    link.push(b"efgh", now=10.0)
    assert forwarded(link, 10.0) == b"ef"
    assert link.reached_cut is cut


@given(st.integers(1, 200), st.randoms(use_true_random=False))
def test_a_cut_is_in_the_middle_of_the_next_data_frame(size: int, chance: random.Random) -> None:
    """In whatever pieces the stream arrives, and whatever frames are before it."""
    before = SWITCHING + frame(TEXT, b"x" * chance.choice([1, 126, 70_000])) + frame(TEXT)
    ping, cut_frame = frame(PING, b"alive?"), frame(TEXT, b"y" * size)
    link = new_link(Conditions(), frames=True)
    link.push(before, now=1.0)
    assert forwarded(link, 1.0) == before
    link.cut(Cut(None, "close"))
    rest = ping + frame(TEXT) + cut_frame + frame(TEXT, b"never")
    got = b""
    while rest and link.reached_cut is None:
        step = chance.randint(1, 20)
        link.push(rest[:step], now=1.0)
        rest = rest[step:]
        got += forwarded(link, 1.0)
    assert got == ping + frame(TEXT) + cut_frame[: len(cut_frame) - size + size // 2]
    assert link.reached_cut == Cut(None, "close")


def test_the_middle_of_a_large_masked_frame_is_found() -> None:
    masked = b"\x82\xff" + (70_000).to_bytes(8) + b"mask" + bytes(70_000)
    link = new_link(Conditions(), frames=True)
    link.cut(Cut(None, "reset"))
    link.push(b"GET /v1/realtime HTTP/1.1\r\n\r\n" + masked, now=1.0)
    assert forwarded(link, 1.0).endswith(masked[:14] + bytes(35_000))
    assert link.reached_cut is not None


@pytest.mark.parametrize(
    "stream",
    [b"HTTP/1.1 401 Unauthorized\r\n\r\n" + frame(TEXT, b"body"), bytes(MAX_HEAD_BYTES + 9)],
)
def test_no_frames_are_found_in_a_stream_of_something_else(stream: bytes) -> None:
    assert FrameScanner().scan(stream) == []
    link = new_link(Conditions(), frames=True)
    link.cut(Cut(None, "reset"))
    link.push(stream, now=1.0)
    assert forwarded(link, 1.0) == stream


def test_a_cut_can_be_taken_back() -> None:
    link = new_link(Conditions())
    link.cut(Cut(1, "reset"))
    link.cut(None)
    link.push(b"abc", now=1.0)
    assert link.take(1.0) == b"abc"

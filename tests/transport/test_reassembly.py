from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.transport.reassembly import FrameViolation, MessageAssembler


@given(st.text(), st.lists(st.integers(min_value=0, max_value=40)))
def test_any_fragmentation_gives_the_same_message(text: str, cuts: list[int]) -> None:
    whole = text.encode()
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(edges)]
    assembler = MessageAssembler(len(whole))
    for _ in range(2):  # the first message leaves nothing behind
        message = assembler.begin(pieces[0], is_text=True, is_final=len(pieces) == 1)
        for number, piece in enumerate(pieces[1:], start=2):
            assert message is None
            message = assembler.resume(piece, is_final=number == len(pieces))
        assert message == whole


@given(st.binary())
def test_text_is_utf8_or_a_violation(data: bytes) -> None:
    is_utf8 = data.decode(errors="ignore").encode() == data
    with contextlib.nullcontext() if is_utf8 else pytest.raises(FrameViolation, match="not UTF-8"):
        assert MessageAssembler(1000).begin(data, is_text=True, is_final=True) == data
    assert MessageAssembler(1000).begin(data, is_text=False, is_final=True) == data


def test_a_continuation_of_a_binary_message_is_not_checked_as_text() -> None:
    assembler = MessageAssembler(10)
    assert assembler.begin(b"\xff", is_text=False, is_final=False) is None
    assert assembler.resume(b"\xff", is_final=True) == b"\xff\xff"


def test_the_cap_counts_all_fragments() -> None:
    assembler = MessageAssembler(3)
    assert assembler.begin(b"12", is_text=True, is_final=False) is None
    with pytest.raises(FrameViolation) as caught:
        assembler.resume(b"34", is_final=False)
    assert caught.value.code == 1009


def test_frames_out_of_order_are_violations() -> None:
    assembler = MessageAssembler(10)
    with pytest.raises(FrameViolation, match="never began"):
        assembler.resume(b"", is_final=True)
    assembler.begin(b"", is_text=True, is_final=False)
    with pytest.raises(FrameViolation, match="inside another"):
        assembler.begin(b"", is_text=True, is_final=True)

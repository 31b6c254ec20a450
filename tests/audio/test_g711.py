from __future__ import annotations

import warnings
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.audio import alaw_to_pcm16, pcm16_to_alaw, pcm16_to_ulaw, ulaw_to_pcm16
from duologue.audio.g711 import ALAW, ULAW, Law
from duologue.errors import ConfigurationError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    audioop = pytest.importorskip("audioop")  # left the library in 3.13

EVERY_BYTE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32_768, 32_768).astype(np.int16)
LAWS = pytest.mark.parametrize(("law", "name"), [(ULAW, "ulaw"), (ALAW, "alaw")])


def read_by_reference(name: str, data: bytes) -> bytes:
    pcm: bytes = getattr(audioop, f"{name}2lin")(data, 2)
    return pcm


def written_by_reference(name: str, pcm: bytes) -> bytes:
    data: bytes = getattr(audioop, f"lin2{name}")(pcm, 2)
    return data


@LAWS
def test_bytes_mean_the_same_as_to_the_reference(law: Law, name: str) -> None:
    assert law.decode(EVERY_BYTE).tobytes() == read_by_reference(name, EVERY_BYTE)


@LAWS
def test_no_sample_is_written_worse_than_by_the_reference(law: Law, name: str) -> None:
    ours = law.decode(law.encode(EVERY_SAMPLE)).astype(int)
    theirs = law.decode(written_by_reference(name, EVERY_SAMPLE.tobytes())).astype(int)
    assert (abs(ours - EVERY_SAMPLE) <= abs(theirs - EVERY_SAMPLE)).all()


@LAWS
def test_what_was_read_is_written_as_it_was(law: Law, name: str) -> None:
    back = law.encode(law.decode(EVERY_BYTE))
    changed = [code for code, again in zip(EVERY_BYTE, back, strict=True) if code != again]
    assert changed == ([0x7F] if law is ULAW else [])  # minus zero


def test_silence_has_the_byte_that_telephones_expect() -> None:
    silence = np.zeros(1, np.int16)
    assert (ULAW.encode(silence), ALAW.encode(silence)) == (b"\xff", b"\xd5")


@given(st.lists(st.integers(-32_768, 32_767)))
def test_louder_stays_louder(samples: list[int]) -> None:
    ordered = np.array(array("h", sorted(samples)), np.int16)
    for law in (ULAW, ALAW):
        assert (np.diff(law.decode(law.encode(ordered)).astype(int)) >= 0).all()


@LAWS
def test_bytes_are_converted_at_the_same_rate(law: Law, name: str) -> None:
    there, back = {
        "ulaw": (pcm16_to_ulaw, ulaw_to_pcm16),
        "alaw": (pcm16_to_alaw, alaw_to_pcm16),
    }[name]
    assert back(EVERY_BYTE) == read_by_reference(name, EVERY_BYTE)
    assert there(EVERY_SAMPLE.tobytes()) == law.encode(EVERY_SAMPLE)
    with pytest.raises(ConfigurationError, match="3 bytes are not whole PCM16 samples"):
        there(b"abc")

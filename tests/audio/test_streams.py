from __future__ import annotations

import math
import subprocess
import sys
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.audio.streams import AudioStream, decoder, encoder
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format

G711 = pytest.mark.parametrize("format_", [G711_ULAW, G711_ALAW], ids=["ulaw", "alaw"])


def tone(ms: int, hz: int = 440) -> bytes:
    count = PCM16.rate_hz * ms // 1000
    step = 2 * math.pi * hz / PCM16.rate_hz
    return array("h", (round(8000 * math.sin(step * n)) for n in range(count))).tobytes()


def whole(stream: AudioStream, audio: bytes) -> bytes:
    return stream.feed(audio) + stream.finish()


@G711
def test_a_tone_sounds_the_same_after_both_ways(format_: Format) -> None:
    sent = tone(500)
    wire = whole(encoder(format_), sent)
    assert len(wire) == format_.bytes(500)
    heard = whole(decoder(format_), wire)
    assert len(heard) == len(sent)
    pairs = list(zip(array("h", sent), array("h", heard), strict=True))[2400:-2400]
    noise = sum((a - b) ** 2 for a, b in pairs) / sum(a * a for a, _ in pairs)
    assert 10 * math.log10(noise) < -30  # G.711 itself: -38 dB


@given(st.lists(st.integers(0, 700), max_size=12), st.sampled_from([G711_ULAW, G711_ALAW]))
def test_any_chunking_sounds_the_same(sizes: list[int], format_: Format) -> None:
    pcm = tone(200, hz=300)
    wire = whole(encoder(format_), pcm)
    assert _in_pieces(encoder(format_), pcm, [2 * size for size in sizes]) == wire
    assert _in_pieces(decoder(format_), wire, sizes) == whole(decoder(format_), wire)


def _in_pieces(stream: AudioStream, audio: bytes, sizes: list[int]) -> bytes:
    out = b""
    for size in sizes:
        out += stream.feed(audio[:size])
        audio = audio[size:]
    return out + whole(stream, audio)


@G711
def test_a_finished_stream_begins_again(format_: Format) -> None:
    stream = decoder(format_)
    once = whole(stream, b"\x20" * 800)
    assert whole(stream, b"\x20" * 800) == once


def test_pcm16_passes_unchanged() -> None:
    audio = tone(20)
    assert decoder(PCM16).feed(audio) is audio
    assert encoder(PCM16).feed(audio) is audio
    assert encoder(PCM16).finish() == b""


def test_without_its_packages_g711_names_the_extra() -> None:
    script = """
import sys
sys.modules["soxr"] = None
from duologue.audio.streams import decoder, encoder
from duologue.errors import MissingExtra
from duologue.protocol.formats import G711_ALAW
for open_stream in (decoder, encoder):
    try:
        open_stream(G711_ALAW)
    except MissingExtra as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    advice = "Audio in audio/pcma needs more packages: pip install 'duologue[audio]'\n"
    assert done.stdout == advice * 2

from __future__ import annotations

import pytest

from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format, format_named


@pytest.mark.parametrize(
    ("format_", "second"), [(PCM16, 48_000), (G711_ULAW, 8000), (G711_ALAW, 8000)]
)
def test_bytes_and_milliseconds_are_two_views_of_the_same(format_: Format, second: int) -> None:
    assert format_.bytes(1000) == second
    assert format_.ms(second) == 1000
    assert format_.ms(second - 1) == 999
    assert format_.samples(second) == format_.rate_hz


def test_a_fraction_of_a_millisecond_counts_whole_samples() -> None:
    assert PCM16.bytes(0.05) == 2  # 1.2 samples
    assert PCM16.bytes(2.5) == 120


@pytest.mark.parametrize(
    ("name", "format_"),
    [("audio/pcm", PCM16), ("pcm16", PCM16), ("audio/pcmu", G711_ULAW), ("g711_alaw", G711_ALAW)],
)
def test_both_dialects_name_the_same_formats(name: str, format_: Format) -> None:
    assert format_named(name) is format_


def test_a_format_that_nobody_knows_has_no_arithmetic() -> None:
    assert format_named("audio/opus") is None

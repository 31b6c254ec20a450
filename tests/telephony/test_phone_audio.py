"""Audio between phone and session: what passes unchanged, what is converted, and frames."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue.errors import MissingExtra
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format
from duologue.telephony.messages import PCMA, PCMU, AudioEncoding, encoding_named
from duologue.telephony.phone_audio import FrameEncoder, PhoneDecoder


def linear(rate_hz: int) -> AudioEncoding:
    encoding = encoding_named("L16", rate_hz)
    assert encoding is not None
    return encoding


def tone(rate_hz: int, ms: int = 400) -> np.ndarray:
    return (np.sin(np.arange(rate_hz * ms // 1000) * 2500 / rate_hz) * 9000).astype(np.int16)


@given(st.lists(st.binary(max_size=400), max_size=10))
def test_g711_passes_unchanged_in_frames(chunks: list[bytes]) -> None:
    encoder = FrameEncoder(G711_ULAW, PCMU)
    frames = [frame for chunk in chunks for frame in encoder.feed(chunk)]
    whole = b"".join(chunks)
    assert encoder.lag == len(whole) % 160
    frames += encoder.finish()
    assert {len(frame) for frame in frames} <= {160}
    assert b"".join(frames) == whole + b"\xff" * (-len(whole) % 160)
    assert encoder.lag == 0
    assert PhoneDecoder(PCMU, G711_ULAW).feed(whole) == whole


def test_the_rest_can_be_discarded() -> None:
    encoder = FrameEncoder(G711_ALAW, PCMA)
    assert encoder.feed(b"\x01" * 159) == []
    encoder.reset()
    assert encoder.lag == 0
    assert encoder.feed(b"\x02" * 160) == [b"\x02" * 160]


def test_linear_audio_at_the_rate_of_the_session_only_changes_its_byte_order() -> None:
    samples = tone(24_000)
    network = samples.astype(">i2").tobytes()
    decoder = PhoneDecoder(linear(24_000), PCM16)
    split = decoder.feed(network[:101]) + decoder.feed(network[101:])
    assert split == samples.tobytes()
    frames = FrameEncoder(PCM16, linear(24_000)).feed(samples.tobytes())
    assert b"".join(frames) == network


@pytest.mark.parametrize("source", [PCM16, G711_ULAW, G711_ALAW], ids=lambda each: each.name)
@pytest.mark.parametrize(
    "target", [PCMU, PCMA, linear(8_000), linear(16_000)], ids=lambda each: f"{each}"[:40]
)
def test_converted_audio_has_the_same_length(source: Format, target: AudioEncoding) -> None:
    audio = source.silence * (source.rate_hz * 400 // 1000)
    encoder = FrameEncoder(source, target)
    frames = encoder.feed(audio)
    assert len(frames) * 20 + encoder.lag * 1000 / source.rate_hz == pytest.approx(400, abs=1)
    frames += encoder.finish()
    assert 400 <= len(frames) * 20 <= 420
    decoder = PhoneDecoder(target, source)
    decoded = b"".join(map(decoder.feed, frames))
    assert source.ms(len(decoded)) == pytest.approx(400, abs=90)


def test_a_voice_survives_the_conversion() -> None:
    decoder = PhoneDecoder(linear(16_000), PCM16)
    heard = np.frombuffer(decoder.feed(tone(16_000).astype(">i2").tobytes()), np.int16)
    expected = tone(24_000)[: len(heard)]
    assert np.abs(heard[1000:] - expected[1000:].astype(np.int32)).max() < 200


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("numpy", "duologue.audio.g711"):
        monkeypatch.setitem(sys.modules, module, None)
    assert PhoneDecoder(PCMU, G711_ULAW).feed(b"\x01") == b"\x01"
    for source in (PCMA, linear(16_000)):
        with pytest.raises(MissingExtra, match=r"duologue\[audio\]"):
            PhoneDecoder(source, G711_ULAW)

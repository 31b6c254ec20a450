"""Speakers: what the device played is what the ledger counts as heard, to the sample."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duologue import ConfigurationError, LocalProtocolError
from duologue.devices import Speaker, VirtualClock, VirtualSpeaker, WavOutput
from duologue.protocol.formats import G711_ULAW, PCM16

RATES = [8_000, 16_000, 22_050, 24_000, 44_100, 48_000]


def noise(count: int, seed: int = 1) -> bytes:
    """Return samples among which none is silence."""
    chance = np.random.default_rng(seed)
    return (
        (chance.integers(1000, 8000, count) * chance.choice((-1, 1), count))
        .astype(np.int16)
        .tobytes()
    )


@given(
    before_ms=st.integers(0, 300),
    heard_ms=st.integers(0, 700),
    latency_ms=st.integers(0, 120),
    block_ms=st.sampled_from([5, 10, 20]),
)
def test_what_the_device_played_is_what_was_heard(
    before_ms: int, heard_ms: int, latency_ms: int, block_ms: int
) -> None:
    clock = VirtualClock()
    device = VirtualSpeaker(clock, latency_ms=latency_ms)
    speaker = Speaker(device, block_ms=block_ms)
    speaker.open()
    clock.advance(before_ms)
    audio = noise(24_000)
    speaker.add("item", audio)
    speaker.end("item")
    clock.advance(heard_ms)
    [cut] = speaker.interrupt()
    clock.advance(500)
    speaker.close()
    played = np.frombuffer(device.played, np.int16)
    heard = played[played != 0].tobytes()
    assert heard == audio[: 2 * cut.heard_samples]
    assert len(heard) < len(audio)


@pytest.mark.parametrize("latency_ms", [0, 40])
@pytest.mark.parametrize("rate_hz", RATES)
def test_resampled_audio_is_counted_to_the_sample(rate_hz: int, latency_ms: int) -> None:
    clock = VirtualClock()
    device = VirtualSpeaker(clock, rate_hz=rate_hz, latency_ms=latency_ms)
    speaker = Speaker(device)
    speaker.open()
    speaker.add("item", noise(24_000))
    clock.advance(400)
    [cut] = speaker.interrupt()
    audible_ms = 400 - latency_ms
    assert cut.heard_samples == audible_ms * 24
    assert cut.audio_end_ms == audible_ms
    clock.advance(400)
    played = np.frombuffer(device.played, np.int16)
    assert np.count_nonzero(played[rate_hz * 4 // 10 :]) == 0
    speaker.close()


def test_a_sound_comes_out_at_the_place_where_it_went_in() -> None:
    """The filter's delay is compensated, so counting samples on both sides is exact."""
    clock = VirtualClock()
    device = VirtualSpeaker(clock, rate_hz=48_000)
    speaker = Speaker(device)
    speaker.open()
    click = np.zeros(24_000, np.int16)
    click[6000] = 20_000
    speaker.add("item", click.tobytes())
    clock.advance(500)
    played = np.frombuffer(device.played, np.int16)
    assert abs(int(np.argmax(np.abs(played))) - 12_000) <= 1
    speaker.close()


def test_telephone_audio_is_decoded() -> None:
    clock = VirtualClock()
    device = VirtualSpeaker(clock, rate_hz=8_000, channels=2)
    speaker = Speaker(device, format=G711_ULAW)
    speaker.open()
    speaker.add("item", b"\x80" * 800)  # the loudest sample
    clock.advance(60)
    [cut] = speaker.interrupt()
    assert (cut.heard_samples, cut.audio_end_ms) == (480, 60)
    assert set(np.frombuffer(device.played, np.int16).tolist()) == {32_124}
    speaker.close()


def test_an_interrupted_item_is_not_played_and_the_next_one_is() -> None:
    clock = VirtualClock()
    device = VirtualSpeaker(clock, latency_ms=20)
    speaker = Speaker(device)
    speaker.open()
    speaker.add("first", noise(4800))
    clock.advance(60)
    assert speaker.is_playing
    assert [cut.audio_end_ms for cut in speaker.interrupt()] == [40]
    assert not speaker.add("first", noise(4800))
    assert speaker.add("second", noise(480, seed=2))
    speaker.end("second")
    clock.advance(60)
    assert not speaker.is_playing
    assert device.played.endswith(noise(480, seed=2) + bytes(960))
    assert speaker.interrupt() == []
    speaker.close()


def test_a_pause_goes_on_where_it_stopped() -> None:
    clock = VirtualClock()
    device = VirtualSpeaker(clock)
    speaker = Speaker(device)
    speaker.open()
    audio = noise(4800)
    speaker.add("item", audio)
    clock.advance(40)
    speaker.pause()
    clock.advance(100)
    speaker.resume()
    clock.advance(40)
    [cut] = speaker.interrupt()
    assert cut.audio_end_ms == 80
    assert device.played == audio[:1920] + bytes(4800) + audio[1920:3840]
    speaker.close()


def test_an_item_that_left_the_conversation_is_dropped_alone() -> None:
    clock = VirtualClock()
    device = VirtualSpeaker(clock)
    speaker = Speaker(device)
    speaker.open()
    speaker.add("gone", noise(4800))
    speaker.add("kept", noise(960, seed=2))
    clock.advance(20)
    speaker.drop("gone")
    clock.advance(40)
    assert device.played == noise(4800)[:960] + noise(960, seed=2)
    assert not speaker.add("gone", noise(480))
    speaker.close()


def test_volume_and_counters() -> None:
    clock = VirtualClock()
    device = VirtualSpeaker(clock)
    speaker = Speaker(device)
    speaker.keeps_reference = True
    speaker.open()
    assert speaker.silent_seconds == float("inf")
    speaker.gain = 0.5
    speaker.add("item", b"\x00\x10" * 720)
    clock.advance(40)
    assert device.played == b"\x00\x08" * 720 + bytes(480)
    assert speaker.take_reference().tobytes() == device.played
    assert speaker.take_reference().size == 0
    assert speaker.silent_seconds == 0.01
    assert speaker.statistics().played_frames == 960
    assert speaker.statistics().waiting_ms == 0
    speaker.close()


def test_a_file_gets_what_is_audible(tmp_path: Path) -> None:
    clock = VirtualClock()
    path = tmp_path / "answer.wav"
    speaker = Speaker(WavOutput(path, clock=clock))
    speaker.open()
    speaker.add("item", noise(960))
    clock.advance(60)
    speaker.close()
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (24_000, 1)
        assert file.readframes(file.getnframes()) == noise(960) + bytes(960)


def test_wrong_use_is_refused_with_the_fix(tmp_path: Path) -> None:
    speaker = Speaker(VirtualSpeaker(VirtualClock()), format=PCM16)
    speaker.open()
    with pytest.raises(LocalProtocolError, match="open already"):
        speaker.open()
    speaker.close()
    with pytest.raises(ConfigurationError, match="are for sound cards"):
        Speaker(VirtualSpeaker(VirtualClock()), channels=2)
    with pytest.raises(ConfigurationError, match="there is no folder"):
        Speaker(WavOutput(tmp_path / "nowhere" / "a.wav")).open()

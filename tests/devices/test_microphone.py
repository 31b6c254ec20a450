"""Microphones: exact sample accounting, any channel layout, errors with their fix."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from duologue import Closed, ConfigurationError, LocalProtocolError
from duologue.audio.wav import read_wav
from duologue.devices import Microphone, StreamShape, VirtualClock, VirtualMicrophone, WavInput
from duologue.devices.audio_device import Capture, Int16Samples
from duologue.protocol.formats import G711_ALAW, G711_ULAW, PCM16, Format

pytestmark = pytest.mark.asyncio

AUDIO = Path(__file__).parents[1] / "data" / "audio"


def tone(ms: int, rate_hz: int, *, hz: float = 440, amplitude: float = 8000) -> bytes:
    times = np.arange(ms * rate_hz // 1000) / rate_hz
    return np.rint(amplitude * np.sin(2 * np.pi * hz * times)).astype(np.int16).tobytes()


async def everything(microphone: Microphone) -> bytes:
    return b"".join([audio async for audio in microphone])


@pytest.mark.parametrize("format_", [PCM16, G711_ULAW, G711_ALAW])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
async def test_every_captured_sample_is_delivered(rate_hz: int, format_: Format) -> None:
    clock = VirtualClock()
    device = VirtualMicrophone(clock, rate_hz=rate_hz)
    device.say(tone(1000, rate_hz))
    async with Microphone(device, format=format_) as microphone:
        clock.advance(1000)
        microphone.close()
        audio = await everything(microphone)
        statistics = microphone.statistics()
    assert statistics.captured_frames == rate_hz
    assert format_.samples(len(audio)) == statistics.delivered_samples == format_.rate_hz
    assert statistics.dropped_frames == 0


async def test_without_conversion_the_samples_are_unchanged() -> None:
    clock = VirtualClock()
    device = VirtualMicrophone(clock)
    speech = tone(200, 24_000)
    device.say(speech)
    async with Microphone(device) as microphone:
        clock.advance(200)
        assert await anext(microphone) == speech[:960]
        assert microphone.seconds == 0.02
        assert microphone.level == pytest.approx(-15.3, abs=0.5)
        microphone.close()
        assert await everything(microphone) == speech[960:]


async def test_the_iteration_waits_for_audio_and_ends_when_the_microphone_is_closed() -> None:
    clock = VirtualClock()
    async with Microphone(VirtualMicrophone(clock)) as microphone:
        reading = asyncio.create_task(everything(microphone))
        await clock.run(60)
        microphone.close()
        assert await reading == bytes(48 * 60)


async def test_a_slow_reader_loses_the_oldest_audio_and_it_is_counted() -> None:
    clock = VirtualClock()
    device = VirtualMicrophone(clock)
    speech = tone(3000, 24_000)
    device.say(speech)
    async with Microphone(device) as microphone:
        clock.advance(3000)
        assert microphone.statistics().dropped_frames == 24_000
        microphone.close()
        assert await everything(microphone) == speech[48_000:]
        assert microphone.statistics().dropped_frames == 24_000


class Stereo:
    """Device with two different channels, which loses samples once."""

    def open(self, block_ms: int) -> StreamShape:
        return StreamShape(24_000, 2)

    def start(self, capture: Capture) -> None:
        block: Int16Samples = np.tile(np.array([[100, 300]], np.int16), (480, 1))
        capture(block, False)
        capture(block, True)
        block[:] = 0  # the block was only valid during the call

    def stop(self) -> None:
        pass


@pytest.mark.parametrize(("channel", "value"), [(None, 200), (0, 100), (1, 300)])
async def test_one_channel_is_chosen_or_the_mean_of_all(channel: int | None, value: int) -> None:
    async with Microphone(Stereo(), channel=channel) as microphone:
        microphone.close()
        audio = await everything(microphone)
        assert set(np.frombuffer(audio, np.int16).tolist()) == {value}
        assert microphone.statistics().overflows == 1


async def test_wrong_use_is_refused_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no channel 2: the device has 2"):
        Microphone(Stereo(), channel=2).open()
    with pytest.raises(ConfigurationError, match="are for sound cards"):
        Microphone(Stereo(), rate_hz=48_000)
    with pytest.raises(Closed, match="not open"):
        await anext(Microphone(Stereo()))
    async with Microphone(Stereo()) as microphone:
        with pytest.raises(LocalProtocolError, match="open already"):
            microphone.open()
    with pytest.raises(ConfigurationError, match=r"cannot read .*missing\.wav"):
        Microphone(WavInput(tmp_path / "missing.wav")).open()


async def test_a_file_is_captured_and_silence_follows_it() -> None:
    clock = VirtualClock()
    device = WavInput(AUDIO / "hello.wav", clock=clock)
    speech = read_wav(AUDIO / "hello.wav")
    async with Microphone(device) as microphone:
        assert not device.has_ended
        clock.advance(2000)
        microphone.close()
        audio = await everything(microphone)
    assert device.has_ended
    assert audio == speech.ljust(48 * 2000, b"\0")


async def test_a_file_is_captured_in_real_time_by_default() -> None:
    async with Microphone(WavInput(AUDIO / "hello.wav"), block_ms=1) as microphone:
        first = [await anext(microphone) for _ in range(5)]
    assert b"".join(first) == read_wav(AUDIO / "hello.wav")[: 48 * 5]

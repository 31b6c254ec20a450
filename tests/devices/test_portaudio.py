"""Sound cards, with a double of `sounddevice`: no machine of the tests has a sound card."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from duologue import ConfigurationError, MissingExtra
from duologue.devices import Microphone, Speaker, list_devices

pytestmark = pytest.mark.asyncio


class PortAudioError(Exception):
    """As that of `sounddevice`: a text, and PortAudio's code."""


@dataclass
class Stream:
    options: dict[str, Any]
    is_running: bool = False

    def start(self) -> None:
        self.is_running = True

    def close(self) -> None:
        self.is_running = False


def card(name: str, inputs: int, outputs: int, rate_hz: float = 48_000.0) -> dict[str, Any]:
    return {
        "name": name,
        "max_input_channels": inputs,
        "max_output_channels": outputs,
        "default_samplerate": rate_hz,
    }


@dataclass
class SoundDevice:
    """The part of the module that is used."""

    cards: list[dict[str, Any]] = field(
        default_factory=lambda: [card("Built-in", 2, 2), card("Headset", 1, 2, 44_100.0)]
    )
    failure: tuple[str, int] | None = None
    streams: list[Stream] = field(default_factory=list)
    default: Any = field(default_factory=lambda: SimpleNamespace(device=(0, 1)))
    PortAudioError: type[Exception] = PortAudioError

    def query_devices(self, device: int | str | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return self.cards
        if not self.cards:
            raise PortAudioError("Error querying device -1")
        if isinstance(device, str):
            found = [n for n, each in enumerate(self.cards) if device in each["name"]]
            if len(found) != 1:
                raise ValueError(f"No {kind} device matching {device!r}")
            device = found[0]
        device = 0 if device is None else device
        return {"index": device, **self.cards[device]}

    def _open(self, **options: Any) -> Stream:
        if self.failure is not None:
            raise PortAudioError(*self.failure)
        self.streams.append(Stream(options))
        return self.streams[-1]

    InputStream = OutputStream = _open


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> SoundDevice:
    found = SoundDevice()
    monkeypatch.setitem(sys.modules, "sounddevice", found)
    return found


async def test_devices_are_listed(module: SoundDevice) -> None:
    built_in, headset = list_devices()
    assert (built_in.index, built_in.name, built_in.rate_hz) == (0, "Built-in", 48_000)
    assert built_in.is_default_input
    assert headset.is_default_output
    assert (headset.input_channels, headset.output_channels) == (1, 2)


async def test_a_microphone_captures_from_a_card_at_its_own_rate(module: SoundDevice) -> None:
    async with Microphone("Headset") as microphone:
        [stream] = module.streams
        assert stream.is_running
        assert stream.options["samplerate"] == 44_100
        assert stream.options["blocksize"] == 882
        assert (stream.options["device"], stream.options["channels"]) == (1, 1)
        for lost in (False, True):
            block = np.full((882, 1), 500, np.int16)
            stream.options["callback"](block, 882, None, SimpleNamespace(input_overflow=lost))
        microphone.close()
        audio = b"".join([each async for each in microphone])
    assert len(audio) == 2 * 960
    assert not stream.is_running
    assert microphone.statistics().overflows == 1


async def test_a_speaker_plays_on_a_card_and_follows_its_latency(module: SoundDevice) -> None:
    async with Speaker(0, rate_hz=24_000, channels=2) as speaker:
        [stream] = module.streams
        speaker.add("item", b"\x00\x10" * 480)
        speaker.end("item")
        block = np.zeros((480, 2), np.int16)
        times = SimpleNamespace(outputBufferDacTime=5.05, currentTime=5.0)
        stream.options["callback"](block, 480, times, SimpleNamespace(output_underflow=True))
        assert set(block.ravel().tolist()) == {4096}
        assert speaker.statistics().underruns == 1
        assert speaker.is_playing, "for another 50 ms"
        for _ in range(3):
            stream.options["callback"](block, 480, times, SimpleNamespace(output_underflow=False))
        assert speaker.silent_seconds == pytest.approx(0.01)
        assert speaker.interrupt() == []


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (("Invalid sample rate", -9997), "'Built-in' has no rate of 8000 Hz: leave out `rate_hz`"),
        (("Invalid number of channels", -9998), "'Built-in' has 2 input channels: choose"),
        (("Device unavailable", -9985), "close other programs that use it .Device unavailable"),
    ],
)
async def test_a_card_that_cannot_be_opened_is_explained(
    module: SoundDevice, failure: tuple[str, int], text: str
) -> None:
    module.failure = failure
    with pytest.raises(ConfigurationError, match=text):
        Microphone(rate_hz=8000).open()


async def test_a_card_that_is_not_there_is_explained(module: SoundDevice) -> None:
    with pytest.raises(ConfigurationError, match="'Built-in', 'Headset'"):
        Microphone("Webcam").open()
    module.cards.clear()
    with pytest.raises(ConfigurationError, match=r"no output device: connect one; .* `WavOutput`"):
        Speaker().open()


async def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtra, match=r"pip install 'duologue\[audio\]'"):
        list_devices()


@pytest.fixture
def without_portaudio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let `import sounddevice` fail as the package does without the library."""
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    yield
    sys.modules.pop("sounddevice", None)


async def test_a_missing_library_is_named(without_portaudio: None) -> None:
    for use in (list_devices, Microphone().open, Speaker().open):
        with pytest.raises(ConfigurationError, match="apt install libportaudio2"):
            use()

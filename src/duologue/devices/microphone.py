"""Microphone: audio of a device in the session's format, as an asynchronous iterator."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self

import numpy as np

from duologue.audio.resampling import Resampler
from duologue.devices.audio_device import StreamShape
from duologue.devices.portaudio import SoundCardInput
from duologue.devices.samples import SILENCE_DB, encode, level_db
from duologue.errors import Closed, ConfigurationError, LocalProtocolError
from duologue.protocol.formats import PCM16, Format

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from duologue.devices.audio_device import InputDevice, Int16Samples

__all__ = ["AudioFilter", "Microphone", "MicrophoneStatistics"]

BLOCK_MS: Final = 20
"""Length of a block: the length of speech codecs' frames. Shorter ones cost more and gain little
beside a network."""

MAX_WAITING_MS: Final = 2000
"""Audio that waits at most for the iteration. Older audio would be answered too late anyway."""


class AudioFilter(Protocol):
    """Processing of the captured audio before it is converted, such as echo cancellation."""

    rate_hz: int
    """Rate of the samples that it processes."""

    def feed(self, samples: Int16Samples) -> Int16Samples:
        """Return the processed samples that are ready, (n,) int16."""
        ...

    def finish(self) -> Int16Samples:
        """Return the rest."""
        ...


@dataclass(frozen=True, slots=True)
class MicrophoneStatistics:
    """Counters of a microphone since it was opened."""

    captured_frames: int
    """Frames at the device's rate, without those that were dropped."""
    delivered_samples: int
    """Samples that the iteration has yielded, at the rate of the format."""
    dropped_frames: int
    """Frames that were dropped because the iteration was too slow."""
    overflows: int
    """Times that the device itself lost samples, because the computer was too slow."""


class Microphone:
    """Audio of a device, converted to the format of a session.

        async with Microphone() as microphone:
            async for audio in microphone:
                client.append_input_audio(audio)

    The iteration ends when the microphone is closed. It never waits for a slow reader: at most
    two seconds of audio wait, then the oldest are dropped and counted. One task may iterate.

    Args:
        device: Number or a part of the name of a sound card, or another device, such as a
            `WavInput`; `None`: the system's default. `list_devices()` names them.
        rate_hz: Rate of the sound card; by default its own.
        channels: Number of channels to capture.
        channel: The one to use, from 0; `None`: the mean of all.
        format: Format of the audio: `client.input_format`. `attach` sets it.
        block_ms: Length of a block in milliseconds.
    """

    def __init__(
        self,
        device: int | str | InputDevice | None = None,
        *,
        rate_hz: int | None = None,
        channels: int | None = None,
        channel: int | None = None,
        format: Format = PCM16,  # noqa: A002  # the wire's own word
        block_ms: int = BLOCK_MS,
    ) -> None:
        if device is None or isinstance(device, int | str):
            device = SoundCardInput(device, rate_hz=rate_hz, channels=channels or 1)
        elif rate_hz is not None or channels is not None:
            raise ConfigurationError("rate_hz and channels are for sound cards: set the device's")
        self.format: Format = format
        """Format of the audio; it may be set while the microphone is closed."""
        self.filter: AudioFilter | None = None
        """Processing before the conversion; it may be set while the microphone is closed."""
        self.level: float = SILENCE_DB
        """Level of the last block in dB relative to full scale, 0 to -96."""
        self._device: Final = device
        self._channel: Final = channel
        self._block_ms: Final = block_ms
        self._blocks: Final[deque[tuple[Int16Samples, bool]]] = deque(
            maxlen=MAX_WAITING_MS // block_ms
        )
        self._arrived: Final = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_open = False
        self._shape = StreamShape(PCM16.rate_hz, 1)
        self._before: Resampler | None = None
        self._after: Resampler | None = None
        self._arrived_frames = self._captured = self._delivered = self._overflows = 0

    @property
    def seconds(self) -> float:
        """Time on the device's own clock: seconds of audio that the iteration has taken."""
        return self._captured / self._shape.rate_hz

    def statistics(self) -> MicrophoneStatistics:
        """Return the counters."""
        waiting = sum(len(block) for block, _ in tuple(self._blocks))
        dropped = max(0, self._arrived_frames - self._captured - waiting)
        return MicrophoneStatistics(self._captured, self._delivered, dropped, self._overflows)

    def open(self) -> None:
        """Begin to capture, on a running event loop.

        Raises:
            ConfigurationError: If the device cannot be opened; the message names the fix.
            MissingExtra: If its packages are not installed.
            LocalProtocolError: If the microphone is open.
        """
        if self._is_open:
            raise LocalProtocolError("the microphone is open already")
        self._loop = asyncio.get_running_loop()
        self._shape = shape = self._device.open(self._block_ms)
        if self._channel is not None and not 0 <= self._channel < shape.channels:
            self._device.stop()
            raise ConfigurationError(
                f"there is no channel {self._channel}: the device has {shape.channels}, from 0"
            )
        inner_hz = shape.rate_hz if self.filter is None else self.filter.rate_hz
        self._before = _resampler(shape.rate_hz, inner_hz)
        self._after = _resampler(inner_hz, self.format.rate_hz)
        self._blocks.clear()
        self._arrived_frames = self._captured = self._delivered = self._overflows = 0
        self._is_open = True
        self._device.start(self._capture)

    def close(self) -> None:
        """Release the device, and end the iteration after the audio that waits."""
        if self._is_open:
            self._is_open = False
            self._device.stop()
            self._arrived.set()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Return the next audio.

        Raises:
            StopAsyncIteration: If the microphone was closed.
            Closed: If it was never opened.
        """
        if self._loop is None:
            raise Closed("the microphone is not open: use `async with`, or `open()`")
        while True:
            if self._blocks:
                audio = self._convert(*self._blocks.popleft())
            elif self._is_open:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            else:
                audio = self._rest()
                if not audio:
                    raise StopAsyncIteration
            if audio:
                return audio

    def _capture(self, block: Int16Samples, overflowed: bool) -> None:  # noqa: FBT001  # on the device's thread
        self._arrived_frames += len(block)
        self._blocks.append((block.copy(), overflowed))
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived.set)

    def _convert(self, block: Int16Samples, overflowed: bool) -> bytes:  # noqa: FBT001  # as captured
        self._captured += len(block)
        self._overflows += overflowed
        samples = self._mono(block)
        if self._before is not None:
            samples = self._before.feed(samples)
        if self.filter is not None:
            samples = self.filter.feed(samples)
        self.level = level_db(samples)
        if self._after is not None:
            samples = self._after.feed(samples)
        return self._encoded(samples)

    def _rest(self) -> bytes:
        """Return what the filters keep at the end, once."""
        samples = np.zeros(0, np.int16)
        before, after, self._before, self._after = self._before, self._after, None, None
        if before is not None:
            samples = before.finish()
        if self.filter is not None:
            samples = np.concatenate((self.filter.feed(samples), self.filter.finish()))
        if after is not None:
            samples = np.concatenate((after.feed(samples), after.finish()))
        return self._encoded(samples)

    def _mono(self, block: Int16Samples) -> Int16Samples:
        if self._channel is not None:
            return np.ascontiguousarray(block[:, self._channel])
        if block.shape[1] == 1:
            return block[:, 0]
        mean: NDArray[np.float64] = block.mean(axis=1)
        return np.rint(mean).astype(np.int16)

    def _encoded(self, samples: Int16Samples) -> bytes:
        self._delivered += len(samples)
        return encode(samples, self.format)


def _resampler(from_hz: int, to_hz: int) -> Resampler | None:
    return None if from_hz == to_hz else Resampler(from_hz, to_hz)

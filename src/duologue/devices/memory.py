"""Devices in memory, and the clocks that drive them and the file devices.

On a `VirtualClock` nothing happens until it is advanced, so a test is exact and takes no time.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from duologue.devices.audio_device import Capture, Render, StreamShape
from duologue.errors import ConfigurationError
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.devices.audio_device import Samples

__all__ = ["DeviceClock", "RealTimeClock", "VirtualClock", "VirtualMicrophone", "VirtualSpeaker"]

MAX_MINUTES: Final = 30
"""Audio that a virtual microphone holds, and a virtual speaker remembers, at most."""


class DeviceClock(Protocol):
    """Calls the devices that are started on it once per block."""

    def start(self, tick: Callable[[], None], period_ms: int) -> None:
        """Call `tick` every `period_ms` milliseconds from now on."""
        ...

    def stop(self, tick: Callable[[], None]) -> None:
        """Call it no more; harmless if it was not started."""
        ...


class VirtualClock:
    """Clock that advances on request only, in whole milliseconds."""

    def __init__(self) -> None:
        self.ms: int = 0
        """Milliseconds since the clock was made."""
        self._ticks: Final[dict[Callable[[], None], tuple[int, int]]] = {}

    def start(self, tick: Callable[[], None], period_ms: int) -> None:
        """Call `tick` every `period_ms` milliseconds from now on."""
        self._ticks[tick] = (self.ms, period_ms)

    def stop(self, tick: Callable[[], None]) -> None:
        """Call it no more."""
        self._ticks.pop(tick, None)

    def advance(self, ms: int) -> None:
        """Let time pass; the devices are called in the order in which they were started."""
        for _ in range(ms):
            self.ms += 1
            for tick, (since, period_ms) in list(self._ticks.items()):
                if (self.ms - since) % period_ms == 0:
                    tick()

    async def run(self, ms: int, *, step_ms: int = 20) -> None:
        """Let time pass step by step, while the event loop goes on in between.

        With a server in memory, the loop goes on until the audio of a step was answered, so that
        every run of a test is the same.
        """
        for start in range(0, ms, step_ms):
            self.advance(min(step_ms, ms - start))
            for _ in range(TURNS_PER_STEP):
                await asyncio.sleep(0)


TURNS_PER_STEP: Final = 10
"""Iterations of the event loop in a step: to the server and back takes about six."""


class RealTimeClock:
    """Clock of the real world; each device has a thread, as those of sound cards have."""

    def __init__(self) -> None:
        self._stopped: Final[
            dict[Callable[[], None], tuple[threading.Event, threading.Thread]]
        ] = {}

    def start(self, tick: Callable[[], None], period_ms: int) -> None:
        """Call `tick` every `period_ms` milliseconds, on a thread of its own."""
        stopped = threading.Event()
        name = "duologue device"
        thread = threading.Thread(
            target=_run, args=(tick, period_ms / 1000, stopped), name=name, daemon=True
        )
        self._stopped[tick] = stopped, thread
        thread.start()

    def stop(self, tick: Callable[[], None]) -> None:
        """Call it no more, and wait for a call that is under way."""
        found = self._stopped.pop(tick, None)
        if found is not None:
            stopped, thread = found
            stopped.set()
            thread.join()


def _run(tick: Callable[[], None], period: float, stopped: threading.Event) -> None:
    due = time.monotonic() + period
    while not stopped.wait(max(0.0, due - time.monotonic())):
        tick()
        due += period


class ClockedDevice:
    """Device that a clock calls once per block; counts frames so that no fraction is lost."""

    def __init__(self, clock: DeviceClock, *, rate_hz: int, channels: int) -> None:
        self._clock: Final = clock
        self._rate_hz: Final = rate_hz
        self._channels: Final = channels
        self._block_ms = 0
        self._blocks = 0

    def open(self, block_ms: int) -> StreamShape:
        """Reserve the device."""
        self._block_ms, self._blocks = block_ms, 0
        return StreamShape(self._rate_hz, self._channels)

    def stop(self) -> None:
        """Release the device."""
        self._clock.stop(self._tick)

    def _start(self) -> None:
        self._clock.start(self._tick, self._block_ms)

    def _next_frames(self) -> int:
        """Return the frames of the next block."""
        before = self._blocks * self._block_ms * self._rate_hz // 1000
        self._blocks += 1
        return self._blocks * self._block_ms * self._rate_hz // 1000 - before

    def _tick(self) -> None:
        raise NotImplementedError


class VirtualSpeaker(ClockedDevice):
    """Loudspeaker in memory: remembers what was audible.

    Args:
        clock: The clock that drives it.
        rate_hz: Samples per second.
        channels: Number of channels.
        latency_ms: Time between rendering and audibility, as a sound card's buffer causes it.
    """

    def __init__(
        self, clock: DeviceClock, *, rate_hz: int = 24_000, channels: int = 1, latency_ms: int = 0
    ) -> None:
        super().__init__(clock, rate_hz=rate_hz, channels=channels)
        self._latency_frames: Final = latency_ms * rate_hz // 1000
        self._buffered: Samples = np.zeros((self._latency_frames, channels), np.int16)
        self._played: Final[deque[Samples]] = deque()
        self.played_frames: int = 0
        """Frames that were audible, silence included."""

    @property
    def played(self) -> bytes:
        """The last minutes of what was audible, PCM16 of the first channel at the device's rate."""
        return self.samples(0, self.played_frames).tobytes()

    def samples(self, start: int, end: int) -> Samples:
        """Return what was audible between two frames, (n,) int16; zeros where that is unknown."""
        found = np.zeros(max(0, end - start), np.int16)
        at = self.played_frames
        for block in reversed(self._played):
            at -= len(block)
            low, high = max(start, at), min(end, at + len(block))
            if low < high:
                found[low - start : high - start] = block[low - at : high - at]
            if at <= start:
                break
        return found

    def start(self, render: Render) -> None:
        """Call `render` for each block."""
        self._render = render
        self._start()

    def flush(self) -> int:
        """Silence what is buffered; return its frames."""
        self._buffered = np.zeros_like(self._buffered)
        return self._latency_frames

    def _tick(self) -> None:
        frames = self._next_frames()
        block = self._render(frames, self._latency_frames / self._rate_hz, False)  # noqa: FBT003  # a protocol of positions
        queued = np.concatenate((self._buffered, block))
        self._buffered = queued[frames:]
        self.hear(queued[:frames])

    def hear(self, block: Samples) -> None:
        """Record a block that is audible now."""
        self._played.append(block[:, 0].copy())
        self.played_frames += len(block)
        if len(self._played) * self._block_ms > MAX_MINUTES * 60_000:
            self._played.popleft()


class VirtualMicrophone(ClockedDevice):
    """Microphone in memory: captures what is queued for it, and the echo of a speaker.

    Args:
        clock: The clock that drives it.
        rate_hz: Samples per second.
        channels: Number of channels; all get the same.
    """

    def __init__(self, clock: DeviceClock, *, rate_hz: int = 24_000, channels: int = 1) -> None:
        super().__init__(clock, rate_hz=rate_hz, channels=channels)
        self._queued = bytearray()
        self._echo: tuple[VirtualSpeaker, int, float] | None = None
        self._frames = 0

    @property
    def waiting_ms(self) -> int:
        """Milliseconds of speech that are queued."""
        return len(self._queued) * 1000 // (PCM16.sample_bytes * self._rate_hz)

    def say(self, pcm: bytes) -> None:
        """Queue speech, PCM16 at the device's rate; silence follows it.

        Raises:
            ConfigurationError: If more than 30 minutes wait.
        """
        if len(self._queued) + len(pcm) > MAX_MINUTES * 60 * PCM16.sample_bytes * self._rate_hz:
            raise ConfigurationError(f"more than {MAX_MINUTES} minutes of speech wait")
        self._queued += pcm

    def hear(self, speaker: VirtualSpeaker, *, delay_ms: int, gain_db: float) -> None:
        """Capture the echo of a speaker of the same clock and rate from now on.

        Args:
            speaker: The speaker.
            delay_ms: Delay of the echo: at least a block.
            gain_db: Its level: -20 is a tenth.
        """
        self._echo = speaker, delay_ms * self._rate_hz // 1000, 10 ** (gain_db / 20)

    def start(self, capture: Capture) -> None:
        """Call `capture` for each block."""
        self._capture = capture
        self._start()

    def _tick(self) -> None:
        frames = self._next_frames()
        size = frames * PCM16.sample_bytes
        said, self._queued[:size] = bytes(self._queued[:size]), b""
        block = np.frombuffer(said.ljust(size, b"\0"), np.int16).astype(np.float64)
        if self._echo is not None:
            speaker, delay, gain = self._echo
            start = self._frames - delay
            block += gain * speaker.samples(start, start + frames)
        self._frames += frames
        samples = np.rint(block).clip(-32_768, 32_767).astype(np.int16)
        self._capture(np.repeat(samples[:, None], self._channels, axis=1), False)  # noqa: FBT003  # as above

"""`duologue talk --save`: a folder with the audio and the transcript of a conversation.

| file | contains |
| --- | --- |
| `transcript.md`, `.jsonl`, `.srt`, `.vtt` | words in spoken order, with those not heard |
| `001-user.wav`, `002-assistant.wav`, … | each item; an answer as far as it was heard |
| `conversation.wav` | both sides over time: the microphone left, the speaker right |
"""

from __future__ import annotations

import time
import wave
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import numpy as np

from duologue.audio.resampling import Resampler
from duologue.audio.streams import decoder
from duologue.audio.wav import write_wav
from duologue.errors import ConfigurationError
from duologue.protocol.formats import PCM16
from duologue.session.updates import ConversationUpdated, ItemCompleted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from duologue.devices.audio_device import (
        Capture,
        InputDevice,
        Int16Samples,
        OutputDevice,
        Render,
        StreamShape,
    )
    from duologue.protocol.formats import Format
    from duologue.session.conversation import RealtimeConversation
    from duologue.session.formatted import FormattedItem
    from duologue.session.transcript import Transcript

__all__ = ["Recording"]

MAX_WAITING_BLOCKS: Final = 1500
"""Blocks that wait to be written: half a minute, far more than a screen takes to redraw."""

CHUNK_FRAMES: Final = 65_536
"""Frames that are mixed at once."""


class Recording:
    """Folder that a conversation is saved to.

    Args:
        folder: A folder that is empty, or does not exist yet.

    Raises:
        ConfigurationError: If it is not empty, or cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise ConfigurationError(f"{folder} is not empty: name a new folder for --save")
            self._tracks: Final = [_Track(folder / name) for name in ("left.pcm", "right.pcm")]
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigurationError(f"cannot save to {folder}: {reason}") from error
        self._folder: Final = folder
        self._items: Final[dict[str, tuple[Path, int]]] = {}  # file and size of each, by id
        self._count = 0
        self._began: float | None = None

    def microphone(self, device: InputDevice) -> InputDevice:
        """Return a device that captures from another one, and is recorded."""
        return _RecordedInput(device, self._tracks[0], self._seconds)

    def speaker(self, device: OutputDevice) -> OutputDevice:
        """Return a device that plays on another one, and is recorded."""
        return _RecordedOutput(device, self._tracks[1], self._seconds)

    def receive(self, update: object, output_format: Format, input_format: Format) -> None:
        """Process an update of the client: write the audio of an item that is complete, or cut."""
        if not isinstance(update, ItemCompleted | ConversationUpdated):
            return
        item = update.item
        is_known = item.id in self._items
        if isinstance(update, ItemCompleted) or (is_known and update.delta is None):
            self._write(item, input_format if item.role == "user" else output_format)

    def remove(self, item_id: str) -> None:
        """Remove the audio of an item that has left the conversation."""
        path, _ = self._items.pop(item_id, (None, 0))
        if path is not None:
            path.unlink(missing_ok=True)

    def drain(self) -> None:
        """Write what the devices have delivered."""
        for track in self._tracks:
            track.drain()

    def finish(
        self, conversation: RealtimeConversation, transcript: Transcript, input_format: Format
    ) -> None:
        """Write the rest: items that were under way, the transcript, and the mix.

        Raises:
            ConfigurationError: If a file cannot be written.
        """
        try:
            for item in conversation:
                is_user = item.role == "user"
                self._write(item, input_format if is_user else conversation.output_format)
            for suffix in ("md", "jsonl", "srt", "vtt"):
                transcript.save(self._folder / f"transcript.{suffix}")
            self._mix()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigurationError(f"cannot save to {self._folder}: {reason}") from error

    def _seconds(self) -> float:
        """Return the time since the first device was opened."""
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        return now - self._began

    def _write(self, item: FormattedItem, format_: Format) -> None:
        size = item.formatted.audio_bytes
        known = self._items.get(item.id)
        # Audio becomes shorter when an answer is cut, and vanishes when it is too old to be kept.
        if not size or item.role not in {"user", "assistant"} or (known and known[1] == size):
            return
        if known is None:
            self._count += 1
            path = self._folder / f"{self._count:03}-{item.role}.wav"
        else:
            path = known[0]
        self._items[item.id] = path, size
        stream = decoder(format_)
        write_wav(path, stream.feed(item.formatted.audio) + stream.finish())

    def _mix(self) -> None:
        """Write both tracks as one stereo file, and remove them."""
        self.drain()
        files = [track.reopened() for track in self._tracks]
        with wave.open(str(self._folder / "conversation.wav"), "wb") as mix:
            mix.setnchannels(2)
            mix.setsampwidth(PCM16.sample_bytes)
            mix.setframerate(PCM16.rate_hz)
            while any(chunks := [file.read(CHUNK_FRAMES * PCM16.sample_bytes) for file in files]):
                size = max(map(len, chunks))
                sides = [np.frombuffer(chunk.ljust(size, b"\0"), np.int16) for chunk in chunks]
                mix.writeframes(np.column_stack(sides).tobytes())
        for track in self._tracks:
            track.remove()


class _Track:
    """One side of the recording: mono PCM16 at 24 kHz, from the start of the conversation."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._file: BinaryIO = path.open("wb")
        self._samples = 0
        self._blocks: Final[deque[Int16Samples]] = deque(maxlen=MAX_WAITING_BLOCKS)
        self._resampler: Resampler | None = None

    def begin(self, rate_hz: int, seconds: float) -> None:
        """Begin with a device, with silence for the time before it."""
        self.drain()
        self._resampler = None if rate_hz == PCM16.rate_hz else Resampler(rate_hz, PCM16.rate_hz)
        self._put(np.zeros(max(0, round(seconds * PCM16.rate_hz) - self._samples), np.int16))

    def add(self, block: Int16Samples) -> None:
        """Add a device's block, (frames, channels) int16; on the device's thread."""
        self._blocks.append(block[:, 0].copy())

    def drain(self) -> None:
        """Write the blocks that wait."""
        while self._blocks:
            block = self._blocks.popleft()
            self._put(block if self._resampler is None else self._resampler.feed(block))

    def reopened(self) -> BinaryIO:
        """Complete the file; return it for reading."""
        self._file.close()
        self._file = self._path.open("rb")
        return self._file

    def remove(self) -> None:
        """Remove the file."""
        self._file.close()
        with suppress(OSError):
            self._path.unlink()

    def _put(self, samples: Int16Samples) -> None:
        self._samples += len(samples)
        self._file.write(samples.tobytes())


class _RecordedInput:
    def __init__(self, device: InputDevice, track: _Track, seconds: Callable[[], float]) -> None:
        self._device: Final = device
        self._track: Final = track
        self._seconds: Final = seconds

    def open(self, block_ms: int) -> StreamShape:
        shape = self._device.open(block_ms)
        self._track.begin(shape.rate_hz, self._seconds())
        return shape

    def start(self, capture: Capture) -> None:
        def captured(block: Int16Samples, overflowed: bool) -> None:  # noqa: FBT001  # as `Capture`
            self._track.add(block)
            capture(block, overflowed)

        self._device.start(captured)

    def stop(self) -> None:
        self._device.stop()


class _RecordedOutput:
    def __init__(self, device: OutputDevice, track: _Track, seconds: Callable[[], float]) -> None:
        self._device: Final = device
        self._track: Final = track
        self._seconds: Final = seconds

    def open(self, block_ms: int) -> StreamShape:
        shape = self._device.open(block_ms)
        self._track.begin(shape.rate_hz, self._seconds())
        return shape

    def start(self, render: Render) -> None:
        def rendered(frames: int, latency: float, underflowed: bool) -> Int16Samples:  # noqa: FBT001  # as `Render`
            block = render(frames, latency, underflowed)
            self._track.add(block)
            return block

        self._device.start(rendered)

    def stop(self) -> None:
        self._device.stop()

    def flush(self) -> int:
        return self._device.flush()

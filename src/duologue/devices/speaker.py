"""Speaker: plays the assistant's audio on a device, and knows what was heard of it."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from duologue.audio.resampling import Resampler
from duologue.devices.audio_device import StreamShape
from duologue.devices.portaudio import SoundCardOutput
from duologue.devices.samples import SILENCE_DB, decode, level_db
from duologue.errors import ConfigurationError, LocalProtocolError
from duologue.protocol.formats import PCM16, Format
from duologue.session.playback import PlaybackLedger

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from duologue.devices.audio_device import Int16Samples, OutputDevice
    from duologue.session.playback import PlaybackCut
    from duologue.session.updates import ConversationUpdated

__all__ = ["Speaker", "SpeakerStatistics"]

BLOCK_MS: Final = 20

MAX_REFERENCE_BLOCKS: Final = 50
"""Blocks that are kept for echo cancellation: a second, more than any backlog that is of use."""


@dataclass(frozen=True, slots=True)
class SpeakerStatistics:
    """Counters of a speaker since it was opened."""

    played_frames: int
    """Frames at the device's rate, silence included."""
    waiting_ms: int
    """Milliseconds of audio that wait to be played."""
    underruns: int
    """Times that the device ran out of samples, because the computer was too slow."""
    gaps: int
    """Times that an item was silent in its middle, because its audio came too late."""


class Speaker:
    """Device that plays the audio of a conversation.

        async with Speaker() as speaker:
            client.on(ConversationUpdated, speaker.receive)
            client.on(Interrupted, lambda _: client.truncate_items(speaker.interrupt()))

    Its `PlaybackLedger` follows the device's own clock: what was heard is what the device has
    played. All methods may be called from any thread.

    Args:
        device: Number or a part of the name of a sound card, or another device, such as a
            `WavOutput`; `None`: the system's default. `list_devices()` names them.
        rate_hz: Rate of the sound card; by default its own.
        channels: Number of channels; all play the same.
        format: Format of the audio: `client.conversation.output_format`. `attach` sets it.
        block_ms: Length of a block in milliseconds.
    """

    def __init__(
        self,
        device: int | str | OutputDevice | None = None,
        *,
        rate_hz: int | None = None,
        channels: int | None = None,
        format: Format = PCM16,  # noqa: A002  # the wire's own word
        block_ms: int = BLOCK_MS,
    ) -> None:
        if device is None or isinstance(device, int | str):
            device = SoundCardOutput(device, rate_hz=rate_hz, channels=channels or 1)
        elif rate_hz is not None or channels is not None:
            raise ConfigurationError("rate_hz and channels are for sound cards: set the device's")
        self.format: Format = format
        """Format of the audio; it may be set while the speaker is closed."""
        self.gain: float = 1.0
        """Factor of the volume: 0.25 for a whisper, 1 as received."""
        self.level: float = SILENCE_DB
        """Level of the last block in dB relative to full scale, 0 to -96."""
        self.keeps_reference: bool = False
        """Whether what is played is kept for `take_reference`."""
        self._device: Final = device
        self._block_ms: Final = block_ms
        self._lock: Final = threading.Lock()
        self._shape = StreamShape(PCM16.rate_hz, 1)
        self._is_open = False
        self._ledger = PlaybackLedger(format)
        self._stream = _RenderStream(format.rate_hz, format.rate_hz)
        self._unfinished: Final[set[str]] = set()
        self._sound_end: int | None = None  # the ledger's position after the last audio
        self._latency = 0.0
        self._reference: Final[deque[Int16Samples]] = deque(maxlen=MAX_REFERENCE_BLOCKS)
        self._played = self._underruns = self._gaps = 0
        self._is_in_gap = False

    @property
    def rate_hz(self) -> int:
        """Rate of the device, once it is open."""
        return self._shape.rate_hz

    @property
    def is_playing(self) -> bool:
        """Whether audio waits to be played or to become audible."""
        return self.silent_seconds <= 0

    @property
    def silent_seconds(self) -> float:
        """Time since the last audio was audible: 0 while there is some, infinite before any."""
        with self._lock:
            if self._ledger.waiting and not self._ledger.is_paused:
                return 0.0
            if self._sound_end is None:
                return math.inf
            audible = self._ledger.position - self._stream.unheard(self._latency_frames())
            return max(0.0, (audible - self._sound_end) / self.format.rate_hz)

    @property
    def waiting_ms(self) -> int:
        """Milliseconds of audio that wait to be played."""
        with self._lock:
            return self._ledger.waiting * 1000 // self.format.rate_hz

    def heard_ms(self, item_id: str) -> float:
        """Return how much of an item's audio was audible so far; 0 once it was interrupted."""
        with self._lock:
            unheard = self._stream.unheard(self._latency_frames())
            heard = self._ledger.heard_samples(item_id, unheard=unheard)
            return heard * 1000 / self.format.rate_hz

    def statistics(self) -> SpeakerStatistics:
        """Return the counters."""
        return SpeakerStatistics(self._played, self.waiting_ms, self._underruns, self._gaps)

    def open(self) -> None:
        """Begin to play.

        Raises:
            ConfigurationError: If the device cannot be opened; the message names the fix.
            MissingExtra: If its packages are not installed.
            LocalProtocolError: If the speaker is open.
        """
        if self._is_open:
            raise LocalProtocolError("the speaker is open already")
        self._shape = self._device.open(self._block_ms)
        self._ledger = PlaybackLedger(self.format)
        self._stream = _RenderStream(self.format.rate_hz, self._shape.rate_hz)
        self._unfinished.clear()
        self._reference.clear()
        self._sound_end = None
        self._played = self._underruns = self._gaps = 0
        self._is_open = True
        self._device.start(self._render)

    def close(self) -> None:
        """Release the device; audio that waits is not played."""
        if self._is_open:
            self._is_open = False
            self._device.stop()

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

    def receive(self, update: ConversationUpdated) -> bool:
        """Process an update of the conversation; return whether it added audio to play.

        Raises:
            DecodeError: If the audio is not valid base64.
        """
        with self._lock:
            has_audio = self._ledger.receive(update)
            if update.item.status != "in_progress":
                self._unfinished.discard(update.item.id)
            elif has_audio:
                self._unfinished.add(update.item.id)
            return has_audio

    def add(self, item_id: str, audio: bytes, content_index: int = 0) -> bool:
        """Append audio without updates; see `PlaybackLedger.add`."""
        with self._lock:
            return self._ledger.add(item_id, audio, content_index)

    def end(self, item_id: str) -> None:
        """Mark an item as complete; see `PlaybackLedger.end`."""
        with self._lock:
            self._ledger.end(item_id)

    def drop(self, item_id: str) -> None:
        """Stop playing one item, which has left the conversation."""
        with self._lock:
            self._unfinished.discard(item_id)
            self._ledger.drop(item_id)

    def interrupt(self) -> list[PlaybackCut]:
        """Be silent at once; return the items that were not heard to their end.

        Samples that the device plays in any case count as heard.
        """
        with self._lock:
            unheard = self._stream.unheard(self._device.flush() if self._is_open else 0)
            cuts = self._ledger.interrupt(unheard=unheard)
            self._stream.restart()
            self._unfinished.clear()
            self._ledger.is_paused = False
            self._sound_end = self._ledger.position if self._sound_end is not None else None
            return cuts

    def pause(self) -> None:
        """Be silent, and keep the audio for `resume`."""
        with self._lock:
            self._ledger.is_paused = True

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        with self._lock:
            self._ledger.is_paused = False

    def take_reference(self) -> Int16Samples:
        """Return what was played since the last call, (n,) int16 at the device's rate."""
        blocks: list[Int16Samples] = []
        while self._reference:
            blocks.append(self._reference.popleft())
        return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)

    def _latency_frames(self) -> int:
        return round(self._latency * self._shape.rate_hz)

    def _render(self, frames: int, latency: float, underflowed: bool) -> Int16Samples:  # noqa: FBT001  # on the device's thread
        with self._lock:
            samples = self._stream.take(frames, self._take)
            self._latency = latency
            self._played += frames
            self._underruns += underflowed
        if self.gain != 1.0:
            scaled = np.rint(samples * np.float64(self.gain))
            samples = scaled.clip(-32_768, 32_767).astype(np.int16)
        self.level = level_db(samples)
        if self.keeps_reference:
            self._reference.append(samples)
        return np.repeat(samples[:, None], self._shape.channels, axis=1)

    def _take(self, count: int) -> Int16Samples:
        """Return the ledger's next samples."""
        start, waiting = self._ledger.position, self._ledger.waiting
        audio = self._ledger.take(count)
        if not self._ledger.is_paused:
            if waiting:
                self._sound_end = start + min(waiting, count)
            is_in_gap = waiting < count and bool(self._unfinished)
            self._gaps += is_in_gap and not self._is_in_gap
            self._is_in_gap = is_in_gap
        return decode(audio, self.format)


class _RenderStream:
    """Conversion from the session's rate to the device's, which counts what went in and came out.

    The filter looks ahead, so more has gone in than came out. A sample that came out belongs to the
    same time as the one that went in at its place: the filter's delay is compensated.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._from_hz: Final = from_hz
        self._to_hz: Final = to_hz
        self.restart()

    def restart(self) -> None:
        """Discard what is in the filter, and count anew."""
        is_same = self._from_hz == self._to_hz
        self._resampler = None if is_same else Resampler(self._from_hz, self._to_hz)
        self._ready: Int16Samples = np.zeros(0, np.int16)
        self._fed = self._rendered = 0

    def take(self, frames: int, feed: Callable[[int], Int16Samples]) -> Int16Samples:
        """Return frames at the device's rate; `feed` returns samples at the session's."""
        self._rendered += frames
        if self._resampler is None:
            self._fed += frames
            return feed(frames)
        while len(self._ready) < frames:
            missing = frames - len(self._ready)
            count = max(self._from_hz // 1000, -(-missing * self._from_hz // self._to_hz))
            self._fed += count
            self._ready = np.concatenate((self._ready, self._resampler.feed(feed(count))))
        taken, self._ready = self._ready[:frames], self._ready[frames:]
        return taken

    def unheard(self, frames: int) -> int:
        """Return how many of the samples that went in are not audible.

        Args:
            frames: Number of the frames that came out last and are not audible.
        """
        heard = max(0, self._rendered - frames) * self._from_hz // self._to_hz
        return self._fed - heard

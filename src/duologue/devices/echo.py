"""Echo of the speaker in the microphone: its detection and its cancellation."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np

from duologue.audio.g711 import StreamResampler
from duologue.devices.samples import level_db
from duologue.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from duologue.devices.audio_device import Samples

__all__ = ["EchoCancellation", "EchoDetector", "can_cancel"]

CANCEL_HZ: Final = 48_000
"""Rate of the cancellation: WebRTC has 16, 32 and 48 kHz, and only the last keeps 12 kHz."""

CANCEL_FRAME: Final = CANCEL_HZ // 100

MAX_BACKLOG: Final = CANCEL_HZ * 60 // 1000
"""Played samples that wait at most: later ones would come after their echo."""

DETECT_HZ: Final = 8_000
CAPTURED_MS: Final = 400
"""Captured audio that is compared: some syllables."""
MAX_DELAY_MS: Final = 800
"""Longest delay of an echo, with the buffers of both devices."""
ECHO_SIMILARITY: Final = 0.5
"""Correlation from which on the captured audio is the assistant's: other speech is below 0.3."""
SHORT_MS: Final = 80
SHORT_SIMILARITY: Final = 0.7
"""The same for the beginning of a reply: shorter audio is more alike by chance."""
AUDIBLE_DB: Final = -55.0
"""Quieter audio is not examined: turn detection does not take it for speech either."""


class _Canceller(Protocol):
    def process(self, near: Samples, far: Samples) -> Samples: ...


def can_cancel() -> bool:
    """Return whether the package for cancellation is installed."""
    try:
        _load()
    except MissingExtra:
        return False
    return True


class EchoCancellation:
    """Filter of a microphone that removes what a speaker plays; WebRTC's canceller.

    Args:
        played: Returns the samples that were played since the last call.
        played_hz: Rate of these samples.

    Raises:
        MissingExtra: If `pywebrtc-audio` is not installed.
    """

    rate_hz: int = CANCEL_HZ

    def __init__(self, played: Callable[[], Samples], played_hz: int) -> None:
        self._canceller: Final = _load()(CANCEL_HZ)
        self._played: Final = played
        is_same = played_hz == CANCEL_HZ
        self._resampler: Final = None if is_same else StreamResampler(played_hz, CANCEL_HZ)
        self._far: Samples = np.zeros(0, np.int16)
        self._near: Samples = np.zeros(0, np.int16)

    def feed(self, samples: Samples) -> Samples:
        """Return the samples of the whole frames so far without the echo."""
        played = self._played()
        if self._resampler is not None:
            played = self._resampler.feed(played)
        self._near = np.concatenate((self._near, samples))
        whole = len(self._near) // CANCEL_FRAME * CANCEL_FRAME
        self._far = np.concatenate((self._far, played))[-(MAX_BACKLOG + whole) :]
        return self._cancel(whole)

    def finish(self) -> Samples:
        """Return the rest, as it is."""
        rest, self._near = self._near, np.zeros(0, np.int16)
        return rest

    def _cancel(self, count: int) -> Samples:
        near, self._near = self._near[:count], self._near[count:]
        far, self._far = self._far[:count], self._far[count:]
        if not count:
            return near
        # Without a sound the speaker is silent; with too few samples it is late.
        far = np.concatenate((far, np.zeros(count - len(far), np.int16)))
        return self._canceller.process(near, far)


class EchoDetector:
    """Comparison of what the microphone captures with what the speaker has played."""

    def __init__(self, captured_hz: int, played_hz: int) -> None:
        self._captured: Final = _Recent(captured_hz, CAPTURED_MS)
        self._played: Final = _Recent(played_hz, CAPTURED_MS + MAX_DELAY_MS)

    def add_captured(self, samples: Samples) -> None:
        """Add audio of the microphone."""
        self._captured.add(samples)

    def add_played(self, samples: Samples) -> None:
        """Add audio of the speaker, of the same time."""
        self._played.add(samples)

    def hears_echo(self) -> bool:
        """Return whether the last captured audio is what was played before."""
        captured, played = self._captured.samples, self._played.samples
        is_short = len(captured) < len(self._captured)
        if len(captured) < SHORT_MS * DETECT_HZ // 1000 or level_db(captured) < AUDIBLE_DB:
            return False
        least = SHORT_SIMILARITY if is_short else ECHO_SIMILARITY
        return similarity(captured, played) >= least

    def forget(self) -> None:
        """Begin anew: after an echo was found, or when the assistant is silent."""
        self._captured.clear()


def similarity(captured: Samples, played: Samples) -> float:
    """Return the highest correlation with any part of `played`, 0 to 1."""
    near = _whitened(captured)
    far = _whitened(played)
    if len(far) < len(near):
        return 0.0
    size = 1 << (len(far) + len(near)).bit_length()
    products = np.fft.irfft(np.fft.rfft(far, size) * np.conj(np.fft.rfft(near, size)), size)
    energy = np.concatenate(([0.0], np.cumsum(far * far)))
    count = len(far) - len(near) + 1
    energies = energy[len(near) :] - energy[:count]
    # A quiet part would correlate by chance: it counts as one of a hundredth of the loudest.
    scale = np.sqrt(np.maximum(energies, energies.max() / 100) * float(near @ near))
    if not scale.max():
        return 0.0
    found = np.abs(products[:count]) / np.where(scale > 0, scale, np.inf)
    return float(found.max())


def _whitened(samples: Samples) -> NDArray[np.float64]:
    """Return samples without the low tones in which all speech is alike."""
    return np.diff(samples.astype(np.float64), prepend=0.0)


class _Recent:
    """The last audio of a stream, at `DETECT_HZ`."""

    def __init__(self, rate_hz: int, ms: int) -> None:
        self._size: Final = ms * DETECT_HZ // 1000
        self._resampler: Final = StreamResampler(rate_hz, DETECT_HZ)
        self.samples: Samples = np.zeros(0, np.int16)

    def __len__(self) -> int:
        return self._size

    def add(self, samples: Samples) -> None:
        """Append samples of the stream's rate."""
        added = self._resampler.feed(samples)
        self.samples = np.concatenate((self.samples, added))[-self._size :]

    def clear(self) -> None:
        """Forget all."""
        self.samples = self.samples[:0]


def _load() -> Callable[[int], _Canceller]:
    try:
        module = import_module("pywebrtc_audio")
    except ImportError as error:
        raise MissingExtra("echo", "Echo cancellation") from error
    return cast("Callable[[int], _Canceller]", vars(module)["EchoCanceller"])

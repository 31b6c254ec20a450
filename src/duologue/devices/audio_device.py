"""Interface between a microphone or speaker and its back-end: a sound card, a file, memory.

A device calls a function for every block of samples, on a thread of its own or on the caller's.
Samples are `(frames, channels)` int16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Capture", "InputDevice", "Int16Samples", "OutputDevice", "Render", "StreamShape"]

Int16Samples: TypeAlias = "NDArray[np.int16]"
"""`(frames,)` int16 for one channel, `(frames, channels)` for a device."""

Capture: TypeAlias = Callable[[Int16Samples, bool], None]
"""Takes a block that was captured, and whether the device lost samples before it. The block is only
valid during the call."""

Render: TypeAlias = Callable[[int, float, bool], Int16Samples]
"""Returns a number of frames to play. It also gets the seconds until the first of them is audible,
and whether the device ran out of samples before."""


@dataclass(frozen=True, slots=True)
class StreamShape:
    """Rate and channels of a device that was opened."""

    rate_hz: int
    channels: int


class InputDevice(Protocol):
    """Device that captures sound."""

    def open(self, block_ms: int) -> StreamShape:
        """Reserve the device.

        Args:
            block_ms: Wanted length of a block, in milliseconds.

        Raises:
            ConfigurationError: If that is impossible; the message names the fix.
        """
        ...

    def start(self, capture: Capture) -> None:
        """Call `capture` for each block from now on."""
        ...

    def stop(self) -> None:
        """Release the device; no call follows. Harmless to repeat."""
        ...


class OutputDevice(Protocol):
    """Device that plays sound."""

    def open(self, block_ms: int) -> StreamShape:
        """Reserve the device; see `InputDevice.open`."""
        ...

    def start(self, render: Render) -> None:
        """Call `render` for each block from now on."""
        ...

    def stop(self) -> None:
        """Release the device; no call follows. Harmless to repeat."""
        ...

    def flush(self) -> int:
        """Discard what was rendered and is not audible yet; return the number of frames.

        A device that plays it in any case returns 0. Then it counts as heard.
        """
        ...

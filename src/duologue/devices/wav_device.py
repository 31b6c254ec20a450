"""WAV files in the place of sound cards, for machines that have none."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING, Final

from duologue.audio.wav import check_writable, read_wav
from duologue.devices.memory import (
    DeviceClock,
    RealTimeClock,
    VirtualMicrophone,
    VirtualSpeaker,
)
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from os import PathLike

    from duologue.devices.audio_device import Int16Samples, StreamShape

__all__ = ["WavInput", "WavOutput"]


class WavInput(VirtualMicrophone):
    """WAV file that is captured as if it was spoken now; silence follows it.

    Args:
        path: The file: PCM of any rate and channels.
        clock: The clock that drives it; real time by default.
    """

    def __init__(self, path: str | PathLike[str], *, clock: DeviceClock | None = None) -> None:
        super().__init__(clock or RealTimeClock(), rate_hz=PCM16.rate_hz)
        self._path: Final = Path(path)

    @property
    def has_ended(self) -> bool:
        """Whether the whole file was captured."""
        return self._blocks > 0 and not self.waiting_ms

    def open(self, block_ms: int) -> StreamShape:
        """Read the file.

        Raises:
            ConfigurationError: If it cannot be read.
            MissingExtra: If it must be converted, and the packages for that are not installed.
        """
        self.say(read_wav(self._path))
        return super().open(block_ms)


class WavOutput(VirtualSpeaker):
    """WAV file that gets what would be audible, silence included: mono at 24 kHz.

    Args:
        path: The file; it is replaced.
        clock: The clock that drives it; real time by default.
    """

    def __init__(self, path: str | PathLike[str], *, clock: DeviceClock | None = None) -> None:
        super().__init__(clock or RealTimeClock(), rate_hz=PCM16.rate_hz)
        self._path: Final = Path(path)
        self._file: wave.Wave_write | None = None

    def open(self, block_ms: int) -> StreamShape:
        """Create the file.

        Raises:
            ConfigurationError: If it cannot be written.
        """
        check_writable(self._path)
        file = wave.open(str(self._path), "wb")  # noqa: SIM115  # `stop` closes it
        file.setnchannels(1)
        file.setsampwidth(PCM16.sample_bytes)
        file.setframerate(PCM16.rate_hz)
        self._file = file
        return super().open(block_ms)

    def stop(self) -> None:
        """Complete the file."""
        super().stop()
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def hear(self, block: Int16Samples) -> None:
        """Write a block that is audible now."""
        super().hear(block)
        if self._file is not None:
            self._file.writeframes(block[:, 0].tobytes())

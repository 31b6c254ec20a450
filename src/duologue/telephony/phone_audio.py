"""Conversion between the audio of a phone and that of a session.

Nothing is converted if both have the same G.711 format. Otherwise PCM16 at 24 kHz is in the middle.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from duologue.audio.streams import AudioStream, decoder, encoder
from duologue.errors import MissingExtra
from duologue.protocol.formats import PCM16, Format

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.telephony.messages import AudioEncoding

__all__ = ["FrameEncoder", "PhoneDecoder"]


class PhoneDecoder:
    """Converter of the phone's audio to the session's input format.

    Args:
        source: Encoding of the phone.
        target: Format of the session.

    Raises:
        MissingExtra: If the packages for the conversion are not installed.
    """

    def __init__(self, source: AudioEncoding, target: Format) -> None:
        self._stages: Final[tuple[AudioStream, ...]] = (
            () if source.format is target else (_to_pcm16(source), encoder(target))
        )

    def feed(self, audio: bytes) -> bytes:
        """Return the audio that is ready; a filter may keep some milliseconds."""
        for stage in self._stages:
            audio = stage.feed(audio)
        return audio


class FrameEncoder:
    """Converter of the session's output audio to frames of 20 ms for the phone.

    Args:
        source: Format of the session.
        target: Encoding of the phone.

    Raises:
        MissingExtra: If the packages for the conversion are not installed.
    """

    def __init__(self, source: Format, target: AudioEncoding) -> None:
        self._source: Final = source
        self._target: Final = target
        self._stages: Final[tuple[AudioStream, ...]] = (
            () if target.format is source else (decoder(source), _from_pcm16(target))
        )
        self._waiting = bytearray()
        self._fed = self._framed = 0

    @property
    def lag(self) -> int:
        """Number of samples of the session's audio that were fed and are in no frame yet."""
        framed = self._framed * self._source.rate_hz // self._target.rate_hz
        return max(0, self._fed - framed)

    def feed(self, audio: bytes) -> list[bytes]:
        """Return the frames that are complete."""
        self._fed += self._source.samples(len(audio))
        for stage in self._stages:
            audio = stage.feed(audio)
        self._waiting += audio
        return self._frames()

    def finish(self) -> list[bytes]:
        """Return the rest, with silence to the end of its last frame, and start a new stream."""
        if not self._fed:
            return []
        for index, stage in enumerate(self._stages):
            rest = stage.finish()
            for later in self._stages[index + 1 :]:
                rest = later.feed(rest)
            self._waiting += rest
        missing = -len(self._waiting) % self._target.frame_bytes
        self._waiting += self._target.silence * (missing // self._target.sample_bytes)
        frames = self._frames()
        self._fed = self._framed = 0
        return frames

    def reset(self) -> None:
        """Discard the rest, and start a new stream."""
        self.finish()

    def _frames(self) -> list[bytes]:
        size = self._target.frame_bytes
        frames: list[bytes] = []
        while len(self._waiting) >= size:
            frames.append(bytes(self._waiting[:size]))
            del self._waiting[:size]
        self._framed += len(frames) * size // self._target.sample_bytes
        return frames


def _to_pcm16(source: AudioEncoding) -> AudioStream:
    return decoder(source.format) if source.format else _Linear(source.rate_hz, is_to_phone=False)


def _from_pcm16(target: AudioEncoding) -> AudioStream:
    return encoder(target.format) if target.format else _Linear(target.rate_hz, is_to_phone=True)


class _Linear:
    """Converter between L16, which has the byte order of the network, and PCM16 at 24 kHz."""

    def __init__(self, rate_hz: int, *, is_to_phone: bool) -> None:
        self._is_to_phone: Final = is_to_phone
        rates = (PCM16.rate_hz, rate_hz) if is_to_phone else (rate_hz, PCM16.rate_hz)
        self._resample, self._rest = (
            (_unchanged, bytes) if rates[0] == rates[1] else _resampler(*rates)
        )
        self._split = b""

    def feed(self, audio: bytes) -> bytes:
        if self._is_to_phone:
            return _swapped(self._resample(audio))
        audio = self._split + audio
        whole = len(audio) // 2 * 2
        self._split = audio[whole:]
        return self._resample(_swapped(audio[:whole]))

    def finish(self) -> bytes:
        self._split = b""
        return _swapped(self._rest()) if self._is_to_phone else self._rest()


def _unchanged(audio: bytes) -> bytes:
    return audio


def _resampler(from_hz: int, to_hz: int) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    try:
        import numpy as np  # noqa: PLC0415  # an extra

        from duologue.audio.resampling import Resampler  # noqa: PLC0415  # needs it
    except ImportError as error:
        raise MissingExtra("audio", f"Audio in L16 at {min(from_hz, to_hz)} Hz") from error
    stream = Resampler(from_hz, to_hz)
    return (
        lambda audio: stream.feed(np.frombuffer(audio, np.int16)).tobytes(),
        lambda: stream.finish().tobytes(),
    )


def _swapped(audio: bytes) -> bytes:
    """Return 16-bit samples in the other byte order."""
    samples = array("h", audio)
    samples.byteswap()
    return samples.tobytes()

"""Sound cards, through PortAudio and the package `sounddevice`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, Protocol, TypeAlias, cast

from duologue.devices.audio_device import Capture, Render, StreamShape
from duologue.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from duologue.devices.audio_device import Int16Samples

__all__ = ["AudioDevice", "SoundCardInput", "SoundCardOutput", "list_devices"]

Kind: TypeAlias = Literal["input", "output"]

INVALID_CHANNELS: Final = -9998
INVALID_RATE: Final = -9997
"""Error codes of PortAudio (`portaudio.h`)."""

_WITHOUT: Final = "without a sound card, use `WavInput` and `WavOutput`"

_NO_LIBRARY: Final = (
    "PortAudio is not installed: run `apt install libportaudio2` (Debian, Ubuntu), or `dnf install"
    f" portaudio` (Fedora); {_WITHOUT}"
)


class _Stream(Protocol):
    def start(self) -> None: ...
    def close(self) -> None: ...


class _OpenStream(Protocol):
    def __call__(
        self,
        *,
        samplerate: int,
        blocksize: int,
        device: int,
        channels: int,
        dtype: str,
        latency: float | str,
        callback: Callable[[Int16Samples, int, Any, Any], None],
    ) -> _Stream: ...


class _SoundDevice(Protocol):
    """The part of `sounddevice` that is used; the package has no type information."""

    PortAudioError: type[Exception]
    InputStream: _OpenStream
    OutputStream: _OpenStream
    default: Any

    def query_devices(
        self, device: int | str | None = None, kind: Kind | None = None
    ) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class AudioDevice:
    """A sound card, or one of its connectors."""

    index: int
    """Number, to choose it by; it changes when devices are plugged in."""
    name: str
    """Name, to choose it by; a part of it is enough."""
    input_channels: int
    output_channels: int
    rate_hz: int
    """Its own rate."""
    is_default_input: bool
    is_default_output: bool


def list_devices() -> list[AudioDevice]:
    """Return the devices of this machine.

    Raises:
        MissingExtra: If `sounddevice` is not installed.
        ConfigurationError: If PortAudio is not installed.
    """
    portaudio = _load()
    found = cast("Iterator[Mapping[str, Any]]", iter(portaudio.query_devices()))
    default_input, default_output = portaudio.default.device
    return [
        AudioDevice(
            index=index,
            name=str(each["name"]),
            input_channels=int(each["max_input_channels"]),
            output_channels=int(each["max_output_channels"]),
            rate_hz=round(each["default_samplerate"]),
            is_default_input=index == default_input,
            is_default_output=index == default_output,
        )
        for index, each in enumerate(found)
    ]


class _SoundCard:
    """One direction of a device.

    Args:
        device: Number or a part of the name; `None`: the system's default.
        rate_hz: Samples per second; `None`: the device's own rate.
        channels: Number of channels.
        latency: Seconds, `low` or `high`: longer is safer, shorter reacts sooner.
    """

    _kind: Kind

    def __init__(
        self,
        device: int | str | None = None,
        *,
        rate_hz: int | None = None,
        channels: int = 1,
        latency: float | Literal["low", "high"] = "low",
    ) -> None:
        self._device: Final = device
        self._rate_hz: Final = rate_hz
        self._channels: Final = channels
        self._latency: Final[float | str] = latency
        self._stream: _Stream | None = None

    def open(self, block_ms: int) -> StreamShape:
        """Open the device.

        Raises:
            MissingExtra: If `sounddevice` is not installed.
            ConfigurationError: If PortAudio is missing, there is no such device, it is busy, or it
                lacks the rate or the channels.
        """
        portaudio = _load()
        info = self._find(portaudio)
        rate_hz = self._rate_hz or round(info["default_samplerate"])
        is_input = self._kind == "input"
        open_stream = portaudio.InputStream if is_input else portaudio.OutputStream
        try:
            self._stream = open_stream(
                samplerate=rate_hz,
                blocksize=rate_hz * block_ms // 1000,
                device=int(info["index"]),
                channels=self._channels,
                dtype="int16",
                latency=self._latency,
                callback=self._on_block,
            )
        except portaudio.PortAudioError as error:
            self._explain(error, info, rate_hz)
        return StreamShape(rate_hz, self._channels)

    def stop(self) -> None:
        """Release the device."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _start(self) -> None:
        if self._stream is None:
            raise AssertionError("the device is started before it is opened")
        self._stream.start()

    def _on_block(self, block: Int16Samples, frames: int, time: Any, status: Any) -> None:  # noqa: ANN401  # structs of C
        raise NotImplementedError

    def _find(self, portaudio: _SoundDevice) -> Mapping[str, Any]:
        try:
            return portaudio.query_devices(self._device, self._kind)
        except ValueError as error:  # no device, or several, with such a name
            names = ", ".join(repr(each.name) for each in self._candidates()) or "none"
            text = f"there is no {self._kind} device {self._device!r}; there are: {names}"
            raise ConfigurationError(text) from error
        except portaudio.PortAudioError as error:
            wanted = "" if self._device is None else f" {self._device!r}"
            text = f"there is no {self._kind} device{wanted}: connect one; {_WITHOUT}"
            raise ConfigurationError(text) from error

    def _candidates(self) -> list[AudioDevice]:
        is_input = self._kind == "input"
        return [
            each
            for each in list_devices()
            if (each.input_channels if is_input else each.output_channels)
        ]

    def _explain(self, error: Exception, info: Mapping[str, Any], rate_hz: int) -> NoReturn:
        name = info["name"]
        code = error.args[1] if len(error.args) > 1 else None
        if code == INVALID_RATE:
            own = round(info["default_samplerate"])
            text = f"{name!r} has no rate of {rate_hz} Hz: leave out `rate_hz` to use its {own} Hz"
        elif code == INVALID_CHANNELS:
            most = info[f"max_{self._kind}_channels"]
            text = f"{name!r} has {most} {self._kind} channels: choose `channels` accordingly"
        else:
            reason = str(error.args[0]) if error.args else "unknown reason"
            text = f"{name!r} cannot be opened, close other programs that use it ({reason})"
        raise ConfigurationError(text) from error


class SoundCardInput(_SoundCard):
    """Sound card to record from: a `Microphone` makes one by itself.

    Args:
        device: Number or a part of the name; `None`: the system's default.
        rate_hz: Samples per second; `None`: the device's own rate.
        channels: Number of channels.
        latency: Seconds, `low` or `high`.
    """

    _kind = "input"
    _capture: Capture

    def start(self, capture: Capture) -> None:
        """Call `capture` for each block, on PortAudio's thread."""
        self._capture = capture
        self._start()

    def _on_block(self, block: Int16Samples, frames: int, time: Any, status: Any) -> None:  # noqa: ANN401, ARG002
        self._capture(block, bool(status.input_overflow))


class SoundCardOutput(_SoundCard):
    """Sound card to play on: a `Speaker` makes one by itself.

    Args:
        device: Number or a part of the name; `None`: the system's default.
        rate_hz: Samples per second; `None`: the device's own rate.
        channels: Number of channels.
        latency: Seconds, `low` or `high`. What was rendered is always played, so a speaker is
            silent this long after an interruption.
    """

    _kind = "output"
    _render: Render

    def start(self, render: Render) -> None:
        """Call `render` for each block, on PortAudio's thread."""
        self._render = render
        self._start()

    def flush(self) -> int:
        """Return 0: PortAudio cannot discard a part without closing the stream."""
        return 0

    def _on_block(self, block: Int16Samples, frames: int, time: Any, status: Any) -> None:  # noqa: ANN401
        latency = max(0.0, float(time.outputBufferDacTime - time.currentTime))
        block[:] = self._render(frames, latency, bool(status.output_underflow))


def _load() -> _SoundDevice:
    try:
        return cast("_SoundDevice", import_module("sounddevice"))
    except ImportError as error:
        raise MissingExtra("audio", "A sound card") from error
    except OSError as error:  # it looks for the library when it is imported
        raise ConfigurationError(_NO_LIBRARY) from error

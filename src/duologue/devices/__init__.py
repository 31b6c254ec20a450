"""Microphones, speakers and voice conversations; it needs `duologue[audio]`.

The names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from duologue.errors import MissingExtra

if TYPE_CHECKING:
    from duologue.devices.attachment import Notice, ReplyInterrupted, VoiceConversation, attach
    from duologue.devices.audio_device import InputDevice, OutputDevice, StreamShape
    from duologue.devices.memory import (
        RealTimeClock,
        VirtualClock,
        VirtualMicrophone,
        VirtualSpeaker,
    )
    from duologue.devices.microphone import AudioFilter, Microphone, MicrophoneStatistics
    from duologue.devices.policy import Backchannel, VoicePolicy
    from duologue.devices.portaudio import (
        AudioDevice,
        SoundCardInput,
        SoundCardOutput,
        list_devices,
    )
    from duologue.devices.speaker import Speaker, SpeakerStatistics
    from duologue.devices.voice_loop import BackchannelHeard, EchoHeard, ReplyAskedAgain
    from duologue.devices.wav_device import WavInput, WavOutput

__all__ = [
    "AudioDevice",
    "AudioFilter",
    "Backchannel",
    "BackchannelHeard",
    "EchoHeard",
    "InputDevice",
    "Microphone",
    "MicrophoneStatistics",
    "Notice",
    "OutputDevice",
    "RealTimeClock",
    "ReplyAskedAgain",
    "ReplyInterrupted",
    "SoundCardInput",
    "SoundCardOutput",
    "Speaker",
    "SpeakerStatistics",
    "StreamShape",
    "VirtualClock",
    "VirtualMicrophone",
    "VirtualSpeaker",
    "VoiceConversation",
    "VoicePolicy",
    "WavInput",
    "WavOutput",
    "attach",
    "list_devices",
]

_NAMES: Final = {
    "attachment": ("Notice", "ReplyInterrupted", "VoiceConversation", "attach"),
    "audio_device": ("InputDevice", "OutputDevice", "StreamShape"),
    "memory": ("RealTimeClock", "VirtualClock", "VirtualMicrophone", "VirtualSpeaker"),
    "microphone": ("AudioFilter", "Microphone", "MicrophoneStatistics"),
    "policy": ("Backchannel", "VoicePolicy"),
    "portaudio": ("AudioDevice", "SoundCardInput", "SoundCardOutput", "list_devices"),
    "speaker": ("Speaker", "SpeakerStatistics"),
    "voice_loop": ("BackchannelHeard", "EchoHeard", "ReplyAskedAgain"),
    "wav_device": ("WavInput", "WavOutput"),
}
_PLACES: Final = {name: place for place, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_PLACES[name]}")
    except ModuleNotFoundError as error:
        if error.name in {"numpy", "soxr"}:
            raise MissingExtra("audio", "Sound") from error
        raise
    value: object = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""How audio goes in and out of a session: formats, turn detection, transcription, voice.

Source: Realtime API reference, session object (beta): flat fields where GA nests them.
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.ga.audio import AudioTranscription as InputAudioTranscription
from duologue.protocol.ga.audio import (
    Delay,
    Eagerness,
    NoiseReduction,
    NoiseReductionType,
    TranscriptionModel,
    VoiceId,
)
from duologue.protocol.ga.transcription_session import AudioFormatName as AudioFormat
from duologue.protocol.ga.transcription_session import FlatTurnDetection as TurnDetection
from duologue.protocol.ga.transcription_session import TurnDetectionType

__all__ = [
    "AudioFormat",
    "Delay",
    "Eagerness",
    "InputAudioTranscription",
    "NoiseReduction",
    "NoiseReductionType",
    "TranscriptionModel",
    "TurnDetection",
    "TurnDetectionType",
    "Voice",
    "VoiceId",
]


class Voice(StrEnum):
    """Built-in voices; `marin` and `cedar` came with GA."""

    ALLOY = "alloy"
    ASH = "ash"
    BALLAD = "ballad"
    CORAL = "coral"
    ECHO = "echo"
    SAGE = "sage"
    SHIMMER = "shimmer"
    VERSE = "verse"

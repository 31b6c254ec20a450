"""Translation of audio formats, modalities and turn detection."""

from __future__ import annotations

from typing import Final

from duologue.protocol import beta, ga
from duologue.protocol.formats import PCM16
from duologue.protocol.model import UNSET, UnsetType
from duologue.protocol.translate._copy import convert, json_of
from duologue.protocol.translate._losses import Losses, LossRule

__all__ = [
    "format_to_beta",
    "format_to_ga",
    "modalities_to_beta",
    "modalities_to_ga",
    "turn_detection_to_beta",
    "turn_detection_to_ga",
]

_BOTH: Final = [ga.OutputModality.TEXT.value, ga.OutputModality.AUDIO.value]
_AUDIO: Final = [ga.OutputModality.AUDIO.value]


def modalities_to_ga(modalities: list[str] | UnsetType | None) -> list[str] | UnsetType | None:
    """Return GA's modalities: beta's text and audio is audio, which includes its text."""
    if modalities is not UNSET and modalities is not None and sorted(modalities) == sorted(_BOTH):
        return list(_AUDIO)
    return modalities


def modalities_to_beta(modalities: list[str] | UnsetType | None) -> list[str] | UnsetType | None:
    """Return beta's modalities: GA's audio is text and audio."""
    return list(_BOTH) if modalities == _AUDIO else modalities


def format_to_ga(name: str | UnsetType | None) -> ga.AudioFormat | UnsetType | None:
    """Return GA's object for a format name. PCM gets its rate, which the service requires."""
    if name is UNSET or name is None:
        return name
    match name:
        case beta.AudioFormat.PCM16:
            return ga.AudioPcm(rate=PCM16.rate_hz)
        case beta.AudioFormat.G711_ULAW:
            return ga.AudioPcmu()
        case beta.AudioFormat.G711_ALAW:
            return ga.AudioPcma()
        case _:
            return ga.UnknownAudioFormat(raw={"type": name})


def format_to_beta(
    format_: ga.AudioFormat | UnsetType | None, losses: Losses, path: str = "format"
) -> str | UnsetType | None:
    """Return beta's name of a format. Unknown fields and other rates of PCM are lost."""
    if format_ is UNSET or format_ is None:
        return format_
    if isinstance(format_, ga.UnknownAudioFormat):
        if format_.type is None:
            losses.drop(path, format_.raw or UNSET, LossRule.AUDIO_FORMAT)
            return UNSET
        rest = {key: value for key, value in format_.raw.items() if key != "type"}
        losses.under(path).drop("extra", rest or UNSET, LossRule.AUDIO_FORMAT)
        return format_.type
    here = losses.under(path)
    here.drop("extra", format_.extra, LossRule.AUDIO_FORMAT)
    match format_:
        case ga.AudioPcm():
            if format_.rate != PCM16.rate_hz:
                here.drop("rate", format_.rate, LossRule.AUDIO_FORMAT)
            return beta.AudioFormat.PCM16.value
        case ga.AudioPcmu():
            return beta.AudioFormat.G711_ULAW.value
        case ga.AudioPcma():
            return beta.AudioFormat.G711_ALAW.value


def turn_detection_to_ga(
    detection: beta.TurnDetection | UnsetType | None,
) -> ga.TurnDetection | UnsetType | None:
    """Return GA's turn detection. Fields of another kind become unknown fields."""
    if detection is UNSET or detection is None:
        return detection
    body = {"type": beta.TurnDetectionType.SERVER_VAD.value} | json_of(detection)
    known: ga.TurnDetection | None = convert(body, ga.TurnDetection)
    return known or ga.UnknownTurnDetection(raw=body)


def turn_detection_to_beta(
    detection: ga.TurnDetection | UnsetType | None,
) -> beta.TurnDetection | UnsetType | None:
    """Return beta's turn detection, one flat object for all kinds."""
    if detection is UNSET or detection is None:
        return detection
    body = json_of(detection)
    known: beta.TurnDetection | None = convert(body, beta.TurnDetection)
    return known or beta.TurnDetection(extra=body)

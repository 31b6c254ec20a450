"""What the user says in the demo: the clips that ship with the package, files, typed text."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from importlib.resources import as_file, files
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from duologue.audio.wav import read_wav
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SHIPPED_WORDS", "Utterance", "of_file", "rms", "shipped", "stretches"]

BARGE_IN_AFTER_MS: Final = 6000
"""How much of the answer has arrived when the user speaks over it, in audio, not in time."""

PAUSE_MS: Final = 250
"""A silence that separates two stretches of speech."""

_WINDOW_MS: Final = 10
_QUIET_SHARE: Final = 0.02  # of the loudest window, as in the fixtures' own annotation

SHIPPED_WORDS: Final = (
    "What is the weather in Paris today?",
    "Turn on the lights in the kitchen, please.",
    "Hello, can you hear me?",
    "Stop, please.",
    "That is enough.",
)
"""The turns of the shipped clips; the last clip holds two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One thing that the user says."""

    name: str
    pcm: bytes = b""
    """PCM16 at 24 kHz; empty when it is typed."""
    text: str | None = None
    """What is typed instead."""
    begins_story: bool = False
    """Whether the assistant is told beforehand to tell a story, without functions to call."""
    barge_in_after_ms: int | None = None
    """Speak over the answer when so much of it has arrived; `None`: wait for its end."""

    def ends_ms(self) -> list[int]:
        """Return where each stretch of speech ends."""
        return [end for _, end in stretches(self.pcm)]

    def pieces(self) -> list[bytes]:
        """Return the audio cut in the middle of each pause."""
        found = stretches(self.pcm)
        cuts = [PCM16.bytes((end + start) // 2) for (_, end), (start, _) in pairwise(found)]
        edges = [0, *cuts, len(self.pcm)]
        return [self.pcm[start:end] for start, end in pairwise(edges)]


def shipped() -> list[Utterance]:
    """Return the three questions of the demo, and the words that interrupt the last answer."""
    names = ["weather_paris", "lights_kitchen", "hello", "bargein_stop"]
    found: list[Utterance] = []
    for name in names:
        with as_file(files("duologue.cli") / "speech" / f"{name}.wav") as path:
            pcm = read_wav(path)
        after = BARGE_IN_AFTER_MS if name == names[-1] else None
        begins = name == "hello"
        found.append(
            Utterance(name=f"{name}.wav", pcm=pcm, begins_story=begins, barge_in_after_ms=after)
        )
    return found


def of_file(path: Path) -> Utterance:
    """Return a file as something to say.

    Raises:
        ConfigurationError: If it cannot be read as audio.
    """
    return Utterance(name=path.name, pcm=read_wav(path))


def rms(pcm: bytes) -> float:
    """Return the root mean square of PCM16, 0 to 32768; 0 when there is none."""
    samples = array("h", pcm)
    if not samples:
        return 0.0
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


def stretches(pcm: bytes) -> list[tuple[int, int]]:
    """Return start and end in milliseconds of each stretch of sound, pauses left out."""
    size = PCM16.bytes(_WINDOW_MS)
    loudness = [
        max(array("h", pcm[start : start + size]), key=abs, default=0)
        for start in range(0, len(pcm) - 1, size)
    ]
    quiet = _QUIET_SHARE * max((abs(value) for value in loudness), default=0)
    found: list[tuple[int, int]] = []
    for index, value in enumerate(loudness):
        if abs(value) <= quiet:
            continue
        start, end = index * _WINDOW_MS, (index + 1) * _WINDOW_MS
        if found and start - found[-1][1] < PAUSE_MS:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found

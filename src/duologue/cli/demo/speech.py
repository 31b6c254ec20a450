"""The user's side of the demo: what the user says, and the microphone that sends it.

Speech comes from the clips that ship with the package or from WAV files; a turn may also be typed
text.
"""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from dataclasses import dataclass
from importlib.resources import as_file, files
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from duologue.audio.wav import read_wav
from duologue.protocol.formats import PCM16

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

__all__ = [
    "SHIPPED_TRANSCRIPTS",
    "SimulatedMicrophone",
    "Utterance",
    "read_utterance",
    "rms",
    "shipped_utterances",
    "stretches",
]

FRAME_MS: Final = 20
_FRAME: Final = PCM16.bytes(FRAME_MS)

BARGE_IN_AFTER_MS: Final = 6000
"""The user barges in when this much audio of the answer has arrived."""

PAUSE_MS: Final = 250
"""The shortest silence that separates two stretches of speech."""

_WINDOW_MS: Final = 10
_QUIET_SHARE: Final = 0.02
"""Windows below this share of the loudest sample are silence."""

SHIPPED_TRANSCRIPTS: Final = (
    "What is the weather in Paris today?",
    "Turn on the lights in the kitchen, please.",
    "Hello, can you hear me?",
    "Stop, please.",
    "That is enough.",
)
"""Transcripts of the turns in the shipped clips; the last clip holds two turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One utterance of the user: a clip of speech, or typed text."""

    name: str
    pcm: bytes = b""
    """PCM16 at 24 kHz; empty for typed text."""
    text: str | None = None
    """The typed text."""
    begins_story: bool = False
    """Whether to instruct the assistant first to tell a story, without functions to call."""
    barge_in_after_ms: int | None = None
    """Barge in when this much of the answer has arrived; `None`: wait for its end."""

    def ends_ms(self) -> list[int]:
        """Return the end of each stretch of speech, in milliseconds."""
        return [end for _, end in stretches(self.pcm)]

    def pieces(self) -> list[bytes]:
        """Return the audio, split in the middle of each pause."""
        found = stretches(self.pcm)
        cuts = [PCM16.bytes((end + start) // 2) for (_, end), (start, _) in pairwise(found)]
        edges = [0, *cuts, len(self.pcm)]
        return [self.pcm[start:end] for start, end in pairwise(edges)]


def shipped_utterances() -> list[Utterance]:
    """Return the demo's three questions, and the clip that interrupts the last answer."""
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


def read_utterance(path: Path) -> Utterance:
    """Return a WAV file as an utterance.

    Raises:
        ConfigurationError: If the file is not readable audio.
    """
    return Utterance(name=path.name, pcm=read_wav(path))


def rms(pcm: bytes) -> float:
    """Return the root mean square of PCM16, 0 to 32768; 0 without samples."""
    samples = array("h", pcm)
    if not samples:
        return 0.0
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


def stretches(pcm: bytes) -> list[tuple[int, int]]:
    """Return the start and end of each stretch of speech, in milliseconds."""
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


class SimulatedMicrophone:
    """Simulated microphone: sends 20 ms of speech or silence every 20 ms.

    A real microphone never stops, and the server detects the end of a turn by its silence.
    """

    def __init__(self, send: Callable[[bytes], None], drain: Callable[[], Awaitable[None]]) -> None:
        self._send: Final = send
        self._drain: Final = drain
        self._queue = bytearray()
        self._ends: list[int] = []  # bytes of `_queue` until the end of each stretch of speech
        self._is_empty: Final = asyncio.Event()
        self.speech_ended_at: float = time.monotonic()
        """When the last stretch of speech ended."""

    async def run(self) -> None:
        """Send frames until cancelled, on an absolute schedule so that delays do not add up."""
        due = time.monotonic()
        while True:
            frame = bytes(self._queue[:_FRAME])
            del self._queue[:_FRAME]
            self._send(frame.ljust(_FRAME, b"\0"))
            self._note_ends()
            if not self._queue:
                self._is_empty.set()
            due += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def say(self, utterance: Utterance) -> None:
        """Queue an utterance, and return when all of it is sent."""
        self._queue += utterance.pcm
        self._ends = [PCM16.bytes(end) for end in utterance.ends_ms()]
        self._is_empty.clear()
        await self._is_empty.wait()

    async def say_at_once(self, pcm: bytes, *, silence_ms: int) -> None:
        """Send speech and the silence after it as fast as the connection accepts them."""
        padded = pcm + bytes(PCM16.bytes(silence_ms))
        step = PCM16.bytes(100)
        for start in range(0, len(padded), step):
            self._send(padded[start : start + step])
            await self._drain()
        self.speech_ended_at = time.monotonic()

    def _note_ends(self) -> None:
        self._ends = [end - _FRAME for end in self._ends]
        while self._ends and self._ends[0] <= 0:
            del self._ends[0]
            self.speech_ended_at = time.monotonic()

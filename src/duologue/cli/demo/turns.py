"""Record of each turn of the demo: transcript, answer and latencies."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypedDict

from duologue.cli.demo.speech import rms
from duologue.protocol.formats import PCM16

__all__ = ["STEPS", "SpokenReply", "Turn", "TurnReport"]

STEPS: Final = ("turn_end", "transcript", "first_text", "first_audio")
"""The steps that are timed, from the end of the user's speech."""


@dataclass(slots=True)
class SpokenReply:
    """One message of the assistant: what has arrived of it, and what has been played."""

    item_id: str
    is_instant: bool
    """Whether audio counts as played as soon as it arrives (`--fast`)."""
    pcm: bytearray = field(default_factory=bytearray)
    words: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Pieces of the transcript, each with the milliseconds of audio that arrived before it."""
    begins_at: float | None = None
    """When playback starts."""
    cut_ms: int | None = None
    """How much had been played when the user interrupted."""

    @property
    def received_ms(self) -> int:
        """Length of the audio that has arrived."""
        return PCM16.ms(len(self.pcm))

    def played_ms(self, now: float) -> int:
        """Return how much audio has been played, in milliseconds."""
        if self.cut_ms is not None:
            return self.cut_ms
        if self.is_instant or self.begins_at is None:
            return self.received_ms
        return max(0, min(self.received_ms, int((now - self.begins_at) * 1000)))

    def played_words(self, now: float) -> str:
        """Return the transcript of the audio that has been played, or all of it without audio."""
        played = self.played_ms(now)
        is_whole = self.cut_ms is None and played >= self.received_ms
        return "".join(text for before, text in self.words if is_whole or before < played)

    def played_audio(self, now: float) -> bytes:
        """Return the audio that has been played."""
        return bytes(self.pcm[: PCM16.bytes(self.played_ms(now))])


class TurnReport(TypedDict):
    """A turn in the output of `--json`."""

    user_transcript: str
    assistant_transcript: str
    reply_audio_ms: int
    reply_rms: float
    interrupted: bool
    latency_ms: dict[str, int | None]


@dataclass(slots=True)
class Turn:
    """A turn of the user and the answer to it."""

    speech_ended_at: float
    """When the end of the speech, or the typed text, was sent."""
    user_words: str = ""
    replies: list[SpokenReply] = field(default_factory=list[SpokenReply])
    is_interrupted: bool = False
    is_answered: bool = False
    """Whether the answer is complete."""
    steps: dict[str, float] = field(default_factory=dict[str, float])
    """When each of `STEPS` happened."""

    def record(self, step: str, now: float) -> None:
        """Record the time of a step, unless it already has one."""
        self.steps.setdefault(step, now)

    def latency_ms(self) -> dict[str, int | None]:
        """Return the milliseconds from the end of speech to each step."""
        return {
            step: round((self.steps[step] - self.speech_ended_at) * 1000)
            if step in self.steps
            else None
            for step in STEPS
        }

    def audio(self, now: float) -> bytes:
        """Return the audio of the answer that has been played."""
        return b"".join(reply.played_audio(now) for reply in self.replies)

    def report(self, now: float) -> TurnReport:
        """Return the turn for the output of `--json`."""
        audio = self.audio(now)
        return {
            "user_transcript": self.user_words.strip(),
            "assistant_transcript": " ".join(
                words for reply in self.replies if (words := reply.played_words(now).strip())
            ),
            "reply_audio_ms": PCM16.ms(len(audio)),
            "reply_rms": round(rms(audio), 1),
            "interrupted": self.is_interrupted,
            "latency_ms": self.latency_ms(),
        }

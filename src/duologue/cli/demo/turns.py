"""What became of each turn of the user: words, answer, how long each step took."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypedDict

from duologue.cli.demo.speech import rms
from duologue.protocol.formats import PCM16

__all__ = ["STEPS", "Reply", "Turn", "TurnReport"]

STEPS: Final = ("turn_end", "transcript", "first_text", "first_audio")
"""What is timed, from the end of the user's speech."""


@dataclass(slots=True)
class Reply:
    """One message of the assistant, as far as it was made and heard."""

    item_id: str
    is_instant: bool
    """Whether it is heard as soon as it arrives (`--fast`), instead of as it is played."""
    pcm: bytearray = field(default_factory=bytearray)
    words: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    """Words, and how much audio had come before them, in milliseconds."""
    begins_at: float | None = None
    """When its first audio is heard."""
    cut_ms: int | None = None
    """How much was heard when it was interrupted."""

    @property
    def received_ms(self) -> int:
        """How much audio has arrived."""
        return PCM16.ms(len(self.pcm))

    def heard_ms(self, now: float) -> int:
        """Return how much of it the listener has heard."""
        if self.cut_ms is not None:
            return self.cut_ms
        if self.is_instant or self.begins_at is None:
            return self.received_ms
        return max(0, min(self.received_ms, int((now - self.begins_at) * 1000)))

    def heard_words(self, now: float) -> str:
        """Return the words that were heard, or all of them when there is no audio."""
        heard = self.heard_ms(now)
        is_whole = self.cut_ms is None and heard >= self.received_ms
        return "".join(text for before, text in self.words if is_whole or before < heard)

    def heard_audio(self, now: float) -> bytes:
        """Return the audio that was heard."""
        return bytes(self.pcm[: PCM16.bytes(self.heard_ms(now))])


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
    """When the last word left the microphone, or the typed text was sent."""
    user_words: str = ""
    replies: list[Reply] = field(default_factory=list[Reply])
    is_interrupted: bool = False
    is_answered: bool = False
    """Whether nothing more is to come."""
    steps: dict[str, float] = field(default_factory=dict[str, float])
    """When each of `STEPS` was first seen."""

    def saw(self, step: str, now: float) -> None:
        """Note the first time of a step."""
        self.steps.setdefault(step, now)

    def latency_ms(self) -> dict[str, int | None]:
        """Return milliseconds from the end of speech to each step."""
        return {
            step: round((self.steps[step] - self.speech_ended_at) * 1000)
            if step in self.steps
            else None
            for step in STEPS
        }

    def audio(self, now: float) -> bytes:
        """Return what was heard of the answer."""
        return b"".join(reply.heard_audio(now) for reply in self.replies)

    def report(self, now: float) -> TurnReport:
        """Return the turn as JSON shows it."""
        audio = self.audio(now)
        return {
            "user_transcript": self.user_words.strip(),
            "assistant_transcript": " ".join(
                words for reply in self.replies if (words := reply.heard_words(now).strip())
            ),
            "reply_audio_ms": PCM16.ms(len(audio)),
            "reply_rms": round(rms(audio), 1),
            "interrupted": self.is_interrupted,
            "latency_ms": self.latency_ms(),
        }

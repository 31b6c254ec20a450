"""Policy of a voice conversation: who interrupts whom, and what is done about echo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from duologue.errors import ConfigurationError

__all__ = ["Backchannel", "EchoPolicy", "Interrupter", "VoicePolicy"]

Interrupter: TypeAlias = Literal["speech", "push_to_talk", "text"]
EchoPolicy: TypeAlias = Literal["auto", "cancel", "half_duplex", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backchannel:
    """Speech over the assistant that shows attention, and does not stop it: "uh-huh".

    The reply stops when the speech lasts longer, or has other words.
    """

    max_ms: int = 700
    """Speech that lasts longer is an interruption."""
    words: frozenset[str] = frozenset()
    """Words it may consist of: `frozenset({"uh", "huh", "yeah"})`. Empty: any, so that a short
    "stop" does not stop the reply. Otherwise the session needs transcription of its input."""
    meanwhile: Literal["duck", "pause", "play"] = "duck"
    """Playback while it is not clear yet: quieter, paused and then resumed, or as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicePolicy:
    """Choices for a voice conversation; see `attach`."""

    interrupted_by: Interrupter = "speech"
    """`speech`: turn detection listens all the time. `push_to_talk`: only what is said between
    `press` and `release` is sent. `text`: only `send_text` and `interrupt` stop a reply; speech
    is answered after it."""
    backchannel: Backchannel | None = None
    """Speech that does not interrupt; `None`: all speech does, at once. With it, the client
    cancels and requests responses itself, which takes a round trip longer."""
    ducked_db: float = -15.0
    """Change of the volume while it is not clear whether speech is an interruption."""
    pre_roll_ms: int = 300
    """Audio from before `press` that is sent, as people begin to speak early."""
    echo: EchoPolicy = "auto"
    """`cancel`: remove the assistant's voice from the microphone's audio, which needs
    `duologue[echo]`. `half_duplex`: send silence while the assistant speaks. `off`: for headphones.
    `auto`: cancel if that is installed, otherwise half duplex once the echo is heard."""
    echo_tail_ms: int = 250
    """Time after the last audio for which half duplex goes on."""
    starts_muted: bool = False
    """Whether the microphone is muted at first."""

    def __post_init__(self) -> None:
        if self.backchannel is not None and self.interrupted_by != "speech":
            text = "a backchannel is for interrupted_by='speech': nothing else is interrupted by it"
            raise ConfigurationError(text)

    @property
    def manages_responses(self) -> bool:
        """Whether the client cancels and requests responses, instead of turn detection."""
        return self.backchannel is not None or self.interrupted_by == "text"

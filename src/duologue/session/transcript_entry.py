"""Entries of a transcript, and the estimated times of their words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["TranscriptEntry", "TranscriptWord"]

_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class TranscriptWord:
    """A word, with times that are estimated by its position in the text."""

    text: str
    start_ms: int
    end_ms: int
    is_heard: bool
    """Whether it was heard; if not, the times are those at which it would have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptEntry:
    """Words of one item: of a turn of the user, or of a message of the assistant."""

    item_id: str
    speaker: Literal["user", "assistant"]
    text: str
    """All words so far; empty if there is no transcript."""
    heard: str
    """The words of it that were heard: estimated if it was cut, else all."""
    start_ms: int
    end_ms: int
    """End of what was heard. Equal to `start_ms` for typed text, and if the length of the audio is
    unknown because it travels another way (WebRTC, telephone)."""
    full_end_ms: int
    """End of all its audio, had it not been cut."""
    is_measured: bool
    """Whether turn detection measured the times; otherwise `start_ms` is an estimate."""
    is_spoken: bool
    """Whether it is speech; otherwise it is typed text."""
    is_final: bool
    """Whether `text` is complete; otherwise more words may follow."""

    @property
    def unheard(self) -> str:
        """The words that were cut off."""
        return self.text[len(self.heard) :].strip()

    @property
    def words(self) -> tuple[TranscriptWord, ...]:
        """The words, with estimated times."""
        length = max(1, len(self.text))
        duration = self.full_end_ms - self.start_ms

        def time(position: int) -> int:
            return self.start_ms + duration * position // length

        return tuple(
            TranscriptWord(
                word[0], time(word.start()), time(word.end()), word.end() <= len(self.heard)
            )
            for word in _WORD.finditer(self.text)
        )

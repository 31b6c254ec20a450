"""Transcript: the words of both sides of a conversation, in spoken order, with their times.

All times are on the conversation's audio clock: milliseconds of input audio that the application
has appended, over all sessions of a client. With a microphone that is never paused, this is the
time since the conversation began.

- A turn of the user that turn detection found is where it was spoken, measured by the server.
- Without turn detection, it is where the audio of its commit is.
- The assistant's speech begins when its item began, but not before the end of the turn that it
  answers, or of its own speech before. Its length is exact: that of its audio, or of the part that
  was heard if it was cut.
- Words have no times in the protocol. They are spread over the audio by their letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from duologue.errors import ConfigurationError
from duologue.protocol.ga import InputAudio, Message, OutputAudio
from duologue.session import transcript_formats
from duologue.session.transcript_entry import TranscriptEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from os import PathLike

    from duologue.session.items import ItemState

__all__ = ["Transcript", "transcript_of"]


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words of both sides of a conversation, in spoken order: a turn is where it began.

    It never changes: call `conversation.transcript()` again for a newer one. System messages, calls
    of tools and their outputs are not part of it, nor are items that were deleted, such as answers
    of which nothing was heard.
    """

    entries: tuple[TranscriptEntry, ...]

    def __iter__(self) -> Iterator[TranscriptEntry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> TranscriptEntry:
        return self.entries[index]

    def to_text(self) -> str:
        """Return a line for each entry."""
        return transcript_formats.text(self.entries)

    def to_jsonl(self) -> str:
        """Return a JSON object for each entry, with all its fields, one a line."""
        return transcript_formats.jsonl(self.entries)

    def to_markdown(self) -> str:
        """Return Markdown: a paragraph for each entry, with what was not heard struck out."""
        return transcript_formats.markdown(self.entries)

    def to_srt(self) -> str:
        """Return SubRip subtitles; words that were not heard are in brackets."""
        return transcript_formats.srt(self.entries)

    def to_vtt(self) -> str:
        """Return WebVTT subtitles; words that were not heard have the class `unheard`."""
        return transcript_formats.vtt(self.entries)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to a file, in the format of its suffix: .txt, .jsonl, .md, .srt or .vtt.

        Raises:
            ConfigurationError: If the suffix is another one.
            OSError: If the file cannot be written.
        """
        file = Path(path)
        write = _FORMATS.get(file.suffix.lower())
        if write is None:
            known = ", ".join(_FORMATS)
            raise ConfigurationError(f"{file} names no format of transcripts: use one of {known}")
        file.write_text(write(self), encoding="utf-8", newline="\n")


_FORMATS: Final[Mapping[str, Callable[[Transcript], str]]] = {
    ".txt": Transcript.to_text,
    ".jsonl": Transcript.to_jsonl,
    ".md": Transcript.to_markdown,
    ".srt": Transcript.to_srt,
    ".vtt": Transcript.to_vtt,
}


@dataclass(slots=True)
class _Utterance:
    """An item that belongs to the transcript, while its place is sought."""

    state: ItemState
    is_users: bool
    is_spoken: bool
    answered_ms: float
    """End of the user's turn before it in the conversation."""
    latest_ms: float = 0.0
    """Start of the next turn that was measured: that began after this one."""
    start_ms: float = 0.0
    end_ms: float = 0.0
    full_end_ms: float = 0.0


def transcript_of(states: Iterable[ItemState]) -> Transcript:
    """Return the transcript of items, in the order of the conversation."""
    utterances = sorted(_utterances(states), key=lambda each: each.state.began)
    _place(utterances)
    utterances.sort(key=lambda each: each.start_ms)  # stable
    return Transcript(tuple(_entry(each) for each in utterances))


def _utterances(states: Iterable[ItemState]) -> Iterator[_Utterance]:
    answered_ms = 0.0
    for state in states:
        wire = state.wire
        if not isinstance(wire, Message) or wire.role not in {"user", "assistant"}:
            continue
        is_users = wire.role == "user"
        content = state.snapshot().content
        is_spoken = state.span is not None or any(
            isinstance(part, InputAudio | OutputAudio) for part in content
        )
        if is_spoken or _words(state):
            yield _Utterance(state, is_users, is_spoken, answered_ms)
        if state.span is not None:
            answered_ms = state.span.end_ms


def _place(utterances: list[_Utterance]) -> None:
    """Set the times of utterances, which are in the order in which they began."""
    next_turn_ms = float("inf")
    for each in reversed(utterances):
        each.latest_ms = next_turn_ms
        if each.state.span is not None and each.state.span.is_measured:
            next_turn_ms = each.state.span.start_ms
    previous_start = spoken_until = 0.0
    for each in utterances:
        state, span = each.state, each.state.span
        if span is not None:
            # Without turn detection, the audio may begin long before the speech.
            earliest = 0.0 if span.is_measured else min(previous_start, span.end_ms)
            each.start_ms = max(span.start_ms, earliest)
            each.end_ms = each.full_end_ms = span.end_ms
        else:
            # The clock may be ahead of the conversation: of a recording that was sent at once.
            each.start_ms = min(state.began_ms, each.latest_ms)
            if not each.is_users:
                each.start_ms = max(each.start_ms, each.answered_ms, spoken_until)
            heard_ms, full_ms = _lengths(state) if not each.is_users else (0.0, 0.0)
            each.end_ms, each.full_end_ms = each.start_ms + heard_ms, each.start_ms + full_ms
        spoken_until = 0.0 if each.is_users else each.end_ms
        previous_start = each.start_ms


def _lengths(state: ItemState) -> tuple[float, float]:
    """Return the length of an item's audio that was heard, and of all of it, in milliseconds."""
    if state.cut is None:
        received = heard = state.journal.received_bytes
    else:
        heard, received = state.cut.heard_bytes, state.cut.received_bytes
    return heard / state.bytes_per_ms, max(heard, received) / state.bytes_per_ms


def _words(state: ItemState) -> str:
    formatted = state.snapshot().formatted
    before = formatted.text if state.cut is None else state.cut.words
    return before + formatted.transcript


def _entry(each: _Utterance) -> TranscriptEntry:
    state = each.state
    words = _words(state)
    heard = words if state.heard_words is None else state.heard_words
    blank = len(heard) - len(heard.lstrip())
    return TranscriptEntry(
        item_id=state.id,
        speaker="user" if each.is_users else "assistant",
        text=words.strip(),
        heard=heard[blank:].rstrip(),
        start_ms=round(each.start_ms),
        end_ms=round(each.end_ms),
        full_end_ms=round(each.full_end_ms),
        is_measured=state.span is not None and state.span.is_measured,
        is_spoken=each.is_spoken,
        is_final=_is_final(state, is_users=each.is_users),
    )


def _is_final(state: ItemState, *, is_users: bool) -> bool:
    if not is_users:
        return state.status != "in_progress"
    parts = state.wire.content if isinstance(state.wire, Message) else []
    audio = [part for part in parts if isinstance(part, InputAudio)]
    is_text = not audio and state.span is None
    return state.is_transcribed or is_text or any(part.transcript for part in audio)

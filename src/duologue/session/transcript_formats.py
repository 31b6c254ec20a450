"""Formats of a transcript: plain text, JSON Lines, Markdown, SubRip and WebVTT.

Sources: W3C WebVTT; SubRip has no standard, so only what every player reads is written.
"""

from __future__ import annotations

import html
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duologue.session.transcript_entry import TranscriptEntry, TranscriptWord

__all__ = ["jsonl", "markdown", "srt", "text", "vtt"]

MAX_CUE_LETTERS: Final = 84
"""Letters in a subtitle: two lines of 42, as broadcasters do. Longer speech is split."""

MIN_CUE_MS: Final = 1000
"""The shortest subtitle, such as that of typed text."""

_NO_WORDS: Final = "(no transcript)"
_MARKS_OF_MARKDOWN: Final = re.compile(r"([\\`*_~\[\]<>#|])")


def text(entries: Sequence[TranscriptEntry]) -> str:
    """Return plain text, a line for each entry."""
    named = _has_two_speakers(entries)
    lines = [_name(each, named=named) + _plain(each) for each in entries]
    return "".join(f"{line}\n" for line in lines)


def jsonl(entries: Sequence[TranscriptEntry]) -> str:
    """Return JSON Lines, an object for each entry."""
    return "".join(f"{msgspec.json.encode(_object(each)).decode()}\n" for each in entries)


def _object(entry: TranscriptEntry) -> dict[str, Any]:
    words = [asdict(word) for word in entry.words]
    return asdict(entry) | {"unheard": entry.unheard, "word_times": "estimated", "words": words}


def markdown(entries: Sequence[TranscriptEntry]) -> str:
    """Return Markdown, a paragraph for each entry."""
    return "\n".join(_paragraph(each) for each in entries)


def _paragraph(entry: TranscriptEntry) -> str:
    about = "" if entry.is_measured else "≈ "
    times = f"{about}{_short(entry.start_ms)} - {_short(entry.end_ms)}"
    if entry.end_ms == entry.start_ms:
        times = about + _short(entry.start_ms)
    words = [_escaped(entry.heard)] if entry.heard else []
    if entry.unheard:
        words.append(f"~~{_escaped(entry.unheard)}~~ *(not heard)*")
    if not entry.is_final:
        words.append("…")
    return f"**{entry.speaker.title()}** ({times}): {' '.join(words) or f'*{_NO_WORDS}*'}\n"


def srt(entries: Sequence[TranscriptEntry]) -> str:
    """Return SubRip subtitles."""
    blocks = [
        f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n"
        f"{cue.name}{cue.with_unheard('[not heard: ', ']')}\n"
        for number, cue in enumerate(_cues(entries), 1)
    ]
    return "\n".join(blocks)


def vtt(entries: Sequence[TranscriptEntry]) -> str:
    """Return WebVTT subtitles."""
    head = "WEBVTT\n\nNOTE\nTimes inside an entry, and of the assistant's entries, are estimates.\n"
    blocks = [
        f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n"
        f"<v {cue.entry.speaker.title()}>"
        f"{cue.escaped().with_unheard('<c.unheard>', '</c>')}\n"
        for cue in _cues(entries)
    ]
    return "\n".join([head, *blocks])


@dataclass(frozen=True, slots=True)
class _Cue:
    """A subtitle."""

    entry: TranscriptEntry
    name: str
    start_ms: int
    end_ms: int
    heard: str
    unheard: str

    def escaped(self) -> _Cue:
        """Return it for a format with tags."""
        heard = html.escape(self.heard, quote=False)
        unheard = html.escape(self.unheard, quote=False)
        return _Cue(self.entry, self.name, self.start_ms, self.end_ms, heard, unheard)

    def with_unheard(self, opening: str, closing: str) -> str:
        """Return its words, with a mark of those that were not heard."""
        marked = f"{opening}{self.unheard}{closing}" if self.unheard else ""
        return " ".join(filter(None, [self.heard, marked]))


def _cues(entries: Sequence[TranscriptEntry]) -> list[_Cue]:
    """Return the subtitles in the order of their start, as WebVTT demands: speech may overlap."""
    named = _has_two_speakers(entries)
    cues = [cue for entry in entries for cue in _cues_of(entry, named=named)]
    return sorted(cues, key=lambda cue: cue.start_ms)


def _cues_of(entry: TranscriptEntry, *, named: bool) -> Iterator[_Cue]:
    is_short = entry.end_ms - entry.start_ms < MIN_CUE_MS
    for index, words in enumerate(_pieces(entry.words)):
        start = min(words[0].start_ms, entry.end_ms)
        end = min(words[-1].end_ms, entry.end_ms)
        if is_short or end <= start:
            end = start + MIN_CUE_MS
        heard = " ".join(word.text for word in words if word.is_heard)
        unheard = " ".join(word.text for word in words if not word.is_heard)
        yield _Cue(entry, _name(entry, named=named and not index), start, end, heard, unheard)


def _pieces(words: Sequence[TranscriptWord]) -> Iterator[Sequence[TranscriptWord]]:
    """Split words into the lengths of subtitles; those that were not heard stay in one piece."""
    begin = letters = 0
    for index, word in enumerate(words):
        if letters and word.is_heard and letters + 1 + len(word.text) > MAX_CUE_LETTERS:
            yield words[begin:index]
            begin, letters = index, 0
        letters += len(word.text) + (1 if letters else 0)
    if words:
        yield words[begin:]


def _has_two_speakers(entries: Sequence[TranscriptEntry]) -> bool:
    return len({entry.speaker for entry in entries}) > 1


def _name(entry: TranscriptEntry, *, named: bool) -> str:
    return f"{entry.speaker.title()}: " if named else ""


def _plain(entry: TranscriptEntry) -> str:
    unheard = f"[not heard: {_one_line(entry.unheard)}]" if entry.unheard else ""
    return " ".join(filter(None, [_one_line(entry.heard), unheard])) or _NO_WORDS


def _one_line(words: str) -> str:
    return " ".join(words.split())


def _escaped(words: str) -> str:
    return _MARKS_OF_MARKDOWN.sub(r"\\\1", _one_line(words))


def _short(ms: int) -> str:
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes}:{rest // 1000:02}.{rest % 1000 // 100}"


def _time(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"

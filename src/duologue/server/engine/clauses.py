"""Splitting of a response's text into clauses while it is generated, so that speech starts early.

The user waits for the first clause, so it may end at a comma. Later clauses end with a sentence: a
voice reads whole sentences better, and the audio so far gives it time.

    splitter = ClauseSplitter()
    for delta in deltas:
        for clause in splitter.feed(delta):
            speak(speakable(clause))
    for clause in splitter.flush():
        speak(speakable(clause))

Two rules always hold: joined, the clauses are the text; and how the text is split into deltas does
not matter. To end a clause, the splitter must see the next character, so the white space between
two clauses is at the start of the second.
"""

# ruff: noqa: RUF001  # typographic quotes, dashes and full-width marks are the subject here

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["ClauseSplitter", "speakable"]

FIRST_CLAUSE_WORDS: Final = 3
"""A comma ends the first clause only after this many words: "Sure," alone sounds clipped."""

LONGEST_CHARS: Final = 240
"""A clause of this length ends at the next comma; half as long again, at the next space."""

_SENTENCE_ENDS: Final = frozenset("!?…")
_PAUSES: Final = frozenset(",;:–—")
_WIDE_ENDS: Final = frozenset("。！？")
_WIDE_PAUSES: Final = frozenset("，、；：—")
_CLOSERS: Final = "\"'”’)]}*_`»」』）"
_OPENERS: Final = "\"'“‘([{*_`«"
_NO_END: Final = re.compile(
    r"mr|mrs|ms|dr|prof|st|sr|jr|mt|gen|col|sgt|capt|lt|rev|hon|vs|cf|approx|dept|fig|vol",
    re.IGNORECASE,
)
"""Abbreviations whose dot does not end a sentence. Those that may end one (etc, inc) are absent."""

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_SCHEME = re.compile(r"\b(?:https?://|www\.)")
_FENCE = re.compile(r"```\w*")
_LINE_MARK = re.compile(r"^\s*(?:#{1,6}|[-*+•>])\s+", re.MULTILINE)
_MARKUP = re.compile(r"[*`~|\"“”„«»{}<>\\^]|(?<!\w)_+|_+(?!\w)")
_QUOTED = re.compile(r"(?<!\w)['‘](\S(?:[^'‘’]*\S)?)['’](?!\w)")
_DEGREES = {"°C": " degrees Celsius", "°F": " degrees Fahrenheit", "°": " degrees"}
_SPACE_BEFORE_MARK = re.compile(r"\s+([,.;:!?])")
_SILENT: Final = frozenset({"So", "Sk", "Cc", "Cf", "Co", "Cs", "Cn", "Mn", "Me"})
"""Unicode categories that are not pronounced: emoji, their modifiers, control characters."""


class ClauseSplitter:
    """Splitter for one response."""

    def __init__(self) -> None:
        self._pending = ""
        self._looked = 0
        self._is_first = True

    def feed(self, delta: str) -> list[str]:
        """Return the clauses that a piece of text completes."""
        self._pending += delta
        clauses: list[str] = []
        # Resume where the last delta ended: no position before it can end a clause any more. A
        # clause has at least one character.
        at = max(self._looked, 1)
        while at < len(self._pending):
            if self._ends_at(at):
                clauses.append(self._pending[:at])
                self._pending = self._pending[at:]
                self._is_first = False
                at = 0
            at += 1
        self._looked = at
        return clauses

    def flush(self) -> list[str]:
        """Return the rest of the text as the last clause, if there is any."""
        rest, self._pending, self._looked = self._pending, "", 0
        return [rest] if rest else []

    def _ends_at(self, at: int) -> bool:
        """Return whether a clause ends before the character at this position."""
        following = self._pending[at]
        if not following.isspace():
            return self._ends_wide(self._pending[at - 1], following, at)
        head = self._pending[:at]
        stem = head.rstrip(_CLOSERS)
        mark = stem[-1:]
        # A clause without a word ("...") is not worth a run of the synthesizer: it joins the next.
        if following == "\n" or mark in _SENTENCE_ENDS:
            return _has_word(head)
        if mark == ".":
            return _dot_ends_sentence(stem)
        if at >= LONGEST_CHARS * 3 // 2 and _has_word(head):
            return True
        return mark in _PAUSES and self._may_pause(head)

    def _ends_wide(self, mark: str, following: str, at: int) -> bool:
        """Return the same if no space follows: after full-width marks and long dashes."""
        if following in _WIDE_ENDS or following in _CLOSERS:
            return False
        if mark in _WIDE_ENDS:
            return _has_word(self._pending[:at])
        return mark in _WIDE_PAUSES and self._may_pause(self._pending[:at])

    def _may_pause(self, head: str) -> bool:
        if len(head) >= LONGEST_CHARS:
            return _has_word(head)
        return self._is_first and _count_words(head) >= FIRST_CLAUSE_WORDS


def speakable(text: str) -> str:
    """Return a clause without markup, quotation marks and emoji, for a voice to read.

    Apostrophes are kept. Returns an empty string if nothing pronounceable remains.
    """
    text = _LINE_MARK.sub("", _FENCE.sub(" ", text))
    text = _SCHEME.sub("", _LINK.sub(r"\1", text))
    for sign, words in _DEGREES.items():
        text = text.replace(sign, words)
    text = _QUOTED.sub(r"\1", _MARKUP.sub("", text))
    text = "".join(" " if c.isspace() else c for c in text if c.isspace() or _has_sound(c))
    text = _SPACE_BEFORE_MARK.sub(r"\1", " ".join(text.split()))
    return text if _has_word(text) else ""


def _dot_ends_sentence(stem: str) -> bool:
    """Return whether a dot is a full stop, not that of "Dr.", "e.g.", "J." or a list's "1."."""
    words = stem.split()
    word = words[-1].lstrip(_OPENERS)
    bare = word[:-1]
    if not any(c.isalnum() for c in bare):
        return _has_word(stem)  # an ellipsis, or a closing mark before the dot
    if len(words) == 1 and bare.isdigit():
        return False
    is_initial = len(bare) == 1 and bare.isalpha() and bare.isupper() and bare != "I"
    is_dotted = "." in bare and all(p.isalpha() and len(p) <= 2 for p in bare.split("."))
    return not (is_initial or is_dotted or bool(_NO_END.fullmatch(bare)))


def _has_word(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _has_sound(char: str) -> bool:
    # A combining accent is part of its letter; the variation selectors of emoji are not.
    category = unicodedata.category(char)
    return category not in _SILENT or (category == "Mn" and not "\ufe00" <= char <= "\ufe0f")


def _count_words(text: str) -> int:
    """Count words; in scripts without spaces, two characters count as a word."""
    spaced = sum(1 for word in text.split() if _has_word(word))
    wide = sum(1 for c in text if "\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3")
    return max(spaced, wide // 2)

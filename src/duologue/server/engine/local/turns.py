"""Detection of the end of a turn by its last word (English) and punctuation (any language)."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["WordTurnDetector"]

_NEVER_LAST: Final = frozenset(
    """
    a an the my your our their and or but nor because although though unless until while whereas
    whether of from with without into onto during toward towards than
    i'm we're they're you're i'll we'll they'll he'll she'll i'd we'd they'd
    um uh uhm erm er hmm
    """.split()
)
"""Words that need another one, and fillers. A full stop after them is the transcriber's mistake."""

_SELDOM_LAST: Final = frozenset(
    """
    this these those his her its some any every each another if when where which who so since as
    that to in on at by for about between among against under over near via
    i we he she they it's he's she's is are was were am be been has have had do does did
    can could will would shall should may might must let let's
    very really quite also like well maybe actually basically
    """.split()
)
"""Words that may end a sentence ("Turn it on."); without a full stop, something is missing."""

_AND_MORE: Final = (",", ";", ":", "-", "\u2013", "\u2014", "\u2026", "...", "\u3001", "\uff0c")
_QUESTIONS: Final = ("?", "\uff1f", "\u061f")
_STATEMENTS: Final = (".", "!", "\u3002", "\uff01", "\u0964")
_CLOSING: Final = " \t\n\"')]\u201d\u2019\u00bb\u300d"

UNFINISHED: Final = 0.0
UNMARKED: Final = 0.6
"""No punctuation."""
STATEMENT: Final = 0.75
"""Not more, because a transcriber ends an unfinished sentence ("book a table.") with a full stop
too."""
QUESTION: Final = 0.9


class WordTurnDetector:
    """Turn detector that waits after a comma, a filler, or a word that needs another one."""

    def score(self, words: str) -> float:
        """Return the likelihood that the speaker has finished."""
        text = words.rstrip(_CLOSING)
        last = "".join(re.findall(r"[\w']+", text.lower().replace("\u2019", "'"))[-1:])
        if text.endswith(_AND_MORE) or last in _NEVER_LAST:
            return UNFINISHED
        if text.endswith(_QUESTIONS):
            return QUESTION
        if text.endswith(_STATEMENTS):
            return STATEMENT
        return UNFINISHED if last in _SELDOM_LAST else UNMARKED

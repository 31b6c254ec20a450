"""The end of a turn by its last words: English ones, and the punctuation of any language."""

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
"""They need a word after them, or are fillers: a transcriber's full stop does not change that."""

_SELDOM_LAST: Final = frozenset(
    """
    this these those his her its some any every each another if when where which who so since as
    that to in on at by for about between among against under over near via
    i we he she they it's he's she's is are was were am be been has have had do does did
    can could will would shall should may might must let let's
    very really quite also like well maybe actually basically
    """.split()
)
"""They may end a sentence ("Turn it on."), but without a full stop something is missing."""

_AND_MORE: Final = (",", ";", ":", "-", "\u2013", "\u2014", "\u2026", "...", "\u3001", "\uff0c")
_ASKED: Final = ("?", "\uff1f", "\u061f")
_SAID: Final = (".", "!", "\u3002", "\uff01", "\u0964")
_CLOSING: Final = " \t\n\"')]\u201d\u2019\u00bb\u300d"

UNFINISHED: Final = 0.0
UNMARKED: Final = 0.6
"""No sign either way."""
SAID: Final = 0.75
"""Not more: a transcriber ends what goes on after a pause ("book a table.") with a stop as well."""
ASKED: Final = 0.9


class WordTurnDetector:
    """Waits after a comma, a filler or a word that needs another; goes on after a sentence."""

    def score(self, words: str) -> float:
        """Return the likelihood that the speaker has finished."""
        text = words.rstrip(_CLOSING)
        last = "".join(re.findall(r"[\w']+", text.lower().replace("\u2019", "'"))[-1:])
        if text.endswith(_AND_MORE) or last in _NEVER_LAST:
            return UNFINISHED
        if text.endswith(_ASKED):
            return ASKED
        if text.endswith(_SAID):
            return SAID
        return UNFINISHED if last in _SELDOM_LAST else UNMARKED

"""Limit on the nesting of a frame, checked before anything recurses into it.

The decoder stops at the interpreter's recursion limit by itself. A frame just below that limit can
be decoded, though, and then fails to be translated or encoded by a caller deeper in the stack. The
limit here is far below the interpreter's, so no frame gets that far.
"""

from __future__ import annotations

import re
from typing import Final

from duologue.errors import DecodeError

__all__ = ["MAX_DEPTH", "SHALLOW_BYTES", "check_depth"]

MAX_DEPTH: Final = 200
"""Levels of objects and arrays. The JSON Schema of a function has about a dozen."""

SHALLOW_BYTES: Final = 2 * MAX_DEPTH
"""Frames up to this size need no check: each level takes two bytes for its brackets."""

_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL)
"""Strings, closed or not, and brackets.

The quantifiers are possessive: a hostile string cannot make the expression backtrack.
"""


def check_depth(frame: bytes) -> None:
    """Check that a frame is not nested too deeply.

    Raises:
        DecodeError: If it has more than `MAX_DEPTH` levels.
    """
    if len(frame) > SHALLOW_BYTES and _is_too_deep(frame):
        raise DecodeError(f"the frame is nested more than {MAX_DEPTH} levels deep")


def _is_too_deep(frame: bytes) -> bool:
    # Nearly every frame ends here, without the slower search for strings.
    if frame.count(b"{") + frame.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for token in _TOKENS.finditer(frame):
        first = frame[token.start()]
        if first in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif first in b"}]":
            depth -= 1
    return False

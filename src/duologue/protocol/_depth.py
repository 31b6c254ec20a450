"""How deeply a frame is nested, before anything recurses into it.

Decoding stops by itself at the interpreter's limit, but what was decoded just below it can no
longer be translated or encoded from deeper in the program. No frame may bring us there.
"""

from __future__ import annotations

import re
from typing import Final

from duologue.errors import DecodeError

__all__ = ["MAX_DEPTH", "SHALLOW_BYTES", "check_depth"]

MAX_DEPTH: Final = 200
"""Levels of objects and arrays; JSON Schemas of functions have a dozen."""

SHALLOW_BYTES: Final = 2 * MAX_DEPTH
"""A frame of no more than this cannot be too deep: each level is two brackets."""

_TOKENS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL)
"""Strings, closed or not, and brackets. Possessive: a string is passed once, whatever is in it."""


def check_depth(frame: bytes) -> None:
    """Refuse a frame that is nested more deeply than `MAX_DEPTH`.

    Raises:
        DecodeError: If it is.
    """
    if len(frame) > SHALLOW_BYTES and _is_too_deep(frame):
        raise DecodeError(f"the frame is nested more than {MAX_DEPTH} levels deep")


def _is_too_deep(frame: bytes) -> bool:
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

"""How deeply a frame is nested, before anything recurses into it.

Decoding stops by itself at the interpreter's limit, but what was decoded just below it can no
longer be encoded from deeper in the program. No client's frame may bring a server there.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["MAX_DEPTH", "is_too_deep"]

MAX_DEPTH: Final = 200
"""Levels of objects and arrays; JSON Schemas of functions have a dozen."""

_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)


def is_too_deep(frame: bytes) -> bool:
    """Return whether a frame is nested more deeply than `MAX_DEPTH`."""
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

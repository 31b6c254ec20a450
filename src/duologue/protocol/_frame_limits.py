"""Limits on the nesting and on the values of a frame, checked before anything is decoded.

Decoding is bounded by bytes alone: 20 MB of empty objects take half a minute to decode, and nothing
else runs meanwhile. A count of the punctuation in the raw frame bounds that work at a small cost.

Nesting has a limit of its own. The decoder stops at the interpreter's recursion limit by itself. A
frame just below that limit can be decoded, though, and then fails to be translated or encoded by a
caller deeper in the stack. The limit here is far below the interpreter's.
"""

from __future__ import annotations

from typing import Final

from duologue.errors import DecodeError

__all__ = ["MAX_DEPTH", "MAX_VALUES", "SHALLOW_BYTES", "UNCOUNTED_BYTES", "check_frame"]

MAX_DEPTH: Final = 200
"""Levels of objects and arrays. The JSON Schema of a function has about a dozen."""

MAX_VALUES: Final = 40_000
"""Values of a frame, on all levels together.

Our choice. The largest frames of the service hold about 33,000: log probabilities of 4,096 tokens.
Text and audio count as one value each, whatever their length.
"""

SHALLOW_BYTES: Final = 2 * MAX_DEPTH
"""Frames up to this size are not too deep: each level takes two bytes for its brackets."""

UNCOUNTED_BYTES: Final = 2 * MAX_VALUES
"""Frames up to this size do not hold too many values: each takes two bytes, one for its comma."""

_MARKS: Final = b",[{]}"
_ALL_BUT_MARKS: Final = bytes(set(range(256)) - set(_MARKS))
_MAX_QUOTES: Final = 4 * MAX_VALUES
"""Two for each value, and as many for its key."""

_PREFIX_BYTES: Final = 2 << 20
"""Size of the prefix that is checked first."""


def check_frame(frame: bytes) -> None:
    """Check that a frame is neither nested too deeply nor made of too many values.

    Raises:
        DecodeError: If it has more than `MAX_DEPTH` levels, or more than `MAX_VALUES` values.
    """
    size = len(frame)
    if size <= SHALLOW_BYTES:
        return
    if size <= UNCOUNTED_BYTES and frame.count(b"{") + frame.count(b"[") <= MAX_DEPTH:
        return  # nearly every frame ends here
    if size > _PREFIX_BYTES:
        # What is refused is nearly always refused here, at a tenth of the cost.
        _check(frame[:_PREFIX_BYTES])
    _check(frame)


def _check(frame: bytes) -> None:
    marks = frame.translate(None, _ALL_BUT_MARKS)
    if _opened(marks) <= MAX_DEPTH and _values(marks) <= MAX_VALUES:
        return  # even if no mark is part of a text
    marks = _marks_outside_strings(frame)
    _check_depth(marks.replace(b",", b"")[: 2 * MAX_VALUES])
    if _values(marks) > MAX_VALUES:
        raise _too_many()


def _check_depth(brackets: bytes) -> None:
    depth = 0
    for bracket in brackets:
        if bracket in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise DecodeError(f"the frame is nested more than {MAX_DEPTH} levels deep")
        else:
            depth -= 1


def _marks_outside_strings(frame: bytes) -> bytes:
    if b"\\" in frame:
        # The order matters: in `\\"` the quote is not escaped. A backslash outside a string would
        # hide a quote here, but there the decoder stops.
        frame = frame.replace(b"\\\\", b"").replace(b'\\"', b"")
    parts = frame.split(b'"', _MAX_QUOTES + 1)
    if len(parts) > _MAX_QUOTES + 1:
        raise _too_many()
    return b"".join(parts[::2]).translate(None, _ALL_BUT_MARKS)


def _opened(marks: bytes) -> int:
    return marks.count(b"[") + marks.count(b"{")


def _values(marks: bytes) -> int:
    return marks.count(b",") + _opened(marks)


def _too_many() -> DecodeError:
    return DecodeError(f"the frame has more than {MAX_VALUES} values")

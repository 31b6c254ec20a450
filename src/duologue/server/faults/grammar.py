"""Parser for faults on the command line."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Final

import msgspec

from duologue.errors import ConfigurationError
from duologue.server.faults.kinds import (
    Close,
    Delay,
    Drop,
    Duplicate,
    Expire,
    Fault,
    RefuseHandshake,
    Reorder,
    SendError,
    SlowNetwork,
    Stall,
    TruncateFrame,
)

__all__ = ["USAGE", "WORDS", "parse_fault"]

USAGE: Final = "KIND[=VALUE][@EVENT][#NTH][:CHANCE][,FIELD=VALUE]…"

_KINDS: Final[tuple[type[Fault], ...]] = (
    Drop,
    Delay,
    Reorder,
    Duplicate,
    TruncateFrame,
    SlowNetwork,
    Stall,
    SendError,
    Close,
    Expire,
    RefuseHandshake,
)
WORDS: Final[dict[str, type[Fault]]] = {kind.word: kind for kind in _KINDS}
"""The kinds of faults by their names on the command line."""

_HEAD: Final = re.compile(
    r"(?P<word>[a-z]+)(=(?P<value>[^@#:]*))?(@(?P<at>[^#:]+))?(#(?P<nth>[^:]+))?(:(?P<chance>.+))?"
)


def parse_fault(text: str) -> Fault:
    """Parse a fault such as `close=1011@response.output_audio.delta#3`.

    Raises:
        ConfigurationError: If the text is not a fault; the message shows the grammar.
    """
    head, *settings = text.strip().split(",")
    found = _HEAD.fullmatch(head)
    if found is None or found["word"] not in WORDS:
        raise _unreadable(text, f"KIND is one of {', '.join(WORDS)}")
    kind = WORDS[found["word"]]
    own = [each.name for each in fields(kind) if not each.kw_only]
    values = {name: found[name] for name in ("at", "nth", "chance") if found[name] is not None}
    if found["value"] is not None:
        name = own[0] if own else "at"  # `drop=response.done` is as clear as `drop@response.done`
        values[name] = found["value"]
    names = {each.name for each in fields(kind)}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name not in names:
            known = ", ".join(sorted(names))
            raise _unreadable(text, f"{setting!r} does not set a field of {kind.word}: {known}")
        values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)  # not strict: the values are text
    except msgspec.ValidationError as error:
        raise _unreadable(text, _plainly(str(error), values)) from None
    except ConfigurationError as error:
        raise _unreadable(text, str(error)) from None


def _plainly(problem: str, values: dict[str, str]) -> str:
    """Return msgspec's error in plain words: its path names no field of the command line."""
    name = problem.rpartition("$.")[2].rstrip("`")
    return f"{values.get(name, '')!r} is not a number for {name}"


def _unreadable(text: str, reason: str) -> ConfigurationError:
    example = "close=1011@response.output_audio.delta#3"
    return ConfigurationError(
        f"cannot read the fault {text!r}: {reason}; write {USAGE}, for example {example}"
    )

"""Faults to inject into sessions, for testing how an application copes with them.

- `kinds` defines the faults and the rules that say when they happen,
- `grammar` parses them from the command line,
- `event_pattern` matches the events that a fault applies to,
- `plan` decides what happens to each event: from its type, counters, dice and `now`,
- `delay_line` computes when each frame arrives.

Everything here is pure. The server's connection carries out what a plan decides.
"""

from __future__ import annotations

from duologue.server.faults.grammar import USAGE, parse_fault
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

__all__ = [
    "USAGE",
    "Close",
    "Delay",
    "Drop",
    "Duplicate",
    "Expire",
    "Fault",
    "RefuseHandshake",
    "Reorder",
    "SendError",
    "SlowNetwork",
    "Stall",
    "TruncateFrame",
    "parse_fault",
]

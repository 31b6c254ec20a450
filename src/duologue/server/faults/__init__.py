"""Faults to inject into sessions: what may go wrong, when, and how it is written on a command line.

Everything here is pure: `plan` decides from an event's type, counters, dice and `now`; `line` says
when what is on a connection arrives. The edge (`server/fault_injection.py`) carries it out.
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

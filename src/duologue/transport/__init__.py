"""Frames in, frames out, nothing else: what carries a session.

`websocket` talks to a server, `memory` joins two ends in one process; both keep the contract in
`base`. Import `connect_websocket` from `duologue.transport.websocket`: this package itself does not
load picows.
"""

from __future__ import annotations

from .base import Receiver, Transport
from .memory import MemoryTransport, memory_pair

__all__ = ["MemoryTransport", "Receiver", "Transport", "memory_pair"]

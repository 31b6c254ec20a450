"""Frames in, frames out, nothing else: what carries a session.

`picows` talks to a server, `websockets` does so through a proxy or with compression, `memory`
joins two ends in one process. All keep the contract in `base`, which
`duologue.testing.check_transport` tests. Import `connect_websocket` from
`duologue.transport.picows`: this package itself does not load picows.
"""

from __future__ import annotations

from duologue.transport.base import Receiver, Transport
from duologue.transport.memory import MemoryTransport, memory_pair

__all__ = ["MemoryTransport", "Receiver", "Transport", "memory_pair"]

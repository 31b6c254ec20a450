"""Transports: open connections that carry whole messages, and nothing else.

`picows` connects to a WebSocket server, `websockets` does so through a proxy or with compression,
and `connect` chooses between them. `memory` joins two ends in one process. All of them keep the
contract in `base`, which `duologue.testing.check_transport` tests. Importing this package does not
load a WebSocket library.
"""

from __future__ import annotations

from duologue.transport.base import Connector, Receiver, Transport
from duologue.transport.memory import MemoryTransport, memory_pair

__all__ = ["Connector", "MemoryTransport", "Receiver", "Transport", "memory_pair"]

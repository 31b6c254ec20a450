"""The client for code that blocks: the same names, no `await`, safe to use from any thread."""

from __future__ import annotations

from duologue.sync._bridged import ToolContext
from duologue.sync.client import RealtimeClient
from duologue.sync.conversation import RealtimeConversation
from duologue.sync.handles import Pending, ResponseHandle
from duologue.sync.loop_thread import serving

__all__ = [
    "Pending",
    "RealtimeClient",
    "RealtimeConversation",
    "ResponseHandle",
    "ToolContext",
    "serving",
]

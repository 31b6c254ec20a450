"""Blocking client: the names of the asynchronous one without `await`, usable from any thread."""

from __future__ import annotations

from duologue.sync.client import RealtimeClient, ToolContext
from duologue.sync.handles import Pending, RealtimeConversation, ResponseHandle
from duologue.sync.loop_thread import serving
from duologue.sync.voice import VoiceConversation, attach

__all__ = [
    "Pending",
    "RealtimeClient",
    "RealtimeConversation",
    "ResponseHandle",
    "ToolContext",
    "VoiceConversation",
    "attach",
    "serving",
]

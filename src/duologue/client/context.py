"""What a tool may know of its call, beside the arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duologue.client.client import RealtimeClient
    from duologue.protocol.ga import FunctionCall

__all__ = ["CallContext", "ToolContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallContext:
    """One call of a tool."""

    call_id: str
    """Joins the call to its output."""
    item: FunctionCall
    """The call as the server sent it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext(CallContext):
    """One call of a tool, and the client that it came to.

    A tool gets it in the parameter that is annotated with this class; the model does not see it.
    """

    client: RealtimeClient
    """The client; from a thread (a tool that is no coroutine function) only to be read."""

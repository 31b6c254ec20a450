"""Server events of remote MCP servers that the API calls.

Source: Realtime API reference, server events (GA).
"""

from __future__ import annotations

from duologue.protocol.ga.server_events.base import ItemEvent, OutputEvent
from duologue.protocol.model import UNSET, UnsetType

__all__ = [
    "McpListToolsCompleted",
    "McpListToolsFailed",
    "McpListToolsInProgress",
    "ResponseMcpCallArgumentsDelta",
    "ResponseMcpCallArgumentsDone",
    "ResponseMcpCallCompleted",
    "ResponseMcpCallFailed",
    "ResponseMcpCallInProgress",
]


class McpListToolsInProgress(
    ItemEvent, frozen=True, kw_only=True, tag="mcp_list_tools.in_progress"
):
    """A server is asked for its tools."""


class McpListToolsCompleted(ItemEvent, frozen=True, kw_only=True, tag="mcp_list_tools.completed"):
    """A server's tools are known."""


class McpListToolsFailed(ItemEvent, frozen=True, kw_only=True, tag="mcp_list_tools.failed"):
    """A server's tools could not be had."""


class McpCallEvent(ItemEvent, frozen=True, kw_only=True):
    """Concerns an MCP call of a response."""

    output_index: int
    """Place in the response's `output`."""


class ResponseMcpCallInProgress(
    McpCallEvent, frozen=True, kw_only=True, tag="response.mcp_call.in_progress"
):
    """The call runs."""


class ResponseMcpCallCompleted(
    McpCallEvent, frozen=True, kw_only=True, tag="response.mcp_call.completed"
):
    """The call succeeded."""


class ResponseMcpCallFailed(
    McpCallEvent, frozen=True, kw_only=True, tag="response.mcp_call.failed"
):
    """The call failed."""


class ResponseMcpCallArgumentsDelta(
    OutputEvent, frozen=True, kw_only=True, tag="response.mcp_call_arguments.delta"
):
    """More of the call's arguments."""

    item_id: str
    delta: str
    obfuscation: str | UnsetType | None = UNSET
    """Padding against traffic analysis."""


class ResponseMcpCallArgumentsDone(
    OutputEvent, frozen=True, kw_only=True, tag="response.mcp_call_arguments.done"
):
    """The call's arguments, whole."""

    item_id: str
    arguments: str

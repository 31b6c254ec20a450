"""Server events of remote MCP servers.

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
    """The API is requesting the tools of an MCP server."""


class McpListToolsCompleted(ItemEvent, frozen=True, kw_only=True, tag="mcp_list_tools.completed"):
    """The tools of an MCP server are known."""


class McpListToolsFailed(ItemEvent, frozen=True, kw_only=True, tag="mcp_list_tools.failed"):
    """The tools of an MCP server could not be listed."""


class McpCallEvent(ItemEvent, frozen=True, kw_only=True):
    """Base class of events about an MCP call of a response."""

    output_index: int
    """Index in the response's `output`."""


class ResponseMcpCallInProgress(
    McpCallEvent, frozen=True, kw_only=True, tag="response.mcp_call.in_progress"
):
    """An MCP call is in progress."""


class ResponseMcpCallCompleted(
    McpCallEvent, frozen=True, kw_only=True, tag="response.mcp_call.completed"
):
    """An MCP call succeeded."""


class ResponseMcpCallFailed(
    McpCallEvent, frozen=True, kw_only=True, tag="response.mcp_call.failed"
):
    """An MCP call failed."""


class ResponseMcpCallArgumentsDelta(
    OutputEvent, frozen=True, kw_only=True, tag="response.mcp_call_arguments.delta"
):
    """More arguments of an MCP call."""

    item_id: str
    delta: str
    obfuscation: str | UnsetType | None = UNSET
    """Padding against traffic analysis."""


class ResponseMcpCallArgumentsDone(
    OutputEvent, frozen=True, kw_only=True, tag="response.mcp_call_arguments.done"
):
    """The complete arguments of an MCP call."""

    item_id: str
    arguments: str

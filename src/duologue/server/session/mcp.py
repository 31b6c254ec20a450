"""MCP servers that a client lists among its tools: this server calls none, and says so.

A server of OpenAI asks each for its tools, and an application must bear that one cannot be reached:
that is what is told here. Functions in the same list work as ever.

Source: Realtime API reference, `mcp_list_tools.in_progress` and `.failed`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.protocol import ga
from duologue.protocol.model import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["mcp_labels", "unlisted"]


def mcp_labels(change: ga.RealtimeSession) -> list[str]:
    """Return the labels of the MCP servers that a change of the session lists."""
    tools = [] if change.tools is UNSET else change.tools
    return [tool.server_label for tool in tools if isinstance(tool, ga.McpTool)]


def unlisted(
    new_id: Callable[[str], str],
) -> Iterator[ga.McpListToolsInProgress | ga.McpListToolsFailed]:
    """Yield what a client is told of an MCP server that is not asked for its tools."""
    item_id = new_id("mcpl")
    yield ga.McpListToolsInProgress(event_id=new_id("event"), item_id=item_id)
    yield ga.McpListToolsFailed(event_id=new_id("event"), item_id=item_id)

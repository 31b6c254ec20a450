"""Tools that the model may or must call.

Source: Realtime API reference, session object, `tools` and `tool_choice` (GA).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from duologue.protocol.model import UNSET, Model, Open, TaggedModel, Unknown, UnsetType

__all__ = [
    "AllowedCallers",
    "AllowedTools",
    "ConnectorId",
    "FunctionTool",
    "McpApprovalFilter",
    "McpApprovalSetting",
    "McpTool",
    "McpToolFilter",
    "RequireApproval",
    "Tool",
    "ToolChoice",
    "ToolChoiceFunction",
    "ToolChoiceMcp",
    "ToolChoiceMode",
    "Tools",
    "UnknownTool",
    "UnknownToolChoice",
]


class ToolChoiceMode(StrEnum):
    """Whether the model may, must or must not call a tool."""

    NONE = "none"
    AUTO = "auto"
    REQUIRED = "required"


class ConnectorId(StrEnum):
    """Services with a connector by OpenAI."""

    DROPBOX = "connector_dropbox"
    GMAIL = "connector_gmail"
    GOOGLE_CALENDAR = "connector_googlecalendar"
    GOOGLE_DRIVE = "connector_googledrive"
    MICROSOFT_TEAMS = "connector_microsoftteams"
    OUTLOOK_CALENDAR = "connector_outlookcalendar"
    OUTLOOK_EMAIL = "connector_outlookemail"
    SHAREPOINT = "connector_sharepoint"


class AllowedCallers(StrEnum):
    """Callers of an MCP tool."""

    DIRECT = "direct"
    PROGRAMMATIC = "programmatic"


class McpApprovalSetting(StrEnum):
    """Approval rule for all tools of a server."""

    ALWAYS = "always"
    NEVER = "never"


class FunctionTool(TaggedModel, frozen=True, kw_only=True, tag="function"):
    """A function of the application."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    """Purpose of the function and when to call it, for the model."""
    parameters: Any | UnsetType = UNSET
    """JSON Schema of the arguments object."""


class McpToolFilter(Model, frozen=True, kw_only=True):
    """A selection of the tools of an MCP server."""

    tool_names: list[str] | UnsetType = UNSET
    read_only: bool | UnsetType = UNSET
    """Whether to select the tools that are annotated as read-only."""


class McpApprovalFilter(Model, frozen=True, kw_only=True):
    """Approval rules for the tools of an MCP server."""

    always: McpToolFilter | UnsetType = UNSET
    never: McpToolFilter | UnsetType = UNSET


AllowedTools = list[str] | McpToolFilter
"""Tools by name, or by a filter."""

RequireApproval = Open[McpApprovalSetting] | McpApprovalFilter
"""One rule for all tools, or rules for some of them."""


class McpTool(TaggedModel, frozen=True, kw_only=True, tag="mcp"):
    """A remote MCP server, whose tools the API calls without the client."""

    server_label: str
    """Name of the server in calls."""
    server_url: str | UnsetType = UNSET
    """One of `server_url`, `connector_id` and `tunnel_id` is required."""
    connector_id: Open[ConnectorId] | UnsetType = UNSET
    tunnel_id: str | UnsetType = UNSET
    server_description: str | UnsetType = UNSET
    authorization: str | UnsetType = UNSET
    """OAuth token for the server: a secret."""
    headers: dict[str, str] | None | UnsetType = UNSET
    """Headers of each request to the server: may contain secrets."""
    allowed_tools: AllowedTools | None | UnsetType = UNSET
    allowed_callers: list[Open[AllowedCallers]] | None | UnsetType = UNSET
    require_approval: RequireApproval | None | UnsetType = UNSET
    defer_loading: bool | UnsetType = UNSET
    """Whether to list the tools only when the model searches for one."""


class UnknownTool(Unknown, frozen=True, kw_only=True):
    """An unknown kind of tool."""


Tool = FunctionTool | McpTool | UnknownTool

Tools = list[Tool]
"""All tools of a session or a response."""


class ToolChoiceFunction(TaggedModel, frozen=True, kw_only=True, tag="function"):
    """The model must call this function."""

    name: str


class ToolChoiceMcp(TaggedModel, frozen=True, kw_only=True, tag="mcp"):
    """The model must call a tool of this MCP server."""

    server_label: str
    name: str | None | UnsetType = UNSET
    """Name of the tool; any tool of the server when unset."""


class UnknownToolChoice(Unknown, frozen=True, kw_only=True):
    """An unknown kind of tool choice."""


ToolChoice = Open[ToolChoiceMode] | ToolChoiceFunction | ToolChoiceMcp | UnknownToolChoice

"""Items of a conversation: messages, calls, their outputs, and what MCP adds.

Source: Realtime API reference, conversation item (GA).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from duologue.protocol.ga.content import ContentPart
from duologue.protocol.model import UNSET, Model, Open, Unknown, UnsetType

__all__ = [
    "FunctionCall",
    "FunctionCallOutput",
    "Item",
    "ItemReference",
    "ItemStatus",
    "McpApprovalRequest",
    "McpApprovalResponse",
    "McpCall",
    "McpCallError",
    "McpHttpError",
    "McpListTools",
    "McpListedTool",
    "McpProtocolError",
    "McpToolExecutionError",
    "Message",
    "MessagePhase",
    "MessageRole",
    "UnknownItem",
    "UnknownMcpCallError",
]


class ItemStatus(StrEnum):
    """How far an item has come."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"


class MessageRole(StrEnum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class MessagePhase(StrEnum):
    """What a spoken item is for; one response may hold one of each (seen from gpt-realtime-2)."""

    COMMENTARY = "commentary"
    FINAL_ANSWER = "final_answer"


class ConversationItem(Model, frozen=True, kw_only=True, tag_field="type"):
    """What the ordinary items share."""

    id: str | UnsetType = UNSET
    """Chosen by the client or, when it is absent, by the server."""
    object: str | UnsetType = UNSET
    """`realtime.item`, where it is sent at all."""
    status: Open[ItemStatus] | UnsetType = UNSET
    """Has no effect on the conversation."""


class Message(ConversationItem, frozen=True, kw_only=True, tag="message"):
    """Something said or shown by one side."""

    role: Open[MessageRole]
    content: list[ContentPart]
    phase: Open[MessagePhase] | None | UnsetType = UNSET


class FunctionCall(ConversationItem, frozen=True, kw_only=True, tag="function_call"):
    """The model calls a function of the application."""

    name: str
    arguments: str
    """A JSON object as text; whatever the model wrote, valid or not."""
    call_id: str | UnsetType = UNSET
    """Joins the call to its output."""


class FunctionCallOutput(ConversationItem, frozen=True, kw_only=True, tag="function_call_output"):
    """The application answers a call."""

    call_id: str
    output: str
    """Free text; the model reads JSON well."""


class McpListedTool(Model, frozen=True, kw_only=True):
    """A tool that an MCP server offers."""

    name: str
    input_schema: Any
    """JSON Schema of the arguments."""
    description: str | None | UnsetType = UNSET
    annotations: Any | UnsetType = UNSET


class McpListTools(Model, frozen=True, kw_only=True, tag_field="type", tag="mcp_list_tools"):
    """The tools of an MCP server."""

    server_label: str
    tools: list[McpListedTool]
    id: str | UnsetType = UNSET


class McpProtocolError(Model, frozen=True, kw_only=True, tag_field="type", tag="protocol_error"):
    """The MCP server broke its protocol."""

    code: int
    message: str


class McpToolExecutionError(
    Model, frozen=True, kw_only=True, tag_field="type", tag="tool_execution_error"
):
    """The tool failed."""

    message: str


class McpHttpError(Model, frozen=True, kw_only=True, tag_field="type", tag="http_error"):
    """The MCP server answered with an HTTP error."""

    code: int
    message: str


class UnknownMcpCallError(Unknown, frozen=True, kw_only=True):
    """A kind of MCP failure that this version does not know."""


McpCallError = McpProtocolError | McpToolExecutionError | McpHttpError | UnknownMcpCallError


class McpCall(Model, frozen=True, kw_only=True, tag_field="type", tag="mcp_call"):
    """The API called a tool of an MCP server."""

    id: str
    server_label: str
    name: str
    arguments: str
    approval_request_id: str | None | UnsetType = UNSET
    output: str | None | UnsetType = UNSET
    error: McpCallError | None | UnsetType = UNSET


class McpApprovalRequest(
    Model, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_request"
):
    """The API asks whether it may call a tool of an MCP server."""

    id: str
    server_label: str
    name: str
    arguments: str


class McpApprovalResponse(
    Model, frozen=True, kw_only=True, tag_field="type", tag="mcp_approval_response"
):
    """The application's answer to a `McpApprovalRequest`."""

    id: str
    approval_request_id: str
    approve: bool
    reason: str | None | UnsetType = UNSET


class ItemReference(Model, frozen=True, kw_only=True, tag_field="type", tag="item_reference"):
    """An item of the conversation, named in the `input` of a response."""

    id: str


class UnknownItem(Unknown, frozen=True, kw_only=True):
    """A kind of item that this version does not know."""

    @property
    def id(self) -> str | UnsetType:
        """The item's id, if it has one."""
        value = self.raw.get("id")
        return value if isinstance(value, str) else UNSET


Item = (
    Message
    | FunctionCall
    | FunctionCallOutput
    | McpListTools
    | McpCall
    | McpApprovalRequest
    | McpApprovalResponse
    | ItemReference
    | UnknownItem
)

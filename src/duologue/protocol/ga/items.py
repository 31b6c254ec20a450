"""Items of a conversation: messages, function calls, their outputs, and MCP items.

Source: Realtime API reference, conversation item (GA).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from duologue.protocol.ga.content import ContentPart
from duologue.protocol.model import UNSET, Model, Open, TaggedModel, Unknown, UnsetType

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
    """Progress of an item."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"


class MessageRole(StrEnum):
    """Author of a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class MessagePhase(StrEnum):
    """Purpose of a message. A response may have one message of each (gpt-realtime-2)."""

    COMMENTARY = "commentary"
    FINAL_ANSWER = "final_answer"


class ConversationItem(
    TaggedModel,
    frozen=True,
    kw_only=True,
):
    """Common fields of messages and function calls."""

    id: str | UnsetType = UNSET
    """Chosen by the client; if absent, by the server."""
    object: str | UnsetType = UNSET
    """`realtime.item`"""
    status: Open[ItemStatus] | UnsetType = UNSET
    """Has no effect on the conversation."""


class Message(ConversationItem, frozen=True, kw_only=True, tag="message"):
    """A message of the user, the assistant or the system."""

    role: Open[MessageRole]
    content: list[ContentPart]
    phase: Open[MessagePhase] | None | UnsetType = UNSET


class FunctionCall(ConversationItem, frozen=True, kw_only=True, tag="function_call"):
    """A call of a function of the application."""

    name: str
    arguments: str
    """Text of a JSON object, as the model wrote it: it may be invalid."""
    call_id: str | UnsetType = UNSET
    """Connects the call to its output."""


class FunctionCallOutput(ConversationItem, frozen=True, kw_only=True, tag="function_call_output"):
    """The output of a function call, from the application."""

    call_id: str
    output: str
    """Free text, often JSON."""


class McpListedTool(Model, frozen=True, kw_only=True):
    """A tool of an MCP server."""

    name: str
    input_schema: Any
    """JSON Schema of the arguments."""
    description: str | None | UnsetType = UNSET
    annotations: Any | UnsetType = UNSET


class McpListTools(TaggedModel, frozen=True, kw_only=True, tag="mcp_list_tools"):
    """The list of tools of an MCP server."""

    server_label: str
    tools: list[McpListedTool]
    id: str | UnsetType = UNSET


class McpProtocolError(TaggedModel, frozen=True, kw_only=True, tag="protocol_error"):
    """A violation of the protocol by an MCP server."""

    code: int
    message: str


class McpToolExecutionError(TaggedModel, frozen=True, kw_only=True, tag="tool_execution_error"):
    """A failure of an MCP tool."""

    message: str


class McpHttpError(TaggedModel, frozen=True, kw_only=True, tag="http_error"):
    """An HTTP error of an MCP server."""

    code: int
    message: str


class UnknownMcpCallError(Unknown, frozen=True, kw_only=True):
    """An unknown kind of MCP failure."""


McpCallError = McpProtocolError | McpToolExecutionError | McpHttpError | UnknownMcpCallError


class McpCall(TaggedModel, frozen=True, kw_only=True, tag="mcp_call"):
    """A call of an MCP tool, made by the API."""

    id: str
    server_label: str
    name: str
    arguments: str
    approval_request_id: str | None | UnsetType = UNSET
    output: str | None | UnsetType = UNSET
    error: McpCallError | None | UnsetType = UNSET


class McpApprovalRequest(TaggedModel, frozen=True, kw_only=True, tag="mcp_approval_request"):
    """A request for the user's approval of a call of an MCP tool."""

    id: str
    server_label: str
    name: str
    arguments: str


class McpApprovalResponse(TaggedModel, frozen=True, kw_only=True, tag="mcp_approval_response"):
    """The answer to an `McpApprovalRequest`."""

    id: str
    approval_request_id: str
    approve: bool
    reason: str | None | UnsetType = UNSET


class ItemReference(TaggedModel, frozen=True, kw_only=True, tag="item_reference"):
    """A reference to an item of the conversation, in the `input` of a response."""

    id: str


class UnknownItem(Unknown, frozen=True, kw_only=True):
    """An unknown kind of item."""

    @property
    def id(self) -> str | UnsetType:
        """Id of the item, if it has one."""
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

"""Items of a conversation: messages, function calls, their outputs, and MCP items.

Each kind of item has a type, where the official beta types have a single object whose fields are
all optional. MCP items are GA's; they are included because late beta servers send MCP events.

Source: Realtime API reference, conversation item (beta).
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.beta.content import ContentPart
from duologue.protocol.ga.items import (
    ConversationItem,
    ItemReference,
    ItemStatus,
    McpApprovalRequest,
    McpApprovalResponse,
    McpCall,
    McpListTools,
    MessagePhase,
    MessageRole,
    UnknownItem,
)
from duologue.protocol.model import UNSET, Open, UnsetType

__all__ = [
    "FunctionCall",
    "FunctionCallOutput",
    "Item",
    "ItemReference",
    "ItemStatus",
    "ItemType",
    "McpApprovalRequest",
    "McpApprovalResponse",
    "McpCall",
    "McpListTools",
    "Message",
    "MessagePhase",
    "MessageRole",
    "UnknownItem",
]


class ItemType(StrEnum):
    """Kinds of item. `item_reference` is used in the `input` of a response only."""

    MESSAGE = "message"
    FUNCTION_CALL = "function_call"
    FUNCTION_CALL_OUTPUT = "function_call_output"
    ITEM_REFERENCE = "item_reference"


class Message(ConversationItem, frozen=True, kw_only=True, tag="message"):
    """A message of the user, the assistant or the system."""

    role: Open[MessageRole] | UnsetType = UNSET
    content: list[ContentPart] | UnsetType = UNSET
    phase: Open[MessagePhase] | None | UnsetType = UNSET
    """Sent by GA models only."""


class FunctionCall(ConversationItem, frozen=True, kw_only=True, tag="function_call"):
    """A call of a function of the application."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    """Text of a JSON object, as the model wrote it: it may be invalid."""
    call_id: str | UnsetType = UNSET
    """Connects the call to its output."""


class FunctionCallOutput(ConversationItem, frozen=True, kw_only=True, tag="function_call_output"):
    """The output of a function call, from the application."""

    call_id: str | UnsetType = UNSET
    output: str | UnsetType = UNSET
    """Free text, often JSON."""


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

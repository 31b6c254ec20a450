"""Items of a conversation: messages, calls and their outputs.

One struct per type, where the official beta types have one object with every field optional. What
MCP adds is GA's; late beta servers list its events, so its items stand here too.

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
    """Kinds of item; `item_reference` only in the `input` of a response."""

    MESSAGE = "message"
    FUNCTION_CALL = "function_call"
    FUNCTION_CALL_OUTPUT = "function_call_output"
    ITEM_REFERENCE = "item_reference"


class Message(ConversationItem, frozen=True, kw_only=True, tag="message"):
    """Something said by one side."""

    role: Open[MessageRole] | UnsetType = UNSET
    content: list[ContentPart] | UnsetType = UNSET
    phase: Open[MessagePhase] | None | UnsetType = UNSET
    """From GA models only."""


class FunctionCall(ConversationItem, frozen=True, kw_only=True, tag="function_call"):
    """The model calls a function of the application."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET
    """A JSON object as text; whatever the model wrote, valid or not."""
    call_id: str | UnsetType = UNSET
    """Joins the call to its output."""


class FunctionCallOutput(ConversationItem, frozen=True, kw_only=True, tag="function_call_output"):
    """The application answers a call."""

    call_id: str | UnsetType = UNSET
    output: str | UnsetType = UNSET
    """Free text; the model reads JSON well."""


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

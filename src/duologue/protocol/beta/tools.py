"""Tools that the model may call, and which of them it must: as in GA.

Source: Realtime API reference, session object, `tools` and `tool_choice` (beta). Official types
know functions only, and `tool_choice` as a string; the service takes the object as well.
"""

from __future__ import annotations

from enum import StrEnum

from duologue.protocol.ga.tools import (
    FunctionTool,
    McpTool,
    Tool,
    ToolChoice,
    ToolChoiceFunction,
    ToolChoiceMcp,
    ToolChoiceMode,
    UnknownTool,
    UnknownToolChoice,
)

__all__ = [
    "FunctionTool",
    "McpTool",
    "Tool",
    "ToolChoice",
    "ToolChoiceFunction",
    "ToolChoiceMcp",
    "ToolChoiceMode",
    "ToolType",
    "UnknownTool",
    "UnknownToolChoice",
]


class ToolType(StrEnum):
    """Kinds of tool; beta itself has one."""

    FUNCTION = "function"

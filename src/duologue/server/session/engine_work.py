"""What the pure session asks of the edge: work that takes time.

The edge starts each command, and hands its result to the session method that the command names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duologue.protocol.ga import Item, Tool, ToolChoice

__all__ = ["CancelWork", "Command", "LogWarning", "PrewarmBrain", "Respond", "Transcribe"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcribe:
    """Find the words of an item: `transcript_delta`, then `transcript_done` or `_failed`."""

    item_id: str
    pcm: bytes
    """PCM16 at 24 kHz."""
    language: str | None
    prompt: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """Make a response: `responses.text`, `.audio` and `.call`, then `.done` or `.failed`."""

    response_id: str
    instructions: str
    items: Sequence[Item]
    """What the model reads; user audio has its transcript by now."""
    tools: Sequence[Tool]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    """Whether several functions may be called."""
    max_output_tokens: int | None
    speaks: bool
    """Answer aloud, else in text alone."""
    voice: str
    speed: float


@dataclass(frozen=True, slots=True)
class CancelWork:
    """Stop making a response, or finding the words of an item; nothing is handed back."""

    target_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrewarmBrain:
    """Prepare for answers that begin like this; nothing is handed back."""

    instructions: str
    tools: Sequence[Tool]
    tool_choice: ToolChoice


@dataclass(frozen=True, slots=True)
class LogWarning:
    """Write to the log what a client does wrong and is forgiven; nothing is handed back."""

    text: str


Command = Transcribe | Respond | CancelWork | PrewarmBrain | LogWarning

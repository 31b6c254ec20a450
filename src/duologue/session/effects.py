"""The effects of a client's core, beside its updates and the events that it sends."""

from __future__ import annotations

from msgspec import Struct

from duologue.protocol.model import Event, UnknownEvent
from duologue.session.commands import Command
from duologue.session.contract import SendEvent
from duologue.session.response_state import ResponseRequest
from duologue.session.tool_calls import ToolCall
from duologue.session.updates import Update

__all__ = ["CancelTool", "Effect", "RunTool", "Settled"]


class Settled(Struct, frozen=True):
    """Wake up whoever awaits a command or a response: it has ended."""

    record: Command | ResponseRequest


class RunTool(Struct, frozen=True):
    """Run a call, and pass its result to `ClientSession.answer_call`."""

    call: ToolCall


class CancelTool(Struct, frozen=True):
    """Stop the handler of a call: its result is no longer needed."""

    call_id: str


Effect = Update | Settled | RunTool | CancelTool | SendEvent[Event | UnknownEvent]
"""What a driver carries out, in order. An update is delivered to the application."""

"""The effects of a client's core: what its driver carries out, in order."""

from __future__ import annotations

from msgspec import Struct

from duologue.session.commands import Command
from duologue.session.response_state import ResponseRequest
from duologue.session.tool_calls import ToolCall
from duologue.session.updates import Update

__all__ = ["CancelTool", "DropConnection", "Effect", "Notify", "RunTool", "SendFrame", "Settled"]


class Notify(Struct, frozen=True, gc=False):
    """Deliver updates to the application."""

    updates: list[Update]


class Settled(Struct, frozen=True):
    """Wake up the tasks that await a command or a response: it has ended."""

    record: Command | ResponseRequest


class RunTool(Struct, frozen=True):
    """Run a call, and pass its result to `ClientSession.answer_call`."""

    call: ToolCall


class CancelTool(Struct, frozen=True):
    """Stop the handler of a call: its result is no longer needed."""

    call_id: str


class SendFrame(Struct, frozen=True, gc=False):
    """Send an event, encoded in the dialect of the wire."""

    frame: bytes
    type: str
    """The event's `type`, for the log."""


class DropConnection(Struct, frozen=True, gc=False):
    """Give the connection up, as if it had been lost."""

    reason: str


Effect = Notify | Settled | RunTool | CancelTool | SendFrame | DropConnection

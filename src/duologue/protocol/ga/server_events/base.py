"""What server events share."""

from __future__ import annotations

from duologue.protocol.model import Event

__all__ = ["ItemEvent", "OutputEvent", "PartEvent", "ServerEvent"]


class ServerEvent(Event, frozen=True, kw_only=True):
    """An event from the server; each has an id of its own."""

    event_id: str
    """`event_…`"""


class ItemEvent(ServerEvent, frozen=True, kw_only=True):
    """Concerns an item of the conversation."""

    item_id: str


class OutputEvent(ServerEvent, frozen=True, kw_only=True):
    """Concerns an output item of a response."""

    response_id: str
    output_index: int
    """Place in the response's `output`."""


class PartEvent(OutputEvent, frozen=True, kw_only=True):
    """Concerns a content part of an output item."""

    item_id: str
    content_index: int
    """Place in the item's `content`."""

"""Base classes of server events."""

from __future__ import annotations

from duologue.protocol.model import Event

__all__ = ["ItemEvent", "OutputEvent", "PartEvent", "ServerEvent"]


class ServerEvent(Event, frozen=True, kw_only=True):
    """Base class of server events."""

    event_id: str
    """`event_…`"""


class ItemEvent(ServerEvent, frozen=True, kw_only=True):
    """Base class of events about an item of the conversation."""

    item_id: str


class OutputEvent(ServerEvent, frozen=True, kw_only=True):
    """Base class of events about an output item of a response."""

    response_id: str
    output_index: int
    """Index in the response's `output`."""


class PartEvent(OutputEvent, frozen=True, kw_only=True):
    """Base class of events about a content part of an output item."""

    item_id: str
    content_index: int
    """Index in the item's `content`."""

"""Truncation: cutting an item of the assistant to what was heard of it.

The model must believe that it said exactly what was heard. The server refuses to cut an item beyond
the audio that it sent, or one that has no audio yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.errors import LocalProtocolError
from duologue.protocol.ga import (
    ConversationItemDeleteEvent,
    ConversationItemTruncateEvent,
    OutputAudio,
)

if TYPE_CHECKING:
    from duologue.session.conversation import ConversationMirror
    from duologue.session.playback import PlaybackCut

__all__ = ["cut_event", "is_heard_to_its_end", "part_to_cut", "truncate_event"]


def truncate_event(
    conversation: ConversationMirror, item_id: str, audio_end_ms: int, content_index: int
) -> ConversationItemTruncateEvent:
    """Return the event that cuts an item, clamped to the audio that was received."""
    received_ms = conversation.received_ms(item_id)
    end_ms = audio_end_ms if received_ms is None else min(audio_end_ms, received_ms)
    return ConversationItemTruncateEvent(
        item_id=item_id, content_index=content_index, audio_end_ms=end_ms
    )


def is_heard_to_its_end(
    conversation: ConversationMirror, event: ConversationItemTruncateEvent
) -> bool:
    """Return whether there is nothing to cut: doing it would only lose the item's transcript."""
    received_ms = conversation.received_ms(event.item_id)
    if received_ms is None or event.audio_end_ms < received_ms:
        return False
    return conversation.item(event.item_id).status != "in_progress"


def cut_event(
    conversation: ConversationMirror, cut: PlaybackCut
) -> ConversationItemTruncateEvent | ConversationItemDeleteEvent | None:
    """Return the event for something that was not heard to its end.

    An item of which nothing was heard is deleted, unless it has text, too. `None` if the
    conversation does not have the item, or there is nothing to cut.
    """
    if cut.item_id not in conversation:
        return None
    parts = conversation.item(cut.item_id).content
    if not cut.audio_end_ms and all(isinstance(part, OutputAudio) for part in parts):
        return ConversationItemDeleteEvent(item_id=cut.item_id)
    event = truncate_event(conversation, cut.item_id, cut.audio_end_ms, cut.content_index)
    return None if is_heard_to_its_end(conversation, event) else event


def part_to_cut(conversation: ConversationMirror, item_id: str) -> int | None:
    """Return the index of the first audio part of an item of the assistant, if it has one.

    Raises:
        ItemNotFound: If the conversation has no such item.
        LocalProtocolError: If the item is not the assistant's.
    """
    item = conversation.item(item_id)
    if item.role != "assistant":
        raise LocalProtocolError(f"the item {item_id!r} is not the assistant's to be cut")
    parts = enumerate(item.content)
    return next((index for index, part in parts if isinstance(part, OutputAudio)), None)

"""What a client does with items, and what it is told of each.

Every item is told of twice, when it is there and when it is whole; those of a client, and the
user's turns, are both at once.

Source: DIALECTS.md §6, recorded GA traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from duologue.protocol import ga
from duologue.server.session.audio_formats import format_of, input_of, output_of
from duologue.server.session.items import prepared, with_audio

if TYPE_CHECKING:
    from duologue.server.session.conversation import ServerConversation
    from duologue.server.session.transcription import InputTranscription

__all__ = ["ItemEvents"]


class ItemEvents:
    """Puts items into the conversation, shows them, cuts them and takes them out."""

    def __init__(
        self,
        conversation: ServerConversation,
        transcripts: InputTranscription,
        *,
        emit: Callable[[ga.KnownServerEvent], None],
        new_id: Callable[[str], str],
    ) -> None:
        self._conversation = conversation
        self._transcripts = transcripts
        self._emit = emit
        self._new_id = new_id

    def create(self, event: ga.ConversationItemCreateEvent, config: ga.RealtimeSession) -> None:
        """Add a client's item.

        Raises:
            InvalidRequest: If it cannot be added.
        """
        source = format_of(input_of(config).format)
        item, pcm = prepared(event.item, source, new_id=self._new_id)
        self._transcripts.check_room(len(pcm), "item.content")
        after = event.previous_item_id
        self.add(item, pcm, after=after if isinstance(after, str) else None)

    def add(self, item: ga.Item, pcm: bytes, *, after: str | None, has_words: bool = True) -> None:
        """Add an item that is whole, and look for the words in its audio if it has any.

        Raises:
            InvalidRequest: If it cannot be added.
        """
        stored = self._conversation.insert(item, after=after)
        item_id = str(item.id)
        previous = self._conversation.before(item_id)
        for kind in (ga.ConversationItemAdded, ga.ConversationItemDone):
            event_id = self._new_id("event")
            self._emit(kind(event_id=event_id, item=item, previous_item_id=previous))
        if pcm:
            stored.add_audio(pcm)
            self._conversation.keep_audio(stored)
            if has_words:
                self._transcripts.find(item_id, stored)

    def retrieve(self, event: ga.ConversationItemRetrieveEvent, config: ga.RealtimeSession) -> None:
        """Show an item with its audio, in the format of its direction."""
        stored = self._conversation.get(event.item_id)
        item = stored.current
        is_users = isinstance(item, ga.Message) and item.role == ga.MessageRole.USER
        way = input_of(config) if is_users else output_of(config)
        item = with_audio(item, bytes(stored.audio), format_of(way.format))
        self._emit(ga.ConversationItemRetrieved(event_id=self._new_id("event"), item=item))

    def truncate(self, event: ga.ConversationItemTruncateEvent) -> None:
        """Cut what the model said to what was heard of it."""
        self._conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        self._emit(
            ga.ConversationItemTruncatedEvent(
                event_id=self._new_id("event"),
                item_id=event.item_id,
                content_index=event.content_index,
                audio_end_ms=event.audio_end_ms,
            )
        )

    def delete(self, event: ga.ConversationItemDeleteEvent) -> None:
        """Take an item out, and look for its words no more."""
        self._conversation.delete(event.item_id)
        event_id = self._new_id("event")
        self._emit(ga.ConversationItemDeletedEvent(event_id=event_id, item_id=event.item_id))
        self._transcripts.drop(event.item_id)

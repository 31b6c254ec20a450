"""Events about conversation items: created, retrieved, truncated and deleted.

Every item is announced twice: `conversation.item.added` when it joins the conversation, and
`conversation.item.done` when it is complete. Items of the client and turns of the user are complete
at once; those of a response are written by `response_writer`.

Source: recorded GA traffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from duologue.protocol import ga
from duologue.server.session.audio_formats import format_of, input_of, output_of
from duologue.server.session.items import prepared, with_audio

if TYPE_CHECKING:
    from duologue.server.session.context import ConversationContext
    from duologue.server.session.conversation import ServerConversation
    from duologue.server.session.transcription import InputTranscription

__all__ = ["ItemEvents"]


class ItemEvents:
    """Changes the conversation's items, and emits the events that confirm it."""

    def __init__(
        self,
        conversation: ServerConversation,
        transcription: InputTranscription,
        context: ConversationContext,
    ) -> None:
        self._conversation: Final = conversation
        self._transcription: Final = transcription
        self._context: Final = context

    def create(self, event: ga.ConversationItemCreateEvent, config: ga.RealtimeSession) -> None:
        """Add a client's item.

        Raises:
            InvalidRequest: If the item is invalid, or the conversation is full.
        """
        source = format_of(input_of(config).format)
        item, pcm = prepared(event.item, source, new_id=self._context.new_id)
        self._transcription.check_room(len(pcm), "item.content")
        after = event.previous_item_id
        self.add(item, pcm, after=after if isinstance(after, str) else None)

    def add(self, item: ga.Item, pcm: bytes, *, after: str | None, has_words: bool = True) -> None:
        """Add a complete item.

        Args:
            item: Has an id.
            pcm: The audio of its audio part, PCM16 at 24 kHz; may be empty.
            after: The item before it; `None` for the end.
            has_words: Whether its audio is to be transcribed.

        Raises:
            InvalidRequest: If the conversation refuses it.
        """
        stored = self._conversation.insert(item, after=after)
        item_id = str(item.id)
        previous = self._conversation.before(item_id)
        for kind in (ga.ConversationItemAdded, ga.ConversationItemDone):
            event_id = self._context.event_id()
            self._context.emit(kind(event_id=event_id, item=item, previous_item_id=previous))
        if pcm:
            stored.add_audio(pcm)
            self._conversation.keep_audio(stored)
            if has_words:
                self._transcription.transcribe(item_id, stored)

    def retrieve(self, event: ga.ConversationItemRetrieveEvent, config: ga.RealtimeSession) -> None:
        """Send an item with its audio, in the session's input or output format.

        Raises:
            InvalidRequest: If there is no such item.
        """
        stored = self._conversation.get(event.item_id)
        item = stored.current
        is_users = isinstance(item, ga.Message) and item.role == ga.MessageRole.USER
        direction = input_of(config) if is_users else output_of(config)
        item = with_audio(item, bytes(stored.audio), format_of(direction.format))
        event_id = self._context.event_id()
        self._context.emit(ga.ConversationItemRetrieved(event_id=event_id, item=item))

    def truncate(self, event: ga.ConversationItemTruncateEvent) -> None:
        """Cut an assistant message to the audio that the user has heard.

        Raises:
            InvalidRequest: If there is no such audio, or less of it.
        """
        self._conversation.truncate(event.item_id, event.content_index, event.audio_end_ms)
        self._context.emit(
            ga.ConversationItemTruncatedEvent(
                event_id=self._context.event_id(),
                item_id=event.item_id,
                content_index=event.content_index,
                audio_end_ms=event.audio_end_ms,
            )
        )

    def delete(self, event: ga.ConversationItemDeleteEvent) -> None:
        """Delete an item, and stop transcribing it.

        Raises:
            InvalidRequest: If there is no such item.
        """
        self._conversation.delete(event.item_id)
        event_id = self._context.event_id()
        self._context.emit(
            ga.ConversationItemDeletedEvent(event_id=event_id, item_id=event.item_id)
        )
        self._transcription.drop(event.item_id)

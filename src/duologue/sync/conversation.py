"""The conversation, read from any thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duologue.client import client
    from duologue.protocol.formats import Format
    from duologue.session.formatted import FormattedItem
    from duologue.sync.loop_thread import Bridge

__all__ = ["RealtimeConversation"]


class RealtimeConversation:
    """What was said so far, as the server has told it; the current session's, whichever it is."""

    def __init__(self, bridge: Bridge, source: client.RealtimeClient) -> None:
        self._bridge: Final = bridge
        self._source: Final = source

    @property
    def items(self) -> tuple[FormattedItem, ...]:
        """All items, in the order of the conversation."""
        return self._bridge.call(lambda: self._source.conversation.items)

    @property
    def output_format(self) -> Format:
        """In which the assistant's audio comes; truncation counts in it."""
        return self._source.conversation.output_format

    def item(self, item_id: str) -> FormattedItem:
        """Return an item as it is now.

        Raises:
            ItemNotFound: If the conversation has none of this id.
        """
        return self._bridge.call(lambda: self._source.conversation.item(item_id))

    def __iter__(self) -> Iterator[FormattedItem]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self._source.conversation)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._source.conversation

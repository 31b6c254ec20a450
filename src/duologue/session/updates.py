"""What the core tells the application.

Nothing that they hold leads back to them, so the garbage collector need not follow them.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from duologue.errors import RemoteProtocolError, ResponseFailed, ServerError, ToolFailed
from duologue.protocol.model import Event, UnknownEvent
from duologue.session.formatted import FormattedItem
from duologue.session.journal import Journal, Sound

__all__ = [
    "ConversationUpdated",
    "Delta",
    "ErrorUpdate",
    "Interrupted",
    "ItemAppended",
    "ItemCompleted",
    "RealtimeEvent",
    "Update",
]


class Delta(Struct, frozen=True, gc=False):
    """What an item has more of than before: one of these, the others are `None`."""

    text: str | None = None
    transcript: str | None = None
    """More words; the whole transcript when a transcription completes."""
    arguments: str | None = None
    _sound: Sound | None = None
    _journal: Journal | None = None
    _position: int = 0

    @property
    def audio(self) -> bytes | None:
        """More speech, in the session's output format, always whole samples.

        Decoded when it is first read.

        Raises:
            DecodeError: If the server sent what is not base64.
        """
        if self._sound is None or self._journal is None:
            return None
        return self._journal.samples_of(self._position, self._sound)

    def __repr__(self) -> str:
        if self._sound is not None:
            return "Delta(audio=...)"
        told = {"text": self.text, "transcript": self.transcript, "arguments": self.arguments}
        return f"Delta({', '.join(f'{k}={v!r}' for k, v in told.items() if v is not None)})"


class ConversationUpdated(Struct, frozen=True, gc=False):
    """An item came, changed or went."""

    item: FormattedItem
    delta: Delta | None = None
    """What was added to it; `None` when it is new, ended, was truncated or deleted."""


class ItemAppended(Struct, frozen=True, gc=False):
    """An item entered the conversation."""

    item: FormattedItem


class ItemCompleted(Struct, frozen=True, gc=False):
    """An item is whole; the transcript of a user's audio may still follow."""

    item: FormattedItem


class Interrupted(Struct, frozen=True, gc=False):
    """The user began to speak: stop playing."""

    item_id: str
    """The message that the speech will become."""
    audio_start_ms: int
    """Where it began, on the clock of the session's input audio."""


class ErrorUpdate(Struct, frozen=True):  # collected: whoever raises the error makes a cycle
    """An error that nobody awaits, of a command, response, frame or tool; the session goes on."""

    error: ServerError | ResponseFailed | RemoteProtocolError | ToolFailed


class RealtimeEvent(Struct, frozen=True, gc=False):
    """An event as it was on the wire; after the updates that it caused."""

    source: Literal["client", "server"]
    event: Event | UnknownEvent
    """As spoken: of `duologue.protocol.beta` on a beta connection."""
    time: float
    """Monotonic seconds."""
    meanings: tuple[Event | UnknownEvent, ...] = ()
    """The same in GA's words, where they differ: none, one event or two."""


Update = (
    ConversationUpdated | ItemAppended | ItemCompleted | Interrupted | ErrorUpdate | RealtimeEvent
)
"""Everything that `async for` over a client can yield."""

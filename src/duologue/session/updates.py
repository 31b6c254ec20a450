"""What the core tells the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from duologue.errors import RemoteProtocolError, ResponseFailed, ServerError
    from duologue.protocol.ga import AnyClientEvent, AnyServerEvent
    from duologue.session.formatted import FormattedItem

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


@dataclass(frozen=True, slots=True)
class Delta:
    """What an item has more of than before: one of these, the others are `None`."""

    text: str | None = None
    transcript: str | None = None
    """More words; the whole transcript when a transcription completes."""
    arguments: str | None = None
    audio: bytes | None = None
    """In the session's output format, always whole samples."""

    def __repr__(self) -> str:
        if self.audio is not None:
            return f"Delta(audio=<{len(self.audio)} bytes>)"
        told = {"text": self.text, "transcript": self.transcript, "arguments": self.arguments}
        return f"Delta({', '.join(f'{k}={v!r}' for k, v in told.items() if v is not None)})"


@dataclass(frozen=True, slots=True)
class ConversationUpdated:
    """An item came, changed or went."""

    item: FormattedItem
    delta: Delta | None = None
    """What was added to it; `None` when it is new, ended, was truncated or deleted."""


@dataclass(frozen=True, slots=True)
class ItemAppended:
    """An item entered the conversation."""

    item: FormattedItem


@dataclass(frozen=True, slots=True)
class ItemCompleted:
    """An item is whole; the transcript of a user's audio may still follow."""

    item: FormattedItem


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The user began to speak: stop playing."""

    item_id: str
    """The message that the speech will become."""
    audio_start_ms: int
    """Where it began, on the clock of the session's input audio."""


@dataclass(frozen=True, slots=True)
class ErrorUpdate:
    """An error that nobody awaits, of a command, a response or a frame; the session goes on."""

    error: ServerError | ResponseFailed | RemoteProtocolError


@dataclass(frozen=True, slots=True)
class RealtimeEvent:
    """An event as it was on the wire; after the updates that it caused."""

    source: Literal["client", "server"]
    event: AnyServerEvent | AnyClientEvent
    time: float
    """Monotonic seconds."""


Update = (
    ConversationUpdated | ItemAppended | ItemCompleted | Interrupted | ErrorUpdate | RealtimeEvent
)
"""Everything that `async for` over a client can yield."""

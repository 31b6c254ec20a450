"""Updates: what a session reports to the application.

They are not tracked by the garbage collector (`gc=False`): nothing that they hold refers back to
them.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from duologue.errors import (
    BudgetExceeded,
    DuologueError,
    RemoteProtocolError,
    ResponseFailed,
    ServerError,
    ToolFailed,
)
from duologue.protocol.model import Event, UnknownEvent
from duologue.session.formatted import FormattedItem
from duologue.session.journal import Journal, Sound

__all__ = [
    "ConversationUpdated",
    "DeadAir",
    "Delta",
    "Disconnected",
    "ErrorUpdate",
    "InputAudioDropped",
    "Interrupted",
    "ItemAppended",
    "ItemCompleted",
    "RateLimited",
    "RealtimeEvent",
    "Reconnected",
    "Update",
]


class Delta(Struct, frozen=True, gc=False):
    """Addition to an item: one of the fields is set, the others are `None`."""

    text: str | None = None
    transcript: str | None = None
    """More words, also when a transcription completes: what the deltas lacked."""
    arguments: str | None = None
    _sound: Sound | None = None
    _journal: Journal | None = None
    _position: int = 0

    @property
    def audio(self) -> bytes | None:
        """More audio in the session's output format, always whole samples.

        Decoded when it is first read.

        Raises:
            DecodeError: If the server sent invalid base64.
        """
        if self._sound is None or self._journal is None:
            return None
        return self._journal.samples_of(self._position, self._sound)

    def __repr__(self) -> str:
        if self._sound is not None:
            return "Delta(audio=...)"
        words = {"text": self.text, "transcript": self.transcript, "arguments": self.arguments}
        return f"Delta({', '.join(f'{k}={v!r}' for k, v in words.items() if v is not None)})"


class ConversationUpdated(Struct, frozen=True, gc=False):
    """An item was added, changed or removed."""

    item: FormattedItem
    delta: Delta | None = None
    """What was added to it; `None` when it is new, completed, truncated or deleted."""


class ItemAppended(Struct, frozen=True, gc=False):
    """An item was added to the conversation."""

    item: FormattedItem


class ItemCompleted(Struct, frozen=True, gc=False):
    """An item is complete; the transcript of a user's audio may still follow."""

    item: FormattedItem


class Interrupted(Struct, frozen=True, gc=False):
    """The user began to speak: stop playback."""

    item_id: str
    """Id of the message that the speech becomes."""
    audio_start_ms: int
    """Start of the speech on the session's audio clock."""


class ErrorUpdate(Struct, frozen=True):  # with gc: raising the error makes a reference cycle
    """An error of a command, response, frame or tool that nothing awaits; the session goes on."""

    error: (
        ServerError
        | ResponseFailed
        | RemoteProtocolError
        | BudgetExceeded
        | ToolFailed
        | TimeoutError
    )
    event: Event | UnknownEvent | None = None
    """The event that could not be processed, if it is one."""


class Disconnected(Struct, frozen=True):  # collected: as `ErrorUpdate`
    """The connection has ended, and with it the session, unless the client connects again."""

    error: DuologueError | None
    """Why the connection was lost; `None` if the application closed the session."""
    will_retry: bool = False
    """Whether the client connects again by itself: `Reconnected` follows, or a `Disconnected` that
    is final. Until then everything may be sent: it waits for the new session."""


class Reconnected(Struct, frozen=True, kw_only=True):  # collected: as `ErrorUpdate`
    """A new session continues the conversation."""

    error: DuologueError | None
    """Why the last connection was lost; `None` if the client replaced it by itself."""
    attempts: int
    """Connections that were tried."""
    seconds: float
    """Time without a connection."""
    restored_items: int
    """Items of the conversation that the new session has."""
    missing_items: tuple[str, ...]
    """Ids of the items that it does not have: too old, cut, refused, or impossible to restore."""
    renamed_items: dict[str, str]
    """Ids by which the new server knows items, by their ids in the conversation, where they differ:
    raw events show them. Everywhere else the old ids stay valid."""
    asked_again: int
    """Responses that were requested again."""
    resent_audio_ms: float
    """Input audio that was sent again."""
    lost_audio_ms: float
    """Input audio of a turn that was not kept, and so is lost."""


class DeadAir(Struct, frozen=True, kw_only=True, gc=False):
    """The server owes a response and is silent; see `DeadAirPolicy`."""

    kind: Literal["response_not_begun", "response_stalled", "turn_not_answered"]
    seconds: float
    """Seconds of silence."""
    remedy: Literal["asked_again", "reconnecting", "none"]
    """The client's reaction. `none`: the client does not connect again."""


class InputAudioDropped(Struct, frozen=True, kw_only=True, gc=False):
    """Input audio was dropped, oldest first: the network is too slow, see `max_input_delay`.

    It comes twice: when audio is first dropped, and when the audio that waited has been sent.
    """

    milliseconds: float
    """Audio that was dropped since the network became too slow."""
    is_over: bool
    """Whether the network takes the audio again."""


class RateLimited(Struct, frozen=True, kw_only=True):  # collected: as `ErrorUpdate`
    """The next request of a response waits for a rate limit of the server; see `RateLimitPolicy`.

    It comes once for each delay.
    """

    seconds: float
    """Seconds until the request is sent."""
    error: ServerError | ResponseFailed | None
    """The refusal; `None` if the server said before that nothing is left."""


class RealtimeEvent(Struct, frozen=True, gc=False):
    """An event as it was on the wire; it follows the updates that it caused."""

    source: Literal["client", "server"]
    event: Event | UnknownEvent
    """As on the wire: of `duologue.protocol.beta` on a beta connection."""
    time: float
    """Monotonic seconds."""
    meanings: tuple[Event | UnknownEvent, ...] = ()
    """The event in GA, where that differs: none, one event or two."""


Update = (
    ConversationUpdated
    | ItemAppended
    | ItemCompleted
    | Interrupted
    | ErrorUpdate
    | Disconnected
    | Reconnected
    | DeadAir
    | InputAudioDropped
    | RateLimited
    | RealtimeEvent
)
"""Everything that `async for` over a client can yield."""

"""Commands: client events that the server answers, and their answers.

A command is answered by the event of its row in `ANSWERS`, or refused by an `error` that names its
`event_id`. Where the answer does not identify its command (which `session.update` a
`session.updated` belongs to), order decides: the server processes events one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from duologue.errors import RemoteProtocolError, ServerError
from duologue.protocol.ga import (
    ConversationItemAdded,
    ConversationItemCreatedEvent,
    ConversationItemCreateEvent,
    ConversationItemDeletedEvent,
    ConversationItemDeleteEvent,
    ConversationItemRetrieved,
    ConversationItemRetrieveEvent,
    ConversationItemTruncatedEvent,
    ConversationItemTruncateEvent,
    FunctionCallOutput,
    InputAudioBufferClearedEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    InputAudioBufferCommittedEvent,
    InputText,
    Message,
    OutputText,
    SessionUpdatedEvent,
    SessionUpdateEvent,
)
from duologue.session._item_fields import id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.errors import SessionEnd
    from duologue.protocol.ga import ContentPart, Item
    from duologue.protocol.model import Event

__all__ = ["ANSWERS", "COMMAND_OF", "Command", "CommandState", "Commands"]

ROOT: Final = "root"
"""The `previous_item_id` by which a client inserts at the front."""

MAX_PENDING: Final = 1024
"""Commands that may await an answer; beyond it the server evidently never answers."""

ANSWERS: Final[Mapping[type, tuple[type, ...]]] = {
    SessionUpdateEvent: (SessionUpdatedEvent,),
    InputAudioBufferCommitEvent: (InputAudioBufferCommittedEvent,),
    InputAudioBufferClearEvent: (InputAudioBufferClearedEvent,),
    ConversationItemCreateEvent: (ConversationItemAdded, ConversationItemCreatedEvent),
    ConversationItemDeleteEvent: (ConversationItemDeletedEvent,),
    ConversationItemTruncateEvent: (ConversationItemTruncatedEvent,),
    ConversationItemRetrieveEvent: (ConversationItemRetrieved,),
}
"""Each command and the events that answer it. `response.create` has a state machine of its own."""

COMMAND_OF: Final[Mapping[type, type]] = {
    answer: command for command, row in ANSWERS.items() for answer in row
}
"""The command that an event answers: `ANSWERS` inverted."""

REFUSED_BY_CODE: Final[Mapping[str, type]] = {
    "input_audio_buffer_commit_empty": InputAudioBufferCommitEvent,
    "cannot_update_voice": SessionUpdateEvent,
}
"""Error codes that identify the command by themselves: some servers leave out the `event_id`."""


class CommandState(Enum):
    """State of a command."""

    PENDING = auto()
    ANSWERED = auto()
    FAILED = auto()


@dataclass(slots=True, eq=False)
class Command:
    """A client event that awaits its answer."""

    event_id: str
    event: Event
    state: CommandState = CommandState.PENDING
    answer: Event | None = None
    """The server's event, once it has answered."""
    error: ServerError | SessionEnd | RemoteProtocolError | None = None
    """Why the command failed."""
    waiters: int = 0
    """Tasks that await the answer: an error with no waiter is reported as an `ErrorUpdate`."""

    @property
    def inserts_at_front(self) -> bool:
        """Whether the command inserts an item at the front of the conversation."""
        event = self.event
        return isinstance(event, ConversationItemCreateEvent) and event.previous_item_id == ROOT


class Commands:
    """The commands of a session that await their answers.

    Args:
        settle: Called with each command that has been answered, refused or lost.
    """

    def __init__(self, settle: Callable[[Command], None]) -> None:
        self._settle: Final = settle
        self.pending: Final[dict[str, Command]] = {}
        """The commands that await their answers, by event id."""

    def __len__(self) -> int:
        return len(self.pending)

    def get(self, event_id: str) -> Command | None:
        """Return a pending command by the id of its event."""
        return self.pending.get(event_id)

    def send(self, event_id: str, event: Event) -> Command | None:
        """Record an event that is being sent, and return it if it is a command."""
        if type(event) not in ANSWERS:
            return None
        command = self.pending[event_id] = Command(event_id, event)
        if len(self.pending) > MAX_PENDING:
            oldest = next(iter(self.pending))
            text = f"the server left this and {MAX_PENDING} later commands without an answer"
            self.fail(oldest, RemoteProtocolError(text))
        return command

    def answer(self, event: Event) -> Command | None:
        """Settle the command that a server event answers, and return it."""
        kind = COMMAND_OF.get(type(event))
        for command in self.pending.values():
            if type(command.event) is kind and _is_answer(command.event, event):
                command.state, command.answer = CommandState.ANSWERED, event
                self._remove(command)
                return command
        return None

    def fail(self, event_id: str, error: ServerError | SessionEnd | RemoteProtocolError) -> bool:
        """Fail the command of this event id; return whether there is one."""
        command = self.pending.get(event_id)
        if command is None:
            return False
        command.state, command.error = CommandState.FAILED, error
        self._remove(command)
        return True

    def lose(self, error: SessionEnd) -> None:
        """Fail all pending commands: the connection has ended."""
        for event_id in list(self.pending):
            self.fail(event_id, error)

    def refused_by(self, code: str) -> str | None:
        """Return the event id of the oldest command that an error of this code can refer to."""
        kind = REFUSED_BY_CODE.get(code)
        matching = (c.event_id for c in self.pending.values() if type(c.event) is kind)
        return next(matching, None)

    def _remove(self, command: Command) -> None:
        del self.pending[command.event_id]
        self._settle(command)


def _is_answer(command: Event, answer: Event) -> bool:
    """Return whether an event of the right type answers this command and not another one."""
    match command:
        case ConversationItemCreateEvent():
            return isinstance(
                answer, ConversationItemAdded | ConversationItemCreatedEvent
            ) and _is_same_item(command.item, answer.item)
        case ConversationItemRetrieveEvent():
            return (
                isinstance(answer, ConversationItemRetrieved)
                and id_of(answer.item) == command.item_id
            )
        case ConversationItemDeleteEvent() | ConversationItemTruncateEvent():
            return (
                isinstance(answer, ConversationItemDeletedEvent | ConversationItemTruncatedEvent)
                and answer.item_id == command.item_id
            )
        case _:
            return True


def _is_same_item(sent: Item, added: Item) -> bool:
    """Return whether an added item is the one that was sent; without an id, whether it may be."""
    if id_of(sent) is not None:
        return id_of(sent) == id_of(added)
    match sent, added:
        case Message(), Message():
            is_as_long = len(sent.content) == len(added.content)
            parts = zip(sent.content, added.content, strict=False)
            is_alike = sent.role == added.role and is_as_long
            return is_alike and all(_is_same_part(*pair) for pair in parts)
        case FunctionCallOutput(), FunctionCallOutput():
            return sent.call_id == added.call_id
        case _:
            return type(sent) is type(added)


def _is_same_part(sent: ContentPart, added: ContentPart) -> bool:
    if isinstance(sent, InputText | OutputText) and isinstance(added, InputText | OutputText):
        return sent.text == added.text
    return type(sent) is type(added)

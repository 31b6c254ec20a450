"""Commands: client events that the server answers, and their answers.

A command is answered by the event of its row in `ANSWERS`, or refused by an `error` that names its
`event_id`. What the answer does not tell (which `session.update` a `session.updated` belongs to) is
settled by order: the server takes events one after the other.
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
from duologue.session.wire import id_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.errors import Closed, ConnectionLost
    from duologue.protocol.ga import ContentPart, Item
    from duologue.protocol.model import Event

__all__ = ["ANSWERS", "COMMAND_OF", "ROOT", "Command", "CommandState", "Commands"]

ROOT: Final = "root"
"""The `previous_item_id` of a client that means the front."""

MAX_PENDING: Final = 1024
"""Commands that may await an answer: more means that the server never answers."""

ANSWERS: Final[Mapping[type, tuple[type, ...]]] = {
    SessionUpdateEvent: (SessionUpdatedEvent,),
    InputAudioBufferCommitEvent: (InputAudioBufferCommittedEvent,),
    InputAudioBufferClearEvent: (InputAudioBufferClearedEvent,),
    ConversationItemCreateEvent: (ConversationItemAdded, ConversationItemCreatedEvent),
    ConversationItemDeleteEvent: (ConversationItemDeletedEvent,),
    ConversationItemTruncateEvent: (ConversationItemTruncatedEvent,),
    ConversationItemRetrieveEvent: (ConversationItemRetrieved,),
}
"""Which event answers which; `response.create` has its own machine in `responses`."""

COMMAND_OF: Final[Mapping[type, type]] = {
    answer: command for command, row in ANSWERS.items() for answer in row
}
"""The same the other way round."""

REFUSED_BY_CODE: Final[Mapping[str, type]] = {
    "input_audio_buffer_commit_empty": InputAudioBufferCommitEvent,
    "cannot_update_voice": SessionUpdateEvent,
}
"""Errors that tell by their code what they refuse; some servers leave out the `event_id`."""


class CommandState(Enum):
    """How a command stands."""

    PENDING = auto()
    ANSWERED = auto()
    FAILED = auto()


@dataclass(slots=True, eq=False)
class Command:
    """One client event that awaits its answer."""

    event_id: str
    event: Event
    state: CommandState = CommandState.PENDING
    answer: Event | None = None
    """The server's event, when it answered."""
    error: ServerError | ConnectionLost | Closed | RemoteProtocolError | None = None
    """Why there is no answer, when it failed."""

    @property
    def is_to_front(self) -> bool:
        """Whether it puts an item to the front of the conversation."""
        event = self.event
        return isinstance(event, ConversationItemCreateEvent) and event.previous_item_id == ROOT


class Commands:
    """The commands of a session, oldest first."""

    def __init__(self) -> None:
        self._pending: dict[str, Command] = {}
        self._settled: list[Command] = []

    def __len__(self) -> int:
        return len(self._pending)

    def get(self, event_id: str) -> Command | None:
        """Return a pending command."""
        return self._pending.get(event_id)

    def take_settled(self) -> list[Command]:
        """Return the commands that were answered or failed since the last call."""
        settled, self._settled = self._settled, []
        return settled

    def send(self, event_id: str, event: Event) -> None:
        """Note that an event is being sent, if it is a command."""
        if type(event) not in ANSWERS:
            return
        self._pending[event_id] = Command(event_id, event)
        if len(self._pending) > MAX_PENDING:
            oldest = next(iter(self._pending))
            text = f"the server left this and {MAX_PENDING} later commands without an answer"
            self.fail(oldest, RemoteProtocolError(text))

    def receive(self, event: Event) -> Command | None:
        """Settle the command that a server event answers, and return it."""
        kind = COMMAND_OF.get(type(event))
        if kind is None:
            return None
        for command in self._pending.values():
            if type(command.event) is kind and _is_answer(command.event, event):
                command.state, command.answer = CommandState.ANSWERED, event
                self._settle(command)
                return command
        return None

    def fail(
        self, event_id: str, error: ServerError | ConnectionLost | Closed | RemoteProtocolError
    ) -> bool:
        """Take an error that names a command; return whether one is pending under that id."""
        command = self._pending.get(event_id)
        if command is None:
            return False
        command.state, command.error = CommandState.FAILED, error
        self._settle(command)
        return True

    def lose(self, error: ConnectionLost | Closed) -> None:
        """Fail everything that is pending: the connection is gone."""
        for event_id in list(self._pending):
            self.fail(event_id, error)

    def refused_by(self, code: str) -> str | None:
        """Return the id of the oldest command that an error of this code can mean."""
        kind = REFUSED_BY_CODE.get(code)
        fitting = (c.event_id for c in self._pending.values() if type(c.event) is kind)
        return next(fitting, None)

    def _settle(self, command: Command) -> None:
        del self._pending[command.event_id]
        self._settled.append(command)


def _is_answer(command: Event, answer: Event) -> bool:
    """Tell whether an event of the right type answers this command and not another one."""
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
    """Tell whether an item is the one that was sent; without an id, whether it can be."""
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

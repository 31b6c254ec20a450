"""Commands: client events that the server answers, and their answers.

A command is answered by the event of its row in `ANSWERS`, or refused by an `error` that names its
`event_id`. Where the answer does not identify its command (which `session.update` a
`session.updated` belongs to), order decides: the server processes events one after the other.

Servers also leave out ids, echo an item differently, or do not answer at all. So an answer that
fits no command exactly settles the oldest one that it can mean, and every command has a time limit,
which is shortened once the server has answered a later command.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeAlias

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
    InputAudio,
    InputAudioBufferClearedEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    InputAudioBufferCommittedEvent,
    InputText,
    Message,
    OutputText,
    SessionUpdatedEvent,
    SessionUpdateEvent,
    UnknownPart,
)
from duologue.session._item_fields import id_of, type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.errors import BudgetExceeded, SessionEnd
    from duologue.protocol.ga import ContentPart, Item
    from duologue.protocol.model import Event

__all__ = [
    "ANSWERS", "COMMAND_OF", "DEFAULT_TIMEOUT", "Command", "CommandError", "CommandState",
    "Commands", "no_answer",
]  # fmt: skip

ROOT: Final = "root"
"""The `previous_item_id` by which a client inserts at the front."""

DEFAULT_TIMEOUT: Final = 60.0
"""Seconds for the server to answer a command, or to go on with a response.

An output of a tool is only added when the response that called it has ended, so this must be longer
than a response takes to be generated.
"""

OVERTAKEN_TIMEOUT: Final = 5.0
"""Seconds for the server to answer a command after it has answered a later one."""

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


_BY_PARAM: Final[Mapping[str, tuple[type, ...]]] = {
    "session": (SessionUpdateEvent,),
    "item": (ConversationItemCreateEvent,),
    "previous_item_id": (ConversationItemCreateEvent,),
    "item_id": (
        ConversationItemDeleteEvent,
        ConversationItemTruncateEvent,
        ConversationItemRetrieveEvent,
    ),
    "content_index": (ConversationItemTruncateEvent,),
    "audio_end_ms": (ConversationItemTruncateEvent,),
}
"""The commands that have a field, by its name or the first part of its path."""


_OF_ITEMS: Final = frozenset(
    {
        ConversationItemCreateEvent,
        ConversationItemDeleteEvent,
        ConversationItemTruncateEvent,
        ConversationItemRetrieveEvent,
    }
)


class CommandState(Enum):
    """State of a command."""

    PENDING = auto()
    ANSWERED = auto()
    FAILED = auto()


CommandError: TypeAlias = (
    "ServerError | SessionEnd | RemoteProtocolError | TimeoutError | BudgetExceeded"
)


@dataclass(slots=True, eq=False)
class Command:
    """A client event that awaits its answer."""

    event_id: str
    event: Event
    state: CommandState = CommandState.PENDING
    answer: Event | None = None
    """The server's event, once it has answered."""
    error: CommandError | None = None
    """Why the command failed."""
    deadline: float | None = None
    """When it fails if it has not been answered."""
    time_left: float | None = None
    """Seconds until then, while there is no connection."""
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
        timeout: Seconds for the server to answer a command; `None`: no limit.
    """

    def __init__(
        self, settle: Callable[[Command], None], *, timeout: float | None = DEFAULT_TIMEOUT
    ) -> None:
        self._settle: Final = settle
        self._timeout: Final = timeout
        self.pending: Final[dict[str, Command]] = {}
        """The commands that await their answers, by event id; also those that were too late."""
        self.deadline: float | None = None
        """When `expire` is due."""
        self._is_suspended = False  # whether there is no connection to send on

    def __len__(self) -> int:
        return len(self.pending)

    def get(self, event_id: str) -> Command | None:
        """Return a pending command by the id of its event."""
        return self.pending.get(event_id)

    def send(self, event_id: str, event: Event, now: float) -> Command | None:
        """Record an event that is being sent, and return it if it is a command."""
        if type(event) not in ANSWERS:
            return None
        command = self.pending[event_id] = Command(event_id, event)
        self._set_time(command, self._timeout, now)
        if len(self.pending) > MAX_PENDING:
            oldest = next(iter(self.pending))
            text = f"the server left this and {MAX_PENDING} later commands without an answer"
            self.fail(oldest, RemoteProtocolError(text))
        self._reschedule()
        return command

    def limit(self, command: Command, timeout: float | None, now: float) -> None:
        """Give the server this many seconds from now to answer a command; `None`: no limit."""
        if command.state is CommandState.PENDING:
            self._set_time(command, timeout, now)
            self._reschedule()

    def answer(
        self, event: Event, now: float, *, may_guess: bool = True, may_defer: bool = False
    ) -> Command | None:
        """Settle the command that a server event answers, and return it.

        Args:
            event: The event.
            now: Monotonic seconds.
            may_guess: Whether the event must be an answer, so that it settles the oldest command
                that it can mean if it fits none exactly.
            may_defer: Whether a response is in progress: the server adds the output of a call when
                that has ended, and what concerns items waits in line behind it.
        """
        kind = COMMAND_OF.get(type(event))
        possible = [c for c in self.pending.values() if type(c.event) is kind]
        exact = (c for c in possible if _is_answer(c.event, event))
        guess = (c for c in possible if may_guess and _may_be_answer(c.event, event))
        command = next(exact, None) or next(guess, None)
        if command is None:
            return None
        was_too_late = command.state is CommandState.FAILED
        if not was_too_late:
            command.state, command.answer = CommandState.ANSWERED, event
        self._overtake(command, now, may_defer=may_defer)
        del self.pending[command.event_id]
        self._reschedule()
        if not was_too_late:
            self._settle(command)
        return command

    def fail(self, event_id: str, error: CommandError) -> bool:
        """Fail the command of this event id; return whether there is one."""
        command = self.pending.pop(event_id, None)
        if command is None:
            return False
        self._reschedule()
        if command.state is CommandState.PENDING:
            command.state, command.error = CommandState.FAILED, error
            self._settle(command)
        return True

    def expire(self, now: float) -> None:
        """Fail the commands whose time is up.

        They stay in line: if their answers arrive after all, these must not settle later commands.
        """
        for command in list(self.pending.values()):
            if command.deadline is not None and command.deadline <= now:
                command.state, command.deadline = CommandState.FAILED, None
                command.error = no_answer(command.event.type)
                self._settle(command)
        self._reschedule()

    def lose(self, error: SessionEnd) -> None:
        """Fail all pending commands: the connection has ended."""
        for event_id in list(self.pending):
            self.fail(event_id, error)

    def suspend(self, now: float) -> None:
        """Stop the time of the commands: the connection is lost, and they wait for another.

        Those whose time was up are forgotten, as no answer to them can come.
        """
        for command in list(self.pending.values()):
            if command.state is not CommandState.PENDING:
                del self.pending[command.event_id]
            elif command.deadline is not None:
                command.time_left, command.deadline = max(0.0, command.deadline - now), None
        self._is_suspended = True
        self._reschedule()

    def resume(self, now: float) -> None:
        """Let the time of the commands go on."""
        self._is_suspended = False
        for command in self.pending.values():
            self._set_time(command, command.time_left, now)
        self._reschedule()

    def move_to_end(self, command: Command) -> None:
        """Put a command behind the others: it is sent again after them."""
        self.pending[command.event_id] = self.pending.pop(command.event_id)

    def open_commands(self) -> list[Command]:
        """Return the commands that await their answers, oldest first."""
        return [c for c in self.pending.values() if c.state is CommandState.PENDING]

    def refused_by(self, code: str, param: str) -> str | None:
        """Return the event id of the command that an error without an `event_id` refers to.

        Args:
            code: The error's code, if it identifies a command: then it is the oldest of that type.
            param: The field that it names: then it is the only one that has such a field.
        """
        kind = REFUSED_BY_CODE.get(code)
        of_code = [c.event_id for c in self.open_commands() if type(c.event) is kind]
        if of_code:
            return of_code[0]
        field = param if param in _BY_PARAM else param.partition(".")[0]
        kinds = _BY_PARAM.get(field, ())
        of_field = [c.event_id for c in self.open_commands() if type(c.event) in kinds]
        return of_field[0] if len(of_field) == 1 else None

    def _overtake(self, command: Command, now: float, *, may_defer: bool) -> None:
        """Shorten the time of the commands before one that was answered: their turn is over."""
        for earlier in self.pending.values():
            if earlier is command:
                return
            is_deferred = may_defer and type(earlier.event) in _OF_ITEMS
            if earlier.deadline is not None and not is_deferred:
                earlier.deadline = min(earlier.deadline, now + OVERTAKEN_TIMEOUT)

    def _set_time(self, command: Command, seconds: float | None, now: float) -> None:
        is_suspended = self._is_suspended or seconds is None
        command.time_left = seconds if is_suspended else None
        command.deadline = None if is_suspended else now + (seconds or 0.0)

    def _reschedule(self) -> None:
        deadlines = (c.deadline for c in self.pending.values() if c.deadline is not None)
        self.deadline = min(deadlines, default=None)


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


def _may_be_answer(command: Event, answer: Event) -> bool:
    """Return whether an event may answer a command that it does not fit exactly.

    An item may be echoed with another class, content or id; `deleted` may have an empty id.
    """
    match command, answer:
        case (
            ConversationItemCreateEvent(),
            ConversationItemAdded() | ConversationItemCreatedEvent(),
        ):
            return _may_be_same_item(command.item, answer.item)
        case (
            ConversationItemDeleteEvent() | ConversationItemTruncateEvent(),
            ConversationItemDeletedEvent() | ConversationItemTruncatedEvent(),
        ):
            return not answer.item_id
        case ConversationItemRetrieveEvent(), ConversationItemRetrieved():
            return id_of(answer.item) is None
        case _:
            return False


def _may_be_same_item(sent: Item, added: Item) -> bool:
    """Return whether an added item may be the one that was sent, echoed inexactly.

    Its text must not differ, and it must not be speech: that is another turn of the user.
    """
    if type_of(sent) != type_of(added):
        return False
    if not isinstance(sent, Message) or not isinstance(added, Message):
        return id_of(sent) is None
    if sent.role != added.role or any(isinstance(part, InputAudio) for part in added.content):
        return False
    texts = [[_text(part) for part in item.content] for item in (sent, added)]
    is_alike = texts[0] == texts[1]
    return is_alike and bool(added.content) if id_of(sent) else is_alike or not added.content


def _text(part: ContentPart) -> str | None:
    text = part.raw.get("text") if isinstance(part, UnknownPart) else getattr(part, "text", None)
    return text if isinstance(text, str) else None


def no_answer(kind: str) -> TimeoutError:
    """Return the error of a command whose answer did not come in time."""
    return TimeoutError(f"the server did not answer {kind} in time")


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

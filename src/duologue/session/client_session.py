"""The client's end of a session, as a function of what happened and when.

`receive` and `send` are told what goes over the wire; after each call the driver takes
`events_to_send`, `take_commands` and `take_requests`, which it turns into frames and answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, get_args

from duologue.errors import (
    Closed,
    ConnectionLost,
    DecodeError,
    LocalProtocolError,
)
from duologue.protocol.ga import (
    ConversationItemCreateEvent,
    FunctionCall,
    FunctionTool,
    InputAudioBufferAppendEvent,
    InputAudioBufferClearEvent,
    InputAudioBufferCommitEvent,
    KnownServerEvent,
    RealtimeErrorEvent,
    RealtimeSession,
    ResponseCancelEvent,
    ResponseCreateEvent,
    ResponseDoneEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    SemanticVad,
    ServerVad,
    SessionCreatedEvent,
    SessionUpdatedEvent,
    SessionUpdateEvent,
    TranscriptionSession,
)
from duologue.protocol.model import UNSET, UnknownEvent, UnsetType, replace
from duologue.session.commands import COMMAND_OF, Command, Commands
from duologue.session.conversation import RealtimeConversation
from duologue.session.error_reports import check_valid, is_benign, misfit, server_error
from duologue.session.input_audio import InputAudio
from duologue.session.response_state import RequestState, response_failed
from duologue.session.responses import Responses
from duologue.session.retention import KEEP_RECENT, Retention
from duologue.session.tool_calls import ToolCalls, ToolPolicy, next_response
from duologue.session.updates import ErrorUpdate, RealtimeEvent
from duologue.session.wire import format_of, id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duologue.protocol.ga import (
        AnyClientEvent,
        AnyServerEvent,
        KnownClientEvent,
        Response,
        Session,
    )
    from duologue.session.response_state import ResponseRequest
    from duologue.session.updates import ConversationUpdated, Update

__all__ = ["ClientSession"]

SentEvent = TypeVar("SentEvent", bound="KnownClientEvent")


class ClientSession:
    """One session, from its connection's first event to its last.

    Args:
        new_id: Returns a new id of a kind: `new_id("event")`.
        validates: Whether `send` refuses what the service would refuse.
        retention: How much of the conversation is kept.
        runs_tool: Tells whether a call of a tool is answered here, by the tool's name and whether
            the server's configuration has one of that name.
        tool_policy: Tells how the calls of a tool are answered.
    """

    def __init__(
        self,
        *,
        new_id: Callable[[str], str],
        validates: bool = False,
        retention: Retention = KEEP_RECENT,
        runs_tool: Callable[[str, bool], bool] = lambda _name, _is_declared: False,
        tool_policy: Callable[[str], ToolPolicy] = lambda _name: ToolPolicy(),
    ) -> None:
        self.new_id: Final = new_id
        self._validates = validates
        self._runs_tool = runs_tool
        self.input_audio: Final = InputAudio(retention)
        self.responses: Final = Responses()
        self.conversation: Final = RealtimeConversation(
            clip_of=self.input_audio.take_clip,
            is_ours=self.responses.is_of_conversation,
            retention=retention,
        )
        self.commands: Final = Commands()
        self.tools: Final = ToolCalls(tool_policy)
        self.session: Session | None = None
        """The configuration that holds, as the server last told it."""
        self.detects_turns: bool = True
        """Whether the server finds out by itself when a turn ends; else the client commits."""
        self.light: Final[Mapping[type, Callable[[Any], ConversationUpdated | None]]] = {
            **dict.fromkeys(_UNHEEDED, _nothing),
            **self.conversation.growth,
        }
        """The events that neither answer nor ask for anything, nearly all that come; what each of
        them tells beside itself."""
        self._outbox: list[AnyClientEvent] = []
        self._is_over = False
        self._answers_turns = True
        self._next_response: ResponseRequest | None = None

    def receive(self, event: AnyServerEvent, now: float) -> list[Update]:
        """Take a server event; return what it means to the application, in order."""
        take_light = self.light.get(type(event))
        if take_light is not None:
            update = take_light(event)
            shown = RealtimeEvent("server", event, now)
            return [shown] if update is None else [update, shown]
        return [*self.take(event, now), RealtimeEvent("server", event, now)]

    def take(self, event: AnyServerEvent, now: float) -> list[Update]:
        """Take a server event that is not shown: see `receive`.

        For who shows another event, of which this one is the meaning.
        """
        if isinstance(event, UnknownEvent):
            return misfit(event)
        unwanted = self.responses.receive(event)
        if unwanted is not None:
            self._cancel(unwanted)
        self.input_audio.receive(event)
        answered = self.commands.receive(event)
        updates = self.conversation.receive(
            event, at_front=answered is not None and answered.is_to_front
        )
        handler = self.HANDLERS.get(type(event))
        more = None if handler is None else handler(self, event)
        if not self.responses.begins_apart(event):
            self.tools.receive(event, now, answers_turns=self._answers_turns)
        self._answer_calls(now)
        self._send_due()
        return updates if more is None else more

    def send(self, event: AnyClientEvent, now: float) -> None:
        """Take an event of the application, to be sent next; it gets an `event_id` if it has none.

        A `response.create` goes out at once, see `request_response`.

        Raises:
            LocalProtocolError: If the session is over, or an open command has the same `event_id`,
                or what is asked for is validated and the service would refuse it.
        """
        del now  # no deadline depends on it yet
        self._check(event)
        if isinstance(event, UnknownEvent):
            self._outbox.append(event)
            return
        event_id, event = self._identified(event)
        self._note(event_id, event)
        self._outbox.append(event)

    def request_response(self, event: ResponseCreateEvent) -> ResponseRequest:
        """Ask for a response, now or when the one in progress has ended.

        Raises:
            LocalProtocolError: As `send`, and if too many requests wait for their turn.
        """
        self._check(event)
        event_id, event = self._identified(event)
        request = self.responses.ask(event_id, event)
        self._send_due()
        return request

    def cancel_request(self, request: ResponseRequest) -> None:
        """Take back a request that waits, or ask the server to stop its response.

        Raises:
            LocalProtocolError: If the session is over.
        """
        self._check_open()
        if self.responses.cancel(request):
            self._cancel(request)
        self._send_due()

    def answer_call(self, call_id: str, output: str, now: float) -> None:
        """Send what a tool returned, once; when it was the last one, ask for the next response.

        Raises:
            LocalProtocolError: If the session is over.
        """
        self._check_open()
        self.tools.answer(call_id, output)
        self._answer_calls(now)

    def append_audio(self, audio: bytes, now: float) -> None:
        """Note input audio that the caller sends by itself: the way of `send` without its cost.

        Raises:
            LocalProtocolError: If the session is over.
        """
        del now
        self._check_open()
        self.input_audio.append(audio)

    @property
    def wants_to_send(self) -> bool:
        """Whether there are events to send."""
        return bool(self._outbox)

    def events_to_send(self) -> list[AnyClientEvent]:
        """Return what is to be sent now, and forget it."""
        outbox, self._outbox = self._outbox, []
        return outbox

    def take_commands(self) -> list[Command]:
        """Return the commands that were answered or failed since the last call."""
        return self.commands.take_settled()

    def take_requests(self) -> list[ResponseRequest]:
        """Return the requests for a response that ended since the last call."""
        return self.responses.take_settled()

    def next_deadline(self) -> float | None:
        """Return when `handle_deadline` wants to be called, on the clock of `now`."""
        return self.tools.deadline

    def handle_deadline(self, now: float) -> list[Update]:
        """Do what was due."""
        if self.tools.deadline is None:
            raise AssertionError(f"no deadline was set, but one fired at {now}")
        self.tools.expire()
        self._answer_calls(now)
        return []

    def end(self, error: ConnectionLost | Closed) -> None:
        """Take the end of the connection: nothing that is open will be answered."""
        self._is_over = True
        self._outbox.clear()
        self.commands.lose(error)
        self.responses.lose(error)

    def _check_open(self) -> None:
        if self._is_over:
            raise LocalProtocolError("the session is over: nothing can be sent")

    def _check(self, event: AnyClientEvent) -> None:
        self._check_open()
        if self._validates:
            check_valid(event)

    def _identified(self, event: SentEvent) -> tuple[str, SentEvent]:
        """Return an event with an id that no open command has."""
        event_id = event.event_id
        if isinstance(event_id, UnsetType):
            event_id = self.new_id("event")
            return event_id, replace(event, event_id=event_id)
        if self.commands.get(event_id) or self.responses.request(event_id):
            raise LocalProtocolError(f"an open command has the event_id {event_id!r} already")
        return event_id, event

    def _send_due(self) -> None:
        for request in self.responses.take_due():
            self._outbox.append(request.event)

    def _cancel(self, request: ResponseRequest) -> None:
        response = request.response
        named = UNSET if response is None else response.id
        self._outbox.append(ResponseCancelEvent(event_id=self.new_id("event"), response_id=named))

    def _on_session(self, event: SessionCreatedEvent | SessionUpdatedEvent) -> None:
        self.session = event.session
        self._apply(event.session)

    def _on_output_item_added(self, event: ResponseOutputItemAddedEvent) -> None:
        state = self.conversation.find(id_of(event.item) or "", event.response_id)
        if state is not None:
            self.responses.take_item(event, state)

    def _on_output_item_done(self, event: ResponseOutputItemDoneEvent) -> None:
        if isinstance(event.item, FunctionCall):
            self._on_call(event.item, event.response_id)

    def _on_calls_of(self, response: Response) -> None:
        """Run what nothing was told of until its response ended."""
        if (response.status or "completed") == "completed":
            for item in response.output or []:
                if isinstance(item, FunctionCall):
                    self._on_call(item, response.id or "")

    def _on_call(self, call: FunctionCall, response_id: str) -> None:
        if self.responses.is_apart(response_id):
            return
        told = self.session.tools if isinstance(self.session, RealtimeSession) else UNSET
        tools = [] if isinstance(told, UnsetType) else told
        names = {tool.name for tool in tools if isinstance(tool, FunctionTool)}
        if self._runs_tool(call.name, call.name in names):
            self.tools.add(call, response_id)

    def _answer_calls(self, now: float) -> None:
        """Send what the tools told, and ask for the next response if it is due."""
        for item in self.tools.take_items():
            self.send(ConversationItemCreateEvent(item=item), now)
        if self.tools.take_response() and not self._will_respond:
            self._next_response = self.request_response(next_response(self.session))

    @property
    def _will_respond(self) -> bool:
        """Whether a response that waits its turn will take up the answers, anyway."""
        asked = self._next_response
        is_asked = asked is not None and asked.state is RequestState.QUEUED
        return is_asked or self.responses.is_full

    def _note(self, event_id: str, event: KnownClientEvent) -> None:
        """Learn from an event that is being sent."""
        match event:
            case InputAudioBufferAppendEvent():
                try:
                    self.input_audio.append(event.audio_data)
                except DecodeError as error:
                    raise LocalProtocolError("the audio of the append is not base64") from error
            case InputAudioBufferCommitEvent():
                self.input_audio.commit(event_id)
            case InputAudioBufferClearEvent():
                self.input_audio.clear()
            case ResponseCreateEvent():
                self.responses.note(event_id, event)
            case SessionUpdateEvent():
                self._apply(event.session)
            case _:
                pass
        self.commands.send(event_id, event)

    def _apply(self, session: Session) -> None:
        """Count audio as a configuration says, in what it tells."""
        if not isinstance(session, RealtimeSession | TranscriptionSession) or not session.audio:
            return
        audio_in, audio_out = session.audio.input, session.audio.output
        if audio_in and not isinstance(audio_in.turn_detection, UnsetType):
            detection = audio_in.turn_detection
            self.detects_turns = detection is not None
            self._answers_turns = self.detects_turns and not (
                isinstance(detection, ServerVad | SemanticVad)
                and detection.create_response is False
            )
        if audio_in and (format_in := format_of(audio_in.format)):
            self.input_audio.set_format(format_in)
        if audio_out and (format_out := format_of(audio_out.format)):
            self.conversation.output_format = format_out

    def _on_response_done(self, event: ResponseDoneEvent) -> list[Update] | None:
        self._on_calls_of(event.response)
        if self.responses.is_unasked_failure(event.response):
            return [ErrorUpdate(response_failed(event.response))]
        return None

    def _on_error(self, event: RealtimeErrorEvent) -> list[Update]:
        error = server_error(event)
        cause = error.event_id or self._cause_of(error.code or error.type) or ""
        self.input_audio.refuse_commit(cause)
        is_bound = self.responses.refuse(cause, error) or self.commands.fail(cause, error)
        return [] if is_bound or is_benign(error) else [ErrorUpdate(error)]

    def _cause_of(self, code: str) -> str | None:
        """Return the event that an error without an `event_id` refuses, where its code tells."""
        if code == "conversation_already_has_active_response":
            return self.responses.oldest_waiting()
        return self.commands.refused_by(code)

    HANDLERS: ClassVar[Mapping[type, Callable[[Any, Any], list[Update] | None]]] = {
        SessionCreatedEvent: _on_session,
        SessionUpdatedEvent: _on_session,
        ResponseOutputItemAddedEvent: _on_output_item_added,
        ResponseOutputItemDoneEvent: _on_output_item_done,
        ResponseDoneEvent: _on_response_done,
        RealtimeErrorEvent: _on_error,
    }
    """What events mean beside the conversation; what is returned is told instead of its news."""


_HEEDED: Final = frozenset[type]().union(
    ClientSession.HANDLERS,
    Responses.HANDLERS,
    InputAudio.HANDLERS,
    COMMAND_OF,
    RealtimeConversation.HANDLERS,
    ToolCalls.HANDLERS,
)
_UNHEEDED: Final[frozenset[type]] = frozenset(get_args(KnownServerEvent)) - _HEEDED


def _nothing(_: object) -> None:
    """Do with an event what nobody heeds."""

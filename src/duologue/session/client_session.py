"""The client's core: one session as a function of what happened and when.

The driver feeds it server events (`receive`), what the application wants (`send` and the methods
beside it), the results of tools and the end of the connection. The core never waits, and decides
everything: which response answers which request, where an item is cut, which error is reported.

Its parts hold the state: the conversation, the responses, the commands that await answers, the
input audio, the calls of tools, the configuration. `REACTIONS` lists which of them an event
reaches, in which order. Deltas, which are most of a session, take a shorter way, `receive_delta`:
they only add to an item, and nothing but updates follows from them. The first ones of a response
take the way of all events, because the latency counts up to them: it closes the shorter way until
then.

`effects` lists what follows, always in this order: updates for the application, each event after
the updates that it caused; then commands and responses that have ended, so that a task that awaits
one runs after the callbacks, and tools to run or cancel; then frames to send, each after the update
that shows its event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from duologue.errors import (
    BudgetExceeded,
    Closed,
    DecodeError,
    LocalProtocolError,
    RemoteProtocolError,
    ResponseFailed,
    ServerError,
)
from duologue.protocol import codec, ga
from duologue.protocol.dialects import dialect_adapter
from duologue.protocol.model import UNSET, UnknownEvent, UnsetType, replace
from duologue.session._item_fields import id_of
from duologue.session.commands import DEFAULT_TIMEOUT, Command, Commands, CommandState
from duologue.session.configuration import ActiveConfiguration, Configuration
from duologue.session.conversation import ConversationMirror
from duologue.session.dead_air import DeadAirPolicy, DeadAirWatch, Finding, OwedTurn
from duologue.session.effects import CancelTool, DropConnection, Notify, RunTool, SendFrame, Settled
from duologue.session.error_reports import (
    check_valid,
    is_benign,
    malformed_event,
    refused_event,
    server_error,
)
from duologue.session.input_audio import MARK_SECONDS, MAX_UNPLACED, MAX_UNPLACED_BYTES, SentAudio
from duologue.session.input_backlog import CHECK_BYTES, InputBacklog
from duologue.session.latency import LatencyTracker
from duologue.session.rate_limits import RateLimitPolicy, RequestLimiter
from duologue.session.reconnect import NEVER, ReconnectPolicy
from duologue.session.response_state import RequestState, ResponseState, response_failed
from duologue.session.responses import Responses
from duologue.session.restore import Restoration
from duologue.session.resumption import KEPT_ELSEWHERE, Resumption
from duologue.session.retention import KEEP_RECENT, Retention
from duologue.session.tool_calls import ToolCalls, ToolPolicy, next_response
from duologue.session.truncation import (
    cut_event,
    is_heard_to_its_end,
    part_to_cut,
    truncate_event,
)
from duologue.session.updates import DeadAir, Disconnected, ErrorUpdate, RealtimeEvent
from duologue.session.usage import UsageMeter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duologue.errors import SessionEnd, ToolFailed
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.model import Event
    from duologue.session.effects import Effect
    from duologue.session.history import RestoredItem
    from duologue.session.playback import PlaybackCut
    from duologue.session.response_state import ResponseRequest
    from duologue.session.updates import Update

__all__ = ["REACTIONS", "ClientSession"]

ClientEventT = TypeVar("ClientEventT", bound="ga.KnownClientEvent")

OutputDelta: TypeAlias = (
    ga.ResponseTextDeltaEvent
    | ga.ResponseAudioTranscriptDeltaEvent
    | ga.ResponseAudioDeltaEvent
    | ga.ResponseFunctionCallArgumentsDeltaEvent
)

Reaction: TypeAlias = "Callable[[ClientSession, Any, float], object]"

REACTIONS: Final[Mapping[type, tuple[Reaction, ...]]] = {
    # The configuration counts from here on: the audio that follows is in its formats.
    ga.SessionCreatedEvent: (lambda s, e, _: s.on_session(e.session),),
    # The configuration is in force before a task that awaits the update continues.
    ga.SessionUpdatedEvent: (
        lambda s, e, now: s.answer_command(e, now),
        lambda s, e, _: s.on_session(e.session),
    ),
    # The clip begins before the application learns of the interruption; tools pause last, because
    # an interrupted call is answered, and the answer must follow everything else.
    ga.InputAudioBufferSpeechStartedEvent: (
        lambda s, e, _: s.input_audio.on_speech_started(e),
        lambda s, e, _: s.conversation.on_speech_started(e),
        lambda s, _, now: s.tools.on_speech_started(now),
    ),
    # The clip ends here; its message follows with the commit.
    ga.InputAudioBufferSpeechStoppedEvent: (
        lambda s, e, _: s.input_audio.on_speech_stopped(e),
        lambda s, _, now: s.latency.on_speech_stopped(now),
    ),
    # The clip is assigned to its message here, and taken when the message is added. Tools last:
    # with the turn over, the next response may be due.
    ga.InputAudioBufferCommittedEvent: (
        lambda s, _, now: s.latency.on_committed(now),
        lambda s, e, _: s.input_audio.on_committed(e),
        lambda s, e, now: s.on_committed(e, now),
        lambda s, _, now: s.tools.on_turn_ended(now, is_answered=s.active.answers_turns),
    ),
    # Nothing is left of the user's turn, so no response to it has to be waited for.
    ga.InputAudioBufferClearedEvent: (
        lambda s, e, now: s.answer_command(e, now),
        lambda s, _, __: s.input_audio.on_cleared(),
        lambda s, _, __: s.tools.end_turn(),
    ),
    # The command, then the conversation: only the command knows that the item goes to the front.
    # Tools last: they learn which outputs the server has.
    ga.ConversationItemAdded: (lambda s, e, now: s.on_item_added(e, now),),
    # The same event in beta's form, which some GA servers still send.
    ga.ConversationItemCreatedEvent: (lambda s, e, now: s.on_item_added(e, now),),
    # Only the conversation: a call runs by its response's events.
    ga.ConversationItemDone: (lambda s, e, _: s.on_item_done(e),),
    # The copy goes to the command that requested it; the conversation keeps its own.
    ga.ConversationItemRetrieved: (lambda s, e, now: s.answer_command(e, now),),
    # The command, then the conversation: an item is cut or deleted when the server has done so,
    # even if no command of ours requested it.
    ga.ConversationItemTruncatedEvent: (
        lambda s, e, now: s.answer_command(e, now),
        lambda s, e, _: s.conversation.on_item_truncated(e),
    ),
    # As for truncation.
    ga.ConversationItemDeletedEvent: (
        lambda s, e, now: s.answer_command(e, now),
        lambda s, e, _: s.conversation.on_item_deleted(e),
    ),
    # Words may come before their message; the conversation keeps them until then.
    ga.ConversationItemInputAudioTranscriptionDeltaEvent: (
        lambda s, e, _: s.conversation.on_user_words(
            e.item_id, e.content_index or 0, e.delta or "", is_final=False
        ),
    ),
    # The whole transcript replaces the words so far.
    ga.ConversationItemInputAudioTranscriptionCompletedEvent: (
        lambda s, e, _: s.usage.on_transcription(s.active.transcription_model, e.usage),
        lambda s, e, _: s.conversation.on_user_words(
            e.item_id, e.content_index, e.transcript, is_final=True
        ),
    ),
    # Which request it answers decides whether it is out-of-band: then tools do not count it.
    ga.ResponseCreatedEvent: (lambda s, e, now: s.on_response_created(e, now),),
    # The first of each kind alone; further ones take the fast way, in `receive`.
    ga.ResponseTextDeltaEvent: (lambda s, e, now: s.on_first_delta(e, now),),
    ga.ResponseAudioTranscriptDeltaEvent: (lambda s, e, now: s.on_first_delta(e, now),),
    ga.ResponseAudioDeltaEvent: (lambda s, e, now: s.on_first_delta(e, now),),
    ga.ResponseFunctionCallArgumentsDeltaEvent: (lambda s, e, now: s.on_first_delta(e, now),),
    # The audio that travels another way has no deltas.
    ga.OutputAudioBufferStarted: (
        lambda s, e, now: s.latency.on_playback_started(e.response_id, now),
    ),
    # The mirror first: the response shows the state that the item has there.
    ga.ResponseOutputItemAddedEvent: (lambda s, e, _: s.on_output_item_added(e),),
    # An item that the server never announced enters the conversation with its first content.
    ga.ResponseContentPartAddedEvent: (lambda s, e, _: s.conversation.on_part_added(e),),
    # Some servers send no deltas: what these lacked is added here. A call runs later, when its
    # item or its response is complete.
    ga.ResponseTextDoneEvent: (lambda s, e, _: s.conversation.on_text_done(e),),
    ga.ResponseAudioTranscriptDoneEvent: (lambda s, e, _: s.conversation.on_transcript_done(e),),
    ga.ResponseContentPartDoneEvent: (lambda s, e, _: s.conversation.on_part_done(e),),
    ga.ResponseFunctionCallArgumentsDoneEvent: (
        lambda s, e, _: s.conversation.on_arguments_done(e),
    ),
    # The item is complete in the mirror before its call runs.
    ga.ResponseOutputItemDoneEvent: (lambda s, e, _: s.on_output_item_done(e),),
    # Some servers announce calls only here. The next request is sent last: after the outputs of
    # these calls, so that its response uses them.
    ga.ResponseDoneEvent: (
        lambda s, e, now: s.on_response_done(e, now),
        lambda s, _, now: s.responses.send_next(now),
    ),
    # Often the first event after the end of a response: the next request may have to wait.
    ga.RateLimitsUpdatedEvent: (lambda s, e, now: s.on_rate_limits(e, now),),
    # Responses before commands: a `response.create` is not a command.
    ga.RealtimeErrorEvent: (lambda s, e, now: s.on_error(e, now),),
    # Reported only if its type is known and it does not fit.
    UnknownEvent: (lambda s, e, _: s.on_unknown_event(e),),
}
"""The parts that an event reaches, in order, as functions of session, event and time.

An event without a row reaches the application alone. What deltas add to an item is in
`ConversationMirror.growth`.
"""


_REPORTED: Final = (
    ServerError,
    RemoteProtocolError,
    ResponseFailed,
    BudgetExceeded,
    TimeoutError,
)
"""Errors that are reported where nothing awaits them; the end of the connection is not one."""


class ClientSession:
    """One session, from its connection's first event to its last. See `SessionCore`.

    Args:
        new_id: Returns a new id of a kind: `new_id("event")`.
        dialect: The dialect on the wire; GA by default.
        configuration: What the application wants of its sessions; it outlives each of them.
        validates: Whether to refuse at once what the service would refuse.
        retention: How much of the conversation is kept.
        timeout: Seconds for the server to answer a command, or to go on with a response; `None`:
            no limit.
        reconnect: What is kept for another connection if this one is lost.
        dead_air: How long the server may be silent while it owes a response; `None`: no limit.
        has_tool: Returns whether the application has a tool of this name; `None`: it runs none.
        tool_policy: Returns how the calls of a tool are answered.
        usage: Counts the usage and holds the budget; it outlives each session.
        latency: Notes the times of turns; it outlives each session.
        rate_limits: What to do where a rate limit is reached; `None`: nothing.
        unsent_bytes: Returns how much the transport has accepted and not sent.
        max_input_delay: Seconds that input audio may wait for the network; see `InputBacklog`.
    """

    def __init__(  # noqa: PLR0913  # by keyword only, and each with a default but the first
        self,
        *,
        new_id: Callable[[str], str],
        dialect: DialectAdapter[Any, Any] | None = None,
        configuration: Configuration | None = None,
        validates: bool = False,
        retention: Retention = KEEP_RECENT,
        timeout: float | None = DEFAULT_TIMEOUT,
        reconnect: ReconnectPolicy = NEVER,
        dead_air: DeadAirPolicy | None = None,
        has_tool: Callable[[str], bool] | None = None,
        tool_policy: Callable[[str], ToolPolicy] = lambda _name: ToolPolicy(),
        usage: UsageMeter | None = None,
        latency: LatencyTracker | None = None,
        rate_limits: RateLimitPolicy | None = None,
        unsent_bytes: Callable[[], int] = lambda: 0,
        max_input_delay: float | None = None,
    ) -> None:
        self.new_id: Final = new_id
        self._updates: list[Update] = []
        self._actions: Final[list[Effect]] = []
        self._sendings: Final[list[Effect]] = []
        self.set_dialect(dialect or dialect_adapter("ga"))
        self._configuration: Final = configuration or Configuration(None)
        self._validates: Final = validates
        self._has_tool: Final = has_tool
        self._is_over = False
        self._audio_at: float | None = None
        self.failures: int = 0
        """Server events that could not be processed because of a fault of ours."""
        self._now = 0.0  # of the step under way: the time of the events that it sends
        self._tool_response: ResponseRequest | None = None
        self.active: Final[ActiveConfiguration] = ActiveConfiguration()
        self.usage: Final[UsageMeter] = usage or UsageMeter()
        self.latency: Final[LatencyTracker] = latency or LatencyTracker()
        resend_seconds = reconnect.resend_seconds if reconnect.budget else 0.0
        self.input_audio: Final[SentAudio] = SentAudio(retention, resend_seconds=resend_seconds)
        self.backlog: Final[InputBacklog] = InputBacklog(
            input_audio=self.input_audio,
            send=self._send_audio,
            report=self._report,
            unsent_bytes=unsent_bytes,
            limit=max_input_delay,
        )
        silence = dead_air or DeadAirPolicy(begin_seconds=None, go_on_seconds=None)
        self.dead_air: Final[DeadAirWatch] = DeadAirWatch(lambda: self.responses.awaited, silence)
        self.limiter: Final[RequestLimiter] = RequestLimiter(rate_limits)
        self._owed_again: ResponseRequest | None = None  # the response to a turn, for a limit
        self.responses: Final[Responses] = Responses(
            send=self._emit,
            settle=self._settle_request,
            changed=lambda: self.dead_air.look(self._now),
            timeout=timeout,
            exceeded=lambda: self.usage.exceeded(self.active.model),
            limiter=self.limiter,
        )
        self.conversation: Final[ConversationMirror] = ConversationMirror(
            self._updates,
            clip_of=self.input_audio.take_clip,
            speech_of=self.input_audio.speech_of,
            span_of=self.input_audio.span_of,
            clock=lambda: self.input_audio.conversation_ms,
            is_of_conversation=self.responses.is_of_conversation,
            process=lambda event: self.receive(event, self._now),
            retention=retention,
        )
        self.commands: Final[Commands] = Commands(self._settle_command, timeout=timeout)
        self.tools: Final[ToolCalls] = ToolCalls(
            is_ours=self._is_ours,
            policy_of=tool_policy,
            run=lambda call: self._actions.append(RunTool(call)),
            cancel=lambda call_id: self._actions.append(CancelTool(call_id)),
            send_item=self._send_item,
            respond=self._respond_to_tools,
        )
        self.resumption: Final[Resumption] = Resumption(
            conversation=self.conversation,
            responses=self.responses,
            commands=self.commands,
            tools=self.tools,
            input_audio=self.input_audio,
            emit=self._emit,
            ask=lambda: self._request_response(ga.ResponseCreateEvent(), self._now),
            react=lambda event: self._react(event, self._now),
            new_id=new_id,
            policy=reconnect,
        )
        self.deltas: Final = dict(self.conversation.growth)
        """By class of delta, what adds it to its item: all but the first ones of a response."""

    def set_dialect(self, dialect: DialectAdapter[Any, Any]) -> None:
        """Use another dialect on the wire; possible until the first event."""
        self.dialect: DialectAdapter[Any, Any] = dialect
        self._translates = dialect.dialect != "ga"

    # The contract of a core.

    def receive(self, event: Event | UnknownEvent, now: float) -> None:
        """Process a server event, in the dialect of the wire.

        Never raises: a fault of ours while processing an event is reported as an `ErrorUpdate` with
        that event, and the session goes on.
        """
        if event.__class__ in self.deltas:
            updates = self.receive_delta(event, now)  # which may begin another list
            self._updates += updates
            return
        meanings: tuple[Any, ...] = ()
        try:
            self._now = now
            meanings = self.dialect.server_event_to_ga(event) if self._translates else ()
            for meaning in meanings or (event,):
                self._react(meaning, now)
        except Exception as error:  # noqa: BLE001  # no event may end a session
            self._updates.append(self._fault(event, error))
        self._updates.append(RealtimeEvent("server", event, now, meanings))

    def receive_delta(self, event: Event | UnknownEvent, now: float) -> list[Update]:
        """Process a delta, and return its updates: the fast way of nearly all events.

        Nothing but these updates follows from a delta: no other effect, and no new deadline. They
        are due after the effects that are listed already.

        Args:
            event: One of a class in `deltas`.
            now: Monotonic seconds.
        """
        update: Update | None
        try:
            update = self.deltas[event.__class__](event)
        except Exception as error:  # noqa: BLE001  # as in `receive`
            update = self._fault(event, error)
        shown = RealtimeEvent("server", event, now)
        updates: list[Update] = [shown] if update is None else [update, shown]
        if self._updates:  # its item has just entered the conversation
            updates = self._updates + updates
            self._updates = self.conversation.updates = []
        return updates

    def _fault(self, event: Event | UnknownEvent, error: Exception) -> Update:
        self.failures += 1
        failed = RemoteProtocolError(f"{event.type} could not be processed: {error!r}")
        failed.__cause__ = error
        return ErrorUpdate(failed, event)

    def _react(self, event: Any, now: float) -> None:  # noqa: ANN401  # a server event of GA
        for react in REACTIONS.get(event.__class__, ()):
            react(self, event, now)
        grow = self.conversation.growth.get(event.__class__)
        update = None if grow is None else grow(event)
        if update is not None:
            self._updates.append(update)

    def send(self, event: Event | UnknownEvent, now: float) -> Command | None:
        """Send an event of the application, in either dialect; return its command if it is one.

        It gets an `event_id` if it has none. A `response.create` is sent out of turn: see
        `create_response`.

        Raises:
            LocalProtocolError: If the session is over, an open command has the same `event_id`, the
                dialect cannot express the event, or validation finds that the service would refuse
                it.
            BudgetExceeded: If it is a `response.create`, and the budget is used up.
        """
        checked = self._checked(event, now)
        if isinstance(checked, UnknownEvent):
            self._emit(checked)
            return None
        event_id, known = self._identified(checked)
        if self._record(event_id, known):
            return None
        command = self.commands.send(event_id, known, now)
        if command is None or not self.resumption.answer_in_mirror(known):
            self._emit(self.resumption.for_server(known))
        return command

    def send_command(self, event: Event, now: float) -> Command:
        """Send an event that the server answers, and return its command; see `send`."""
        command = self.send(event, now)
        if command is None:
            raise AssertionError(f"{event.type} is not a command")
        return command

    def effects(self) -> list[Effect]:
        """Return what is to be done now, in order, and forget it."""
        effects: list[Effect] = []
        if self._updates:
            effects.append(Notify(self._updates))
            self._updates = self.conversation.updates = []
        if self._actions or self._sendings:
            effects += self._actions
            effects += self._sendings
            self._actions.clear()
            self._sendings.clear()
        return effects

    def next_deadline(self) -> float | None:
        """Return when `handle_deadline` is due; `None` if nothing waits for time to pass."""
        # Called for each event: `min` over the five would cost more than a delta's own work.
        deadline = self.tools.deadline
        other = self.commands.deadline
        if other is not None and (deadline is None or other < deadline):
            deadline = other
        other = self.responses.deadline
        if other is not None and (deadline is None or other < deadline):
            deadline = other
        other = self.dead_air.deadline
        if other is not None and (deadline is None or other < deadline):
            deadline = other
        other = self.backlog.deadline
        if other is not None and (deadline is None or other < deadline):
            deadline = other
        return deadline

    def handle_deadline(self, now: float) -> None:
        """Do what is due; before the deadline, do nothing."""
        self._now = now
        if self.tools.deadline is not None and now >= self.tools.deadline:
            self.tools.expire(now, audio_at=self._audio_at)
        if self.backlog.deadline is not None and now >= self.backlog.deadline:
            self.backlog.expire(now)
        if self.commands.deadline is not None and now >= self.commands.deadline:
            self.commands.expire(now)
        if self.responses.deadline is not None and now >= self.responses.deadline:
            for response_id in self.responses.expire(now):
                self.tools.on_response_lost(response_id)
            self.responses.send_next(now)
        if self.dead_air.deadline is not None and now >= self.dead_air.deadline:
            finding = self.dead_air.expire(now)
            if finding is not None:
                self._on_dead_air(finding, now)

    def suspend(self, error: SessionEnd | None, now: float) -> None:
        """Keep everything for another connection: this one is lost, or to be replaced."""
        self._now = now
        self._sendings.clear()
        self.resumption.suspend(error, now)
        self.backlog.flush()  # into the record: the next session gets it
        self.latency.on_suspended()
        if error is not None:
            self._updates.append(Disconnected(error, will_retry=True))

    def restoration(self, history: Iterable[RestoredItem]) -> Restoration:
        """Return the exchange that gives a new session the configuration and these items."""
        return Restoration(
            self._configuration_event(), history, dialect=self.dialect, new_id=self.new_id
        )

    def resume(self, restoration: Restoration, *, attempts: int, now: float) -> None:
        """Continue in the session of another connection."""
        self._now = now
        if restoration.session is not None:
            self.on_session(restoration.session)
        self._updates.append(self.resumption.resume(restoration, attempts=attempts, now=now))

    def end(self, error: SessionEnd | None) -> None:
        """End the session: no open command or response will be answered."""
        error = error or Closed("the session was closed")
        self._is_over = True
        self._sendings.clear()
        self.backlog.clear()
        self.latency.on_end()
        self.commands.lose(error)
        self.responses.lose(error)

    # What the application and its tools want.

    def append_audio(self, audio: bytes, now: float, *, is_shown: bool = True) -> bytes | None:
        """Send input audio in the session's input format: `send`, without the cost.

        Args:
            audio: Any number of bytes.
            now: Monotonic seconds.
            is_shown: Whether to show the event to the application.

        Returns:
            The frame to send at once, if there is nothing to show: an effect for each of fifty
            frames a second would cost as much as all the rest. `None`: the effects send it.

        Raises:
            LocalProtocolError: If the session is over.
        """
        if self._is_over:
            self._check_open(now)
        self._audio_at = now
        backlog = self.backlog
        backlog.unchecked_bytes += len(audio)
        if backlog.unchecked_bytes > CHECK_BYTES and self._holds(audio, now, is_shown=is_shown):
            return None
        sent = self.input_audio
        unplaced = sent.unplaced  # `SentAudio.append`, without the call
        if now >= sent.next_mark:
            sent.marks.append((now, sent.placed_bytes + sum(map(len, unplaced))))
            sent.next_mark = now + MARK_SECONDS
        unplaced.append(audio)
        if len(unplaced) > MAX_UNPLACED or len(audio) > MAX_UNPLACED_BYTES:
            sent.place()
        if self.resumption.is_away:
            return None
        event_id = self.new_id("event")
        if self._translates:
            self._now = now
            self._emit(codec.append_event(audio, event_id)[1])
            return None
        if not is_shown:
            return codec.append_frame(audio, event_id)
        frame, event = codec.append_event(audio, event_id)
        self._sendings.append(Notify([RealtimeEvent("client", event, now)]))
        self._sendings.append(SendFrame(frame, "input_audio_buffer.append"))
        return None

    def create_response(self, event: ga.ResponseCreateEvent, now: float) -> ResponseRequest:
        """Request a response, now or when the one in progress has ended.

        Without turn detection, uncommitted input audio is committed first.

        Raises:
            LocalProtocolError: As `send`, and if too many requests wait for their turn.
            BudgetExceeded: If the budget is used up.
        """
        self._check_open(now)
        self.check_budget()
        if not self.active.detects_turns and (self.input_audio.uncommitted_bytes or self.backlog):
            self.send(ga.InputAudioBufferCommitEvent(), now)
        return self._request_response(event, now)

    def check_budget(self) -> None:
        """Check that the budget allows a further response.

        Raises:
            BudgetExceeded: If it is used up.
        """
        error = self.usage.exceeded(self.active.model)
        if error is not None:
            raise error

    def limit(self, record: Command | ResponseRequest, timeout: float | None, now: float) -> None:
        """Set the time limit of a command or a response, from now on; `None`: no limit."""
        if isinstance(record, Command):
            self.commands.limit(record, timeout, now)
        else:
            self.responses.limit(record, timeout, now)

    def is_continued(self, request: ResponseRequest) -> bool:
        """Return whether another response is to continue this one, after its calls' answers."""
        response = request.response
        return response is not None and self.tools.is_continued(response.id)

    def cancel_request(self, request: ResponseRequest, now: float) -> None:
        """Cancel a request for a response, or the response itself once it is in progress.

        Raises:
            LocalProtocolError: If the session is over.
        """
        self._check_open(now)
        if self.responses.cancel(request):
            self._send_cancel(request)

    def cancel_response(
        self, response_id: str | None, item_id: str | None, heard_samples: int, now: float
    ) -> None:
        """Cancel a response, by default the conversation's, and cut an item to what was heard.

        Raises:
            ItemNotFound: If the conversation has no such item; nothing is sent then.
            LocalProtocolError: If the item is not the assistant's, or the session is over.
        """
        part = None if item_id is None else part_to_cut(self.conversation, item_id)
        response = UNSET if response_id is None else response_id
        self.send(ga.ResponseCancelEvent(response_id=response), now)
        if item_id is not None and part is not None:  # an item without audio cannot be cut
            heard_ms = heard_samples * 1000 // self.conversation.output_format.rate_hz
            self.truncate_item(item_id, heard_ms, part, now)

    def truncate_item(
        self, item_id: str, audio_end_ms: int, content_index: int, now: float
    ) -> Command:
        """Cut an item of the assistant to what was heard.

        Nothing is sent if it was heard to its end: the command counts as answered.

        Raises:
            LocalProtocolError: As `send`.
        """
        event = truncate_event(self.conversation, item_id, audio_end_ms, content_index)
        if is_heard_to_its_end(self.conversation, event):
            self._check_open(now)
            return Command(self.new_id("event"), event, CommandState.ANSWERED)
        return self.send_command(event, now)

    def truncate_items(self, cuts: Iterable[PlaybackCut], now: float) -> None:
        """Cut items to what was heard of them; see `cut_event`.

        Raises:
            LocalProtocolError: As `send`.
        """
        for cut in cuts:
            event = cut_event(self.conversation, cut)
            if event is not None:
                self.send(event, now)

    def update_session(
        self, change: ga.RealtimeSession, now: float, *, is_full: bool | None = None
    ) -> Command:
        """Change the configuration; a change that the server refuses is not wanted any more.

        Args:
            change: What is unset stays as it is.
            now: Monotonic seconds.
            is_full: See `Configuration.update`.

        Raises:
            ConfigurationError: If the session cannot have it; see `Configuration.update`.
            LocalProtocolError: As `send`.
        """
        session = self._configuration.update(change, is_full=is_full)
        event_id = self.new_id("event")
        self._configuration.record(event_id, change)
        try:
            event = ga.SessionUpdateEvent(event_id=event_id, session=session)
            return self.send_command(event, now)
        except BaseException:  # it was not sent, so it is not sent again by the next full update
            self._configuration.settle(event_id, is_refused=True)
            raise

    def configure(self, now: float) -> Command | None:
        """Send the whole configuration that the application wants, if it wants any."""
        event = self._configuration_event()
        return None if event is None else self.send_command(event, now)

    def _configuration_event(self) -> ga.SessionUpdateEvent | None:
        session = self._configuration.confirmed_session()
        if session in (ga.RealtimeSession(), ga.TranscriptionSession()):
            return None
        if self._configuration.is_full and isinstance(self.active.session, ga.TranscriptionSession):
            return None  # beta's defaults are for conversations
        return ga.SessionUpdateEvent(session=session)

    def answer_call(self, call_id: str, output: str, error: ToolFailed | None, now: float) -> None:
        """Answer a call once; after the last answer, request the next response.

        Args:
            call_id: The call, as in `RunTool`.
            output: Its result for the model.
            error: Why it failed, if it did: reported to the application.
            now: Monotonic seconds.

        Raises:
            LocalProtocolError: If the session is over.
        """
        self._check_open(now)
        if error is not None:
            self._updates.append(ErrorUpdate(error))
        self.tools.answer(call_id, output)

    # Sending.

    def _check_open(self, now: float) -> None:
        self._now = now
        if self._is_over:
            raise LocalProtocolError("the session is over: nothing can be sent")

    def _checked(self, event: Event | UnknownEvent, now: float) -> Any:  # noqa: ANN401  # a client event of GA
        self._check_open(now)
        ga_event = self.dialect.client_event_to_ga(event)
        if self._validates:
            check_valid(ga_event)
        return ga_event

    def _identified(self, event: ClientEventT) -> tuple[str, ClientEventT]:
        """Return an event with an id that no open command has."""
        event_id = event.event_id
        if isinstance(event_id, UnsetType):
            event_id = self.new_id("event")
            return event_id, replace(event, event_id=event_id)
        if self.commands.get(event_id) or self.responses.request(event_id):
            raise LocalProtocolError(f"an open command has the event_id {event_id!r} already")
        return event_id, event

    def _emit(self, event: Event | UnknownEvent) -> None:
        """Send an event, and show it to the application as it is on the wire.

        Without a connection nothing is sent: `Resumption` has a record of what must be, later.
        """
        if self.resumption.is_away:
            if type(event) not in KEPT_ELSEWHERE:
                self.resumption.hold(event)
            return
        wire_events = self.dialect.client_event_to_wire(event) if self._translates else (event,)
        for wire in wire_events:
            meanings = () if wire is event else (event,)
            self._sendings.append(Notify([RealtimeEvent("client", wire, self._now, meanings)]))
            self._sendings.append(SendFrame(codec.encode(wire), wire.type))

    def _holds(self, audio: bytes, now: float, *, is_shown: bool) -> bool:
        """Return whether audio waits for the network; without a connection, the record has it."""
        return not self.resumption.is_away and self.backlog.hold(audio, now, is_shown=is_shown)

    def _report(self, update: Update) -> None:
        self._updates.append(update)

    def _send_audio(self, audio: bytes, is_shown: bool) -> None:  # noqa: FBT001  # a callback's
        """Send audio that has waited."""
        self.input_audio.append(audio)
        event_id = self.new_id("event")
        if is_shown or self._translates or self.resumption.is_away:
            self._emit(codec.append_event(audio, event_id)[1])
        else:
            frame = codec.append_frame(audio, event_id)
            self._sendings.append(SendFrame(frame, "input_audio_buffer.append"))

    def _send_item(self, item: ga.Item) -> None:
        """Send an item of the core's own; what the server's ids make impossible is reported."""
        try:
            self.send(ga.ConversationItemCreateEvent(item=item), self._now)
        except LocalProtocolError as error:
            failed = RemoteProtocolError(f"an id of the server cannot be sent back: {error}")
            failed.__cause__ = error
            self._updates.append(ErrorUpdate(failed))

    def _send_cancel(self, request: ResponseRequest) -> None:
        response_id = UNSET if request.response is None else request.response.id
        event_id = self.new_id("event")
        self._emit(ga.ResponseCancelEvent(event_id=event_id, response_id=response_id))

    def _request_response(self, event: ga.ResponseCreateEvent, now: float) -> ResponseRequest:
        event_id, event = self._identified(self._checked(event, now))
        request = self.responses.create(event_id, event, now)
        self._report_limit(now)
        return request

    def _respond_to_tools(self, continued: list[str]) -> None:
        """Request the response that uses the outputs, unless one that waits its turn does."""
        waiting = self._tool_response
        is_waiting = waiting is not None and waiting.state is RequestState.QUEUED
        if not is_waiting and not self.responses.is_full:
            event = next_response(self.active.session)
            self._tool_response = self._request_response(event, self._now)
        for response_id in continued:
            response = self.responses.get(response_id)
            if response is not None and response.request is not None:
                response.request.follow_up = self._tool_response

    def _record(self, event_id: str, event: ga.KnownClientEvent) -> bool:
        """Update the parts that an event of ours concerns; return whether its audio waits."""
        match event:
            case ga.InputAudioBufferAppendEvent():
                self._audio_at = self._now
                try:
                    audio = event.audio_data
                except DecodeError as error:
                    raise LocalProtocolError("the audio of the append is not base64") from error
                if self._holds(audio, self._now, is_shown=True):
                    return True
                self.input_audio.append(audio)
            case ga.InputAudioBufferCommitEvent():
                self.backlog.flush()
                self.input_audio.commit(event_id)
                self.latency.on_commit_sent(self._now)
            case ga.InputAudioBufferClearEvent():
                self.backlog.clear()
                self.input_audio.clear()
            case ga.ResponseCreateEvent():
                self.check_budget()
                self.responses.record(event_id, event, self._now)
            case ga.SessionUpdateEvent():
                self.backlog.flush()  # in the format of its time
                self.active.record(event.session)
                self._apply(event.session)
            case _:
                pass
        return False

    # Reacting: the steps of `REACTIONS` that concern more than one part.

    def on_session(self, session: ga.Session) -> None:
        """Adopt the configuration that the server sent."""
        self.active.session = session
        self._apply(session)
        if not self.active.detects_turns:  # nothing would end a turn that is open
            self.tools.end_turn()

    def answer_command(self, event: Event, now: float) -> Command | None:
        """Settle the command that an event answers, and return it."""
        if not self.commands.pending:
            return None
        event = self.conversation.with_own_ids(event)
        return self.commands.answer(event, now, may_defer=self.responses.active is not None)

    def on_item_added(
        self, event: ga.ConversationItemAdded | ga.ConversationItemCreatedEvent, now: float
    ) -> None:
        """Insert an item, at the front if our command said so."""
        command = self._created_by(event, now) if self.commands.pending else None
        created = None if command is None else command.event
        self.conversation.on_item_added(
            event,
            created=created.item if isinstance(created, ga.ConversationItemCreateEvent) else None,
            at_front=command is not None and command.inserts_at_front,
        )
        if isinstance(event.item, ga.FunctionCallOutput):
            self.tools.on_output_added(event.item)

    def on_item_done(self, event: ga.ConversationItemDone) -> None:
        """Complete an item, unless it is one that the session began with."""
        if not self.resumption.is_restored(self.conversation.own_id(id_of(event.item) or "")):
            self.conversation.on_item_done(event)

    def on_committed(self, event: ga.InputAudioBufferCommittedEvent, now: float) -> None:
        """Settle our commit; the server's own ends a turn that it may answer by itself."""
        command = self.answer_command(event, now)
        if command is None and self.active.answers_turns:
            self.responses.on_turn_committed()
            again, self._owed_again = self._owed_again, None
            if again is not None and again.state is RequestState.QUEUED:  # this turn's covers it
                self.responses.cancel(again)

    def on_response_created(self, event: ga.ResponseCreatedEvent, now: float) -> None:
        """Begin a response; cancel it at once if its request was cancelled meanwhile."""
        unwanted = self.responses.on_created(event, now)
        if unwanted is not None:
            self._send_cancel(unwanted)
        if not self.responses.is_out_of_band(event.response.id or ""):
            self.tools.on_response_created()
        self._report_overrun(event)
        self._time_response(event, now)

    def on_first_delta(self, event: OutputDelta, now: float) -> None:
        """Note when a response began to arrive; then open the fast way, if nothing awaits more."""
        kind = event.__class__
        if kind in self.deltas:  # on a beta connection all deltas come here
            return
        is_audio = kind is ga.ResponseAudioDeltaEvent
        self.latency.on_delta(event.response_id, now, is_audio=is_audio)
        if not self.latency.awaits(is_audio=is_audio):
            self.deltas[kind] = self.conversation.growth[kind]

    def on_output_item_added(
        self, event: ga.ResponseOutputItemAddedEvent | ga.ResponseOutputItemDoneEvent
    ) -> None:
        """Begin an item of a response."""
        state = self.conversation.on_output_item_added(event)
        if state is not None:
            self.responses.on_item_added(event, state)

    def on_output_item_done(self, event: ga.ResponseOutputItemDoneEvent) -> None:
        """Complete an item of a response, and run it if it is a call."""
        response = self.responses.get(event.response_id)
        if response is not None and _is_missing(event.item, response):
            self.on_output_item_added(event)
        self.conversation.on_output_item_done(event)
        self._run_calls([event.item], event.response_id)
        if response is not None and response.is_done:  # the events came in another order
            self.tools.on_response_done(response.response)

    def on_response_done(self, event: ga.ResponseDoneEvent, now: float) -> None:
        """End a response, with the items and calls that were not announced before."""
        active = self.responses.active
        if not event.response.id and active is not None:  # it can only mean that one
            event = replace(event, response=replace(event.response, id=active.id))
        response = event.response
        known = self.responses.get(response.id or "")
        if known is None or not known.is_done:  # a server may repeat itself
            self.usage.on_response(self.active.model, response)
        self.latency.on_done(response.id or "", response.status or None, now)
        is_repeated = self._repeats(response, now)
        was_requested = self.responses.on_done(event, now)
        if response.status == "failed" and not (was_requested or is_repeated):
            self._updates.append(ErrorUpdate(response_failed(response)))
        self._add_missing_output(event)
        if (response.status or "completed") == "completed":
            self._run_calls(response.output or [], response.id or "")
        self.tools.on_response_done(response)

    def on_error(self, event: ga.RealtimeErrorEvent, now: float) -> None:
        """Refuse the event that an error concerns; report an error that concerns none."""
        error = server_error(event)
        cause = error.event_id or refused_event(error, self.responses, self.commands) or ""
        self.input_audio.refuse_commit(cause)
        if not error.event_id or self.responses.request(cause) is not None:
            self.limiter.on_refused(error, now)
        is_settled = self.responses.refuse(cause, error, now) or self.commands.fail(cause, error)
        if not is_settled and not is_benign(error):
            self._updates.append(ErrorUpdate(error))
        self._report_limit(now)

    def on_rate_limits(self, event: ga.RateLimitsUpdatedEvent, now: float) -> None:
        """Remember the limits; the next request waits if nothing is left."""
        self.limiter.on_updated(event.rate_limits, now)
        self.responses.send_next(now)
        self._report_limit(now)

    def _repeats(self, response: ga.Response, now: float) -> bool:
        """Process the limits at the end of a response; return whether it is requested again."""
        error = response_failed(response) if response.status == "failed" else None
        if error is None or not self.limiter.on_refused(error, now):
            self.limiter.on_done(response)
            return False
        state = self.responses.get(error.response_id)
        if state is None or state.is_done or self.tools.is_continued(state.id):
            return False
        request, times = state.request, 0 if state.request is None else state.request.times_limited
        if not self.limiter.repeats(error, times):
            return False
        if request is None and not state.is_out_of_band and not self.responses.is_full:
            request = self._owed_again = self._request_response(ga.ResponseCreateEvent(), now)
        elif request is None or not request.is_scheduled or request.is_unwanted:
            return False
        else:
            self.responses.ask_again(state)
        request.times_limited = times + 1
        self._report_limit(now)
        return True

    def _report_limit(self, now: float) -> None:
        """Report the delay of the requests that wait, once."""
        report = self.limiter.take_report(now) if self.responses.waiting else None
        if report is not None:
            self._updates.append(report)

    def _on_dead_air(self, finding: Finding, now: float) -> None:
        """Request once more what is overdue; if that did not help, give the connection up."""
        remedy: Literal["asked_again", "reconnecting", "none"] = "none"
        awaited = finding.awaited
        if isinstance(awaited, ResponseState) and not finding.is_repeated:
            remedy = "asked_again"
            if not self.responses.ask_again(awaited):
                self._request_response(ga.ResponseCreateEvent(), now)
            event_id = self.new_id("event")
            self._emit(ga.ResponseCancelEvent(event_id=event_id, response_id=awaited.id))
        elif isinstance(awaited, OwedTurn) and not finding.is_repeated:
            remedy = "asked_again"
            self._request_response(ga.ResponseCreateEvent(), now)
        elif self.resumption.policy.budget:
            remedy = "reconnecting"
            text = f"the server was silent for {finding.seconds:g} s while it owed a response"
            self._actions.append(DropConnection(text))
        self._updates.append(DeadAir(kind=finding.kind, seconds=finding.seconds, remedy=remedy))

    def on_unknown_event(self, event: UnknownEvent) -> None:
        """Report a known event that does not fit its type; any other is only shown."""
        error = malformed_event(event)
        if error is not None:
            self._updates.append(ErrorUpdate(error))

    def _time_response(self, event: ga.ResponseCreatedEvent, now: float) -> None:
        """Begin to time a response, up to its first deltas."""
        begun = self.responses.get(event.response.id or "")
        if begun is None:
            return
        request = begun.request
        self.latency.on_created(
            begun.id,
            now,
            requested=None if request is None else request.sent_at,
            is_follow_up=request is not None and request is self._tool_response,
            is_out_of_band=begun.is_out_of_band,
        )
        self.deltas.clear()

    def _report_overrun(self, event: ga.ResponseCreatedEvent) -> None:
        """Report once that the server itself begins responses although the budget is used up."""
        begun = self.responses.get(event.response.id or "")
        is_asked = begun is not None and begun.is_asked
        error = None if is_asked else self.usage.first_exceeded(self.active.model)
        if error is not None:
            self._updates.append(ErrorUpdate(error))

    def _apply(self, session: ga.Session) -> None:
        """Follow a configuration, which we send or the server confirms."""
        input_format, output_format = self.active.apply(session)
        self.input_audio.detects_turns = self.active.detects_turns
        if input_format is not None:
            self.input_audio.set_format(input_format)
        if output_format is not None:
            self.conversation.set_output_format(output_format)

    def _created_by(
        self, event: ga.ConversationItemAdded | ga.ConversationItemCreatedEvent, now: float
    ) -> Command | None:
        """Return the command that an added item answers, and settle it."""
        item_id = event.item.id if isinstance(event.item.id, str) else ""
        # An item that a turn or a response announced is not the answer to a command of ours.
        is_announced = self.input_audio.is_announced(item_id) or self.conversation.is_apart(item_id)
        is_busy = self.responses.active is not None
        return self.commands.answer(event, now, may_guess=not is_announced, may_defer=is_busy)

    def _add_missing_output(self, event: ga.ResponseDoneEvent) -> None:
        """Add the items that a response has at its end, and that were not announced before."""
        state = self.responses.get(event.response.id or "")
        items = event.response.output or []
        for index, item in enumerate(items):
            if state is not None and _is_missing(item, state):
                done = ga.ResponseOutputItemDoneEvent(
                    event_id=event.event_id, response_id=state.id, output_index=index, item=item
                )
                self.on_output_item_added(done)
                self.conversation.on_output_item_done(done)

    def _run_calls(self, items: Iterable[ga.Item], response_id: str) -> None:
        if not self.responses.is_out_of_band(response_id):
            for item in items:
                if isinstance(item, ga.FunctionCall):
                    self.tools.add(self._with_arguments(item, response_id), response_id)

    def _with_arguments(self, call: ga.FunctionCall, response_id: str) -> ga.FunctionCall:
        """Return a call with the arguments that were streamed, if its end lacks them."""
        state = None if call.arguments else self.conversation.find(call.id or "", response_id)
        tool = None if state is None else state.snapshot().formatted.tool
        return call if tool is None else replace(call, arguments=tool.arguments)

    def _is_ours(self, name: str) -> bool:
        """Return whether the calls of a tool are ours to run.

        The application itself runs a tool that only its configuration declares. The call of a tool
        that is not declared at all is ours, and gets an error: the model waits for an answer.
        """
        if self._has_tool is None:
            return False
        is_declared = self._configuration.declares(name) or self.active.declares(name)
        return self._has_tool(name) or not is_declared

    # Settling.

    def _settle_command(self, command: Command) -> None:
        if isinstance(command.event, ga.SessionUpdateEvent):
            # A change that was lost with the connection is wanted still: `configure` sends it.
            is_refused = isinstance(command.error, ServerError)
            self._configuration.settle(command.event_id, is_refused=is_refused)
        self._settle(command, command.error)

    def _settle_request(self, request: ResponseRequest) -> None:
        error: Exception | None = request.error
        if request.state is RequestState.FAILED and request.response is not None:
            error = response_failed(request.response.response)
        self._settle(request, error)

    def _settle(self, record: Command | ResponseRequest, error: Exception | None) -> None:
        """Report an error that nothing awaits, so that none is lost."""
        is_silent = record.waiters > 0 or is_benign(error)
        if isinstance(error, _REPORTED) and not is_silent:
            self._updates.append(ErrorUpdate(error))
        self._actions.append(Settled(record))


def _is_missing(item: ga.Item, response: ResponseState) -> bool:
    """Return whether a response has not announced an item that has content."""
    is_empty = isinstance(item, ga.Message) and not item.content
    return id_of(item) not in {None, *response.output} and not is_empty

"""The session core on an event loop: frames in, calls out; one step after the other, no task.

Each server event makes one step: the core takes it, callbacks are called, then the answers of
commands are settled, then iterators go on, then what the core wants sent is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from duologue.client.handles import Waiters
from duologue.client.link import Link
from duologue.client.reader import Reader
from duologue.client.tools import ToolRunner
from duologue.errors import (
    Closed,
    ConnectionLost,
    LocalProtocolError,
    RemoteProtocolError,
    ServerError,
)
from duologue.protocol import codec
from duologue.protocol.ga import InputAudioBufferAppendEvent, SessionUpdateEvent
from duologue.session.client_session import ClientSession
from duologue.session.error_reports import is_benign
from duologue.session.response_state import RequestState, ResponseRequest, response_failed
from duologue.session.retention import KEEP_RECENT, Retention
from duologue.session.updates import ConversationUpdated, ErrorUpdate, RealtimeEvent, Update

if TYPE_CHECKING:
    from duologue.client.link import Connector
    from duologue.client.registry import Registry
    from duologue.client.tools import Tools
    from duologue.client.words import Words
    from duologue.errors import DecodeError, ToolFailed
    from duologue.protocol.ga import ResponseCreateEvent
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.commands import Command
    from duologue.session.configuration import Configuration
    from duologue.session.tool_calls import ToolCall

__all__ = ["Driver", "Setup"]

Light = Mapping[type, Callable[[Any], ConversationUpdated | None]]


@dataclass(frozen=True, slots=True)
class Setup:
    """What all sessions of a client have in common."""

    words: Words
    configuration: Configuration
    tools: Tools
    retention: Retention = KEEP_RECENT
    validates: bool = False

    def runs_tool(self, name: str, is_declared: bool) -> bool:  # noqa: FBT001  # the core's question
        """Tell whether a call is ours to answer: not if its tool was declared by hand."""
        is_by_hand = is_declared or self.configuration.declares(name)
        return name in self.tools.handlers or not is_by_hand


class Driver:
    """One session from connection to end."""

    def __init__(
        self,
        registry: Registry,
        setup: Setup,
        *,
        new_id: Callable[[str], str],
    ) -> None:
        self.core: Final = ClientSession(
            new_id=new_id,
            validates=setup.validates,
            retention=setup.retention,
            runs_tool=setup.runs_tool,
            tool_policy=setup.tools.policy,
        )
        self.waiters: Final = Waiters()
        self._news: Final = self.waiters.news
        self.reader: Final[Reader[Update]] = Reader(self.waiters.news)
        self.link: Final = Link(self, setup.words.dialect)
        self.ending: Closed | ConnectionLost | None = None
        """How the session ended."""
        self.was_opened: bool = False
        """Whether connecting was begun."""
        self._registry: Final = registry
        self._words: Final = setup.words
        self._translates: Final = setup.words.dialect != "ga"
        self._configuration: Final = setup.configuration
        self._tools: Final = ToolRunner(setup.tools, self._answer)
        self._light: Final[Light] = {} if self._translates else self.core.light
        self._is_sending = False
        self._timer: asyncio.TimerHandle | None = None
        self._now: Callable[[], float] = float  # zero, until there is an event loop with a clock

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self.link.is_open and self.ending is None

    async def open(self, connector: Connector) -> None:
        """Connect; the session may have begun when this returns.

        Raises:
            Closed: If it was closed meanwhile.
            ConnectionLost: If the connection has ended already.
        """
        self.was_opened = True
        self._now = asyncio.get_running_loop().time
        self._tools.open()
        await self.link.open(connector)
        self.check_open()
        self._send_waiting()

    def send(self, event: Event | UnknownEvent) -> None:
        """Send an event.

        Raises:
            LocalProtocolError: If the protocol does not allow it now.
            Closed: If the session was closed, or is not open.
            ConnectionLost: If the connection has ended.
        """
        self.check_open()
        self.core.send(self._meant(event), self._now())
        self._send_waiting()

    def request_response(self, event: ResponseCreateEvent) -> ResponseRequest:
        """Ask for a response when it is its turn; see `send`."""
        self.check_open()
        request = self.core.request_response(self._meant(event))
        self._send_waiting()
        return request

    def cancel_request(self, request: ResponseRequest) -> None:
        """Take back a request, or stop its response; see `send`."""
        self.check_open()
        self.core.cancel_request(request)
        self._settle()
        self._send_waiting()

    def append_audio(self, audio: bytes | bytearray | memoryview) -> None:
        """Send input audio; see `send`."""
        self.check_open()
        data = audio if isinstance(audio, bytes) else bytes(audio)
        event_id = self.core.new_id("event")
        event = InputAudioBufferAppendEvent.of(data)
        if self._is_sending or not self.link.is_open:  # keep the order
            self.core.send(event, self._now())
            return
        now = self._now()
        self.core.append_audio(data, now)
        self._show(RealtimeEvent("client", event, now))
        self.link.send_frame(codec.append_frame(data, event_id), event.type)
        self._news.tell()

    def on_event(self, event: Any) -> None:  # noqa: ANN401  # of either dialect
        """Take a server event, in the words of the connection."""
        take_light = self._light.get(event.__class__)
        if take_light is None or self.ending is not None:
            self._on_heavy(event, self._now())
            return
        # Nearly every event: nothing is settled or sent by it, so it needs no step.
        update, shown = take_light(event), RealtimeEvent("server", event, self._now())
        self.reader.put(update, shown)
        self._registry.tell((shown,) if update is None else (update, shown))
        if self._news.waiting:
            self._news.tell()

    def _on_heavy(self, event: Any, now: float) -> None:  # noqa: ANN401  # as `on_event`
        meanings = self._words.heard(event) if self._translates else ()
        if self.ending is not None:  # it was under way: shown, but it changes nothing
            self._registry.tell([RealtimeEvent("server", event, now, meanings)])
            return
        if not meanings:
            self._step(self.core.receive(event, now))
            return
        updates = [update for meaning in meanings for update in self.core.take(meaning, now)]
        self._step([*updates, RealtimeEvent("server", event, now, meanings)])

    def on_undecodable(self, error: DecodeError) -> None:
        """Tell the application about a frame that is no event."""
        if self.ending is None:
            self._step([ErrorUpdate(error)])

    def on_end(self, error: ConnectionLost | None) -> None:
        """End everything that waits, at once."""
        if self.ending is not None:
            return
        self.ending = error or Closed("the session was closed")
        if self._timer is not None:
            self._timer.cancel()
        self.core.end(self.ending)
        self._settle()
        self._registry.end(self.ending)
        self.reader.end(error)

    async def close(self) -> None:
        """Close the session and wait until it is gone; harmless to repeat."""
        self.on_end(None)
        try:
            await self._tools.stop()
        finally:  # cancelled: the connection is not left open
            try:
                await self.link.close()
            finally:
                await self._registry.dispatcher.stop()

    async def stop_tools(self) -> None:
        """Cancel the calls that run, and wait until they have ended."""
        await self._tools.stop()

    def check_open(self) -> None:
        """Raise how the session ended, if it has."""
        if self.ending is not None:
            raise self.ending.with_traceback(None)
        if not self.link.is_open and self.core.session is None:
            raise Closed("the session is not open: use `async with`, or await `connect()`")

    def _meant(self, event: Event | UnknownEvent) -> Any:  # noqa: ANN401  # as `Words.meant`
        """Return an event in GA, if it can be written: what is noted must be answered."""
        meaning = self._words.meant(event)
        if type(meaning) is InputAudioBufferAppendEvent:  # not worth it: nothing answers
            return meaning
        try:
            codec.encode(self._words.spoken(meaning))
        except (TypeError, ValueError, RecursionError) as error:
            text = f"{event.type} cannot be written as JSON: {error}"
            raise LocalProtocolError(text) from error
        return meaning

    def _step(self, updates: list[Update]) -> None:
        settled = self._take_settled()
        if settled:
            updates = [*filter(None, map(self._unheard, settled)), *updates]
        self._tell(updates)
        for record in settled:
            self.waiters.settle(record)
        for call in self.core.tools.take_new():
            self._tools.start(call)
        for call_id in self.core.tools.take_given_up():
            self._tools.cancel(call_id)
        if self.core.wants_to_send:
            with contextlib.suppress(Closed, ConnectionLost):  # told by `on_end`
                self._send_waiting()
        self._set_timer()

    def _tell(self, updates: list[Update]) -> None:
        """Hand out updates: to callbacks first, then to whoever iterates."""
        for update in updates:
            if type(update) is RealtimeEvent:
                self.reader.put(None, update)
            else:
                self.reader.put(update)
        self._registry.tell(updates)
        self._news.tell()

    def _settle(self) -> None:
        """Let those go on who wait for what has ended, with nothing to tell but that."""
        for record in self._take_settled():
            self.waiters.settle(record)
        self._news.tell()

    def _answer(self, call: ToolCall, output: str, error: ToolFailed | None) -> None:
        """Send what a tool returned; tell the application if it failed."""
        if self.ending is None:
            self.core.answer_call(call.call_id, output, self._now())
            self._step([] if error is None else [ErrorUpdate(error)])

    def _take_settled(self) -> list[Command | ResponseRequest]:
        commands = self.core.take_commands()
        for command in commands:
            if isinstance(command.event, SessionUpdateEvent):
                is_refused = isinstance(command.error, ServerError)  # else `connect` tells it again
                self._configuration.settle(command.event_id, is_refused=is_refused)
        return [*commands, *self.core.take_requests()]

    def _unheard(self, record: Command | ResponseRequest) -> ErrorUpdate | None:
        """Return the error of a command that nobody awaits."""
        if self.waiters.is_awaited(record) or is_benign(record.error):
            return None
        if isinstance(record.error, ServerError | RemoteProtocolError):
            return ErrorUpdate(record.error)
        if isinstance(record, ResponseRequest) and record.state is RequestState.FAILED:
            response = record.response
            return ErrorUpdate(response_failed(response.response)) if response else None
        return None

    def _send_waiting(self) -> None:
        """Send what the core has in its outbox; what callbacks add to it follows in order."""
        if self._is_sending or not self.link.is_open:
            return
        self._is_sending = True
        try:
            while events := self.core.events_to_send():
                for event in events:
                    spoken = self._words.spoken(event)
                    meanings = () if spoken is event else (event,)
                    self._show(RealtimeEvent("client", spoken, self._now(), meanings))
                    self.link.send(spoken)
        finally:
            self._is_sending = False
        self._news.tell()

    def _show(self, update: RealtimeEvent) -> None:
        self.reader.put(None, update)
        self._registry.tell([update])

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.core.next_deadline()
        if deadline is not None and self.ending is None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._on_deadline)

    def _on_deadline(self) -> None:
        self._timer = None
        self._step(self.core.handle_deadline(self._now()))

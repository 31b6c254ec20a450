"""The session core on an event loop: frames in, calls out; one step after the other, no task.

Each server event makes one step: the core takes it, callbacks are called, then the answers of
commands are settled, then iterators go on, then what the core wants sent is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from duologue.client.handles import Waiters
from duologue.client.link import Link
from duologue.client.reader import Reader
from duologue.errors import Closed, ConnectionLost, RemoteProtocolError, ServerError
from duologue.protocol import codec
from duologue.protocol.ga import InputAudioBufferAppendEvent
from duologue.session.client_session import ClientSession
from duologue.session.requests import RequestState, ResponseRequest, response_failed
from duologue.session.updates import ErrorUpdate, RealtimeEvent, Update

if TYPE_CHECKING:
    from collections.abc import Callable

    from duologue.client.link import Connector
    from duologue.client.registry import Registry
    from duologue.errors import DecodeError
    from duologue.protocol.ga import AnyClientEvent, AnyServerEvent
    from duologue.session.commands import Command

__all__ = ["Driver"]


class Driver:
    """One session from connection to end."""

    def __init__(
        self, registry: Registry, *, new_id: Callable[[str], str], validates: bool = False
    ) -> None:
        self.core: Final = ClientSession(new_id=new_id, validates=validates)
        self.waiters: Final = Waiters()
        self.reader: Final[Reader[Update]] = Reader()
        self.link: Final = Link(self)
        self.ending: Closed | ConnectionLost | None = None
        """How the session ended."""
        self.was_opened = False
        """Whether connecting was begun."""
        self._registry: Final = registry
        self._is_sending = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_connected(self) -> bool:
        """Whether events can be sent."""
        return self.link.is_open and self.ending is None

    async def open(self, connector: Connector) -> None:
        """Connect; the session may have begun when this returns."""
        self.was_opened = True
        await self.link.open(connector)
        self._send_waiting()

    def send(self, event: AnyClientEvent) -> None:
        """Send an event.

        Raises:
            LocalProtocolError: If the protocol does not allow it now.
            Closed: If the session was closed, or is not open.
            ConnectionLost: If the connection has ended.
        """
        self.check_open()
        self.core.send(event, self._now())
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
        self.reader.wake()

    def on_event(self, event: AnyServerEvent) -> None:
        """Take a server event."""
        if self.ending is None:
            self._step(self.core.receive(event, self._now()))

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
        for record in self._take_settled():
            self.waiters.settle(record)
        self._registry.end(self.ending)
        self.reader.end(error)

    async def close(self) -> None:
        """Close the session and wait until it is gone; harmless to repeat."""
        self.on_end(None)
        await self.link.close()
        await self._registry.dispatcher.stop()

    def check_open(self) -> None:
        """Raise how the session ended, if it has."""
        if self.ending is not None:
            raise self.ending.with_traceback(None)
        if not self.link.is_open and self.core.session is None:
            raise Closed("the session is not open: use `async with`, or await `connect()`")

    def _step(self, updates: list[Update]) -> None:
        settled = self._take_settled()
        errors = [error for record in settled if (error := self._unheard(record))]
        for update in (told := [*errors, *updates]):
            self.reader.put(update, is_repeat=isinstance(update, RealtimeEvent))
        for update in told:
            self._registry.tell(update)
        for record in settled:
            self.waiters.settle(record)
        self.reader.wake()
        with contextlib.suppress(Closed, ConnectionLost):  # told by `on_end`
            self._send_waiting()
        self._set_timer()

    def _take_settled(self) -> list[Command | ResponseRequest]:
        return [*self.core.take_commands(), *self.core.take_requests()]

    def _unheard(self, record: Command | ResponseRequest) -> ErrorUpdate | None:
        """Return the error of a command that nobody awaits."""
        if self.waiters.is_awaited(record):
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
                    self._show(RealtimeEvent("client", event, self._now()))
                    self.link.send(event)
        finally:
            self._is_sending = False
        self.reader.wake()

    def _show(self, update: RealtimeEvent) -> None:
        self.reader.put(update, is_repeat=True)
        self._registry.tell(update)

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

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

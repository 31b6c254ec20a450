"""One client's connection: frames to the session's core and back, and the engine's work between.

Every task belongs to the connection and ends with it. The core is only called between awaits, so
nothing that it decided is out of date when it is carried out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from starlette.websockets import WebSocketDisconnect

from duologue.errors import DecodeError
from duologue.protocol import ga
from duologue.protocol.ga import translation
from duologue.server.pacing import RateLimiter
from duologue.server.send_queue import SendQueue
from duologue.server.session.validation import InvalidRequest
from duologue.server.wire import RefusedEvent

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from duologue.protocol.model import Event, UnsetType
    from duologue.server.fault_injection import FaultInjector
    from duologue.server.faults import SendError
    from duologue.server.limits import Limits
    from duologue.server.wire import Wire

__all__ = ["AnyReceived", "AnySent", "Connection", "Core", "Observer", "Performer"]

logger: logging.Logger = logging.getLogger("duologue.server")

SLOW_SECONDS = 10.0
"""How long a client may leave more than `ROOM_BYTES` unread, or anything before its close."""

SLOW_CODE = 1008

CLOSE_SECONDS = 1.0

ABNORMAL_CLOSURE = 1006
BREAK_EXTENSION = "duologue.break"
"""What the listener offers beside ASGI: `break`, a function that breaks the TCP connection."""

_TOO_FAST: Final = InvalidRequest(
    "rate_limit_exceeded",
    "You send faster than this server takes it: wait, or send less. The event was not carried out.",
    type="rate_limit_error",
)

AnyReceived = ga.AnyClientEvent | translation.AnyTranslationClientEvent
"""A client event, whatever the session is for."""

AnySent = ga.KnownServerEvent | translation.KnownTranslationServerEvent
"""A server event, whatever the session is for."""

Observer = Callable[[AnyReceived | AnySent], None]
"""Told of every event of a session, in order."""

Received = TypeVar("Received", bound=AnyReceived)
Sent = TypeVar("Sent", bound="Event")
Command = TypeVar("Command")
Received_contra = TypeVar("Received_contra", bound=AnyReceived, contravariant=True)
Sent_co = TypeVar("Sent_co", bound="Event", covariant=True)
Command_co = TypeVar("Command_co", covariant=True)
Command_contra = TypeVar("Command_contra", contravariant=True)


class Core(Protocol[Received_contra, Sent_co, Command_co]):
    """A session without its waiting."""

    def receive(self, event: Received_contra) -> None:
        """Carry out a client event, or answer it with one `error`."""
        ...

    def refuse(self, refusal: InvalidRequest, event_id: str | UnsetType) -> None:
        """Answer an event that the edge refuses."""
        ...

    def refuse_frame(self, error: DecodeError) -> None:
        """Answer a frame that is no event."""
        ...

    def expire(self, reason: str) -> None:
        """Tell that the session has lasted as long as one may."""
        ...

    def next_deadline(self) -> float | None:
        """Return when `handle_deadline` is to be called; asked whenever events were taken."""
        ...

    def handle_deadline(self, now: float) -> None:
        """Do what was to be done at the deadline."""
        ...

    def take_events(self, now: float) -> Sequence[Sent_co]:
        """Return what is to be sent now, once."""
        ...

    def take_commands(self) -> Sequence[Command_co]:
        """Return the work to start or stop, once."""
        ...


class Performer(Protocol[Command_contra]):
    """Does with an engine what a core asks for, in the connection's jobs."""

    def carry_out(self, command: Command_contra) -> None:
        """Start or stop the work of a command."""
        ...


class Connection(Generic[Received, Sent, Command]):
    """Runs one session over one accepted socket."""

    def __init__(
        self,
        socket: WebSocket,
        session: Core[Received, Sent, Command],
        wire: Wire[Received, Sent],
        disturbance: FaultInjector,
        *,
        limits: Limits,
        observers: Sequence[Callable[[Received | Sent], None]] = (),
    ) -> None:
        self._socket = socket
        self._session = session
        self._wire = wire
        self._limits = limits
        self._observers = observers
        self._outbox: SendQueue[str] = SendQueue()
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._disturbance = disturbance
        self._clock = asyncio.get_running_loop().time
        self._pace = RateLimiter(limits, self._clock())
        self._active_at = self._clock()
        self._deadline: float | None = None
        self._deadline_moved = asyncio.Event()
        self._writing_since: float | None = None
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self, performer: Performer[Command]) -> int:
        """Serve until either side closes, and return the code of the close."""
        self._performer = performer
        self._tasks = asyncio.TaskGroup()
        async with self._tasks:
            writer = self._tasks.create_task(self._write())
            timer = self._tasks.create_task(self._keep_time())
            self._disturbance.attach(self)
            always = [writer, timer]
            try:
                self.flush()
                self._disturbance.wake()
                always.append(self._tasks.create_task(self._read()))
                return await self._over
            finally:
                self._disturbance.detach()
                for task in always:
                    task.cancel()
                timer.cancel()
                for job in self._jobs.values():
                    job.cancel()

    # What a performer uses.

    def start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Start a job, under a name by which it can be stopped."""
        job = self._tasks.create_task(work)
        self._jobs[name] = job
        job.add_done_callback(lambda job: self._forget(name, job))

    def stop(self, name: str) -> None:
        """Stop a job, if it still runs."""
        if job := self._jobs.pop(name, None):
            job.cancel()

    async def finished(self, name: str) -> None:
        """Wait for the end of a job, however it ends."""
        if job := self._jobs.get(name):
            await asyncio.wait({job})

    def flush(self) -> None:
        """Send what the core wants sent, start and stop what it wants done."""
        self._send()
        for command in self._session.take_commands():
            self._performer.carry_out(command)
        if self._session.next_deadline() != self._deadline:
            self._deadline_moved.set()

    async def room(self) -> None:
        """Wait until the client has read enough of what was sent; drop one that reads nothing."""
        while not self._outbox.has_room and not self._over.done():
            try:
                async with asyncio.timeout(SLOW_SECONDS):
                    await self._outbox.room()
            except TimeoutError:
                # What a fault holds back is not left unread by the client.
                since = self._writing_since
                if since is not None and self._clock() - since >= SLOW_SECONDS:
                    await self._drop()

    async def close(self, code: int, reason: str) -> None:
        """Close the socket once everything is written; 1006 breaks it instead.

        One that leaves unread what was written is dropped.
        """
        try:
            async with asyncio.timeout_at(max(self._clock(), self._outbox.last_due) + SLOW_SECONDS):
                await self._outbox.emptied()
        except TimeoutError:
            await self._drop()
            return
        extension = self._socket.scope.get("extensions", {}).get(BREAK_EXTENSION)
        if code == ABNORMAL_CLOSURE and extension is not None:
            extension["break"]()
        else:
            await self._close(1011 if code == ABNORMAL_CLOSURE else code, reason)

    # What the disturbance uses, besides.

    def put(self, frame: bytes, due: float = 0.0) -> None:
        """Send a frame, not before a time of the loop."""
        text = frame.decode()
        self._outbox.put_nowait(text, len(text), due)

    def hear_frame(self, frame: bytes | str) -> None:
        """Take a frame that has come."""
        for event in self._read_frame(frame):
            self._hear(event)

    def answer_error(self, error: SendError, event_id: str | UnsetType) -> None:
        """Send an `error` event at once, about an event of the client's if there is one."""
        self._session.refuse(InvalidRequest(error.code, error.message, type=error.type), event_id)
        self._send()

    def expire(self) -> str:
        """Tell that the session's time is up; return the reason of the close that follows."""
        minutes = self._limits.session_seconds / 60
        return self._expire(f"Your session hit the maximum duration of {minutes:g} minutes.")

    # The socket.

    async def _close(self, code: int, reason: str) -> None:
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(code, reason)

    async def _drop(self) -> None:
        """End the session of a client that does not read; its server cuts the connection."""
        await self._close(SLOW_CODE, "the client reads too slowly")
        self._end(SLOW_CODE)

    def _end(self, code: int) -> None:
        if not self._over.done():
            self._over.set_result(code)

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self._end(int(message.get("code", 1005)))
                return
            self._receive(message.get("text") or message.get("bytes") or b"")
            self.flush()
            if self._disturbance.is_active:
                await self._disturbance.room()
            if self._outbox.has_room:
                continue
            try:
                async with asyncio.timeout(SLOW_SECONDS):
                    await self._outbox.room()
            except TimeoutError:
                await self._drop()
                return

    async def _keep_time(self) -> None:
        """Wake the core when it asked for it, and end the session when its time is over."""
        lasts_until = self._clock() + self._limits.session_seconds
        idle_seconds = self._limits.idle_seconds or math.inf
        while (now := self._clock()) < (
            ends_at := min(lasts_until, self._active_at + idle_seconds)
        ):
            self._deadline = self._session.next_deadline()
            if self._deadline is not None and self._deadline <= now:
                self._session.handle_deadline(now)
                self.flush()
                continue
            self._deadline_moved.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(ends_at, self._deadline or ends_at)):
                    await self._deadline_moved.wait()
        is_idle = now < lasts_until
        idle = f"Your session was idle for {idle_seconds / 60:g} minutes."
        await self.close(1001, self._expire(idle) if is_idle else self.expire())

    def _expire(self, reason: str) -> str:
        self._session.expire(reason)
        self.flush()
        return reason

    def _receive(self, frame: bytes | str) -> None:
        self._active_at = now = self._clock()
        if not self._pace.admits(len(frame), now):
            for event in self._read_frame(frame):
                self._session.refuse(_TOO_FAST, event.event_id)
            return
        if not self._disturbance.is_active:
            self.hear_frame(frame)
            return
        for event in self._read_frame(frame):
            self._disturbance.receive(event, frame, partial(self._hear, event))

    def _hear(self, event: Received) -> None:
        for observe in self._observers:
            observe(event)
        self._session.receive(event)

    def _read_frame(self, frame: bytes | str) -> Sequence[Received]:
        try:
            return self._wire.read(frame)
        except DecodeError as error:
            self._session.refuse_frame(error)
        except RefusedEvent as refused:
            self._session.refuse(refused.refusal, refused.event_id)
        return ()

    def _send(self) -> None:
        for event in self._session.take_events(self._clock()):
            for observe in self._observers:
                observe(event)
            self._active_at = self._clock()
            frames = self._wire.write(event)
            if self._disturbance.is_active:
                self._disturbance.send(event.type, frames)
            else:
                for frame in frames:
                    self.put(frame)

    async def _write(self) -> None:
        try:
            while True:
                frame = await self._outbox.take()
                self._writing_since = self._clock()
                await self._socket.send_text(frame)
                self._writing_since = None
        except (WebSocketDisconnect, RuntimeError):  # the client is gone; `_read` is told as well
            logger.debug("a client went away before it was told everything")

    def _forget(self, name: str, job: asyncio.Task[None]) -> None:
        if self._jobs.get(name) is job:
            del self._jobs[name]

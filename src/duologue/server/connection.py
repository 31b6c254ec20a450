"""One client's connection: feeds the session's core, executes its effects, keeps its timers.

    frame or result -> core -> effects -> frames to send, engine work to start

Every task belongs to the connection and ends with it. The core is called only between awaits, so
nothing that it has decided is out of date when it is executed.
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
from duologue.protocol.dialects import InvalidClientEvent
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET
from duologue.server.pacing import RateLimiter
from duologue.server.send_queue import SendQueue
from duologue.server.session.validation import InvalidRequest
from duologue.session.contract import SessionCore

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.model import Event, UnsetType
    from duologue.server.fault_injection import FaultInjector
    from duologue.server.faults import SendError
    from duologue.server.limits import Limits
    from duologue.server.session.statistics import SessionStatistics

__all__ = ["AnyReceived", "AnySent", "Connection", "EffectRunner", "Observer", "ServerCore"]

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
"""A client event of any type of session."""

AnySent = ga.KnownServerEvent | translation.KnownTranslationServerEvent
"""A server event of any type of session."""

Observer = Callable[[AnyReceived | AnySent], None]
"""Called with every event of a session, in order."""

Received = TypeVar("Received", bound=AnyReceived)
Result = TypeVar("Result")
Sent = TypeVar("Sent", bound="Event")
Effect = TypeVar("Effect")
Received_contra = TypeVar("Received_contra", contravariant=True)
Result_contra = TypeVar("Result_contra", contravariant=True)
Effect_co = TypeVar("Effect_co", covariant=True)
Effect_contra = TypeVar("Effect_contra", contravariant=True)


class ServerCore(
    SessionCore[Received_contra, Result_contra, Effect_co],
    Protocol[Received_contra, Result_contra, Effect_co],
):
    """A session's core as the connection uses it."""

    @property
    def statistics(self) -> SessionStatistics:
        """Counts of the session so far."""
        ...

    def report_error(self, error: ga.RealtimeError, now: float) -> None:
        """Send an `error` event that the connection decides on."""
        ...


class EffectRunner(Protocol[Effect_contra]):
    """Executes the effects of a core: sends events, and has the engine do its work."""

    def execute(self, effect: Effect_contra) -> None:
        """Execute one effect, without waiting."""
        ...


class Connection(Generic[Received, Result, Sent, Effect]):
    """Runs one session over one accepted socket."""

    def __init__(
        self,
        socket: WebSocket,
        core: ServerCore[Received, Result, Effect],
        dialect: DialectAdapter[Received, Sent],
        faults: FaultInjector,
        *,
        limits: Limits,
        observers: Sequence[Callable[[Received | Sent], None]] = (),
    ) -> None:
        self._socket: Final = socket
        self._core: Final = core
        self._dialect: Final = dialect
        self._limits: Final = limits
        self._observers: Final = observers
        self._outbox: Final[SendQueue[str]] = SendQueue()
        self._jobs: Final[dict[str, asyncio.Task[None]]] = {}
        self._faults: Final = faults
        self._clock: Final = asyncio.get_running_loop().time
        self._rate: Final = RateLimiter(limits, self._clock())
        self._active_at = self._clock()
        self._deadline: float | None = None
        self._deadline_moved: Final = asyncio.Event()
        self._writing_since: float | None = None
        self._over: Final[asyncio.Future[int]] = asyncio.get_running_loop().create_future()

    async def run(self, runner: EffectRunner[Effect]) -> int:
        """Serve until either side closes, and return the code of the close."""
        self._runner = runner
        self._tasks = asyncio.TaskGroup()
        async with self._tasks:
            writer = self._tasks.create_task(self._write())
            timer = self._tasks.create_task(self._keep_time())
            self._faults.attach(self)
            always = [writer, timer]
            try:
                self.flush()
                self._faults.wake()
                always.append(self._tasks.create_task(self._read()))
                return await self._over
            finally:
                self._faults.detach()
                self._core.end(None)
                for task in always:
                    task.cancel()
                timer.cancel()
                for job in self._jobs.values():
                    job.cancel()

    # Used by the runner.

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

    def feed(self, result: Result) -> None:
        """Pass a result of the engine to the core, and execute what follows from it."""
        self._core.send(result, self._clock())
        self.flush()

    def flush(self) -> None:
        """Execute the core's effects, and note when it wants to be woken."""
        for effect in self._core.effects():
            self._runner.execute(effect)
        if self._core.next_deadline() != self._deadline:
            self._deadline_moved.set()

    def send_event(self, event: Sent) -> None:
        """Send an event, or let the session's faults decide what becomes of it."""
        for observe in self._observers:
            observe(event)
        self._active_at = self._clock()
        frames = self._dialect.encode_server(event)
        if self._faults.is_active:
            self._faults.send(event.type, frames)
        else:
            for frame in frames:
                self.put(frame)

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

    # Used by the faults, besides.

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
        self._refuse(InvalidRequest(error.code, error.message, type=error.type), event_id)
        self.flush()

    def expire(self) -> str:
        """Report that the session's time is up; return the reason of the close that follows."""
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
            if self._faults.is_active:
                await self._faults.room()
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
            self._deadline = self._core.next_deadline()
            if self._deadline is not None and self._deadline <= now:
                self._core.handle_deadline(now)
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
        error = ga.RealtimeError(
            type="invalid_request_error", code="session_expired", message=reason
        )
        self._core.report_error(error, self._clock())
        self.flush()
        return reason

    def _receive(self, frame: bytes | str) -> None:
        self._active_at = now = self._clock()
        if not self._rate.admits(len(frame), now):
            for event in self._read_frame(frame):
                self._refuse(_TOO_FAST, event.event_id)
            return
        if not self._faults.is_active:
            self.hear_frame(frame)
            return
        for event in self._read_frame(frame):
            self._faults.receive(event, frame, partial(self._hear, event))

    def _hear(self, event: Received) -> None:
        for observe in self._observers:
            observe(event)
        self._core.receive(event, self._clock())

    def _read_frame(self, frame: bytes | str) -> Sequence[Received]:
        try:
            return self._dialect.decode_client(frame)
        except DecodeError as error:
            self._refuse(InvalidRequest("invalid_event", f"Invalid event: {error}."), UNSET)
        except InvalidClientEvent as invalid:
            refusal = InvalidRequest(invalid.code, invalid.message, invalid.param)
            self._refuse(refusal, invalid.event_id)
        return ()

    def _refuse(self, refusal: InvalidRequest, event_id: str | UnsetType) -> None:
        self._core.report_error(refusal.error(event_id), self._clock())

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

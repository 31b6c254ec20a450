"""One client's connection: a transport on one side, the core of a session on the other.

    frame, result or time -> core -> effects -> frames to send, work for the engine

Everything happens in callbacks that do not wait, so nothing that the core has decided is out of
date when it is executed. Only jobs wait: the engine's work, and closing. They belong to the
connection and end with it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import msgspec

from duologue.errors import Closed, ConnectionLost, DecodeError
from duologue.protocol import ga
from duologue.protocol.dialects import InvalidClientEvent
from duologue.protocol.ga import translation
from duologue.protocol.model import UNSET
from duologue.server.frame_limits import MAX_TEXT_BYTES, event_id_of, oversize
from duologue.server.limits import RateLimiter
from duologue.server.session.validation import InvalidRequest
from duologue.session.contract import SessionCore
from duologue.transport.base import Receiver, Transport

if TYPE_CHECKING:
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.model import Event, UnsetType
    from duologue.server.fault_injection import FaultInjector
    from duologue.server.faults import SendError
    from duologue.server.limits import Limits
    from duologue.server.session.statistics import SessionStatistics

__all__ = [
    "AnyReceived",
    "AnySent",
    "Connection",
    "EffectRunner",
    "FrameReceiver",
    "Observer",
    "ServerCore",
    "ServerTransport",
]

logger: logging.Logger = logging.getLogger("duologue.server")

SLOW_SECONDS: float = 10.0
"""Time for which a client may leave more unread than its transport buffers."""

SLOW_CODE: Final = 1008
SLOW_REASON: Final = "the client reads too slowly"

ABNORMAL_CLOSURE: Final = 1006

CHECK_BYTES: Final = 256 << 10
"""Sent bytes after which the connection checks whether the client reads them.

A check costs a task, so not every frame has one. A client can therefore leave this much more unread
than its transport buffers.
"""

_TOO_LARGE: Final = InvalidRequest(
    "rate_limit_exceeded",
    "The event has more bytes than this server accepts in ten seconds. It was ignored.",
    type="rate_limit_error",
)

_BINARY: Final = InvalidRequest(
    "invalid_event", "Invalid event: expected JSON in a text frame, but got a binary frame."
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


class ServerTransport(Transport, Protocol):
    """A transport as a server needs it."""

    async def abort(self) -> None:
        """Write what is queued, then end the connection without a close frame (1006)."""

    def pause_reading(self) -> None:
        """Deliver no more frames until `resume_reading`."""

    def resume_reading(self) -> None:
        """Deliver frames again."""


class FrameReceiver(Receiver, Protocol):
    """A receiver that distinguishes binary frames."""

    def on_binary_frame(self, size_bytes: int) -> None:
        """Process a frame that is not text, and therefore not an event."""


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


class EffectRunner(Protocol[Effect_contra]):
    """Executes the effects of a core: sends events, and has the engine do its work."""

    def execute(self, effect: Effect_contra) -> None:
        """Execute one effect, without waiting."""


class Connection(Generic[Received, Result, Sent, Effect]):
    """Runs one session; receives the frames of its transport."""

    def __init__(
        self,
        core: ServerCore[Received, Result, Effect],
        dialect: DialectAdapter[Received, Sent],
        faults: FaultInjector,
        *,
        limits: Limits,
        observers: Sequence[Callable[[Received | Sent], None]] = (),
    ) -> None:
        self._core: Final = core
        self._dialect: Final = dialect
        self._faults: Final = faults
        self._limits: Final = limits
        self._observers: Final = observers
        self._loop: Final = asyncio.get_running_loop()
        self._jobs: Final[dict[str, asyncio.Task[None]]] = {}
        self._over: Final[asyncio.Future[int]] = self._loop.create_future()
        self._close_code = 1000
        now = self._loop.time()
        self._rate: Final = RateLimiter(limits, now)
        self._active_at = now
        self._expires_at = now + limits.session_seconds
        self._idle_seconds = limits.idle_seconds or math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._unchecked_bytes = 0
        self._reads_again_at = now
        self._has_paused = False

    async def run(self, transport: ServerTransport, runner: EffectRunner[Effect]) -> int:
        """Serve until either side closes, and return the close code."""
        self._transport = transport
        self._runner = runner
        self._tasks = asyncio.TaskGroup()
        async with self._tasks:
            self._faults.attach(self)
            try:
                self.flush()
                self._faults.wake()
                return await self._over
            finally:
                self._faults.detach()
                self._core.end(None)
                if self._timer is not None:
                    self._timer.cancel()
                for job in self._jobs.values():
                    job.cancel()

    # Called by the transport.

    def on_frame(self, frame: bytes) -> None:
        """Process one frame of the client."""
        if self._over.done():
            return
        try:
            self._receive(frame)
            self.flush()
            self._pause_if_behind()
        except Exception as error:  # noqa: BLE001  # raised again by `run`
            self._fail(error)

    def on_binary_frame(self, size_bytes: int) -> None:
        """Refuse a frame that is not text."""
        if self._over.done():
            return
        self._active_at = now = self._loop.time()
        self._reads_again_at = now + self._rate.count(size_bytes, now)
        self._refuse(_BINARY, UNSET)
        self.flush()
        self._pause_if_behind()

    def on_close(self, error: ConnectionLost | None) -> None:
        """Process the end of the connection."""
        if not self._over.done():
            code = self._close_code if error is None else error.code
            self._over.set_result(ABNORMAL_CLOSURE if code is None else code)

    # Called by the runner.

    def feed(self, result: Result) -> None:
        """Pass a result of the engine to the core, and execute what follows from it."""
        if self._over.done():  # an engine that ignores its cancellation: the core has ended
            return
        self._core.send(result, self._loop.time())
        self.flush()

    def flush(self) -> None:
        """Execute the core's effects, and set the timer for its next deadline."""
        for effect in self._core.effects():
            self._runner.execute(effect)
        self._set_timer()

    def send_event(self, event: Sent) -> None:
        """Send an event, or let the session's faults decide what becomes of it."""
        for observe in self._observers:
            observe(event)
        self._active_at = self._loop.time()
        frames = self._dialect.encode_server(event)
        if self._faults.is_active:
            self._faults.send(event.type, frames)
        else:
            for frame in frames:
                self.put(frame)

    def start(self, name: str, work: Coroutine[None, None, None]) -> None:
        """Start a job, under a name by which it can be stopped."""
        job = self._tasks.create_task(work)
        self._jobs[name] = job
        job.add_done_callback(lambda job: self._forget(name, job))

    def stop(self, name: str) -> None:
        """Stop a job, if it is still running."""
        if job := self._jobs.pop(name, None):
            job.cancel()

    async def finished(self, name: str) -> None:
        """Wait for the end of a job, however it ends."""
        if job := self._jobs.get(name):
            await asyncio.wait({job})

    async def room(self) -> None:
        """Wait until the client has read enough of what was sent; drop one that is too slow.

        An engine generates speech faster than anybody listens: without this wait, a slow client
        would fill the memory.
        """
        await self._faults.room()
        if self._unchecked_bytes <= CHECK_BYTES:
            return
        self._unchecked_bytes = 0
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                await self._transport.drain()
        except TimeoutError:
            self._close_code = SLOW_CODE
            await self._transport.close(SLOW_CODE, SLOW_REASON)
        except (Closed, ConnectionLost):
            pass  # `on_close` reports it

    async def close(self, code: int, reason: str) -> None:
        """Close the connection once everything is written; code 1006 breaks it instead.

        Events that follow are lost: an engine may generate for long.
        """
        await self._faults.finish_sending()
        self._close_code = code
        if code == ABNORMAL_CLOSURE:
            await self._transport.abort()
        else:
            await self._transport.close(code, reason)

    # Called by the faults.

    def put(self, frame: bytes) -> None:
        """Send a frame."""
        self._unchecked_bytes += len(frame)
        try:
            self._transport.send(frame)
        except (Closed, ConnectionLost):
            logger.debug("a client left before it had received everything")

    def receive_frame(self, frame: bytes) -> None:
        """Process the events of a frame, without faults."""
        for event in self._decode(frame):
            self._receive_event(event)

    def answer_error(self, error: SendError, event_id: str | UnsetType) -> None:
        """Send an `error` event at once, about an event of the client's if there is one."""
        self._refuse(InvalidRequest(error.code, error.message, type=error.type), event_id)
        self.flush()

    def expire(self) -> str:
        """Report that the session's time is up; return the reason of the close that follows."""
        minutes = self._limits.session_seconds / 60
        return self._expire(f"Your session hit the maximum duration of {minutes:g} minutes.")

    # Frames.

    def _receive(self, frame: bytes) -> None:
        self._active_at = now = self._loop.time()
        # The frame is counted before it is decoded: an invalid one costs as much as another.
        pause = self._rate.count(len(frame), now)
        if pause:
            self._reads_again_at = now + pause
        if len(frame) > self._rate.max_frame_bytes:
            self._refuse(_TOO_LARGE, UNSET)
        elif not self._faults.is_active:
            self.receive_frame(frame)
        else:
            for event in self._decode(frame):
                self._faults.receive(event, frame, partial(self._receive_event, event))

    def _receive_event(self, event: Received) -> None:
        for observe in self._observers:
            observe(event)
        self._core.receive(event, self._loop.time())

    def _decode(self, frame: bytes) -> Sequence[Received]:
        if len(frame) > MAX_TEXT_BYTES and (problem := oversize(frame)):
            self._refuse(InvalidRequest("invalid_event", problem), event_id_of(frame))
            return ()
        try:
            return self._dialect.decode_client(frame)
        except DecodeError as error:
            code = "invalid_event" if _is_json(frame) else "invalid_json"
            self._refuse(InvalidRequest(code, f"Invalid event: {error}."), UNSET)
        except InvalidClientEvent as invalid:
            refusal = InvalidRequest(invalid.code, invalid.message, invalid.param)
            self._refuse(refusal, invalid.event_id)
        return ()

    def _refuse(self, refusal: InvalidRequest, event_id: str | UnsetType) -> None:
        self._core.report_error(refusal.error(event_id), self._loop.time())

    # Backpressure.

    def _pause_if_behind(self) -> None:
        """Read nothing more from a client that sends too fast, or may not read the answers."""
        is_too_fast = self._reads_again_at > self._loop.time()
        is_held_back = self._faults.is_active and not self._faults.has_room
        is_unread = self._unchecked_bytes > CHECK_BYTES
        if (is_too_fast or is_held_back or is_unread) and "reading" not in self._jobs:
            if is_too_fast and not self._has_paused:
                self._has_paused = True
                logger.warning("a client sends faster than the limit; the server reads it slower")
            self._transport.pause_reading()
            self.start("reading", self._resume_when_read())

    async def _resume_when_read(self) -> None:
        await self.room()
        await asyncio.sleep(self._reads_again_at - self._loop.time())
        self._transport.resume_reading()

    # Time.

    def _set_timer(self) -> None:
        deadline = self._core.next_deadline()
        when = min(self._expires_at, self._active_at + self._idle_seconds)
        when = when if deadline is None else min(when, deadline)
        if self._timer is not None:
            # A timer that fires too early is set anew then: most deadlines only move back.
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer) if when < math.inf else None

    def _on_timer(self) -> None:
        self._timer = None
        if self._over.done():
            return
        try:
            now = self._loop.time()
            if now >= self._expires_at:
                self.start("expiring", self.close(1001, self.expire()))
            elif now >= self._active_at + self._idle_seconds:
                idle = f"Your session was idle for {self._idle_seconds / 60:g} minutes."
                self.start("expiring", self.close(1001, self._expire(idle)))
            else:
                self._core.handle_deadline(now)
                self.flush()
        except Exception as error:  # noqa: BLE001  # raised again by `run`
            self._fail(error)

    def _expire(self, reason: str) -> str:
        self._expires_at = self._idle_seconds = math.inf  # a session expires once
        error = ga.RealtimeError(
            type="invalid_request_error", code="session_expired", message=reason
        )
        self._core.report_error(error, self._loop.time())
        self.flush()
        return reason

    def _fail(self, error: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    def _forget(self, name: str, job: asyncio.Task[None]) -> None:
        if self._jobs.get(name) is job:
            del self._jobs[name]


def _is_json(frame: bytes) -> bool:
    try:
        msgspec.json.decode(frame, type=msgspec.Raw)
    except RecursionError:
        return True  # as far as it was read
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True

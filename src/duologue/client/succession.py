"""The sessions that follow the first of a client: after a loss, before its end, and at will."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol

from duologue.client._concurrency import cancel_all
from duologue.client.reconnector import ConnectionT, EventReceiver
from duologue.errors import ConnectionLost, SessionRefused
from duologue.session.reconnect import Retry, next_attempt

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from duologue.client.reconnector import NewSession, Reconnector
    from duologue.client.waiters import Waiters
    from duologue.errors import DecodeError, SessionEnd
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.ga import Session
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.client_session import ClientSession
    from duologue.session.reconnect import ReconnectPolicy
    from duologue.transport.base import Connector

__all__ = ["Ignored", "Succession"]

logger: Final = logging.getLogger("duologue.client")

ROLLOVER_MARGIN: Final = 10.0
"""Seconds before the end of a session at which the next one takes over in any case."""

ROLLOVER_RETRY: Final = 15.0
"""Seconds after which a session that could not be prepared is prepared again."""

TRANSCRIPT_SECONDS: Final = 5.0
"""Seconds that a session which was replaced stays open, for the transcripts of its last turns."""


class SuccessiveDriver(EventReceiver, Protocol[ConnectionT]):
    """The part of `Driver` that moves from one session to the next."""

    connection: ConnectionT
    ending: SessionEnd | None

    @property
    def core(self) -> ClientSession:
        """The session."""
        ...

    @property
    def waiters(self) -> Waiters:
        """The tasks that wait."""
        ...

    @property
    def is_reconnecting(self) -> bool:
        """Whether the connection was lost, and another is being made."""
        ...

    def check_not_ended(self) -> None:
        """Raise the error with which the session ended, if it has ended."""

    def suspend(self, error: ConnectionLost | SessionRefused | None) -> None:
        """Keep everything for another session."""

    def resume(self, new: NewSession[ConnectionT], attempts: int) -> None:
        """Use another session from now on."""

    def end(self, error: ConnectionLost | SessionRefused) -> None:
        """End the session."""


class Succession(Generic[ConnectionT]):
    """Moves a driver from one session to the next.

    Args:
        driver: The driver.
        reconnector: Opens the connections.
    """

    def __init__(
        self, driver: SuccessiveDriver[ConnectionT], reconnector: Reconnector[ConnectionT]
    ) -> None:
        self._driver: Final = driver
        self._reconnector: Final = reconnector
        self._policy: Final[ReconnectPolicy] = driver.core.resumption.policy
        self._loop: Final = asyncio.get_running_loop()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rollover: asyncio.Task[None] | None = None
        self._ends_at = math.inf
        self._plan()

    def follows(self, error: Exception) -> bool:
        """Return whether another session follows one that ended with this error."""
        return self._policy.budget > 0 and isinstance(next_attempt(error), Retry)

    def reconnect(self, lost: ConnectionLost | SessionRefused) -> None:
        """Connect again, as often as the policy allows."""
        logger.warning("the connection was lost, connecting again: %s", lost)
        self._forget_rollover()
        self._start(self._reconnect(lost))

    async def restart(self, connector: Connector | None) -> None:
        """Continue in a new session at once; what is under way is cut, and requested again.

        Args:
            connector: Opens its connection, and those that follow; `None`: as the first.

        Raises:
            Exception: As the connector, if the new session cannot be opened; the old one goes on.
        """
        await self._replace(self._loop.time(), connector)

    async def stop(self) -> None:
        """Stop connecting, and close what was replaced."""
        if self._timer is not None:
            self._timer.cancel()
        await cancel_all(self._tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _forget_rollover(self) -> None:
        """Give up the session that waits to take over: the one that it was to follow has ended."""
        if self._rollover is not None and self._rollover is not asyncio.current_task():
            self._rollover.cancel()
        self._rollover = None

    async def _reconnect(self, lost: ConnectionLost | SessionRefused) -> None:
        try:
            new = await self._reconnector.reconnect(lost)
        except (ConnectionLost, SessionRefused) as error:
            self._driver.end(error)
        else:
            self._use(new)

    async def _replace(self, until: float, connector: Connector | None = None) -> None:
        driver = self._driver
        new = await self._reconnector.replace(
            connector, until=until, wait_for_more=driver.waiters.wait_for_more
        )
        if driver.ending is not None or driver.is_reconnecting:  # it was lost meanwhile
            await new.connection.close()
            driver.check_not_ended()
            raise ConnectionLost("the connection was lost while it was to be replaced")
        old = driver.connection
        old.receiver = _LateTranscripts(driver)
        driver.suspend(None)
        self._use(new)
        self._start(_close_later(old))

    def _use(self, new: NewSession[ConnectionT]) -> None:
        self._forget_rollover()
        new.connection.receiver = self._driver
        self._driver.resume(new, self._reconnector.attempts)
        self._plan()

    def _plan(self) -> None:
        """Set the timer that begins the next session before this one ends."""
        policy, now = self._policy, self._loop.time()
        self._ends_at = now + session_seconds(self._driver.core.active.session, policy)
        at = self._ends_at - policy.rollover_seconds
        if not self._reconnector.is_with_first:
            at = min(at, now + policy.failback_seconds)
        if policy.budget and policy.rollover_seconds:
            self._set_timer(at)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now = self._loop.time()
        is_ever = at < now + 1e6
        self._timer = self._loop.call_at(max(at, now), self._begin) if is_ever else None

    def _begin(self) -> None:
        self._timer = None
        if self._driver.ending is None and not self._driver.is_reconnecting:
            self._rollover = self._start(self._roll_over())

    async def _roll_over(self) -> None:
        try:
            await self._replace(self._ends_at - ROLLOVER_MARGIN)
        except Exception as error:  # noqa: BLE001  # the session goes on; its end is a loss
            logger.warning("the next session could not be prepared: %s", error)
            self._set_timer(self._loop.time() + ROLLOVER_RETRY)


class Ignored:
    """Receives the events of a connection that is not used any more."""

    def on_dialect(self, dialect: DialectAdapter[Any, Any]) -> None:
        """Do nothing."""

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Do nothing."""

    def on_undecodable(self, error: DecodeError) -> None:
        """Do nothing."""

    def on_end(self, error: ConnectionLost | SessionRefused | None) -> None:
        """Do nothing."""


class _LateTranscripts(Ignored):
    """Receives the events of a session that was replaced: only its transcripts matter still."""

    def __init__(self, driver: SuccessiveDriver[Any]) -> None:
        self._driver: Final = driver

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Pass on a transcript of the user's speech."""
        if event.type.startswith("conversation.item.input_audio_transcription."):
            self._driver.on_event(event)


async def _close_later(connection: Any) -> None:  # noqa: ANN401  # of the driver
    """Close a connection after its last transcripts."""
    try:
        await asyncio.sleep(TRANSCRIPT_SECONDS)
    finally:
        await connection.close()


def session_seconds(session: Session | None, policy: ReconnectPolicy) -> float:
    """Return how long a session that begins now may last; infinite if that is unknown."""
    if policy.session_seconds is not None:
        return policy.session_seconds
    expires_at = getattr(session, "expires_at", None)
    if not isinstance(expires_at, int) or not expires_at:
        return math.inf
    seconds = expires_at - time.time()  # noqa: TID251  # the server's own clock, in Unix time
    return seconds if seconds > 0 else math.inf  # one of the clocks is wrong

"""Connecting again after a loss: attempts, and the restoring of the conversation in each."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from duologue.client.deadline import Deadline
from duologue.errors import ConnectionLost, HandshakeRefused, SessionRefused
from duologue.protocol import ga
from duologue.session.reconnect import GiveUp, next_attempt
from duologue.session.restore import RestoredItem

if TYPE_CHECKING:
    from duologue.client.driver import EventConnection, EventReceiver
    from duologue.errors import DecodeError
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.client_session import ClientSession
    from duologue.session.formatted import FormattedItem
    from duologue.session.reconnect import ReconnectPolicy
    from duologue.session.restore import Restoration
    from duologue.transport.base import Connector

__all__ = ["NewSession", "Reconnector"]

logger: Final = logging.getLogger("duologue.client")

STABLE_SECONDS: Final = 1.0
"""Seconds that a session must hold before the budget of the next loss is a new one."""

IMMEDIATE: Final = 3
"""Sessions in a row that may end sooner before there is a delay."""

MakeConnection = Callable[["EventReceiver"], "EventConnection"]


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session on another connection, which has the conversation."""

    connection: EventConnection
    restoration: Restoration
    later: tuple[Event | UnknownEvent, ...]
    """Events that arrived after the conversation was restored."""


class _Standby:
    """Receives the events of a connection until the client uses it."""

    def __init__(self, restoration: Restoration) -> None:
        self.restoration: Final = restoration
        self.connection: EventConnection | None = None
        self.later: Final[list[Event | UnknownEvent]] = []
        self.ended: BaseException | None = None
        self._changed: Final = asyncio.Event()

    async def wait(self) -> None:
        """Wait until the conversation is restored.

        Raises:
            ServerError: If the server refused the configuration.
            ConnectionLost: If the connection has ended.
            SessionRefused: If the server refused the session.
        """
        while True:
            error = self.ended or self.restoration.error
            if error is not None:
                raise error
            if self.restoration.is_complete:
                return
            self._changed.clear()
            await self._changed.wait()

    def on_dialect(self, dialect: DialectAdapter[Any, Any]) -> None:
        """Do nothing: the dialect is known from the last session."""

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Process an event of the exchange; keep what follows it."""
        if self.restoration.is_complete:
            self.later.append(event)
            return
        self.restoration.receive(event)
        self.send()
        self._changed.set()

    def send(self) -> None:
        """Send what the exchange has to send."""
        if self.connection is not None and self.ended is None:
            for frame, kind in self.restoration.take_frames():
                self.connection.send_frame(frame, kind)

    def on_undecodable(self, error: DecodeError) -> None:
        """Do nothing: the connection has logged it."""

    def on_end(self, error: ConnectionLost | SessionRefused | None) -> None:
        """End the exchange."""
        self.ended = error or ConnectionLost("the connection was closed")
        self._changed.set()


class Reconnector:
    """Opens the connections that follow the first.

    Args:
        core: The session to continue.
        make_connection: Returns a connection to open, for a receiver.
        connectors: The servers, in the order in which they are tried.
        connect_timeout: Seconds for each attempt.
    """

    def __init__(
        self,
        core: ClientSession,
        make_connection: MakeConnection,
        connectors: tuple[Connector, ...],
        *,
        connect_timeout: float,
    ) -> None:
        self._core: Final = core
        self._make_connection: Final = make_connection
        self._connectors: Final = connectors
        self._connect_timeout: Final = connect_timeout
        self._policy: Final[ReconnectPolicy] = core.resumption.policy
        self._since: float | None = None
        self._resumed_at = 0.0
        self._short_lived = 0  # sessions in a row that ended at once
        self.attempts: int = 0
        """Attempts since the loss."""

    async def reconnect(self, lost: ConnectionLost | SessionRefused) -> NewSession:
        """Connect again, and restore the conversation.

        Raises:
            ConnectionLost: If that is given up; it names both the loss and the last failure.
            SessionRefused: If the server refuses the session.
        """
        now = asyncio.get_running_loop().time
        self._short_lived += 1
        if self._since is None or now() - self._resumed_at > STABLE_SECONDS:
            self._since, self._short_lived = now(), 0
        refusals, wait, self.attempts = 0, None, 0
        while True:
            number = self.attempts + max(0, self._short_lived - IMMEDIATE)
            delay = max(self._policy.delay(number, random.random()), wait or 0.0)  # noqa: S311  # no secret
            left = self._since + self._policy.budget - now()
            if delay > left:
                raise _given_up(lost, None, f"not within {self._policy.budget:g} s")
            await asyncio.sleep(delay)
            self.attempts += 1
            try:
                new = await self._attempt(max(0.01, min(self._connect_timeout, left - delay)))
            except Exception as error:  # of whatever kind: it is classified
                refusals += isinstance(error, HandshakeRefused) and error.status in {401, 403}
                advice = next_attempt(error, refusals)
                logger.info("attempt %d to connect again failed: %s", self.attempts, error)
                if isinstance(advice, GiveUp):
                    raise _given_up(lost, error, advice.reason) from error
                wait = advice.after
            else:
                self._resumed_at = now()
                return new

    async def _attempt(self, seconds: float) -> NewSession:
        connector = self._connectors[(self.attempts - 1) % len(self._connectors)]
        return await self.open(connector, Deadline(round(seconds, 2)))

    async def open(self, connector: Connector, deadline: Deadline) -> NewSession:
        """Open another session, and restore the conversation in it.

        Raises:
            TimeoutError: If it does not begin in time.
            Exception: As the connector.
        """
        history = self._core.resumption.history()
        items = list(history.items)
        left_out = tuple(state.snapshot() for state in history.left_out)
        if left_out and self._policy.summarize is not None:
            items.insert(0, await self._summary(left_out, deadline))
        restoration = self._core.restoration(items)
        standby = _Standby(restoration)
        connection = standby.connection = self._make_connection(standby)
        try:
            await connection.open(connector, deadline)
            standby.send()
            try:
                await deadline.limit(standby.wait(), "the server did not begin the session")
            except TimeoutError:
                if not restoration.is_configured:
                    raise  # otherwise the server does not answer for some items
            return NewSession(connection, restoration, tuple(standby.later))
        except BaseException:
            await connection.close(Deadline(0.1))
            raise

    async def _summary(self, items: tuple[FormattedItem, ...], deadline: Deadline) -> RestoredItem:
        """Return a message that stands for items; raises what the application's function raises."""
        text = self._policy.summarize(items) if self._policy.summarize else ""
        if inspect.isawaitable(text):
            text = await deadline.limit(text, "the summary was not made")
        content: list[ga.ContentPart] = [ga.InputText(text=str(text))]
        item_id = self._core.new_id("item")
        return RestoredItem(item_id, ga.Message(id=item_id, role="system", content=content))


def _given_up(
    lost: ConnectionLost | SessionRefused, error: Exception | None, reason: str
) -> ConnectionLost | SessionRefused:
    """Return the error with which the session ends after all."""
    if isinstance(error, SessionRefused):
        return error
    why = reason if error is None else f"{error} ({reason})"
    return ConnectionLost(
        f"{lost.reason}; it was not possible to connect again: {why}", code=lost.code
    )

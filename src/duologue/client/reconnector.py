"""Connecting again after a loss: attempts, and the restoring of the conversation in each."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeAlias, TypeVar

from duologue.client.deadline import Deadline
from duologue.errors import ConnectionLost, HandshakeRefused, SessionRefused
from duologue.protocol import ga
from duologue.session.history import RestoredItem
from duologue.session.reconnect import GiveUp, next_attempt

if TYPE_CHECKING:
    from duologue.errors import DecodeError
    from duologue.protocol.dialects import DialectAdapter
    from duologue.protocol.model import Event, UnknownEvent
    from duologue.session.client_session import ClientSession
    from duologue.session.formatted import FormattedItem
    from duologue.session.reconnect import ReconnectPolicy
    from duologue.session.restore import Restoration
    from duologue.transport.base import Connector

__all__ = ["EventReceiver", "NewSession", "Reconnector"]

logger: Final = logging.getLogger("duologue.client")

STABLE_SECONDS: Final = 1.0
"""Seconds that a session must hold before the budget of the next loss is a new one."""

IMMEDIATE: Final = 3
"""Sessions in a row that may end sooner before there is a delay."""


class EventReceiver(Protocol):
    """Receives what arrives on an `EventConnection`."""

    def on_dialect(self, dialect: DialectAdapter[Any, Any]) -> None:
        """Process the dialect of the connection; called before its first event."""

    def on_event(self, event: Event | UnknownEvent) -> None:
        """Process a server event, in the dialect of the wire."""

    def on_undecodable(self, error: DecodeError) -> None:
        """Process a frame that is not an event; the connection goes on."""

    def on_end(self, error: ConnectionLost | SessionRefused | None) -> None:
        """Process the end of the connection; `None` if our side closed it."""


class NextConnection(Protocol):
    """A connection that carries events: `EventConnection`."""

    receiver: EventReceiver
    is_open: bool
    is_replaceable: bool

    async def open(self, connector: Connector, deadline: Deadline) -> None:
        """Connect."""

    def send_frame(self, frame: bytes, kind: str) -> None:
        """Send an event that is encoded."""

    async def close(self, deadline: Deadline | None = None) -> None:
        """Close the connection, and wait until it is gone."""


ConnectionT = TypeVar("ConnectionT", bound=NextConnection)
MakeConnection: TypeAlias = Callable[[EventReceiver], ConnectionT]


class NewSession(Generic[ConnectionT]):
    """A session on another connection, which gets the conversation; receives its events until then.

    Args:
        restoration: The exchange that gives it the conversation.
        make_connection: Returns the connection, for its receiver.
    """

    def __init__(
        self, restoration: Restoration, make_connection: MakeConnection[ConnectionT]
    ) -> None:
        self.restoration: Final = restoration
        self.connection: Final[ConnectionT] = make_connection(self)
        self.later: Final[list[Event | UnknownEvent]] = []
        """Events that arrived after the conversation was restored."""
        self.ended: ConnectionLost | SessionRefused | None = None
        """How the connection has ended."""
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
        if self.ended is None:
            for frame, kind in self.restoration.take_frames():
                self.connection.send_frame(frame, kind)

    def on_undecodable(self, error: DecodeError) -> None:
        """Do nothing: the connection has logged it."""

    def on_end(self, error: ConnectionLost | SessionRefused | None) -> None:
        """End the exchange."""
        self.ended = error or ConnectionLost("the connection was closed")
        self._changed.set()


class Reconnector(Generic[ConnectionT]):
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
        make_connection: MakeConnection[ConnectionT],
        connectors: tuple[Connector, ...],
        *,
        connect_timeout: float,
    ) -> None:
        self._core: Final = core
        self._make_connection: Final = make_connection
        self._connectors = connectors
        self._connect_timeout: Final = connect_timeout
        self._policy: Final[ReconnectPolicy] = core.resumption.policy
        self._since: float | None = None
        self._resumed_at = 0.0
        self._short_lived = 0  # sessions in a row that ended at once
        self._index = 0  # of the server that is tried, or used
        self._summary: tuple[int, RestoredItem] | None = None  # and how many items it stands for
        self.attempts: int = 0
        """Attempts since the loss."""

    async def reconnect(self, lost: ConnectionLost | SessionRefused) -> NewSession[ConnectionT]:
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

    async def _attempt(self, seconds: float) -> NewSession[ConnectionT]:
        self._index = (self.attempts - 1) % len(self._connectors)
        deadline = Deadline(round(seconds, 2))
        new = await self._open(self._connectors[self._index], deadline)
        try:
            while await self._update(new, deadline):
                pass
        except BaseException:
            await new.connection.close(Deadline(0.1))
            raise
        return new

    async def _update(self, new: NewSession[ConnectionT], deadline: Deadline) -> bool:
        """Bring a session up to date with the conversation; return whether it was not."""
        if not new.restoration.update(await self._items(deadline)):
            return False
        new.send()
        await deadline.limit(new.wait(), "the session was not ready")
        return True

    @property
    def is_with_first(self) -> bool:
        """Whether the session is with the first of the servers."""
        return self._index == 0

    async def replace(
        self,
        connector: Connector | None = None,
        *,
        until: float,
        wait_for_more: Callable[[], Awaitable[None]],
    ) -> NewSession[ConnectionT]:
        """Open another session beside the one that works, to take over at once when this returns.

        Args:
            connector: Opens it, and is the first of the servers from then on; `None`: the first.
            until: Loop time until which a moment is awaited in which nothing is under way.
            wait_for_more: Waits until anything has happened in the session.

        Raises:
            TimeoutError: If it does not begin in time.
            Exception: As the connector.
        """
        self.attempts = 1
        first = connector or self._connectors[0]
        new = await self._open(first, Deadline(self._connect_timeout))
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        while not self._core.resumption.is_at_boundary:
                            await wait_for_more()
                if not await self._update(new, Deadline(self._connect_timeout)):
                    break
        except BaseException:
            await new.connection.close(Deadline(0.1))
            raise
        self._index, self._connectors = 0, (first, *self._connectors[1:])
        return new

    async def _open(self, connector: Connector, deadline: Deadline) -> NewSession[ConnectionT]:
        """Open another session, and restore the conversation in it."""
        restoration = self._core.restoration(await self._items(deadline))
        new = NewSession(restoration, self._make_connection)
        try:
            await new.connection.open(connector, deadline)
            new.send()
            try:
                await deadline.limit(new.wait(), "the server did not begin the session")
            except TimeoutError:
                if not restoration.is_configured:
                    raise  # otherwise the server does not answer for some items
        except BaseException:
            await new.connection.close(Deadline(0.1))
            raise
        return new

    async def _items(self, deadline: Deadline) -> tuple[RestoredItem, ...]:
        """Return the items for a session, the summary of older ones first."""
        history = self._core.resumption.history()
        if not history.left_out or self._policy.summarize is None:
            return history.items
        left_out = tuple(state.snapshot() for state in history.left_out)
        if self._summary is None or self._summary[0] != len(left_out):
            self._summary = (len(left_out), await self._summarize(left_out, deadline))
        return (self._summary[1], *history.items)

    async def _summarize(
        self, items: tuple[FormattedItem, ...], deadline: Deadline
    ) -> RestoredItem:
        """Return a message that stands for items."""
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

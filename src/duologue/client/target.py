"""What a client connects to: how a transport is opened, and what will be spoken on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duologue.client.endpoint import the_endpoint
from duologue.errors import ConnectionLost, DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duologue.client.endpoint import Endpoint, Kind, Spoken
    from duologue.client.keys import Key
    from duologue.client.link import Connector
    from duologue.protocol.codec import Dialect
    from duologue.transport.base import Receiver, Transport

__all__ = ["Target", "opened", "target"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a client knows of the other end before it connects."""

    connector: Connector
    dialect: Spoken = "ga"
    kind: Kind = "conversation"
    is_sideband: bool = False
    """Whether no `session.created` will come."""


def target(  # what both faces of the client take
    connector: Connector | None,
    endpoint: Endpoint | None,
    *,
    url: str | None,
    api_key: Key | None,
    model: str | None,
    headers: Mapping[str, str] | None,
    dialect: Spoken | None,
    connect_timeout: float,
) -> Target:
    """Return what the arguments of a client mean; a connector needs no endpoint.

    Raises:
        ConfigurationError: If they do not go together.
    """
    if connector is not None:
        return Target(connector, dialect or "ga")
    there = the_endpoint(
        endpoint, url=url, api_key=api_key, model=model, headers=headers, dialect=dialect
    )

    async def connect(receiver: Receiver) -> Transport:
        return await there.open(receiver, connect_timeout=connect_timeout)

    return Target(connect, there.dialect, there.kind, there.is_sideband)


async def opened(connector: Connector, *, timeout: float) -> tuple[Dialect, Connector]:  # noqa: ASYNC109  # its own text
    """Connect, and wait for the first frame; return its dialect, and what hands the rest over.

    Raises:
        ConnectionLost: If the server closed before it said a word.
        TimeoutError: If it said none in time.
    """
    waiting = _FirstFrame()
    transport = await connector(waiting)
    limit = asyncio.timeout(timeout)
    try:
        async with limit:
            await waiting.came.wait()
    except BaseException as error:
        await transport.close()
        if isinstance(error, TimeoutError) and limit.expired():
            text = f"the server said nothing within {timeout:g} s that would tell its dialect"
            raise TimeoutError(text) from None
        raise

    async def hand_over(receiver: Receiver) -> Transport:
        waiting.hand_over(receiver)
        return transport

    return waiting.dialect(), hand_over


class _FirstFrame:
    """A receiver that keeps what comes until another takes over."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self._frames: list[bytes] = []  # what fits between the first frame and the taking over
        self._endings: list[ConnectionLost | None] = []
        self._next: Receiver | None = None

    def on_frame(self, frame: bytes) -> None:
        if self._next is not None:
            self._next.on_frame(frame)
            return
        self._frames.append(frame)
        self.came.set()

    def on_close(self, error: ConnectionLost | None) -> None:
        if self._next is not None:
            self._next.on_close(error)
            return
        self._endings.append(error)
        self.came.set()

    def dialect(self) -> Dialect:
        """Return what the first frame speaks; GA where it may be either.

        Raises:
            ConnectionLost: If there is none.
        """
        from duologue.protocol.translate import detect_dialect  # noqa: PLC0415  # imports beta

        if not self._frames:
            raise self._endings[0] or ConnectionLost("the connection was closed")
        try:
            return detect_dialect(self._frames[0]) or "ga"
        except DecodeError:
            return "ga"  # who takes over tells that it is no event

    def hand_over(self, receiver: Receiver) -> None:
        """Give what came, and all that follows, to another receiver."""
        self._next = receiver
        for frame in self._frames:
            receiver.on_frame(frame)
        for ending in self._endings:
            receiver.on_close(ending)

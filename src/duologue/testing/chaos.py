"""`ChaosProxy`: a TCP proxy that makes the network bad, for tests of applications.

It forwards bytes and knows no protocol, so it works with any client and server, also over TLS.
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from duologue.errors import Closed, ConfigurationError
from duologue.testing._chaos_link import Conditions, Cut, Hangup, Link
from duologue.testing._chaos_relay import ConnectionRecord, Ending, Relay, Side
from duologue.testing._frame_scanner import FrameScanner

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ChaosProxy", "ConnectionRecord", "Ending", "Towards"]

Towards: TypeAlias = Literal["client", "server", "both"]
"""Direction in which a condition applies: the side that the bytes go to."""

MAX_CONNECTIONS: Final = 1000
"""Records of connections that are kept."""

CONNECT_SECONDS: Final = 10.0
"""Limit of connecting to the server."""

CALL_SECONDS: Final = 10.0
"""Limit of a call from another thread, which waits for the event loop."""

_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_SIDES: Final[dict[Towards, tuple[Side, ...]]] = {
    "client": ("client",),
    "server": ("server",),
    "both": ("client", "server"),
}


class ChaosProxy:
    """Forwards connections to a server, as a bad network does, while its context lasts.

        async with LocalServer() as server, ChaosProxy(server.url) as proxy:
            async with RealtimeClient(url=proxy.url) as client:
                proxy.delay(0.2, jitter=0.1)
                proxy.stall(towards="client")

    `delay`, `bandwidth`, `stall` and `refuse` change the network: they apply to open and to future
    connections, until changed again or until `heal`. `reset`, `close`, `half_open` and `cut`
    happen to the open connections, so that an application can connect again.

    Any thread may call the methods; they have taken effect when they return.
    """

    def __init__(self, url: str, *, seed: int = 0) -> None:
        """Choose the server; enter the context to listen.

        Args:
            url: URL of the server: `ws:`, `wss:`, `http:` or `https:`.
            seed: Seed of the jitter: each direction of each connection has its own random numbers.

        Raises:
            ConfigurationError: If it is no such URL.
        """
        try:
            self._parts: Final = urlsplit(url)
            port = self._parts.port
        except ValueError:  # its text may hold a password
            raise ConfigurationError("the URL of the server cannot be parsed") from None
        host = self._parts.hostname
        if self._parts.scheme not in _PORTS or not host:
            raise ConfigurationError("the URL must begin with ws://, wss://, http:// or https://")
        self._address: Final = (host, _PORTS[self._parts.scheme] if port is None else port)
        self._seed: Final = seed
        self.connections: Final[deque[ConnectionRecord]] = deque(maxlen=MAX_CONNECTIONS)
        """The accepted connections in order, also refused ones; the last thousand."""
        self._conditions: Final[dict[Side, Conditions]] = {
            "client": Conditions(),
            "server": Conditions(),
        }
        self._next_cuts: Final[dict[Side, Cut]] = {}
        self._refusals_left: float = 0
        self._accepted = 0
        self._open: Final[set[Relay]] = set()
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @property
    def url(self) -> str:
        """URL for clients: that of the server, with the address of the proxy.

        It names `127.0.0.1`, or `localhost` or `[::1]` if the server's URL does. With `wss:`, the
        server's certificate must be valid for that name.

        Raises:
            Closed: If the proxy is not running.
        """
        if self._server is None:
            raise Closed("the proxy is not running: use `async with ChaosProxy(url) as proxy`")
        host = self._address[0] if self._address[0] in {"localhost", "::1"} else "127.0.0.1"
        bracketed = f"[{host}]" if ":" in host else host
        user = "".join(self._parts.netloc.rpartition("@")[:2])
        netloc = f"{user}{bracketed}:{self._server.sockets[0].getsockname()[1]}"
        return self._parts._replace(netloc=netloc).geturl()

    async def __aenter__(self) -> Self:
        """Listen on a free port of this machine.

        Raises:
            OSError: If that is impossible.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        host = "::1" if self._address[0] == "::1" else "127.0.0.1"
        self._server = await self._loop.create_server(self._accept, host, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening, and reset the connections that are still open."""
        server, self._server, self._loop = self._server, None, None
        if server is not None:
            server.close()
        ending = list(self._open)
        for relay in ending:
            relay.reset("stopped")
        for relay in ending:
            await relay.record.wait_closed()

    def delay(self, seconds: float, *, jitter: float = 0.0, towards: Towards = "both") -> None:
        """Forward bytes later.

        The order of bytes is kept. Establishing a TCP connection takes no longer.

        Args:
            seconds: Time that all bytes take; with `both`, a round trip takes twice as long.
            jitter: Random additional time of up to that many seconds, different for each chunk of
                bytes that arrives.
            towards: Direction.
        """
        _check_time("delay", seconds)
        _check_time("jitter", jitter)

        def change(conditions: Conditions) -> None:
            conditions.delay, conditions.jitter = seconds, jitter

        self._change(towards, change)

    def bandwidth(self, bytes_per_second: float | None, *, towards: Towards = "both") -> None:
        """Forward bytes more slowly; each connection has the whole bandwidth.

        If 1 MiB waits in one direction, the proxy stops reading, so that the sender has to wait.

        Args:
            bytes_per_second: Speed in each direction; `None` for no limit.
            towards: Direction.
        """
        if bytes_per_second is not None and not 0 < bytes_per_second < math.inf:
            fix = "a number above 0, or None for no limit; `stall` stops everything"
            raise ConfigurationError(f"bytes_per_second must be {fix}")

        def change(conditions: Conditions) -> None:
            conditions.bytes_per_second = bytes_per_second or math.inf

        self._change(towards, change)

    def stall(self, *, towards: Towards = "both") -> None:
        """Forward nothing until `resume`; nothing is lost, and TCP connections stay open.

        A connection that one side ends meanwhile stays open on the other side.
        """
        self._change(towards, functools.partial(_set_stalled, is_stalled=True))

    def resume(self, *, towards: Towards = "both") -> None:
        """End a `stall`."""
        self._change(towards, functools.partial(_set_stalled, is_stalled=False))

    def reset(self) -> None:
        """Reset the open connections (RST) on both sides; bytes on their way are lost."""
        self._on_each(Relay.reset)

    def close(self) -> None:
        """Close the open connections (FIN) on both sides, without a WebSocket close frame.

        Bytes on their way are lost, and so are those that the client or the server still sends.
        """
        self._on_each(Relay.close)

    def half_open(self) -> None:
        """Let the other side of each open connection vanish, as without power or a route.

        To the client and to the server the TCP connection looks open for ever: whatever they send
        is acknowledged and lost, and neither gets a FIN or an RST.
        """
        self._on_each(Relay.half_open)

    def cut(
        self,
        *,
        after_bytes: int | None = None,
        towards: Literal["client", "server"] = "client",
        ending: Hangup = "reset",
        connections: Literal["open", "next"] = "open",
    ) -> None:
        """End connections in the middle of what is being sent.

        Args:
            after_bytes: Number of bytes that are still forwarded. By default, the cut is in the
                middle of the payload of the next text, binary or continuation frame that has one.
                This needs a `ws:` URL, as frames over TLS are encrypted.
            towards: Direction in which to cut.
            ending: `reset` sends an RST on both sides, `close` a FIN. A client that has not read
                everything when an RST arrives may lose the last bytes, depending on its system.
            connections: The `open` ones, or the `next` one from its beginning, handshake included.

        Raises:
            ConfigurationError: If `after_bytes` is negative, or needed and missing.
        """
        if after_bytes is None and self._parts.scheme != "ws":
            raise ConfigurationError("only a ws: URL has frames that can be seen: use after_bytes")
        if after_bytes is not None and after_bytes < 0:
            raise ConfigurationError(f"after_bytes must be at least 0, not {after_bytes}")
        cut = Cut(after_bytes, ending)

        def arm() -> None:
            if connections == "next":
                self._next_cuts[towards] = cut
            else:
                for relay in self._running():
                    relay.cut(towards, cut)

        self._call(arm)

    def refuse(self, times: int | None = None) -> None:
        """Reset new connections at once, before any byte.

        Args:
            times: Number of the next connections to refuse; `None`: all until `heal`; 0: none.
        """
        if times is not None and times < 0:
            raise ConfigurationError(f"times must be at least 0, not {times}")

        def change() -> None:
            self._refusals_left = math.inf if times is None else times

        self._call(change)

    def heal(self) -> None:
        """Make the network good again: no delay, limit, stall, refusal, or cut to come."""

        def change() -> None:
            self._refusals_left = 0
            self._next_cuts.clear()
            for relay in self._running():
                relay.cut("client", None)
                relay.cut("server", None)

        self._call(change)
        self._change("both", _heal)

    def _change(self, towards: Towards, change: Callable[[Conditions], None]) -> None:
        if towards not in _SIDES:
            raise ConfigurationError(f"towards must be client, server or both, not {towards!r}")

        def apply() -> None:
            for side in _SIDES[towards]:
                change(self._conditions[side])
            for relay in self._running():
                relay.pump()

        self._call(apply)

    def _on_each(self, action: Callable[[Relay], None]) -> None:
        def act() -> None:
            for relay in self._running():
                action(relay)

        self._call(act)

    def _running(self) -> list[Relay]:
        """Return the open connections, which may end meanwhile."""
        return list(self._open)

    def _call(self, action: Callable[[], object]) -> None:
        """Call a function on the event loop's thread, and wait until it has returned."""
        if self._loop is None or threading.get_ident() == self._thread:
            action()
            return

        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(CALL_SECONDS)

    def _accept(self) -> asyncio.Protocol:
        record = ConnectionRecord()
        relay = Relay(
            record,
            to_client=self._link("client"),
            to_server=self._link("server"),
            connect=self._connect,
            on_closed=self._open.discard,
        )
        self._accepted += 1
        self._open.add(relay)
        self.connections.append(record)
        if self._server is None:  # it was accepted in the moment of the end
            relay.reset("stopped")
        elif self._refusals_left > 0:
            self._refusals_left -= 1
            relay.reset("refused")
        return relay.client

    def _link(self, towards: Side) -> Link:
        dice = random.Random(f"{self._seed}/{self._accepted}/{towards}").random  # noqa: S311  # reproducible on purpose
        scanner = FrameScanner() if self._parts.scheme == "ws" else None
        link = Link(self._conditions[towards], dice, scanner)
        if self._refusals_left == 0:
            link.cut(self._next_cuts.pop(towards, None))
        return link

    async def _connect(self, protocol: asyncio.Protocol) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            await loop.create_connection(lambda: protocol, *self._address)


def _set_stalled(conditions: Conditions, *, is_stalled: bool) -> None:
    conditions.is_stalled = is_stalled


def _heal(conditions: Conditions) -> None:
    good = Conditions()
    conditions.delay, conditions.jitter = good.delay, good.jitter
    conditions.bytes_per_second = good.bytes_per_second
    conditions.is_stalled = good.is_stalled


def _check_time(name: str, seconds: float) -> None:
    if not 0 <= seconds < math.inf:
        raise ConfigurationError(f"{name} must be a number of seconds, at least 0, not {seconds}")

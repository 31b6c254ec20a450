"""The chaos proxy between real sockets, and between our client and server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from duologue import ConnectionLost, RealtimeClient
from duologue.errors import Closed, ConfigurationError
from duologue.server import LocalServer
from duologue.sync import serving
from duologue.testing import ChaosProxy
from duologue.testing._chaos_link import MAX_WAITING_BYTES
from duologue.testing._raw_server import PATIENCE, TEXT, Peer, frame, raw_server
from duologue.testing.chaos import ConnectionRecord

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

HOUR = 3600.0


class End:
    """One end of a TCP connection. It keeps nothing back, as a stream reader does after an RST."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.setblocking(False)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    def send_eof(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()

    async def receive(self, size: int = 1 << 30) -> bytes:
        """Return that many bytes, or all until the FIN."""
        got = bytearray()
        while len(got) < size and (data := await self._receive(size - len(got))):
            got += data
        return bytes(got)

    async def receive_until_reset(self) -> bytes:
        """Return all bytes until the RST, which must come."""
        got = b""
        try:
            while data := await self._receive(1 << 20):
                got += data
        except ConnectionResetError:
            return got
        raise AssertionError(f"a FIN came instead of an RST, after {got!r}")

    async def _receive(self, size: int) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.socket, min(size, 1 << 20))


@dataclass
class Ends:
    """Both ends of one connection through a proxy."""

    client: End
    server: End
    record: ConnectionRecord


class Network:
    """Proxy in front of a server of plain TCP."""

    def __init__(self, proxy: ChaosProxy, listening: socket.socket) -> None:
        self.proxy = proxy
        self.ends: list[End] = []
        self._listening = listening

    async def dial(self) -> End:
        """Connect to the proxy only."""
        end = End(socket.socket())
        self.ends.append(end)
        address = ("127.0.0.1", int(self.proxy.url.rpartition(":")[2]))
        await asyncio.get_running_loop().sock_connect(end.socket, address)
        return end

    async def connect(self) -> Ends:
        client = await self.dial()
        server = End((await asyncio.get_running_loop().sock_accept(self._listening))[0])
        self.ends.append(server)
        return Ends(client, server, self.proxy.connections[-1])


@contextlib.asynccontextmanager
async def network(**options: Any) -> AsyncGenerator[Network]:
    async with asyncio.timeout(PATIENCE), contextlib.AsyncExitStack() as exit_:
        listening = exit_.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.setblocking(False)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        proxy = await exit_.enter_async_context(ChaosProxy(url, **options))
        made = Network(proxy, listening)
        try:
            yield made
        finally:
            for end in made.ends:
                end.socket.close()
        await proxy.__aexit__()
        assert all(record.is_closed for record in proxy.connections)


async def until(is_true: Callable[[], bool]) -> None:
    while not is_true():  # noqa: ASYNC110  # the counters of a record wake nobody
        await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_bytes_and_ends_pass_and_are_counted() -> None:
    async with network() as net:
        ends = await net.connect()
        await ends.client.send(b"ping")
        assert await ends.server.receive(4) == b"ping"
        ends.client.send_eof()
        assert await ends.server.receive() == b""
        await ends.server.send(b"half-closed")
        ends.server.send_eof()
        assert await ends.client.receive() == b"half-closed"
        record = ends.record
        await record.wait_closed()
        assert (record.bytes_from_client, record.bytes_to_server) == (4, 4)
        assert (record.bytes_from_server, record.bytes_to_client) == (11, 11)
        assert record.ending == "client"
        assert repr(record) == "<ConnectionRecord client: 11 bytes to client, 4 bytes to server>"


@pytest.mark.asyncio
async def test_a_reset_of_one_side_reaches_the_other() -> None:
    async with network() as net:
        ends = await net.connect()
        await ends.client.send(b"last")
        await until(lambda: ends.record.bytes_to_server == 4)
        ends.client.reset()
        assert await ends.server.receive_until_reset() == b"last"
        await ends.record.wait_closed()
        assert ends.record.ending == "client"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "slow",
    [
        lambda proxy: proxy.delay(HOUR, jitter=HOUR),
        lambda proxy: proxy.bandwidth(1 / HOUR),
        ChaosProxy.stall,
    ],
    ids=["delay", "bandwidth", "stall"],
)
async def test_what_waits_is_forwarded_when_the_network_heals(
    slow: Callable[[ChaosProxy], None],
) -> None:
    async with network() as net:
        slow(net.proxy)
        ends = await net.connect()
        await ends.client.send(b"ping")
        ends.client.send_eof()
        await until(lambda: ends.record.bytes_from_client == 4)
        assert ends.record.bytes_to_server == 0
        net.proxy.heal()
        assert await ends.server.receive() == b"ping"


@pytest.mark.asyncio
async def test_short_delays_end_by_themselves() -> None:
    async with network(seed=7) as net:
        net.proxy.delay(0.001, jitter=0.001)
        net.proxy.bandwidth(1 << 20)
        ends = await net.connect()
        await ends.client.send(bytes(100_000))
        assert await ends.server.receive(100_000) == bytes(100_000)


@pytest.mark.asyncio
async def test_a_stall_in_one_direction_leaves_the_other() -> None:
    async with network() as net:
        ends = await net.connect()
        net.proxy.stall(towards="server")
        await ends.client.send(b"ping")
        await ends.server.send(b"pong")
        assert await ends.client.receive(4) == b"pong"
        await until(lambda: ends.record.bytes_from_client == 4)
        assert ends.record.bytes_to_server == 0
        net.proxy.resume(towards="server")
        assert await ends.server.receive(4) == b"ping"


@pytest.mark.asyncio
async def test_a_stall_makes_the_sender_wait_and_loses_nothing() -> None:
    async with network() as net:
        ends = await net.connect()
        net.proxy.stall()
        sent = bytes(range(256)) * (1 << 17)  # 32 MiB: more than the buffers of the kernel
        sending = asyncio.ensure_future(ends.client.send(sent))
        await until(lambda: ends.record.bytes_from_client >= MAX_WAITING_BYTES)
        other = await net.connect()  # nothing else is held up
        assert not sending.done()
        assert ends.record.bytes_from_client < 2 * MAX_WAITING_BYTES
        net.proxy.resume()
        assert await ends.server.receive(len(sent)) == sent
        await sending
        await other.client.send(b"x")
        assert await other.server.receive(1) == b"x"


@pytest.mark.asyncio
async def test_reset_sends_an_rst_to_both_sides() -> None:
    async with network() as net:
        first, second = await net.connect(), await net.connect()
        for ends in (first, second):
            await ends.client.send(b"x")
            assert await ends.server.receive(1) == b"x"
        net.proxy.reset()
        for ends in (first, second):
            assert await ends.client.receive_until_reset() == b""
            assert await ends.server.receive_until_reset() == b""
            await ends.record.wait_closed()
            assert ends.record.ending == "reset"


@pytest.mark.asyncio
async def test_close_sends_a_fin_to_both_sides() -> None:
    async with network() as net:
        ends = await net.connect()
        net.proxy.stall()
        net.proxy.close()
        assert await ends.client.receive() == b""
        assert await ends.server.receive() == b""
        await ends.client.send(b"dropped, and answered by no RST")
        await until(lambda: ends.record.bytes_from_client > 0)
        assert not ends.record.is_closed
        for end in (ends.client, ends.server):
            end.socket.close()
        await ends.record.wait_closed()
        assert (ends.record.ending, ends.record.bytes_to_server) == ("close", 0)


@pytest.mark.asyncio
async def test_a_half_open_connection_swallows_bytes_and_ends() -> None:
    async with network() as net:
        ends = await net.connect()
        net.proxy.half_open()
        await ends.client.send(b"lost")
        ends.client.send_eof()
        await until(lambda: ends.record.bytes_from_client == 4)
        again = await net.connect()  # new connections work
        await again.client.send(b"x")
        assert await again.server.receive(1) == b"x"
        assert not ends.record.is_closed
        assert (ends.record.ending, ends.record.bytes_to_server) == ("half-open", 0)
        net.proxy.reset()
        assert await ends.server.receive_until_reset() == b""


@pytest.mark.asyncio
@pytest.mark.parametrize("ending", ["reset", "close"])
async def test_a_cut_after_bytes_forwards_exactly_these(ending: Any) -> None:
    async with network() as net:
        ends = await net.connect()
        net.proxy.cut(after_bytes=6, ending=ending)
        await ends.server.send(b"abcdefgh")
        if ending == "reset":
            assert await ends.client.receive_until_reset() == b"abcdef"
        else:
            assert await ends.client.receive() == b"abcdef"
        assert (ends.record.ending, ends.record.bytes_to_client) == ("cut", 6)


@pytest.mark.asyncio
async def test_a_cut_towards_the_server_leaves_the_other_direction() -> None:
    async with network() as net:
        ends = await net.connect()
        net.proxy.cut(after_bytes=2, towards="server")
        await ends.server.send(b"abcd")
        assert await ends.client.receive(4) == b"abcd"
        await ends.client.send(b"abcd")
        assert await ends.server.receive_until_reset() == b"ab"


@pytest.mark.asyncio
async def test_the_next_connection_is_cut_and_those_after_it_are_not() -> None:
    async with network() as net:
        ends = await net.connect()
        net.proxy.cut(after_bytes=1, connections="next")
        net.proxy.refuse(times=1)  # a refused connection is not the one to cut
        assert await (await net.dial()).receive_until_reset() == b""
        cut, whole = await net.connect(), await net.connect()
        for each in (ends, cut, whole):
            await each.server.send(b"ab")
        assert await cut.client.receive_until_reset() == b"a"
        assert await ends.client.receive(2) == b"ab"
        assert await whole.client.receive(2) == b"ab"


@pytest.mark.asyncio
async def test_a_slow_reader_gets_all_bytes_before_a_cut() -> None:
    """More than the kernel buffers, so that the cut must wait for the reader."""
    async with network() as net:
        ends = await net.connect()
        size = 1 << 25
        net.proxy.cut(after_bytes=size, ending="close")
        sending = asyncio.ensure_future(ends.server.send(bytes(size + 1)))
        record = ends.record
        await until(lambda: record.bytes_from_server - record.bytes_to_client >= MAX_WAITING_BYTES)
        assert len(await ends.client.receive()) == size
        await sending


@pytest.mark.asyncio
async def test_a_frame_is_cut_in_its_middle() -> None:
    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.send(TEXT, b"whole")
        await peer.receive()
        peer.send(TEXT, b"ab" * 500)
        await peer.gone()

    async with raw_server(script) as server, ChaosProxy(server.url) as proxy:
        async with connect(proxy.url, compression=None) as connection:
            assert await connection.recv() == "whole"
            before = proxy.connections[0].bytes_to_client
            proxy.cut()
            await connection.send("go on")
            await connection.wait_closed()
        header = len(frame(TEXT, b"ab" * 500)) - 1000
        assert proxy.connections[0].bytes_to_client == before + header + 500
        assert proxy.connections[0].ending == "cut"


@pytest.mark.asyncio
async def test_connections_are_refused_as_often_as_asked() -> None:
    async with network() as net:
        net.proxy.refuse(times=2)
        assert await (await net.dial()).receive_until_reset() == b""
        assert await (await net.dial()).receive_until_reset() == b""
        await net.connect()
        net.proxy.refuse()
        assert await (await net.dial()).receive_until_reset() == b""
        net.proxy.heal()
        await net.connect()
        endings = [record.ending for record in net.proxy.connections]
        assert endings == ["refused", "refused", None, "refused", None]


@pytest.mark.asyncio
async def test_a_server_that_cannot_be_reached_resets_the_client() -> None:
    async with network() as net, ChaosProxy(net.proxy.url) as front:
        await net.proxy.__aexit__()  # its port is closed
        net.proxy = front
        assert await (await net.dial()).receive_until_reset() == b""
        assert front.connections[0].ending == "unreachable"


@pytest.mark.asyncio
async def test_leaving_the_context_ends_open_connections() -> None:
    async with network() as net:
        proxy, ends = net.proxy, await net.connect()
        address = ends.client.socket.getpeername()
        await proxy.__aexit__()
        assert await ends.client.receive_until_reset() == b""
        assert ends.record.ending == "stopped"
        with pytest.raises(Closed, match="not running"):
            _ = proxy.url
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        async with proxy:  # it may be started again
            await net.connect()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("url", "proxied"),
    [
        ("ws://realtime.example/v1/realtime?model=a%20b&x=1", "ws://127.0.0.1:{}/v1/realtime?model=a%20b&x=1"),
        ("wss://realtime.example:8443/v1", "wss://127.0.0.1:{}/v1"),
        ("https://localhost", "https://localhost:{}"),
        ("http://user:word@127.0.0.1:1/", "http://user:word@127.0.0.1:{}/"),
    ],
)  # fmt: skip
async def test_the_url_keeps_all_but_the_address(url: str, proxied: str) -> None:
    async with ChaosProxy(url) as proxy:
        before, after = proxied.split("{}")
        port = proxy.url.removeprefix(before).removesuffix(after)
        assert proxy.url == proxied.format(port)
        assert int(port) > 0


@pytest.mark.parametrize(
    "url", ["", "realtime.example", "ftp://a", "ws://", "ws://a:sk-1234", "ws://[a"]
)
def test_other_urls_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"URL") as caught:
        ChaosProxy(url)
    assert "sk-1234" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "act",
    [
        lambda proxy: proxy.delay(-1),
        lambda proxy: proxy.delay(1, jitter=float("nan")),
        lambda proxy: proxy.bandwidth(0),
        lambda proxy: proxy.stall(towards="everyone"),
        lambda proxy: proxy.cut(),
        lambda proxy: proxy.cut(after_bytes=-1),
        lambda proxy: proxy.refuse(-1),
    ],
    ids=["delay", "jitter", "bandwidth", "stall", "frame", "bytes", "refuse"],
)
def test_arguments_are_checked(act: Callable[[Any], None]) -> None:
    with pytest.raises(ConfigurationError):
        act(ChaosProxy("wss://127.0.0.1:1/"))


@pytest.mark.asyncio
async def test_tls_and_http_pass_unchanged() -> None:
    async with LocalServer(tls="self-signed") as server:
        trusting = ssl.create_default_context(cafile=server.ca_file)
        async with ChaosProxy(server.url) as proxy:
            async with connect(proxy.url, ssl=trusting) as connection:
                assert "session.created" in str(await connection.recv())
            url = proxy.url.replace("wss:", "https:").replace("/v1/realtime", "/healthz")
            async with httpx2.AsyncClient(verify=trusting) as client:
                assert (await client.get(url)).json() == {"status": "ok"}


@pytest.mark.asyncio
async def test_a_client_loses_its_connection_inside_a_frame_and_connects_again() -> None:
    async with LocalServer() as server, ChaosProxy(server.url) as proxy:
        async with RealtimeClient(url=proxy.url, reconnect=False) as client:
            proxy.cut()
            with pytest.raises(ConnectionLost) as caught:
                await client.send_user_message_content("Hello")
            assert caught.value.code == 1006
        async with RealtimeClient(url=proxy.url) as client:
            await client.send_user_message_content("Hello")
        assert proxy.connections[0].ending == "cut"
        assert len(proxy.connections) == 2


def test_any_thread_may_use_it() -> None:
    with serving(LocalServer()) as server, serving(ChaosProxy(server.url)) as proxy:

        async def converse() -> None:
            async with RealtimeClient(url=proxy.url, reconnect=False) as client:
                await client.send_user_message_content("Hello")
                proxy.reset()
                with pytest.raises(ConnectionLost):
                    await client.send_user_message_content("Hello again")

        asyncio.run(converse())
        assert [record.ending for record in proxy.connections] == ["reset"]
    assert "duologue" not in {thread.name for thread in threading.enumerate()}

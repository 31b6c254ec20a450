"""What every transport does alike, over real sockets and in memory."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from tests.transport.transport_doubles import (
    PATIENCE,
    TEXT,
    FailingReceiver,
    Peer,
    Recorder,
    closing,
    raw_server,
)

from duologue.errors import Closed, ConnectionLost, DialectRefused
from duologue.transport import MemoryTransport, Receiver, Transport, memory_pair
from duologue.transport.websocket import connect_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    Opener = Callable[[Receiver], contextlib.AbstractAsyncContextManager["Link"]]


class Far(Protocol):
    """The other end of the transport under test."""

    async def send(self, frame: bytes) -> None: ...
    async def receive(self) -> bytes: ...
    async def close(self, code: int, reason: str) -> None: ...
    async def closed_with(self) -> int: ...
    def cut(self) -> None: ...
    def read_on(self) -> None: ...


@dataclass
class Link:
    near: Transport
    far: Far


class MemoryFar:
    """Reads only from the first `receive` or `read_on` on."""

    def __init__(self) -> None:
        self.end: MemoryTransport
        self._got = Recorder()
        self._taken = 0

    @property
    def receiver(self) -> Receiver:
        return self._got

    async def send(self, frame: bytes) -> None:
        self.end.send(frame)

    async def receive(self) -> bytes:
        self.end.resume_reading()
        self._taken += 1
        return (await self._got.has_frames(self._taken))[self._taken - 1]

    async def close(self, code: int, reason: str) -> None:
        await self.end.close(code, reason)

    async def closed_with(self) -> int:
        self.end.resume_reading()
        return (await self._got.loss()).code or 0

    def cut(self) -> None:
        self.end.cut()

    def read_on(self) -> None:
        self.end.resume_reading()


class SocketFar:
    """Reads only from the first `receive` or `read_on` on."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self.is_reading = asyncio.Event()

    async def send(self, frame: bytes) -> None:
        self._peer.send(TEXT, frame)

    async def receive(self) -> bytes:
        opcode, payload = await self._peer.receive()
        assert opcode == TEXT
        return payload

    async def close(self, code: int, reason: str) -> None:
        self._peer.writer.write(closing(code, reason))

    async def closed_with(self) -> int:
        return await self._peer.receive_close()

    def cut(self) -> None:
        self._peer.writer.transport.abort()

    def read_on(self) -> None:
        self.is_reading.set()


@contextlib.asynccontextmanager
async def open_memory(receiver: Receiver) -> AsyncGenerator[Link]:
    far = MemoryFar()
    near, far.end = memory_pair(receiver, far.receiver)
    far.end.pause_reading()
    try:
        yield Link(near, far)
    finally:
        far.read_on()
        await near.close()


@contextlib.asynccontextmanager
async def open_websocket(receiver: Receiver) -> AsyncGenerator[Link]:
    fars: list[SocketFar] = []

    async def script(peer: Peer) -> None:
        await peer.accept(then=b"")
        fars.append(SocketFar(peer))
        await fars[0].is_reading.wait()
        await peer.gone()

    async with raw_server(script) as server:
        near = await connect_websocket(server.url, receiver, close_timeout=0.2)
        try:
            yield Link(near, fars[0])
        finally:
            await near.close()
            fars[0].read_on()


def send_megabytes(transport: Transport, count: int) -> None:
    """Send; 32 are more than the kernel keeps for a loopback socket."""
    for _ in range(count):
        transport.send(b"x" * (1 << 20))


@pytest.fixture(params=[open_memory, open_websocket], ids=["memory", "websocket"])
def open_link(request: pytest.FixtureRequest) -> Opener:
    return request.param


@pytest.mark.asyncio
async def test_frames_arrive_in_order_both_ways(open_link: Opener) -> None:
    got = Recorder()
    async with open_link(got) as link, asyncio.timeout(PATIENCE):
        for number in range(50):
            link.near.send(b'{"n":%d}' % number)
            await link.far.send(b'{"m":%d}' % number)
        assert [await link.far.receive() for _ in range(50)] == [
            b'{"n":%d}' % number for number in range(50)
        ]
        assert await got.has_frames(50) == [b'{"m":%d}' % number for number in range(50)]


@pytest.mark.asyncio
async def test_closing_reports_none_once_and_forbids_sending(open_link: Opener) -> None:
    got = Recorder()
    async with open_link(got) as link, asyncio.timeout(PATIENCE):
        link.near.send(b"{}")
        await asyncio.gather(link.near.close(3001, "enough"), link.near.close())
        assert await got.ending() is None
        await link.near.close()
        with pytest.raises(Closed, match="the session is closed"):
            link.near.send(b"{}")
        with pytest.raises(Closed):
            await link.near.drain()
        assert await link.far.receive() == b"{}"
        assert await link.far.closed_with() == 3001
    assert got.endings == [None]


@pytest.mark.asyncio
async def test_frames_sent_before_a_close_arrive_before_it(open_link: Opener) -> None:
    got = Recorder()
    async with open_link(got) as link:
        await link.far.send(b'{"last":1}')
        await link.far.close(1001, "the server goes away")
        lost = await got.loss()
        assert got.frames == [b'{"last":1}']
        assert (type(lost), lost.code, str(lost)) == (
            ConnectionLost, 1001, "the server goes away (close code 1001)"
        )  # fmt: skip
        with pytest.raises(ConnectionLost) as caught:
            link.near.send(b"{}")
        assert caught.value is lost


@pytest.mark.asyncio
async def test_a_clean_close_unasked_is_a_loss(open_link: Opener) -> None:
    got = Recorder()
    async with open_link(got) as link:
        await link.far.close(1000, "")
        lost = await got.loss()
        assert (lost.reason, lost.code) == ("the server closed the session", 1000)


@pytest.mark.asyncio
async def test_close_4000_is_a_refused_dialect(open_link: Opener) -> None:
    got = Recorder()
    async with open_link(got) as link:
        await link.far.close(4000, "")
        lost = await got.loss()
        assert (type(lost), lost.code) == (DialectRefused, 4000)
        with pytest.raises(DialectRefused):
            await link.near.drain()


@pytest.mark.asyncio
async def test_a_cut_connection_is_a_loss_with_1006(open_link: Opener) -> None:
    got = Recorder()
    async with open_link(got) as link:
        link.far.cut()
        lost = await got.loss()
        assert (lost.reason, lost.code) == ("the connection was cut", 1006)
        await link.near.close()
        with pytest.raises(ConnectionLost):
            link.near.send(b"{}")


@pytest.mark.asyncio
async def test_a_failing_receiver_is_reported_and_ends_the_connection(open_link: Opener) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    got = FailingReceiver()
    async with open_link(got) as link, asyncio.timeout(PATIENCE):
        await link.far.send(b"1")
        await link.far.send(b"2")
        lost = await got.loss()
        assert (lost.reason, lost.code) == ("the receiver of the frames failed", 1011)
        assert isinstance(lost.__cause__, ZeroDivisionError)
        assert await link.far.closed_with() == 1011
    assert [(report["message"], type(report["exception"])) for report in reports] == [
        ("FailingReceiver.on_frame raised", ZeroDivisionError)
    ]


@pytest.mark.asyncio
async def test_a_receiver_that_fails_in_on_close_is_reported(open_link: Opener) -> None:
    class Failing(Recorder):
        def on_close(self, error: ConnectionLost | None) -> None:
            super().on_close(error)
            raise KeyError

    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    got = Failing()
    async with open_link(got) as link:
        link.far.cut()
        await got.loss()
        await link.near.close()
    assert [report["message"].rpartition(".")[2] for report in reports] == ["on_close raised"]


@pytest.mark.asyncio
async def test_drain_waits_for_a_slow_reader(open_link: Opener) -> None:
    async with open_link(Recorder()) as link, asyncio.timeout(PATIENCE):
        await link.near.drain()
        send_megabytes(link.near, 32)
        draining = asyncio.ensure_future(link.near.drain())
        await asyncio.wait({draining}, timeout=0)
        assert not draining.done()
        link.far.read_on()
        await draining


@pytest.mark.asyncio
async def test_a_loss_ends_the_waiting_of_drain(open_link: Opener) -> None:
    async with open_link(Recorder()) as link, asyncio.timeout(PATIENCE):
        send_megabytes(link.near, 32)
        draining = asyncio.ensure_future(link.near.drain())
        await asyncio.wait({draining}, timeout=0)
        link.far.cut()
        with pytest.raises(ConnectionLost):
            await draining


@pytest.mark.asyncio
async def test_a_close_ends_the_waiting_of_drain(open_link: Opener) -> None:
    """The reader stays slow, so that over a socket the close is cut short."""
    got = Recorder()
    async with open_link(got) as link, asyncio.timeout(PATIENCE):
        send_megabytes(link.near, 32)
        draining = asyncio.ensure_future(link.near.drain())
        await asyncio.wait({draining}, timeout=0)
        await link.near.close()
        with pytest.raises(Closed):
            await draining
        assert got.endings == [None]


@pytest.mark.asyncio
async def test_a_reader_that_never_reads_is_given_up(open_link: Opener) -> None:
    """Our choice: what waits is bounded also for a caller that never drains."""
    got = Recorder()
    async with open_link(got) as link:
        with pytest.raises(ConnectionLost, match="does not read what is sent"):
            send_megabytes(link.near, 90)
        assert not got.endings, "on_close from inside send"
        assert "does not read what is sent" in (await got.loss()).reason


@pytest.mark.asyncio
async def test_no_frame_arrives_after_close_was_called(open_link: Opener) -> None:
    got = Recorder()
    async with open_link(got) as link, asyncio.timeout(PATIENCE):
        closing_down = asyncio.ensure_future(link.near.close())
        await asyncio.wait({closing_down}, timeout=0)
        with contextlib.suppress(ConnectionLost):  # in memory the news may be there already
            await link.far.send(b"late")
        await closing_down
    assert (got.frames, got.endings) == ([], [None])


@pytest.mark.asyncio
async def test_a_cancelled_close_still_closes(open_link: Opener) -> None:
    got = Recorder()
    async with open_link(got) as link:
        closing_down = asyncio.ensure_future(link.near.close())
        await asyncio.wait({closing_down}, timeout=0)
        closing_down.cancel()
        assert await got.ending() is None

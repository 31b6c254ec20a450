"""The WebSocket of an ASGI server as a transport, without a server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from starlette.websockets import WebSocket

from duologue.errors import Closed, ConnectionLost
from duologue.server import asgi_transport
from duologue.server.asgi_transport import AsgiTransport

if TYPE_CHECKING:
    from starlette.types import Message

pytestmark = pytest.mark.asyncio


class Peer:
    """The ASGI server, the client behind it, and the receiver of the transport."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.frames: list[bytes] = []
        self.binary_bytes: list[int] = []
        self.endings: list[ConnectionLost | None] = []

    async def send(self, message: Message) -> None:
        await self.may_write.wait()
        self.sent.append(message)

    def on_frame(self, frame: bytes) -> None:
        self.frames.append(frame)

    def on_binary_frame(self, size_bytes: int) -> None:
        self.binary_bytes.append(size_bytes)

    def on_close(self, error: ConnectionLost | None) -> None:
        self.endings.append(error)

    def client_sends(self, **message: Any) -> None:
        self.inbox.put_nowait({"type": "websocket.receive", **message})

    async def connected(self) -> AsgiTransport:
        scope = {"type": "websocket", "headers": [], "path": "/", "query_string": b""}
        socket = WebSocket(scope, self.inbox.get, self.send)
        self.inbox.put_nowait({"type": "websocket.connect"})
        await socket.accept()
        return AsgiTransport(socket, self)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_frames_pass_both_ways_until_the_client_closes() -> None:
    peer = Peer()
    transport = await peer.connected()
    peer.client_sends(text="é")
    peer.client_sends(bytes=b"{}")
    transport.send(b'"hello"')
    await settle()
    assert peer.frames == ["é".encode()]
    assert peer.binary_bytes == [2]
    assert peer.sent[-1]["text"] == '"hello"'
    peer.inbox.put_nowait({"type": "websocket.disconnect", "code": 3001})
    await settle()
    [lost] = peer.endings
    assert lost is not None
    assert lost.code == 3001
    with pytest.raises(ConnectionLost):
        transport.send(b"{}")


async def test_close_writes_what_is_queued_and_delivers_nothing_more() -> None:
    peer = Peer()
    transport = await peer.connected()
    transport.send(b"1")
    closing = asyncio.create_task(transport.close(1012, "restart"))
    await asyncio.sleep(0)
    with pytest.raises(Closed):
        transport.send(b"late")
    peer.client_sends(text="late")
    await closing
    await transport.close()
    assert [message.get("text", message.get("code")) for message in peer.sent[1:]] == ["1", 1012]
    assert (peer.frames, peer.endings) == ([], [None])
    with pytest.raises(Closed):
        transport.send(b"2")


async def test_a_paused_transport_leaves_frames_unread() -> None:
    peer = Peer()
    transport = await peer.connected()
    await settle()
    transport.pause_reading()
    peer.client_sends(text="1")  # a read is under way already
    peer.client_sends(text="2")
    await settle()
    assert peer.frames == [b"1"]
    transport.resume_reading()
    await settle()
    assert peer.frames == [b"1", b"2"]
    transport.stop()


async def test_another_asgi_server_closes_with_1011_where_ours_would_cut() -> None:
    peer = Peer()
    transport = await peer.connected()
    await transport.abort()
    assert peer.sent[-1]["code"] == 1011
    [lost] = peer.endings
    assert lost is not None
    assert lost.code == 1011


@pytest.mark.parametrize("cuts", [False, True])
async def test_a_client_that_does_not_read_is_dropped(
    monkeypatch: pytest.MonkeyPatch, cuts: bool
) -> None:
    monkeypatch.setattr(asgi_transport, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(asgi_transport, "CLOSE_SECONDS", 0.01)
    peer = Peer()
    transport = await peer.connected()
    peer.may_write.clear()
    for _ in range(3):
        transport.send(b"{}")
    await settle()
    await (transport.abort() if cuts else transport.close())
    [lost] = peer.endings
    assert lost is not None
    assert lost.code == 1008


async def test_far_too_much_unsent_data_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asgi_transport, "MAX_UNSENT_BYTES", 10)
    peer = Peer()
    transport = await peer.connected()
    transport.send(b"x" * 11)
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            transport.send(b"x")
    assert peer.endings == []  # never from inside `send`
    await settle()
    [lost] = peer.endings
    assert lost is not None
    assert peer.sent[-1]["code"] == lost.code == 1008

"""Opening and refusing a WebSocket, and sessions with a complete server."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING

import pytest
from tests.transport.transport_doubles import (
    PATIENCE,
    TEXT,
    Peer,
    Recorder,
    frame,
    raw_server,
)
from websockets.asyncio.server import Server, ServerConnection, serve

from duologue.errors import (
    ConfigurationError,
    ConnectionLost,
    HandshakeRefused,
    RemoteProtocolError,
)
from duologue.transport.picows import connect_picows

if TYPE_CHECKING:
    from tests.transport.transport_doubles import Connect
    from websockets.http11 import Request, Response

KEY = "sk-test-0123456789abcdef"
HEADERS = {"Authorization": f"Bearer {KEY}"}


def url_of(server: Server) -> str:
    port = next(iter(server.sockets)).getsockname()[1]
    return f"ws://127.0.0.1:{port}/v1/realtime?model=m"


# Against a complete server.


@pytest.mark.asyncio
async def test_websockets_echoes_small_and_large_messages(connect: Connect) -> None:
    async def echo(peer: ServerConnection) -> None:
        async for message in peer:
            await peer.send(message)

    got = Recorder()
    async with serve(echo, "127.0.0.1", 0, max_size=None) as server:
        transport = await connect(url_of(server), got)
        sent = [b"{}", "é𝄞".encode(), b"", b"x" * 70_000, b"y" * 20_000_000]
        for message in sent:
            transport.send(message)
            await transport.drain()
        assert await got.has_frames(len(sent)) == sent
        await transport.close(1000, "done")
    assert got.endings == [None]


@pytest.mark.asyncio
async def test_websockets_sees_what_was_sent_with_the_request(connect: Connect) -> None:
    async def script(peer: ServerConnection) -> None:
        request = peer.request
        assert request is not None
        headers = request.headers
        await peer.send(f"{request.path} {headers['Authorization']} {peer.subprotocol}")

    got = Recorder()
    async with serve(script, "127.0.0.1", 0, subprotocols=["realtime"]) as server:  # type: ignore[list-item]
        transport = await connect(
            url_of(server), got, headers=HEADERS, subprotocols=["other", "realtime"]
        )
        lost = await got.loss()
        await transport.close()
    assert got.frames == [f"/v1/realtime?model=m Bearer {KEY} realtime".encode()]
    assert (lost.code, lost.reason) == (1000, "the server closed the session")


@pytest.mark.asyncio
async def test_websockets_sees_our_close_code_and_a_shortened_reason(connect: Connect) -> None:
    closed = asyncio.get_running_loop().create_future()

    async def script(peer: ServerConnection) -> None:
        await peer.wait_closed()
        closed.set_result((peer.close_code, peer.close_reason))

    async with serve(script, "127.0.0.1", 0) as server:
        transport = await connect(url_of(server), Recorder())
        await transport.close(4321, "é" * 100)
        assert await asyncio.wait_for(closed, PATIENCE) == (4321, "é" * 61)


@pytest.mark.asyncio
async def test_websockets_refusal_tells_status_and_text(connect: Connect) -> None:
    def refuse(peer: ServerConnection, _: Request) -> Response:
        return peer.respond(503, f"no room for {KEY}\n")

    async def nobody(_: ServerConnection) -> None: ...

    async with serve(nobody, "127.0.0.1", 0, process_request=refuse) as server:
        with pytest.raises(HandshakeRefused) as caught:
            await connect(url_of(server), Recorder(), headers=HEADERS)
    assert (caught.value.status, caught.value.body) == (503, "no room for [removed]")


# Opening.


def http(status: str, body: str = "", *headers: str) -> bytes:
    lines = (status, *headers, f"Content-Length: {len(body)}", "", body)
    return "\r\n".join(lines).encode()


CHUNKED = b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("response", "status", "body"),
    [
        (http("HTTP/1.1 401 Unauthorized", f'{{"error": "bad key {KEY}"}}'), 401,
         '{"error": "bad key [removed]"}'),
        (http("HTTP/1.0 503 Service Unavailable", "full\n"), 503, "full"),
        (http("HTTP/1.1 520 ", "é"), 520, "é"),
        (http("HTTP/1.1 429", "slow down"), 429, "slow down"),
        (http("HTTP/1.1 301 Moved", "", "Location: ws://127.0.0.1:9/"), 301, ""),
        (http("HTTP/1.1 200 OK", "x" * 5000), 200, "x" * 1000),
        (CHUNKED + b"4\r\nwhat\r\n0\r\n\r\n", 400, "what"),
        (CHUNKED + b"what", 400, "what"),
    ],
)  # fmt: skip
async def test_an_http_answer_is_a_refusal(response: bytes, status: int, body: str) -> None:
    got = Recorder()
    async with raw_server(lambda peer: peer.answer(response)) as server:
        with pytest.raises(HandshakeRefused) as caught:
            await connect_picows(server.url, got, headers=HEADERS)
    assert (caught.value.status, caught.value.body, got.endings) == (status, body, [])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        http("HTTP/1.1 101 Switching Protocols"),
        http("HTTP/1.1 101 Switching Protocols", "", "Upgrade: websocket", "Connection: Upgrade"),
    ],
)
async def test_an_answer_that_is_no_websocket_is_a_loss(connect: Connect, response: bytes) -> None:
    async with raw_server(lambda peer: peer.answer(response)) as server:
        with pytest.raises(ConnectionLost, match="realtime did not answer as a WebSocket") as lost:
            await connect(server.url, Recorder())
    assert lost.value.__cause__ is not None


@pytest.mark.asyncio
async def test_a_hang_up_before_the_answer_is_a_loss(connect: Connect) -> None:
    async with raw_server(lambda peer: peer.answer(b"")) as server:
        with pytest.raises(ConnectionLost, match="closed the connection before it answered"):
            await connect(server.url, Recorder())


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (("Sec-WebSocket-Protocol: other",), "subprotocol"),
        (("Sec-WebSocket-Protocol: mine", "Sec-WebSocket-Protocol: mine"), "subprotocol"),
        (("Sec-WebSocket-Extensions: permessage-deflate",), "extension"),
    ],
)
async def test_what_was_not_offered_is_refused(headers: tuple[str, ...], reason: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.accept(*headers, then=frame(TEXT, b"never to be seen"))
        assert peer.header("Sec-WebSocket-Protocol") == "mine, also-mine"
        assert await peer.receive_close() == 1002

    got = Recorder()
    async with raw_server(script) as server:
        with pytest.raises(
            ConnectionLost, match=f"chose an? {reason} that was not offered"
        ) as lost:
            await connect_picows(server.url, got, subprotocols=["mine", "also-mine"])
    assert isinstance(lost.value.__cause__, RemoteProtocolError)
    assert (lost.value.code, got.frames, got.endings) == (1002, [], [])


@pytest.mark.asyncio
async def test_a_server_that_never_answers_is_given_up_and_hung_up_on(connect: Connect) -> None:
    async with raw_server(lambda peer: peer.gone()) as server:
        with pytest.raises(ConnectionLost, match=r"realtime did not answer within 0\.05 s") as lost:
            await connect(server.url, Recorder(), connect_timeout=0.05)
        assert isinstance(lost.value.__cause__, TimeoutError)
        await server.finished()


@pytest.mark.asyncio
@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_cancelling_the_opening_hangs_up(connect: Connect, scheme: str) -> None:
    """picows leaves its transport open when `ws_connect` is cancelled."""
    reached = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        reached.set()
        await peer.gone()

    got = Recorder()
    async with raw_server(script) as server:
        opening = asyncio.ensure_future(connect(f"{scheme}{server.url[2:]}", got))
        await asyncio.wait_for(reached.wait(), PATIENCE)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await server.finished()
    assert got.endings == []


@pytest.mark.asyncio
async def test_a_server_without_tls_is_a_loss(connect: Connect) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(1)
        peer.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await peer.gone()

    async with raw_server(script) as server:
        with pytest.raises(ConnectionLost, match=r"cannot reach wss://.*: TLS failed: "):
            await connect(f"wss{server.url[2:]}", Recorder())


@pytest.mark.asyncio
async def test_a_refused_port_is_told_without_the_query(connect: Connect) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"ws://127.0.0.1:{closed.getsockname()[1]}/v1"
        with pytest.raises(ConnectionLost) as caught:
            await connect(f"{place}?api_key={KEY}", Recorder())
    assert str(caught.value) == f"cannot reach {place}: connection refused"
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


@pytest.mark.asyncio
async def test_a_name_that_cannot_be_one_is_a_loss(connect: Connect) -> None:
    with pytest.raises(ConnectionLost, match=r"cannot reach ws://a+: no such host"):
        await connect(f"ws://{'a' * 64}", Recorder())


@pytest.mark.asyncio
async def test_a_url_of_another_scheme_is_a_configuration_error(connect: Connect) -> None:
    with pytest.raises(ConfigurationError, match="must begin with wss:// or ws://"):
        await connect("https://example.com", Recorder())


# Secrets.


@pytest.mark.asyncio
async def test_no_secret_is_ever_logged(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """picows logs the whole request at level 9."""
    caplog.set_level(1)
    logging.getLogger("picows").setLevel(1)

    async def script(peer: Peer) -> None:
        await peer.accept(then=frame(0x3, b"x"))
        await peer.gone()

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect(
            f"{server.url}?api_key={KEY}",
            got,
            headers=HEADERS,
            subprotocols=[f"key.{KEY}"],
            close_timeout=0.01,
        )
        await got.loss()
        await transport.close()
    logging.getLogger("picows").setLevel(logging.NOTSET)
    assert KEY not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("picows")]

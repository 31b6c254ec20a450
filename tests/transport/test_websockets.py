"""The transport on the library `websockets`: proxies and compression."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import ssl
import struct
from typing import TYPE_CHECKING

import pytest
import trustme
from tests.transport.transport_doubles import PING, Peer, Recorder, frame, raw_server
from websockets.asyncio.server import ServerConnection, serve

from duologue.errors import ConfigurationError, ConnectionLost, HandshakeRefused, MissingExtra
from duologue.transport.websockets import connect_websockets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PASSWORD = "s3cret-of-the-proxy"

pytestmark = pytest.mark.asyncio


async def echo(peer: ServerConnection) -> None:
    async for message in peer:
        await peer.send(message)


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.write_eof()


@contextlib.asynccontextmanager
async def http_proxy(*, status: str = "200 Here you are") -> AsyncGenerator[tuple[str, list[str]]]:
    """Proxy for CONNECT, which records its requests."""
    asked: list[str] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        if status.startswith("200"):
            host, _, port = asked[-1].split()[1].rpartition(":")
            far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), port)
            await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))
            far_writer.close()
        writer.close()

    proxy = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with proxy:
        yield f"127.0.0.1:{proxy.sockets[0].getsockname()[1]}", asked


async def test_an_http_proxy_is_asked_for_the_servers_port() -> None:
    got = Recorder()
    async with http_proxy() as (proxy, asked), serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = await connect_websockets(
            f"ws://127.0.0.1:{port}/v1/realtime", got, proxy=f"http://me:{PASSWORD}@{proxy}"
        )
        transport.send(b"{}")
        assert await got.has_frames(1) == [b"{}"]
        await transport.close()
    [request] = asked
    assert request.startswith(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n")
    assert base64.b64encode(f"me:{PASSWORD}".encode()).decode() in request


async def test_tls_goes_through_the_proxy_to_whom_the_context_trusts() -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    got = Recorder()
    async with http_proxy() as (proxy, _), serve(echo, "127.0.0.1", 0, ssl=context) as server:
        url = f"wss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        transport = await connect_websockets(
            url, got, proxy=f"http://{proxy}", ssl_context=trusting
        )
        transport.send(b"{}")
        await got.has_frames(1)
        await transport.close()
        with pytest.raises(ConnectionLost, match="its certificate is not trusted"):
            await connect_websockets(url, Recorder())


async def test_a_proxy_that_refuses_is_told_without_its_password() -> None:
    async with http_proxy(status="407 Proxy Authentication Required") as (proxy, _):
        with pytest.raises(ConnectionLost, match="407") as caught:
            await connect_websockets(
                "ws://10.0.0.1", Recorder(), proxy=f"http://me:{PASSWORD}@{proxy}"
            )
    assert PASSWORD not in str(caught.value)
    assert f"through the proxy http://{proxy}" in str(caught.value)


async def test_an_address_that_is_no_proxy_is_told_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="gopher://proxy:1 cannot be used") as caught:
        await connect_websockets(
            "ws://10.0.0.1", Recorder(), proxy=f"gopher://me:{PASSWORD}@proxy:1"
        )
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_socks_proxy_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    async def not_installed(*_: object, **_options: object) -> None:
        raise ImportError("connecting through a SOCKS proxy requires python-socks")

    monkeypatch.setattr("websockets.asyncio.client.connect_socks_proxy", not_installed)
    with pytest.raises(MissingExtra, match=r"duologue\[proxy\]"):
        await connect_websockets("ws://10.0.0.1", Recorder(), proxy="socks5h://127.0.0.1:1")


async def test_a_socks_proxy_looks_the_name_up() -> None:
    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2 + (await reader.readexactly(2))[1] - 2)
        writer.write(b"\x05\x00")
        head = await reader.readexactly(5)
        names.append((await reader.readexactly(head[4])).decode())
        (asked,) = struct.unpack("!H", await reader.readexactly(2))
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", asked)
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))
        far_writer.close()
        writer.close()

    names: list[str] = []
    got = Recorder()
    proxy = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with proxy, serve(echo, "127.0.0.1", 0) as server:
        transport = await connect_websockets(
            f"ws://realtime.example:{server.sockets[0].getsockname()[1]}",
            got,
            proxy=f"socks5h://127.0.0.1:{proxy.sockets[0].getsockname()[1]}",
        )
        transport.send(b"{}")
        await got.has_frames(1)
        await transport.close()
    assert names == ["realtime.example"]


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_compression_is_offered_when_it_is_wanted(compression: str | None) -> None:
    offered: list[str | None] = []

    async def note(peer: ServerConnection) -> None:
        assert peer.request is not None
        offered.append(peer.request.headers.get("Sec-WebSocket-Extensions"))
        await echo(peer)

    got = Recorder()
    async with serve(note, "127.0.0.1", 0, max_size=None) as server:
        port = server.sockets[0].getsockname()[1]
        transport = await connect_websockets(
            f"ws://127.0.0.1:{port}",
            got,
            compression=compression,  # type: ignore[arg-type]  # of the parameters above
        )
        transport.send(b"x" * 1_000_000)
        await got.has_frames(1)
        await transport.close()
    assert ("permessage-deflate" in (offered[0] or "")) is (compression is not None)


async def test_a_redirect_is_not_followed() -> None:
    """It would carry the key to another host."""

    async def script(peer: Peer) -> None:
        await peer.answer(
            b"HTTP/1.1 307 Away\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        )

    async with raw_server(script) as server:
        with pytest.raises(HandshakeRefused) as caught:
            await connect_websockets(server.url, Recorder())
    assert caught.value.status == 307


async def test_a_subprotocol_that_was_not_offered_is_refused() -> None:
    async with raw_server(lambda peer: peer.accept("Sec-WebSocket-Protocol: other")) as server:
        with pytest.raises(ConnectionLost, match="not offered"):
            await connect_websockets(server.url, Recorder(), subprotocols=["mine"])


async def test_a_server_that_pings_and_does_not_read_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its pings would fill our memory with pongs."""
    monkeypatch.setattr("duologue.transport.websockets.MAX_UNSENT_BYTES", 1 << 16)

    async def script(peer: Peer) -> None:
        await peer.accept()
        assert isinstance(peer.writer.transport, asyncio.ReadTransport)
        peer.writer.transport.pause_reading()
        pings = frame(PING, b"p" * 125) * 1000
        with contextlib.suppress(ConnectionError):
            while True:
                peer.writer.write(pings)
                await peer.writer.drain()

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect_websockets(server.url, got)
        lost = await got.loss()
        assert (lost.code, lost.reason) == (1006, "the server does not read what is sent")
        await transport.close()


async def test_the_library_logs_nothing_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    logging.getLogger("websockets").setLevel(1)
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = await connect_websockets(
            f"ws://127.0.0.1:{port}", Recorder(), headers={"api-key": PASSWORD}
        )
        await transport.close()
    clients = [record for record in caplog.records if record.name == "websockets.client"]
    assert clients == []

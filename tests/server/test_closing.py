"""The server's part of the closing handshake, by the rules of the Autobahn test suite."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from duologue.server import LocalServer
from duologue.testing._raw_server import CLOSE, CONTINUATION, PATIENCE, PING, TEXT, Peer, frame

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.asyncio

REQUEST = (
    "GET /v1/realtime?model=m HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

Frame = tuple[int, bytes, bool]
"""Opcode, payload, and whether it is final."""

BEGUN = (TEXT, b"fragment1", False)
CONTINUED = (CONTINUATION, b"fragment2", True)


def close(code: int, reason: bytes = b"") -> Frame:
    return CLOSE, code.to_bytes(2) + reason, True


CASES: dict[str, tuple[int, list[Frame]]] = {
    "7.1.2 two closes": (1000, [close(1000), (CLOSE, b"", True)]),
    "7.1.3 a ping after it": (1000, [close(1000), (PING, b"", True)]),
    "7.1.4 a text after it": (1000, [close(1000), (TEXT, b"{}", True)]),
    "7.1.5 between fragments": (1000, [BEGUN, close(1000), CONTINUED]),
    "a broken frame after it": (1000, [close(1000), (0x3, b"", True)]),
    "7.3.1 no code": (0, [(CLOSE, b"", True)]),
    "7.3.2 half a code": (1002, [(CLOSE, b"a", True)]),
    "7.3.5 the longest reason": (1000, [close(1000, b"*" * 123)]),
    "7.3.6 too long a reason": (1002, [close(1000, b"*" * 124)]),
    "7.5.1 a reason that is not UTF-8": (1007, [close(1000, b"\xce\xba\xed\xa0\x80")]),
    "between fragments, a bad code": (1002, [BEGUN, close(1006)]),
    **{f"7.7 the code {code}": (code, [close(code)]) for code in (1000, 1001, 1011, 3000, 4999)},
    **{
        f"7.9 the code {code}": (1002, [close(code)])
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    },
}


@pytest_asyncio.fixture
async def peer() -> AsyncGenerator[Peer]:
    async with LocalServer() as server:
        parts = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(REQUEST.encode())
        await reader.readuntil(b"\r\n\r\n")
        yield Peer(reader, writer)
        writer.transport.abort()


def masked(opcode: int, payload: bytes, is_final: bool) -> bytes:  # of a tuple
    plain = frame(opcode, payload, is_final=is_final)
    head, key = bytearray(plain[: len(plain) - len(payload)]), os.urandom(4)
    head[1] |= 0x80
    return bytes(head) + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


@pytest.mark.parametrize(("code", "frames"), CASES.values(), ids=CASES)
async def test_a_close_is_answered_by_the_rules(peer: Peer, code: int, frames: list[Frame]) -> None:
    peer.writer.write(b"".join(masked(*each) for each in frames))
    async with asyncio.timeout(PATIENCE):
        opcode, payload = await peer.receive()
        while opcode == TEXT:  # session.created may come before
            opcode, payload = await peer.receive()
    assert (opcode, int.from_bytes(payload[:2])) == (CLOSE, code)

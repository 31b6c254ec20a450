"""The closing handshake by the rules of the Autobahn test suite, sections 7.1 to 7.13."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.transport.transport_doubles import (
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    Peer,
    Recorder,
    closing,
    frame,
    raw_server,
)

from duologue.errors import DialectRefused, RemoteProtocolError

if TYPE_CHECKING:
    from tests.transport.transport_doubles import Connect

pytestmark = pytest.mark.asyncio

BEGUN = frame(TEXT, b"fragment1", is_final=False)
CONTINUED = frame(CONTINUATION, b"fragment2")

ANSWERED = {
    "7.1.2 two closes": (1000, [closing(1000), frame(CLOSE)]),
    "7.1.2 with another code": (1001, [closing(1001), closing(1000)]),
    "7.1.3 a ping after it": (1000, [closing(1000), frame(PING)]),
    "7.1.4 a text after it": (1000, [closing(1000), frame(TEXT, b"{}")]),
    "7.1.5 between fragments": (1000, [BEGUN, closing(1000), CONTINUED]),
    "between fragments, the last": (1000, [BEGUN, closing(1000)]),
    "a broken frame after it": (1000, [closing(1000), frame(0x3), b"\xff" * 9]),
    "bad text after it": (1000, [closing(1000), frame(TEXT, b"\xff")]),
    "7.3.1 no code": (1000, [frame(CLOSE)]),
    "7.3.5 the longest reason": (1000, [closing(1000, "*" * 123)]),
    **{
        f"7.7 the code {code}": (code, [closing(code)])
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    },
}

REFUSED = {
    "7.3.2 half a code": (1002, [frame(CLOSE, b"a")]),
    "7.3.6 too long a reason": (1002, [frame(CLOSE, b"\x03\xe8" + b"*" * 124)]),
    "7.5.1 a reason that is not UTF-8": (1007, [frame(CLOSE, b"\x03\xe8\xce\xba\xed\xa0\x80")]),
    **{
        f"7.9 the code {code}": (1002, [closing(code)])
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "between fragments": (1002, [BEGUN, closing(1006)]),
}


async def _answer(connect: Connect, frames: list[bytes], *, in_one: bool) -> tuple[int, Recorder]:
    codes: list[int] = []

    async def script(peer: Peer) -> None:
        await peer.accept()
        for data in [b"".join(frames)] if in_one else frames:
            peer.writer.write(data)
            await peer.writer.drain()
        codes.append(await peer.receive_close() or 1000)  # an answer without a code

    got = Recorder()
    async with raw_server(script) as server:
        transport = await connect(server.url, got)
        await got.loss()
        await transport.close()
        await server.finished()
    return codes[0], got


@pytest.mark.parametrize("in_one", [True, False], ids=["one segment", "segments"])
@pytest.mark.parametrize(("code", "frames"), ANSWERED.values(), ids=ANSWERED)
async def test_a_close_is_answered_with_its_code(
    connect: Connect, code: int, frames: list[bytes], *, in_one: bool
) -> None:
    answer, got = await _answer(connect, frames, in_one=in_one)
    assert answer == code
    assert got.frames == []
    lost = await got.loss()
    assert lost.code == (1005 if frames[0] == frame(CLOSE) else code)


@pytest.mark.parametrize("in_one", [True, False], ids=["one segment", "segments"])
@pytest.mark.parametrize(("code", "frames"), REFUSED.values(), ids=REFUSED)
async def test_a_close_that_breaks_the_protocol_is_refused(
    connect: Connect, code: int, frames: list[bytes], *, in_one: bool
) -> None:
    answer, got = await _answer(connect, frames, in_one=in_one)
    assert answer == code
    lost = await got.loss()
    assert lost.code == code
    assert isinstance(lost.__cause__, RemoteProtocolError)


@pytest.mark.parametrize("code", [1008, 1011, 4000])
async def test_a_reason_that_repeats_the_key_does_not_show_it(connect: Connect, code: int) -> None:
    key = "sk-of-sesame-0123456789"

    async def script(peer: Peer) -> None:
        await peer.accept()
        peer.writer.write(closing(code, f"wrong: Bearer {key}, beta_api_shape_disabled"))
        await peer.receive_close()

    got = Recorder()
    async with raw_server(script) as server:
        headers = {"Authorization": f"Bearer {key}"}
        transport = await connect(f"{server.url}?token={key}", got, headers=headers)
        lost = await got.loss()
        await transport.close()
        await server.finished()
    assert key not in f"{lost!r} {lost}"
    assert lost.reason.startswith("wrong: Bearer [removed]")
    assert isinstance(lost, DialectRefused) is (code == 4000)

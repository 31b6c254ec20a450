"""Contract of all transports, over real sockets and in memory."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from duologue.testing import check_transport
from duologue.testing.transports import CHECKS, in_memory, over_websocket
from duologue.transport.picows import connect_picows
from duologue.transport.websockets import connect_websockets

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from duologue.errors import ConnectionLost
    from duologue.testing.transports import MakeConnection, RemoteEnd
    from duologue.transport import Receiver, Transport

TRANSPORTS: dict[str, MakeConnection] = {
    "memory": in_memory,
    "picows": over_websocket(partial(connect_picows, close_timeout=0.2)),
    "websockets": over_websocket(partial(connect_websockets, close_timeout=0.2)),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", TRANSPORTS.values(), ids=TRANSPORTS)
async def test_the_contract_is_kept(make: MakeConnection, check: Any) -> None:
    await check(make)


@pytest.mark.asyncio
async def test_all_of_it_is_one_call() -> None:
    await check_transport(in_memory)


class Twice:
    """Receiver that reports the end twice, as a broken transport would."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def on_frame(self, frame: bytes) -> None:
        self._receiver.on_frame(frame)

    def on_close(self, error: ConnectionLost | None) -> None:
        self._receiver.on_close(error)
        self._receiver.on_close(error)


@contextlib.asynccontextmanager
async def in_broken_memory(receiver: Receiver) -> AsyncGenerator[tuple[Transport, RemoteEnd]]:
    async with in_memory(Twice(receiver)) as link:
        yield link


@pytest.mark.asyncio
async def test_the_check_names_the_broken_rule() -> None:
    with pytest.raises(AssertionError, match="broken: `on_close` is called once"):
        await check_transport(in_broken_memory)

"""The socket of the server, and how uvicorn serves on it."""

from __future__ import annotations

import asyncio
import socket
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from duologue.server import LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_SECONDS = 0.5
"""Timers shorter than this are a sign of polling."""


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the delays of the timers that are set from now on, as `asyncio.sleep` does."""
    found: list[float] = []
    call_later = asyncio.BaseEventLoop.call_later

    def recorded(
        loop: asyncio.BaseEventLoop,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        **kw: Any,
    ) -> asyncio.TimerHandle:
        found.append(delay)
        return call_later(loop, delay, callback, *args, **kw)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_later", recorded)
    return found


@pytest.mark.asyncio
async def test_a_server_waits_and_stops_without_polling(delays: list[float]) -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        await connection.recv()
        async with httpx2.AsyncClient() as http:
            await http.get(server.url.replace("ws", "http", 1).replace("/v1/realtime", "/healthz"))
    assert [delay for delay in delays if 0 < delay < TICK_SECONDS] == []


@pytest.mark.asyncio
async def test_a_connection_that_says_nothing_does_not_keep_the_server_from_stopping() -> None:
    async with LocalServer() as server:
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        silent = socket.create_connection(("127.0.0.1", port))
        await asyncio.sleep(0)
    with silent:
        silent.settimeout(5)
        assert silent.recv(1) == b""


@pytest.mark.asyncio
async def test_answers_carry_the_date() -> None:
    async with LocalServer() as server, connect(server.url) as connection:
        async with httpx2.AsyncClient() as http:
            url = server.url.replace("ws", "http", 1).replace("/v1/realtime", "/healthz")
            answer = await http.get(url)
        assert connection.response is not None
        for headers in (answer.headers, connection.response.headers):
            assert parsedate_to_datetime(headers["Date"])

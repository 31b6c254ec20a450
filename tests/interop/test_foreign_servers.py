"""Our client does with published servers what it does with ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace

import pytest
from tests.interop.server_checks import SERVER_CHECKS
from tests.interop.servers import SERVERS, Address, Server, serving

from duologue import ConnectionLost, RealtimeClient

pytestmark = [pytest.mark.interop, pytest.mark.timeout(60)]  # the first test of a server starts it


@pytest.fixture(scope="session")
def address_of() -> Iterator[Callable[[Server], Address]]:
    """Yield what starts a server, once, and tells where it is."""
    known: dict[str, Address] = {}
    with ExitStack() as stack:

        def address(server: Server) -> Address:
            if server.name not in known:
                known[server.name] = stack.enter_context(serving(server))
            return known[server.name]

        yield address


@pytest.mark.parametrize(
    ("server", "check"),
    [
        pytest.param(server, check, id=f"{server.name}-{check}")
        for server in SERVERS
        for check in SERVER_CHECKS
        if check not in server.impossible
    ],
)
def test_our_client_does(
    address_of: Callable[[Server], Address], server: Server, check: str
) -> None:
    asyncio.run(SERVER_CHECKS[check].run(address_of(server).url))


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_the_server_is_the_one_that_the_table_names(
    address_of: Callable[[Server], Address], server: Server
) -> None:
    assert address_of(server).version == server.version


def test_a_server_without_a_free_pipeline_closes_and_says_why() -> None:
    (s2s,) = (server for server in SERVERS if server.package == "speech-to-speech")
    with serving(replace(s2s, command=(*s2s.command[:-1], "1"))) as address:
        asyncio.run(_crowd(address.url))


async def _crowd(url: str) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(RealtimeClient(url=url))
        with pytest.raises(ConnectionLost, match="All session slots are in use") as caught:
            await stack.enter_async_context(RealtimeClient(url=url))
        assert caught.value.code == 1008

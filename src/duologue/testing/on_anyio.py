"""The fixtures as anyio's plugin runs them: on asyncio, which the client and the server need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from duologue.client.client import RealtimeClient
    from duologue.server.embedded import LocalServer

__all__: list[str] = []


@pytest.fixture
async def _realtime_server_anyio(
    request: pytest.FixtureRequest, anyio_backend_name: str
) -> AsyncGenerator[LocalServer]:
    if anyio_backend_name != "asyncio":
        pytest.fail(
            f"duologue needs asyncio, not {anyio_backend_name}: let your fixture `anyio_backend`"
            " return 'asyncio'",
            pytrace=False,
        )
    from duologue.testing.fixtures import started_server  # noqa: PLC0415  # imports the server

    async with started_server(request) as server:
        yield server


@pytest.fixture
async def _realtime_client_anyio(
    request: pytest.FixtureRequest, realtime_server: LocalServer
) -> AsyncGenerator[RealtimeClient]:
    from duologue.testing.fixtures import connected_client  # noqa: PLC0415  # as above

    async with connected_client(request, realtime_server) as client:
        yield client

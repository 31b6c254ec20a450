"""The fixtures as pytest-asyncio runs them, in its strict mode and in auto."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pytest

    from duologue.client.client import RealtimeClient
    from duologue.server.embedded import LocalServer

__all__: list[str] = []


@pytest_asyncio.fixture
async def _realtime_server_asyncio(
    request: pytest.FixtureRequest,
) -> AsyncGenerator[LocalServer]:
    from duologue.testing.fixtures import started_server  # noqa: PLC0415  # imports the server

    async with started_server(request) as server:
        yield server


@pytest_asyncio.fixture
async def _realtime_client_asyncio(
    request: pytest.FixtureRequest, realtime_server: LocalServer
) -> AsyncGenerator[RealtimeClient]:
    from duologue.testing.fixtures import connected_client  # noqa: PLC0415  # as above

    async with connected_client(request, realtime_server) as client:
        yield client

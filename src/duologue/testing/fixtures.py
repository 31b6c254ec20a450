"""Fixtures of the pytest plugin, for pytest-asyncio and for anyio.

The plugin loads this module in every test run, so the client and the server are imported by the
functions that need them.
"""

from __future__ import annotations

import contextlib
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import AsyncGenerator, Iterable

    from pytest_asyncio import fixture as asyncio_fixture

    from duologue.client.client import RealtimeClient
    from duologue.server.connection import AnyReceived, AnySent
    from duologue.server.local_server import LocalServer
    from duologue.testing.chaos import ChaosProxy
else:
    try:
        # In its strict mode, pytest-asyncio runs only fixtures that its own decorator marks.
        from pytest_asyncio import fixture as asyncio_fixture
    except ImportError:
        asyncio_fixture = pytest.fixture  # the plugin never requests these fixtures then

__all__ = ["session_reports"]

MAX_EVENTS: Final = 40
"""Number of the last events of each direction in the report of a failure."""


@asyncio_fixture
async def _realtime_server_asyncio(
    request: pytest.FixtureRequest,
) -> AsyncGenerator[LocalServer]:
    async with _started_server(request) as server:
        yield server


@asyncio_fixture
async def _chaos_proxy_asyncio(
    request: pytest.FixtureRequest, realtime_server: LocalServer
) -> AsyncGenerator[ChaosProxy]:
    async with _started_proxy(request, realtime_server) as proxy:
        yield proxy


@asyncio_fixture
async def _realtime_client_asyncio(
    request: pytest.FixtureRequest,
    _chaos_proxy_if_any: ChaosProxy | None,
    realtime_server: LocalServer,
) -> AsyncGenerator[RealtimeClient]:
    async with _connected_client(request, _chaos_proxy_if_any or realtime_server) as client:
        yield client


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
    async with _started_server(request) as server:
        yield server


@pytest.fixture
async def _chaos_proxy_anyio(
    request: pytest.FixtureRequest, realtime_server: LocalServer
) -> AsyncGenerator[ChaosProxy]:
    async with _started_proxy(request, realtime_server) as proxy:
        yield proxy


@pytest.fixture
async def _realtime_client_anyio(
    request: pytest.FixtureRequest,
    _chaos_proxy_if_any: ChaosProxy | None,
    realtime_server: LocalServer,
) -> AsyncGenerator[RealtimeClient]:
    async with _connected_client(request, _chaos_proxy_if_any or realtime_server) as client:
        yield client


@pytest.fixture
def _chaos_proxy_if_any(request: pytest.FixtureRequest) -> ChaosProxy | None:
    """Return the proxy if the test requests it."""
    if "chaos_proxy" not in request.fixturenames:
        return None
    proxy: ChaosProxy = request.getfixturevalue("chaos_proxy")
    return proxy


@contextlib.asynccontextmanager
async def _started_server(request: pytest.FixtureRequest) -> AsyncGenerator[LocalServer]:
    from duologue.server import LocalServer  # noqa: PLC0415  # not in every test run

    arguments, keywords = _marker(request, "realtime_server")
    async with LocalServer(*arguments, **keywords) as server:
        yield server


@contextlib.asynccontextmanager
async def _started_proxy(
    request: pytest.FixtureRequest, server: LocalServer
) -> AsyncGenerator[ChaosProxy]:
    from duologue.testing.chaos import ChaosProxy  # noqa: PLC0415  # not in every test run

    _, keywords = _marker(request, "chaos_proxy")
    async with ChaosProxy(server.url, **keywords) as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def _connected_client(
    request: pytest.FixtureRequest, server: LocalServer | ChaosProxy
) -> AsyncGenerator[RealtimeClient]:
    from duologue.client.client import RealtimeClient  # noqa: PLC0415  # not in every test run
    from duologue.testing.chaos import ChaosProxy  # noqa: PLC0415  # as above

    _, keywords = _marker(request, "realtime_client")
    if isinstance(server, ChaosProxy) or server.transport == "websocket":
        client = RealtimeClient(url=server.url, **keywords)
    else:
        client = RealtimeClient(connector=server.connector, **keywords)
    async with client:
        yield client


def session_reports(server: object) -> Iterable[tuple[str, str]]:
    """Return a title and a summary for each session of a `LocalServer`, if it is one."""
    from duologue.server import LocalServer  # noqa: PLC0415  # only when a test fails

    if not isinstance(server, LocalServer):
        return
    for number, session in enumerate(server.sessions, start=1):
        injected = ", ".join(str(each.fault) for each in session.injected) or "nothing"
        lines = [
            f"received: {_last_types(session.received)}",
            f"sent: {_last_types(session.sent)}",
            f"injected: {injected}",
        ]
        yield f"realtime session {number}", "\n".join(lines)


def _last_types(events: deque[AnyReceived] | deque[AnySent]) -> str:
    types = [event.type for event in islice(reversed(events), MAX_EVENTS)]
    more = "… " if len(events) > MAX_EVENTS else ""
    return more + (", ".join(reversed(types)) or "nothing")


def _marker(request: pytest.FixtureRequest, name: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    marker = request.node.get_closest_marker(name)
    return ((), {}) if marker is None else (marker.args, marker.kwargs)

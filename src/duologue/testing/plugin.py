"""The pytest plugin: a server that runs, and a client that is connected to it.

Loading it imports nothing of duologue's client or server: only a test that asks for a fixture does.
The fixtures go with pytest-asyncio and with anyio (on asyncio), whichever runs the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from duologue.client.client import RealtimeClient
    from duologue.server.embedded import LocalServer

__all__ = ["realtime_client", "realtime_server"]

_RUNNERS = ("asyncio", "anyio")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the fixtures of those runners that are there."""
    config.addinivalue_line(
        "markers",
        "realtime_server(brain='scripted:', *, faults=(), seed=0, ...): arguments of the"
        " `LocalServer` that the fixture starts.",
    )
    config.addinivalue_line(
        "markers",
        "realtime_client(*, instructions=..., ...): arguments of the `RealtimeClient` that the"
        " fixture connects.",
    )
    if config.pluginmanager.has_plugin("asyncio"):
        config.pluginmanager.import_plugin("duologue.testing.on_asyncio")
    if config.pluginmanager.has_plugin("anyio"):
        config.pluginmanager.import_plugin("duologue.testing.on_anyio")


@pytest.fixture
def realtime_server(request: pytest.FixtureRequest) -> LocalServer:
    """A `LocalServer` that runs while the test does; its marker configures it."""
    server: LocalServer = request.getfixturevalue(f"_realtime_server_{_runner(request)}")
    return server


@pytest.fixture
def realtime_client(
    request: pytest.FixtureRequest,
    realtime_server: LocalServer,  # noqa: ARG001  # runs first, and ends last
) -> RealtimeClient:
    """A `RealtimeClient` connected to `realtime_server`; its marker configures it."""
    client: RealtimeClient = request.getfixturevalue(f"_realtime_client_{_runner(request)}")
    return client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show beside a failure what the server received and sent."""
    report = yield
    if call.when == "call" and report.failed and isinstance(item, pytest.Function):
        server: object = item.funcargs.get("realtime_server")
        if server is not None:
            from duologue.testing.fixtures import told  # noqa: PLC0415  # imports the server

            report.sections.extend(told(server))
    return report


def _runner(request: pytest.FixtureRequest) -> str:
    """Return who runs this test's coroutine."""
    if request.node.get_closest_marker("asyncio") is not None:
        return "asyncio"
    if "anyio_backend" in request.fixturenames:
        return "anyio"
    raise pytest.UsageError(
        f"{request.fixturename} is for asynchronous tests: write `async def`, and mark the test"
        " with pytest.mark.asyncio (pytest-asyncio) or pytest.mark.anyio"
    )

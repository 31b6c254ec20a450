"""Pytest plugin: the fixtures `realtime_server`, `realtime_client` and `chaos_proxy`.

Loading the plugin does not import the client or the server; a test that requests a fixture does.
The fixtures work with pytest-asyncio and with anyio (on asyncio), whichever runs the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

    from duologue.client.client import RealtimeClient
    from duologue.server.local_server import LocalServer
    from duologue.testing.chaos import ChaosProxy

__all__ = ["chaos_proxy", "realtime_client", "realtime_server"]


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the fixtures if a plugin can run them."""
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
    config.addinivalue_line(
        "markers", "chaos_proxy(*, seed=0): arguments of the `ChaosProxy` that the fixture starts."
    )
    if any(config.pluginmanager.has_plugin(runner) for runner in ("asyncio", "anyio")):
        config.pluginmanager.import_plugin("duologue.testing.fixtures")


@pytest.fixture
def realtime_server(request: pytest.FixtureRequest) -> LocalServer:
    """Running `LocalServer`; its marker configures it."""
    server: LocalServer = request.getfixturevalue(f"_realtime_server_{_runner(request)}")
    return server


@pytest.fixture
def chaos_proxy(
    request: pytest.FixtureRequest,
    realtime_server: LocalServer,  # noqa: ARG001  # runs first, and ends last
) -> ChaosProxy:
    """`ChaosProxy` in front of `realtime_server`; `realtime_client` connects through it."""
    proxy: ChaosProxy = request.getfixturevalue(f"_chaos_proxy_{_runner(request)}")
    return proxy


@pytest.fixture
def realtime_client(
    request: pytest.FixtureRequest,
    realtime_server: LocalServer,  # noqa: ARG001  # as above
) -> RealtimeClient:
    """`RealtimeClient` connected to `realtime_server`; its marker configures it."""
    client: RealtimeClient = request.getfixturevalue(f"_realtime_client_{_runner(request)}")
    return client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the events that the server received and sent to the report of a failure."""
    report = yield
    if call.when == "call" and report.failed and isinstance(item, pytest.Function):
        server: object = item.funcargs.get("realtime_server")
        if server is not None:
            from duologue.testing.fixtures import session_reports  # noqa: PLC0415  # rarely needed

            report.sections.extend(session_reports(server))
    return report


def _runner(request: pytest.FixtureRequest) -> str:
    """Return the name of the plugin that runs this test's coroutine."""
    if request.node.get_closest_marker("asyncio") is not None:
        return "asyncio"
    if "anyio_backend" in request.fixturenames:
        return "anyio"
    raise pytest.UsageError(
        f"{request.fixturename} is for asynchronous tests: write `async def`, and mark the test"
        " with pytest.mark.asyncio (pytest-asyncio) or pytest.mark.anyio"
    )

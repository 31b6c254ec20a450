"""The pytest plugin in separate runs, loaded by its entry point as in an installation."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.doc_blocks import blocks

if TYPE_CHECKING:
    from collections.abc import Callable

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
OTHERS = ("hypothesispytest", "pytest_cov", "randomly", "timeout", "xdist")
"""Plugins that have nothing to do with ours and take longer to load than a test runs."""

ASYNCIO = "asyncio_default_fixture_loop_scope = function\n"
SIMPLE = """
    import pytest

    {mark}
    async def test_turn(realtime_server, realtime_client):
        response = await realtime_client.send_user_message_content("Hello")
        [session] = realtime_server.sessions
        assert (await session.wait_for("response.create")).type == "response.create"
        assert session.sent[0].type == "session.created"
"""


@pytest.fixture
def run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pytest.RunResult]:
    """Run test files in another process, with only the given settings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [(name, module)] = project["entry-points"]["pytest11"].items()
    metadata = pytester.mkdir("installed") / "duologue_as_installed-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: duologue-as-installed\n")
    (metadata / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")
    paths = [str(metadata.parent), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))

    def run(test: str, *arguments: str, settings: str = ASYNCIO) -> pytest.RunResult:
        pytester.makeini(f"[pytest]\n{settings}")
        pytester.makepyfile(test)
        without = [f"-pno:{plugin}" for plugin in OTHERS]
        return pytester.runpytest_subprocess(*without, "-W", "error", *arguments)

    return run


def test_the_fixtures_work_in_strict_mode(run: Callable[..., pytest.RunResult]) -> None:
    run(SIMPLE.format(mark="@pytest.mark.asyncio")).assert_outcomes(passed=1)


def test_the_fixtures_work_in_auto_mode(run: Callable[..., pytest.RunResult]) -> None:
    settings = f"{ASYNCIO}asyncio_mode = auto\n"
    run(SIMPLE.format(mark=""), settings=settings).assert_outcomes(passed=1)


@pytest.mark.parametrize("arguments", [(), ("-p", "no:asyncio")])
def test_the_fixtures_work_with_anyio(
    run: Callable[..., pytest.RunResult], arguments: tuple[str, ...]
) -> None:
    backend = "\n    @pytest.fixture\n    def anyio_backend():\n        return 'asyncio'\n"
    settings = "" if arguments else ASYNCIO
    result = run(SIMPLE.format(mark="@pytest.mark.anyio") + backend, *arguments, settings=settings)
    result.assert_outcomes(passed=1)


def test_a_loop_shared_by_all_tests_is_shared_with_the_fixtures(
    run: Callable[..., pytest.RunResult],
) -> None:
    scopes = (
        "asyncio_default_fixture_loop_scope = session\nasyncio_default_test_loop_scope = session\n"
    )
    run(SIMPLE.format(mark="@pytest.mark.asyncio"), settings=scopes).assert_outcomes(passed=1)


def test_markers_configure_the_server_and_the_client(run: Callable[..., pytest.RunResult]) -> None:
    result = run(
        """
        import pytest

        from duologue import ConnectionLost
        from duologue.server.faults import Close

        pytestmark = pytest.mark.asyncio

        @pytest.mark.realtime_server(faults=[Close(1011, at="response.created")], seed=7)
        @pytest.mark.realtime_client(instructions="Be brief.")
        async def test_a_fault(realtime_server, realtime_client):
            assert realtime_client.session.instructions == "Be brief."
            with pytest.raises(ConnectionLost):
                await realtime_client.send_user_message_content("Hello")
            assert realtime_server.sessions[0].injected

        async def test_none(realtime_server, realtime_client):
            await realtime_client.send_user_message_content("Hello")
            assert not realtime_server.sessions[0].injected
        """,
        "--strict-markers",
    )
    result.assert_outcomes(passed=2)


THROUGH_A_PROXY = """
    import pytest

    from duologue import ConnectionLost

    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    @pytest.mark.{runner}
    @pytest.mark.chaos_proxy(seed=7)
    async def test_a_reset(realtime_client, chaos_proxy):
        await realtime_client.send_user_message_content("Hello")
        chaos_proxy.reset()
        with pytest.raises(ConnectionLost):
            await realtime_client.send_user_message_content("Hello again")
        assert [record.ending for record in chaos_proxy.connections] == ["reset"]

    @pytest.mark.{runner}
    async def test_the_server_is_behind_the_proxy(chaos_proxy, realtime_server):
        assert chaos_proxy.url.partition("/v1/")[2] == realtime_server.url.partition("/v1/")[2]
        assert chaos_proxy.url != realtime_server.url
"""


@pytest.mark.parametrize("runner", ["asyncio", "anyio"])
def test_the_client_connects_through_the_proxy_that_a_test_requests(
    run: Callable[..., pytest.RunResult], runner: str
) -> None:
    run(THROUGH_A_PROXY.format(runner=runner), "--strict-markers").assert_outcomes(passed=2)


def test_a_fixture_of_ones_own_takes_the_place_of_the_server(
    run: Callable[..., pytest.RunResult],
) -> None:
    result = run(
        """
        import pytest
        import pytest_asyncio

        from duologue.server import LocalServer

        @pytest_asyncio.fixture
        async def realtime_server():
            async with LocalServer(seed=5) as server:
                server.is_mine = True
                yield server

        @pytest.mark.asyncio
        async def test_it(realtime_server, realtime_client):
            assert realtime_server.is_mine
            assert len(realtime_server.sessions) == 1
        """
    )
    result.assert_outcomes(passed=1)


def test_a_test_that_is_not_asynchronous_is_told_what_to_do(
    run: Callable[..., pytest.RunResult],
) -> None:
    result = run("def test_it(realtime_server):\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*realtime_server is for asynchronous tests: write `async def`*"])


def test_a_failure_shows_what_the_server_received_and_sent(
    run: Callable[..., pytest.RunResult],
) -> None:
    result = run(
        """
        import pytest

        @pytest.mark.asyncio
        async def test_it(realtime_server, realtime_client):
            await realtime_client.send_user_message_content("Hello")
            assert False
        """
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*realtime session 1*",
            "received: conversation.item.create, response.create",
            "sent: session.created, *response.done*",
            "injected: nothing",
        ]
    )


def test_unused_it_imports_nothing_and_can_be_left_out(
    run: Callable[..., pytest.RunResult],
) -> None:
    test = """
        import sys

        def test_it(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("duologue") is EXPECTED
            heavy = {"msgspec", "duologue.protocol", "duologue.server", "duologue.client",
                     "duologue.testing.chaos"}
            assert not heavy & set(sys.modules)
        """
    run(test.replace("EXPECTED", "True")).assert_outcomes(passed=1)
    run(test.replace("EXPECTED", "False"), "-p", "no:duologue").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("page", "name", "count"),
    [
        ("testing.md", "test_weather.py", 2),
        ("testing.md", "test_faults.py", 2),
        ("networks.md", "test_networks.py", 3),
    ],
)
def test_the_examples_of_the_pages_pass(
    run: Callable[..., pytest.RunResult], page: str, name: str, count: int
) -> None:
    [example] = blocks(f"server/{page}", f'python title="{name}"')
    run(example, "--strict-markers").assert_outcomes(passed=count)


def test_the_example_of_latency_passes(run: Callable[..., pytest.RunResult]) -> None:
    [example] = blocks("client/usage.md", 'python title="test_latency.py"')
    run(example, "--strict-markers").assert_outcomes(passed=2)

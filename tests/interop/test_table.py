"""The page on compatibility, as it is committed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.interop.clients import CHECKS, CLIENTS
from tests.interop.server_checks import SERVER_CHECKS
from tests.interop.servers import SERVERS
from tests.interop.table import PAGE, page

HERE = Path(__file__).parent


def test_the_page_has_every_client_and_check_and_no_failure() -> None:
    everything = {client.name: set(CHECKS) for client in CLIENTS}
    assert PAGE.read_text("utf-8") == page(everything), "run `make compatibility`"


def test_what_is_installed_is_what_the_page_names() -> None:
    pinned = dict(json.loads((HERE / "package.json").read_text())["dependencies"])
    for client in CLIENTS:
        if client.language == "JavaScript":
            assert pinned[client.package] == client.version
    for server in SERVERS:
        if server.registry == "npm":
            assert pinned[server.package] == server.version
    required = "".join(path.read_text() for path in HERE.glob("requirements-*.txt"))
    required += (HERE.parents[1] / "pyproject.toml").read_text()
    for client in CLIENTS:
        if client.language == "Python":
            name = rf"{re.escape(client.package)}(\[[\w,-]+\])?"
            assert re.search(rf"\b{name}=={re.escape(client.version)}\b", required), client.name
    for server in SERVERS:
        if server.registry == "PyPI":
            assert f"{server.package}=={server.version}\n" in required


def test_what_cannot_be_done_with_a_server_is_a_check() -> None:
    for server in SERVERS:
        assert set(server.impossible) < set(SERVER_CHECKS)

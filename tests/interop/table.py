"""Writes `docs/compatibility.md` from a run: `make compatibility`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.interop.clients import CHECKS, CLIENTS, Client
from tests.interop.running import run
from tests.interop.server_checks import SERVER_CHECKS
from tests.interop.servers import SERVERS, Server, serving

__all__ = ["PAGE", "about_clients", "page"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "compatibility.md"

_HEAD: Final = """\
# Compatibility

Published clients, unmodified, run against the embedded server over real sockets: each check below
is a test (`make interop`), and this page is written from a run (`make compatibility`). The server
demands a key, what the clients say is recorded speech, and the answers come from a script. The
other way round, [our client was run against servers](#servers-that-our-client-was-run-against) of
others.

✓ passes · (✓) passes with an event that the client has no method for, sent through the client
· n/a cannot be done with this client (the reason stands below) · ✗ fails
"""


_SERVERS_HEAD: Final = """\
## Servers that our client was run against

`RealtimeClient` and `RealtimeAPI`, over real sockets, with servers that nobody here wrote, in the
versions that are published (`make interop`). Every event that comes must fit the client's types.

✓ passes · n/a cannot be done with this server (the reason stands below)
"""


def page(passed: Mapping[str, set[str]]) -> str:
    """Return the page; `passed` holds, by client, the checks that passed."""
    return about_clients(passed) + _about_servers()


def about_clients(passed: Mapping[str, set[str]]) -> str:
    """Return the page's part about the clients; see `page`."""
    head = ["check", *(f"[{client.name}](#{_anchor(client)})" for client in CLIENTS)]
    rows = [head, ["---", *[":-:"] * len(CLIENTS)]]
    rows += [
        [check, *(_cell(client, check, passed[client.name]) for client in CLIENTS)]
        for check in CHECKS
    ]
    lines = [_HEAD, *(f"| {' | '.join(row)} |" for row in rows), "", "## What the checks show", ""]
    lines += [f"- **{check}**: {shows}." for check, shows in CHECKS.items()]
    lines += ["", "## The clients", ""]
    for client in CLIENTS:
        lines += _section(client)
    return "\n".join([*lines, ""])


def _about_servers() -> str:
    head = ["check", *(f"[{server.name}](#{_anchor(server)})" for server in SERVERS)]
    rows = [head, ["---", *[":-:"] * len(SERVERS)]]
    rows += [
        [check, *("n/a" if check in server.impossible else "✓" for server in SERVERS)]
        for check in SERVER_CHECKS
    ]
    lines = [_SERVERS_HEAD, *(f"| {' | '.join(row)} |" for row in rows), ""]
    lines += [f"- **{name}**: {check.shows}." for name, check in SERVER_CHECKS.items()]
    for server in SERVERS:
        lines += ["", f"### {server.name}", ""]
        lines += [
            f"- {server.registry} `{server.package}` {server.version}.",
            f"- {server.is_what}.",
        ]
        lines += server.notes.splitlines()
        lines += [f"- No *{check}*: {why}." for check, why in server.impossible.items()]
    return "\n".join([*lines, ""])


def _anchor(peer: Client | Server) -> str:
    return peer.name.replace(".", "")


def _cell(client: Client, check: str, passed: set[str]) -> str:
    if check in client.impossible:
        return "n/a"
    if check not in passed:
        return "✗"
    return "(✓)" if check in client.raw else "✓"


def _section(client: Client) -> list[str]:
    registry = "PyPI" if client.language == "Python" else "npm"
    lines = [f"### {client.name}", ""]
    lines.append(f"- {registry} `{client.package}` {client.version}, {client.dialect}.")
    lines.append(f"- Point it here: {client.pointing}.")
    lines += client.notes.splitlines()
    lines += [f"- No *{check}*: {why}." for check, why in client.impossible.items()]
    return [*lines, ""]


def _try_servers() -> None:
    """Do with every server what can be done with it; what fails ends this."""
    for server in SERVERS:
        with serving(server) as address:
            for name, check in SERVER_CHECKS.items():
                if name not in server.impossible:
                    asyncio.run(check.run(address.url))
        print(f"{server.name} {address.version}: passed")  # noqa: T201  # a command's output


def main() -> int:
    """Run every client and server, write the page, and tell what failed."""
    _try_servers()
    passed: dict[str, set[str]] = {}
    failed = 0
    for client in CLIENTS:
        outcome = asyncio.run(run(client))
        passed[client.name] = outcome.passed
        failed += len(outcome.failures)
        print(f"{client.name} {outcome.version}: {len(outcome.passed)} passed")  # noqa: T201  # a command's output
        for check, detail in outcome.failures.items():
            print(f"  {check}: {detail}")  # noqa: T201  # as above
    PAGE.write_text(page(passed), "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

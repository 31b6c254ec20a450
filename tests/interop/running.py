"""Runs a client's driver against a fresh server, and gathers what both sides saw."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from tests.interop.clients import ENVIRONMENTS
from tests.interop.scene import AUDIO, KEY, make_server

from duologue.protocol import ga

if TYPE_CHECKING:
    from tests.interop.clients import Client

__all__ = ["Outcome", "run"]

DRIVERS: Final = Path(__file__).parent / "drivers"
RUN_SECONDS: Final = 120


class Line(msgspec.Struct):
    """A line of a driver: its client's version, or how a check went."""

    package: str = ""
    version: str = ""
    check: str = ""
    ok: bool = False
    detail: str = ""


@dataclass
class Outcome:
    """What came of a client's run."""

    version: str = ""
    """As the client's package tells it."""
    failures: dict[str, str] = field(default_factory=dict[str, str])
    """What was found instead, by check."""
    passed: set[str] = field(default_factory=set[str])
    errors: list[ga.RealtimeError] = field(default_factory=list[ga.RealtimeError])
    """The `error` events that the server sent."""


async def run(client: Client) -> Outcome:
    """Run all checks of a client, one connection after the other.

    Raises:
        FileNotFoundError: If the client is not installed.
    """
    async with make_server(secure=client.needs_tls) as server:
        environment = os.environ | {
            "INTEROP_URL": server.url,
            "INTEROP_KEY": KEY,
            "INTEROP_AUDIO": str(AUDIO),
            "PYTHONPATH": "",  # a client sees its own environment only
        }
        if server.ca_file is not None:
            environment["NODE_EXTRA_CA_CERTS"] = environment["SSL_CERT_FILE"] = str(server.ca_file)
        try:
            driver = await asyncio.create_subprocess_exec(
                *client.command, cwd=DRIVERS, env=environment, stdout=PIPE, stderr=PIPE
            )
        except FileNotFoundError as error:
            error.add_note(f"`make interop` installs the clients (in {ENVIRONMENTS.name}, npm's)")
            raise
        try:
            async with asyncio.timeout(RUN_SECONDS):
                out, complaints = await driver.communicate()
        finally:
            if driver.returncode is None:
                driver.kill()
                await driver.wait()
    outcome = _read(out)
    if driver.returncode:
        outcome.failures["the driver"] = complaints.decode()
    sent = [event for session in server.sessions for event in session.sent]
    outcome.errors = [event.error for event in sent if isinstance(event, ga.RealtimeErrorEvent)]
    return outcome


def _read(out: bytes) -> Outcome:
    outcome = Outcome()
    for raw in out.splitlines():
        if not raw.startswith(b"{"):
            continue  # a client that talks to the terminal
        line = msgspec.json.decode(raw, type=Line)
        outcome.version = line.version or outcome.version
        if line.check and line.ok:
            outcome.passed.add(line.check)
        elif line.check:
            outcome.failures[line.check] = line.detail
    return outcome

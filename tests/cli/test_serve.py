"""`duologue serve` as an operator runs it: its options, its log, its end."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = [sys.executable, "-u", "-m", "duologue.cli", "serve", "--port", "0"]


@dataclass
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    url: str

    def log(self) -> str:
        """Stop the server and return what it wrote to stderr."""
        self.process.terminate()
        _, log = self.process.communicate(timeout=5)
        return log


@contextmanager
def serving(*options: str) -> Iterator[Served]:
    with subprocess.Popen(
        [*COMMAND, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        words = (word for line in process.stdout for word in line.split())
        url = next(word for word in words if word.startswith(("ws://", "wss://")))
        try:
            yield Served(process, url)
        finally:
            process.kill()


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_sessions_are_logged_if_asked_for(log_format: str) -> None:
    with serving("-v", "--log-format", log_format) as served:
        with connect(served.url) as connection:
            session_id = json.loads(connection.recv(timeout=5))["session"]["id"]
        lines = served.log().splitlines()
    assert len(lines) == 2
    if log_format == "json":
        assert [json.loads(line)["session"] for line in lines] == [session_id] * 2
    else:
        assert all(f"session={session_id}" in line for line in lines)


def test_a_quiet_server_logs_nothing() -> None:
    with serving() as served:
        with connect(served.url) as connection:
            connection.recv(timeout=5)
        assert served.log() == ""

"""`duologue serve` as an operator runs it: its options, its log, its end."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
def serving(
    *options: str, folder: Path | None = None, environment: dict[str, str] | None = None
) -> Iterator[Served]:
    with subprocess.Popen(
        [*COMMAND, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
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


def test_the_number_of_sessions_is_an_option() -> None:
    with serving("--max-sessions", "1") as served, connect(served.url) as connection:
        connection.recv(timeout=5)
        with pytest.raises(InvalidStatus, match="503"):
            connect(served.url)


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("--session-minutes", "Your session hit the maximum duration of 0.001 minutes."),
        ("--idle-minutes", "Your session was idle for 0.001 minutes."),
    ],
)
def test_the_length_of_sessions_is_an_option(option: str, reason: str) -> None:
    with serving(option, "0.001") as served, connect(served.url) as connection:
        kinds = [json.loads(frame)["type"] for frame in connection]
        assert kinds == ["session.created", "error"]
        assert connection.close_reason == reason


STUBBORN = """
import asyncio
from duologue.server.engine.scripted import ScriptedBrain

class Brain(ScriptedBrain):
    async def respond(self, request):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass
        yield
"""
LOADING = """
import time
print("loading", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_server_that_hangs(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    options = ("--brain", "python:stubborn:Brain")
    with serving(*options, folder=tmp_path) as served, connect(served.url) as connection:
        connection.send(json.dumps({"type": "response.create"}))
        while json.loads(connection.recv(timeout=5))["type"] != "response.created":
            pass
        served.process.send_signal(number)
        assert served.process.stdout is not None
        assert any("Closing sessions" in line for line in served.process.stdout)
        served.process.send_signal(number)
        assert served.process.wait(timeout=5) == -number


def test_ctrl_c_ends_a_server_that_loads(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(LOADING)
    with subprocess.Popen(
        [*COMMAND, "--brain", "python:slow:Brain"], stdout=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"loading\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=5) == -signal.SIGINT


def test_tls_tells_how_to_trust_it(tmp_path: Path) -> None:
    state = os.environ | {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with serving("--tls", "self-signed", environment=state) as served:
        assert served.process.stdout is not None
        lines = iter(served.process.stdout.readline, "")
        ca_file = next(line for line in lines if "SSL_CERT_FILE" in line)
        ca_file = ca_file.split("=")[1].split()[0]
        assert "SHA-256" in next(line for line in lines if "certificate" in line)
        trusting = ssl.create_default_context(cafile=ca_file)
        with connect(served.url, ssl=trusting) as connection:
            connection.recv(timeout=5)


def test_half_a_certificate_is_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").touch()
    command = [*COMMAND, "--tls-cert", str(tmp_path / "cert.pem")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2
    assert "--tls-cert and --tls-key together" in done.stderr


def test_a_quiet_server_logs_nothing() -> None:
    with serving() as served:
        with connect(served.url) as connection:
            connection.recv(timeout=5)
        assert served.log() == ""

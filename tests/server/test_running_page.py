"""The pages on running and deploying the server: what they show is run as it stands."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tests.doc_blocks import DOCS, blocks
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from duologue.server import LocalServer
from duologue.server.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

RUNNING, DEPLOYING = "server/running.md", "server/deploying.md"
[UNIT] = blocks(DEPLOYING, "ini")
SHELL = [
    line for block in blocks(RUNNING, "sh") for line in block.replace("\\\n", " ").splitlines()
]
SERVING = [line for line in SHELL if line.startswith("duologue ")]
[CURL] = [line for line in SHELL if line.startswith("curl ")]
SERVING.append(re.findall(r"^ExecStart=\S+/(duologue .*)$", UNIT, re.MULTILINE)[0])


@pytest.mark.parametrize("command", SERVING)
def test_a_command_of_the_pages_serves(command: str, tmp_path: Path) -> None:
    # What follows wins: the script needs no models, and the port is free.
    options = [*shlex.split(command)[1:], "--brain", "scripted", "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "duologue.cli", *options],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)},
    ) as server:
        assert server.stdout is not None
        assert any("/v1/realtime?model=" in line for line in server.stdout)
        server.terminate()
        assert server.wait(timeout=5) == 0


@pytest.mark.asyncio
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_pages_curl_makes_a_secret_that_opens_a_session() -> None:
    async with LocalServer(api_key="sesame") as server:
        base = server.url.replace("ws:", "http:").removesuffix("/realtime")
        curl = await asyncio.create_subprocess_shell(
            CURL,
            env=os.environ | {"OPENAI_BASE_URL": base, "OPENAI_API_KEY": "sesame"},
            stdout=asyncio.subprocess.PIPE,
        )
        made = json.loads((await curl.communicate())[0])
        key = {"Authorization": f"Bearer {made['value']}"}
        async with connect(server.url, additional_headers=key) as connection:
            created = json.loads(await connection.recv())
    assert created["session"]["instructions"] == "Be brief."


def test_the_page_names_every_metric() -> None:
    named = re.findall(r"^\| `(duologue_\w+)", (DOCS / RUNNING).read_text(), re.MULTILINE)
    exposed = re.findall(r"^# TYPE (\w+)", Metrics().exposition(active=0), re.MULTILINE)
    assert named == exposed


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def nginx(config: str, folder: Path) -> list[str]:
    for name in ("body", "proxy", "fastcgi", "uwsgi", "scgi"):
        config = f"{name if name != 'body' else 'client_body'}_temp_path {folder};\n" + config
    whole = f"pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{config}\n}}\n"
    (folder / "nginx.conf").write_text(whole)
    return ["-p", str(folder), "-e", "stderr", "-c", "nginx.conf", "-g", "daemon off;"]


def caddy(config: str, folder: Path) -> list[str]:
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + config)
    return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


@asynccontextmanager
async def proxied(
    program: str, configure: Callable[[str, Path], list[str]], url: str, folder: Path
) -> AsyncIterator[str]:
    """Run a proxy with the page's configuration, and return where it listens."""
    [config] = blocks(DEPLOYING, program)
    port = free_port()
    config = config.replace("127.0.0.1:8080", url.split("/")[2]).replace("8000", str(port))
    path = f"{os.environ['PATH']}:/usr/sbin"
    process = await asyncio.create_subprocess_exec(
        str(shutil.which(program, path=path)),
        *configure(config, folder),
        env=os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(10):
            while process.returncode is None:  # a program of others does not tell when it is ready
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
        assert process.returncode is None, f"{program} refuses the page's configuration"
        yield f"ws://127.0.0.1:{port}/v1/realtime"
    finally:
        with contextlib.suppress(ProcessLookupError):  # it refused its configuration
            process.terminate()
        await process.wait()


@pytest.mark.asyncio
@pytest.mark.parametrize(("program", "configure"), [("nginx", nginx), ("caddy", caddy)])
async def test_a_proxy_with_the_pages_configuration_carries_sessions(
    program: str, configure: Callable[[str, Path], list[str]], tmp_path: Path
) -> None:
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.skip(f"{program} is not installed")
    async with (
        LocalServer(api_key="sesame") as server,
        proxied(program, configure, server.url, tmp_path) as url,
    ):
        offers: Any = ["realtime", "openai-insecure-api-key.sesame"]
        origin: Any = url.replace("ws:", "http:").removesuffix("/v1/realtime")
        async with connect(url, subprotocols=offers, origin=origin) as connection:
            assert connection.subprotocol == "realtime"
            assert json.loads(await connection.recv())["type"] == "session.created"
            audio = "AAAA" * (5 << 20)
            await connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            await connection.send(json.dumps({"type": "input_audio_buffer.clear"}))
            assert json.loads(await connection.recv())["type"] == "input_audio_buffer.cleared"
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 401
        async with httpx2.AsyncClient(base_url=origin) as client:
            key = {"Authorization": "Bearer sesame"}
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            assert (await client.get("/metrics", headers=key)).status_code == 403

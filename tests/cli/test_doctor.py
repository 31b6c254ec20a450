"""`duologue doctor` on real sockets: servers that work, servers that do not, and its report."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from tests.doc_blocks import DOCS
from websockets.asyncio.server import serve

from duologue.cli.doctor.examination import NAMES, Subject, examine
from duologue.server import LocalServer
from duologue.server.faults import RefuseHandshake
from duologue.server.tls import own_certificate

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from websockets.asyncio.server import ServerConnection

    from duologue.cli.doctor.settings import Check
    from duologue.server.tls import Certificate

KEY = "a-key-of-mine"
COMMAND = [sys.executable, "-m", "duologue.cli", "doctor"]
SESSION = {"type": "realtime", "id": "sess_1", "model": "gpt-realtime"}
SILENCE = 1.0
"""Time limit of a step that passes by waiting for it."""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("OPENAI_", "AZURE_", "SSL_CERT_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


class Report:
    """The checks of an examination; each name appears in order, and no text contains the key."""

    def __init__(self, checks: list[Check]) -> None:
        self.checks = checks
        assert tuple(dict.fromkeys(check.name for check in checks)) == NAMES
        assert KEY not in repr(checks)
        assert all(check.fix for check in checks if check.status in {"warning", "failed"})

    def __getitem__(self, name: str) -> Check:
        return next(check for check in self.checks if check.name == name)

    @property
    def failed(self) -> list[str]:
        return [check.name for check in self.checks if check.status == "failed"]


async def examined(url: str | None = None, **options: Any) -> Report:
    checks: list[Check] = []
    await examine(Subject(url=url, **options), checks.append)
    return Report(checks)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def tcp_server(handle: Handler) -> AsyncGenerator[str]:
    """Serve each connection; leaving waits until all are closed."""
    tasks: list[asyncio.Task[None] | None] = []

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        with contextlib.suppress(EOFError, ConnectionError):
            await handle(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*filter(None, tasks))


@contextlib.asynccontextmanager
async def http_server(answer: str) -> AsyncGenerator[str]:
    """Answer each HTTP request with a text in which `{request}` is the request; "": with none."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if not answer:
            await reader.read()
        writer.write(answer.replace("{request}", request.decode()).encode())

    async with tcp_server(serve_one) as address:
        yield f"ws://{address}/v1/realtime"


@contextlib.asynccontextmanager
async def websocket_server(
    script: Callable[[ServerConnection], Awaitable[None]],
) -> AsyncGenerator[str]:
    async with serve(script, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "event_1", **fields})


# Servers that work.


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "beta", "auto"])
async def test_a_server_that_works_passes_in_each_dialect(dialect: str) -> None:
    async with LocalServer(api_key=KEY, strict=True) as server:
        report = await examined(server.url, api_key=KEY, dialect=dialect)
    assert report.failed == []
    assert report["clock"].status == "ok"
    assert report["session"].fact == "the server sent session.created"
    assert "ms from session.update" in report["round_trip"].fact


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "dialect"),
    [("?intent=transcription", "ga"), ("?intent=transcription", "beta"), ("/translations", "ga")],
)
async def test_other_kinds_of_session_pass(path: str, dialect: str) -> None:
    async with LocalServer() as server:
        report = await examined(server.url + path, dialect=dialect)
    assert report.failed == []
    assert report["round_trip"].status == "ok"


@pytest.mark.asyncio
async def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LocalServer(api_key=KEY) as server:
        base = server.url.replace("ws:", "http:").removesuffix("/realtime")
        monkeypatch.setenv("OPENAI_BASE_URL", base)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert (await examined()).failed == []
        monkeypatch.delenv("OPENAI_API_KEY")
        assert (await examined(api_key=KEY)).failed == []
        monkeypatch.setenv("OPENAI_BASE_URL", "127.0.0.1")
        report = await examined()
    assert (report.failed, "OPENAI_BASE_URL" in report["url"].fact) == (["url"], True)


@pytest.mark.asyncio
async def test_azure_is_examined_by_its_own_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LocalServer(api_key=KEY) as server:
        resource = server.url.replace("ws:", "http:").removesuffix("/v1/realtime")
        report = await examined(azure=resource, api_key=KEY, model="my-deployment")
        assert report.failed == []
        assert report["model"].status == "ok"
        assert (await examined(azure=resource)).failed == ["key"]
        assert (await examined(azure="my-resource")).failed == ["url"]
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", resource)
        assert (await examined(api_key=KEY)).failed == []


# Settings.


@pytest.mark.asyncio
async def test_without_settings_it_names_them_and_the_server_that_needs_none() -> None:
    report = await examined()
    assert report.failed == ["key"]
    assert "OPENAI_API_KEY" in str(report["key"].fix)
    assert "duologue serve" in str(report["key"].fix)
    assert report["dns"].fact == "correct `key` first"


@pytest.mark.asyncio
async def test_a_url_that_cannot_be_used_still_has_its_configuration_checked() -> None:
    report = await examined("https://api.openai.com/v1", configuration="{}")
    assert report.failed == ["url", "configuration"]
    assert "--url wss://api.openai.com/v1/realtime" in str(report["url"].fix)


@pytest.mark.asyncio
async def test_a_key_with_a_line_break_is_found_before_the_server_refuses_it() -> None:
    async with LocalServer() as server:
        report = await examined(server.url, api_key=f"{KEY}\n")
    assert report.failed == ["key", "handshake"]


# The network.


@pytest.mark.asyncio
async def test_a_port_where_nothing_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    report = await examined(f"ws://127.0.0.1:{port}/v1/realtime")
    assert report.failed == ["tcp"]
    assert str(report["tcp"].fix) == f"start it: duologue serve --port {port}"


@pytest.mark.asyncio
async def test_a_host_that_does_not_exist() -> None:
    host = f"{64 * 'a'}.example"  # no name may be that long, so no DNS server is asked
    report = await examined(f"wss://{host}/v1/realtime", api_key=KEY)
    assert report.failed == ["dns"]


def certificate(folder: Path, root: trustme.CA, name: str, *, days: int = 90) -> Certificate:
    ends = datetime.now(UTC) + timedelta(days=days)  # noqa: TID251  # certificates contain dates
    begins = ends - timedelta(days=100)
    leaf = root.issue_cert(name, not_before=begins, not_after=ends)
    leaf.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    leaf.private_key_pem.write_to_path(folder / "key.pem")
    root.cert_pem.write_to_path(folder / "ca.pem")
    return own_certificate(folder / "cert.pem", folder / "key.pem")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "days", "trusts", "status", "words"),
    [
        ("127.0.0.1", 90, True, "ok", "is valid for 90 more days"),
        ("127.0.0.1", 3, True, "warning", "renew the server's certificate"),
        ("127.0.0.1", -1, True, "failed", "renew the server's certificate; if it is not expired"),
        ("127.0.0.1", 200, True, "failed", "set the clock of this machine"),
        ("voice.example", 90, True, "failed", "name that the certificate contains"),
        ("127.0.0.1", 90, False, "failed", "set SSL_CERT_FILE"),
    ],
)
async def test_a_certificate(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    days: int,
    trusts: bool,
    status: str,
    words: str,
) -> None:
    tls = certificate(tmp_path, trustme.CA(), name, days=days)
    if trusts:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    async with LocalServer(tls=tls, api_key=KEY) as server:
        report = await examined(server.url, api_key=KEY)
    check = report["tls"]
    assert check.status == status
    assert words in f"{check.fact} {check.fix}"
    assert report.failed == (["tls"] if status == "failed" else [])


@pytest.mark.asyncio
async def test_the_wrong_scheme_is_found_in_both_directions(tmp_path: Path) -> None:
    async with LocalServer() as server:
        report = await examined(server.url.replace("ws:", "wss:"))
    assert report.failed == ["tls"]
    assert "use ws://" in str(report["tls"].fix)
    async with LocalServer(tls=certificate(tmp_path, trustme.CA(), "127.0.0.1")) as server:
        report = await examined(server.url.replace("wss:", "ws:"))
    assert report.failed == ["handshake"]
    assert report["clock"].status == "skipped"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("date", "status"),
    [("Mon, 06 Jan 2020 10:00:00 GMT", "warning"), ("yesterday", "skipped"), ("", "skipped")],
)
async def test_the_clock_is_compared_with_the_servers(date: str, status: str) -> None:
    async with http_server(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\n\r\n") as url:
        report = await examined(url)
    assert report["clock"].status == status
    assert report.failed == ["handshake"]


@contextlib.asynccontextmanager
async def proxy_to(url: str, status: str = "200 Yes") -> AsyncGenerator[str]:
    """Proxy for CONNECT that leads to one server, whichever is asked for."""
    host, _, port = url.split("/")[2].rpartition(":")

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                writer.write(data)
        writer.close()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        if status.startswith("200"):
            far_reader, far_writer = await asyncio.open_connection(host, port)
            await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))

    async with tcp_server(serve_one) as address:
        yield f"http://me:{KEY}@{address}"


@pytest.mark.asyncio
async def test_a_proxy_is_examined_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with LocalServer(api_key=KEY) as server, proxy_to(server.url) as proxy:
        monkeypatch.setenv("WS_PROXY", proxy)
        report = await examined("ws://voice.example/v1/realtime", api_key=KEY)
        direct = await examined(server.url, api_key=KEY)
    assert report.failed == []
    assert report["proxy"].fact.startswith("http://127.0.0.1:")
    assert report["clock"].status == "ok"
    assert "do not apply" in direct["proxy"].fact


@pytest.mark.asyncio
async def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy_to("ws://h:1/", "407 Proxy Authentication Required") as proxy:
        monkeypatch.setenv("WS_PROXY", proxy)
        report = await examined("ws://voice.example/v1/realtime", api_key=KEY)
    assert report.failed == ["tls"]
    assert "check the proxy" in str(report["tls"].fix)


@pytest.mark.asyncio
@pytest.mark.parametrize("proxy", ["gopher://127.0.0.1:1", "http://", "http://["])
async def test_a_proxy_that_is_none(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS_PROXY", proxy)
    report = await examined("ws://voice.example/v1/realtime", api_key=KEY)
    assert report.failed == ["proxy"]


# The handshake.


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (RefuseHandshake(403), "permissions"),
        (RefuseHandshake(429, retry_after=20), "try again in 20 s"),
        (RefuseHandshake(503), "try again later"),
    ],
)
@pytest.mark.parametrize("proxied", [False, True])
async def test_a_refused_handshake(
    fault: RefuseHandshake, words: str, proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LocalServer(api_key=KEY, faults=[fault]) as server:
        url = server.url
        async with proxy_to(url) as proxy:
            if proxied:
                monkeypatch.setenv("WS_PROXY", proxy)
                url = "ws://voice.example/v1/realtime"
            report = await examined(url, api_key=KEY)
    assert report.failed == ["handshake"]
    assert words in str(report["handshake"].fix)


@pytest.mark.asyncio
async def test_a_wrong_key_is_found_by_each_kind_of_server() -> None:
    async with LocalServer(api_key="another") as server:
        report = await examined(server.url, api_key=KEY)
    assert report.failed == ["handshake"]
    assert "HTTP 401" in report["handshake"].fact
    async with LocalServer(api_key="another", strict=True) as server:
        report = await examined(server.url, api_key=KEY)
    assert report.failed == ["session"]
    assert "close code 3000" in report["session"].fact


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHi", "an ordinary web page"),
        ("HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\n\r\n", "redirects"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "check host, port and path"),
    ],
)
async def test_a_server_without_websockets(answer: str, words: str) -> None:
    async with http_server(answer) as url:
        report = await examined(url)
    assert report.failed == ["handshake"]
    assert words in str(report["handshake"].fix)


@pytest.mark.asyncio
async def test_a_server_that_never_answers() -> None:
    async with http_server("") as url:
        report = await examined(url, timeout=SILENCE)
    assert report.failed == ["handshake"]
    assert "no answer comes" in str(report["handshake"].fix)


# The session.


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["ga", "auto"])
async def test_a_server_that_never_speaks(dialect: str) -> None:
    async with websocket_server(lambda connection: connection.wait_closed()) as url:
        report = await examined(url, timeout=SILENCE, dialect=dialect)
    assert report["handshake"].status == "ok"
    assert report.failed == ["session"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("asked", "spoken", "failed"), [("ga", "beta", ["dialect"]), ("beta", "ga", ["dialect"])]
)
async def test_another_dialect_is_found(asked: Any, spoken: Any, failed: list[str]) -> None:
    async with LocalServer(dialect=spoken) as server:
        report = await examined(server.url, dialect=asked)
    assert report.failed == failed
    assert f"--dialect {spoken}" in str(report["dialect"].fix)


@pytest.mark.asyncio
async def test_a_server_that_refuses_beta_or_the_model() -> None:
    async with LocalServer(refuses_beta=True, strict=True) as server:
        beta = await examined(server.url, dialect="beta")
        model = await examined(server.url, model="gpt-none")
    assert beta.failed == model.failed == ["session"]
    assert "--dialect beta" in str(beta["session"].fix)
    assert "--model" in str(model["session"].fix)


@pytest.mark.asyncio
async def test_another_model_is_a_warning() -> None:
    async def speak(connection: ServerConnection) -> None:
        await connection.send(event("session.created", session=SESSION))
        async for _ in connection:
            await connection.send(event("session.updated", session=SESSION))

    async with websocket_server(speak) as url:
        report = await examined(url, model="another")
    assert report["model"].status == "warning"


@pytest.mark.asyncio
async def test_no_words_of_a_server_show_the_key_or_control_the_terminal() -> None:
    async def echo_key(connection: ServerConnection) -> None:
        assert connection.request is not None
        words = f"\x1b[31m{connection.request.headers['Authorization']} " + 1000 * "x"
        await connection.send(event("error", error={"type": "e", "code": "c", "message": words}))
        await connection.close(4000, "bad")

    async with websocket_server(echo_key) as url:
        report = await examined(f"{url}?token=t0ken-of-mine", api_key=KEY)
    fact = report["session"].fact
    assert "Bearer [removed]" in fact
    assert "\x1b" not in fact
    assert len(fact) <= 601
    body = "HTTP/1.1 403 No\r\nConnection: close\r\n\r\n{request}"
    async with http_server(body) as url:
        report = await examined(f"{url}?token=t0ken-of-mine", api_key=KEY)
    assert "t0ken" not in repr(report.checks)


# The configuration.

FITS = {"type": "realtime", "instructions": "Be brief.", "audio": {"output": {"speed": 1.2}}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("configuration", "dialect", "status"),
    [
        (FITS, "ga", "ok"),
        (FITS, "auto", "ok"),
        ({"instructions": "Be brief.", "temperature": 0.8}, "beta", "ok"),
        ({"instructions": "Be brief.", "temperature": 0.8}, "ga", "failed"),
        ({"type": "realtime", "audio": {"output": {"speed": 9}}}, "ga", "failed"),
        ({"type": "realtime", "new_field": 1}, "ga", "failed"),
        ({"type": "response.create", "response": {"instructions": "Hi"}}, "ga", "skipped"),
    ],
)
async def test_a_configuration_is_checked_here_and_there(
    configuration: dict[str, Any], dialect: Any, status: str
) -> None:
    async with LocalServer(strict=True) as server:
        report = await examined(
            server.url, dialect=dialect, configuration=json.dumps(configuration)
        )
    assert report["update"].status == status
    assert report["configuration"].status == ("failed" if status == "failed" else "ok")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (event("session.updated", session=SESSION | FITS), "ok", "accepted"),
        (event("session.updated", session=SESSION), "warning", "session.audio.output.speed"),
        (event("error", error={"message": "No.", "param": "session"}), "failed", "No. (session)"),
        ("", "failed", "no answer"),
    ],
)
async def test_a_server_may_accept_ignore_refuse_or_not_answer_a_configuration(
    answer: str, status: str, words: str
) -> None:
    async def speak(connection: ServerConnection) -> None:
        await connection.send(event("session.created", session=SESSION))
        async for _ in connection:
            await connection.send(event("error", error={"event_id": "event_other"}))
            if answer:
                await connection.send(answer)

    async with websocket_server(speak) as url:
        timeout = 10 if answer else SILENCE
        report = await examined(url, configuration=json.dumps(FITS), timeout=timeout)
    assert report["update"].status == status
    assert words in report["update"].fact


@pytest.mark.asyncio
async def test_a_server_that_hangs_up_at_the_configuration() -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.send(event("session.created", session=SESSION))
        await connection.recv()
        await connection.close(1011, "oops")

    async with websocket_server(hang_up) as url:
        report = await examined(url)
    assert report.failed == ["round_trip"]
    assert "oops" in report["round_trip"].fact


# The command.


def test_the_page_lists_every_check() -> None:
    page = (DOCS / "client/doctor.md").read_text()
    assert tuple(re.findall(r"^\| `(\w+)`", page, re.MULTILINE)) == NAMES


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=15, check=False
    )


def test_the_report_fits_80_columns_and_the_exit_code_tells_a_failure() -> None:
    done = doctor()
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[:2] for line in lines if line.startswith("failed")] == [["failed", "key"]]
    assert "1 failed" in lines[-1]


@pytest.mark.asyncio
async def test_a_machine_gets_one_object(tmp_path: Path) -> None:
    file = tmp_path / "session.json"
    file.write_text(json.dumps(FITS))
    async with LocalServer(api_key=KEY) as server:
        arguments = ("--url", server.url, "--api-key", KEY, "--config", str(file))
        done = await asyncio.to_thread(doctor, *arguments, "--json")
        text = await asyncio.to_thread(doctor, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert KEY not in done.stdout
    checks = json.loads(done.stdout)["checks"]
    assert [check["name"] for check in checks] == list(NAMES)
    assert {frozenset(check) for check in checks} == {frozenset({"name", "status", "fact", "fix"})}
    assert (text.returncode, text.stdout.splitlines()[-1]) == (0, "Everything works.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--url", "ws://h", "--azure", "https://h"), "leave one of them out"),
        (("--config", "/no/such/file"), "does not exist"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    arguments: tuple[str, ...], words: str
) -> None:
    done = doctor(*arguments)
    assert (done.returncode, words in done.stderr) == (2, True)


@pytest.mark.asyncio
async def test_ctrl_c_ends_it_cleanly() -> None:
    arrived = asyncio.Event()

    async def never_speak(connection: ServerConnection) -> None:
        arrived.set()
        await connection.wait_closed()

    async with websocket_server(never_speak) as url:
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "--url", url, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        await arrived.wait()
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (130, "\nInterrupted.\n")

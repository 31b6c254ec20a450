"""The server over TLS: with a certificate made for it, with one of the user's, and with neither."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trustme
from websockets.asyncio.client import connect

from duologue import RealtimeClient
from duologue.errors import ConfigurationError, MissingExtra
from duologue.server import LocalServer
from duologue.server import tls as tls_module
from duologue.server.tls import own_certificate, self_signed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.asyncio
async def test_a_server_makes_its_own_certificate_and_says_what_to_trust() -> None:
    async with LocalServer(tls="self-signed") as server:
        assert server.url.startswith("wss://127.0.0.1:")
        assert server.ca_file is not None
        trusting = ssl.create_default_context(cafile=server.ca_file)
        async with connect(server.url, ssl=trusting) as connection:
            assert json.loads(await connection.recv())["type"] == "session.created"
        url = server.url.replace("wss:", "https:").replace("/v1/realtime", "/healthz")
        async with httpx2.AsyncClient(verify=trusting) as client:
            assert (await client.get(url)).json() == {"status": "ok"}
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(server.url)
        ca_file = server.ca_file
    assert not ca_file.exists()


@pytest.mark.asyncio
async def test_a_client_that_has_left_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("duologue.server.listening.REQUEST_SECONDS", 0.05)
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with LocalServer(tls="self-signed") as server:
        trusting = ssl.create_default_context(cafile=server.ca_file)
        async with connect(server.url, ssl=trusting) as connection:
            await connection.recv()
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting)
        with contextlib.suppress(ConnectionResetError):
            await reader.read()  # this one is silent, and cut after the other's time
        writer.close()
    assert faults == []


@pytest.mark.asyncio
async def test_our_client_trusts_what_the_environment_tells_it_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with LocalServer(tls="self-signed") as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))
        async with RealtimeClient(url=server.url) as client:
            assert client.is_connected


@pytest.mark.asyncio
async def test_a_certificate_of_the_users_is_shown(tmp_path: Path) -> None:
    root = trustme.CA()
    leaf = root.issue_cert("voice.example")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "key.pem")
    trusting = ssl.create_default_context()
    root.configure_trust(trusting)
    certificate = own_certificate(tmp_path / "cert.pem", tmp_path / "key.pem")
    async with LocalServer(tls=certificate, api_key="sesame") as server:
        assert server.ca_file is None
        async with connect(
            server.url,
            ssl=trusting,
            server_hostname="voice.example",
            additional_headers={"Authorization": "Bearer sesame"},
        ) as connection:
            assert json.loads(await connection.recv())["type"] == "session.created"


def test_a_certificate_is_kept_so_that_clients_are_told_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = self_signed("127.0.0.1", tmp_path)
    assert self_signed("127.0.0.1", tmp_path).fingerprint == first.fingerprint
    assert first.key_file.parent.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(tls_module, "_DAYS_LEFT", 10_000)
    fingerprint = first.fingerprint
    assert self_signed("127.0.0.1", tmp_path).fingerprint != fingerprint
    first.cert_file.write_text("nothing")
    assert self_signed("127.0.0.1", tmp_path).fingerprint != fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["127.0.0.1"]


def test_a_certificate_is_for_each_host(tmp_path: Path) -> None:
    one, other = self_signed("0.0.0.0", tmp_path), self_signed("fe80::1%eth0", tmp_path)  # noqa: S104  # a name only
    assert one.fingerprint != other.fingerprint
    assert other.cert_file.parent.parent == tmp_path


def test_files_that_are_no_certificate_are_one_clear_sentence(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.touch()
    with pytest.raises(ConfigurationError, match="pass PEM files"):
        own_certificate(nothing, nothing)


def test_making_one_without_its_packages_names_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(MissingExtra, match=r"duologue\[tls\]"):
        self_signed("localhost", tmp_path)

from __future__ import annotations

import hashlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from duologue.weights import File
from duologue.weights._http import download, host_of, probe
from duologue.weights._verified_writer import SourceError, WrongContentsError

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Publisher


@pytest.fixture
def file(weights: bytes) -> File:
    return File(name="weights.bin", size=len(weights), sha256=hashlib.sha256(weights).hexdigest())


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "weights.bin.part"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "weights.bin"


def _nothing(_: int) -> None:
    pass


def test_a_download_ends_in_place(
    publisher: Publisher, file: File, part: Path, target: Path, weights: bytes
) -> None:
    done: list[int] = []

    download(publisher.url, file, part, target, report=done.append)

    assert target.read_bytes() == weights
    assert not part.exists()
    assert done[-1] == len(weights)


def test_a_broken_off_download_goes_on_where_it_stopped(
    publisher: Publisher, file: File, part: Path, target: Path, weights: bytes
) -> None:
    publisher.cut_after = 4000
    with pytest.raises(SourceError, match="ended after 4000 of 10240 bytes"):
        download(publisher.url, file, part, target, report=_nothing)
    publisher.cut_after = None

    download(publisher.url, file, part, target, report=_nothing)

    assert publisher.ranges == [None, "bytes=4000-"]
    assert target.read_bytes() == weights


def test_a_server_without_ranges_starts_over(
    publisher: Publisher, file: File, part: Path, target: Path, weights: bytes
) -> None:
    publisher.knows_ranges = False
    part.write_bytes(weights[:1000])

    download(publisher.url, file, part, target, report=_nothing)

    assert target.read_bytes() == weights


def test_a_part_of_other_bytes_is_dropped_and_fetched_anew(
    publisher: Publisher, file: File, part: Path, target: Path, weights: bytes
) -> None:
    part.write_bytes(bytes(1000))

    download(publisher.url, file, part, target, report=_nothing)

    assert publisher.ranges == ["bytes=1000-", None]
    assert target.read_bytes() == weights


def test_a_part_that_was_whole_when_the_run_was_killed_is_not_asked_for(
    publisher: Publisher, file: File, part: Path, target: Path, weights: bytes
) -> None:
    part.write_bytes(weights)

    download(publisher.url, file, part, target, report=_nothing)

    assert publisher.ranges == []
    assert target.read_bytes() == weights


def test_a_part_longer_than_the_file_is_dropped(
    publisher: Publisher, file: File, part: Path, target: Path, weights: bytes
) -> None:
    part.write_bytes(weights + b"more")

    download(publisher.url, file, part, target, report=_nothing)

    assert target.read_bytes() == weights


def test_a_part_longer_than_what_the_server_has_is_dropped(
    publisher: Publisher, file: File, part: Path, target: Path, weights: bytes
) -> None:
    publisher.content = weights[:500]
    part.write_bytes(weights[:1000])

    with pytest.raises(SourceError, match="has 500 of 10240 bytes"):
        download(publisher.url, file, part, target, report=_nothing)

    assert publisher.ranges == ["bytes=1000-", None]


def test_other_contents_are_refused_and_deleted(
    publisher: Publisher, file: File, part: Path, target: Path, weights: bytes
) -> None:
    publisher.content = weights[::-1]

    with pytest.raises(WrongContentsError, match="has the wrong contents"):
        download(publisher.url, file, part, target, report=_nothing)

    assert not part.exists()
    assert not target.exists()


def test_a_file_of_another_length_is_refused_before_it_is_sent(
    publisher: Publisher, file: File, part: Path, target: Path
) -> None:
    publisher.content = b"<html>sign in first</html>"

    with pytest.raises(SourceError, match="has 26 of 10240 bytes"):
        download(publisher.url, file, part, target, report=_nothing)

    assert part.read_bytes() == b""


def test_an_http_error_is_named_by_its_number(
    publisher: Publisher, file: File, part: Path, target: Path
) -> None:
    publisher.error = 404

    with pytest.raises(SourceError, match="answers HTTP 404"):
        download(publisher.url, file, part, target, report=_nothing)


def test_a_connection_that_breaks_is_a_reason(
    publisher: Publisher, file: File, part: Path, target: Path
) -> None:
    publisher.hangs_up = True

    with pytest.raises(SourceError, match="breaks off"):
        download(publisher.url, file, part, target, report=_nothing)


def test_a_closed_port_is_noticed_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(SourceError, match="cannot be reached"):
        probe(f"http://127.0.0.1:{port}/")


def test_a_host_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    enough = threading.Event()

    def stay_silent(*_: object, **__: object) -> None:
        enough.wait(5)
        raise TimeoutError("timed out")

    monkeypatch.setattr("duologue.weights._http.CONNECT_TIMEOUT", 0.01)
    monkeypatch.setattr("duologue.weights._http.socket.create_connection", stay_silent)

    with pytest.raises(SourceError, match="does not answer within"):
        probe("http://publisher.invalid/")
    enough.set()


def test_the_proxy_is_probed_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "")
        proxy.settimeout(5)

        probe("http://publisher.invalid/")

        connection, _ = proxy.accept()
        with connection:
            assert connection.getsockname() == proxy.getsockname()


def test_the_host_is_what_people_are_told() -> None:
    assert host_of("https://models.example:8443/a/b") == "models.example"

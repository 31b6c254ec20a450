"""The cache of model files, and whether they have the right contents.

    <cache>/models/<model>/<file>       the weights
    <cache>/models/<model>/verified     one line per file whose hash was checked
    <cache>/models/<model>/partial/     the files of an unfinished fetch
    <cache>/models/<model>/.lock        locked by the process that fetches

Hashing half a gigabyte takes a second, too long for every start. So `verified` records the size and
modification time of each checked file, and only a file that has changed since is hashed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from duologue.errors import MissingExtra, ModelUnavailable
from duologue.weights.manifest import BRAINS, File, ModelWeights, model_named

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

__all__ = [
    "CHUNK_BYTES",
    "cache_dir",
    "default_brain",
    "fault_of",
    "find",
    "folder_of",
    "locked",
    "mark_verified",
    "require",
    "sha256_of",
]

CHUNK_BYTES: Final = 1 << 20
_POLL_SECONDS: Final = 0.1


def cache_dir() -> Path:
    """Return the folder for fetched files: `DUOLOGUE_CACHE`, or the user's cache.

    Raises:
        MissingExtra: If `DUOLOGUE_CACHE` is not set and platformdirs is not installed.
    """
    if chosen := os.environ.get("DUOLOGUE_CACHE"):
        return Path(chosen).expanduser()
    try:
        import platformdirs  # noqa: PLC0415  # only needed here, and optional
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "cli", "the model cache (unless DUOLOGUE_CACHE names a folder)"
        ) from error
    return platformdirs.user_cache_path("duologue", appauthor=False)


def folder_of(model: ModelWeights) -> Path:
    """Return the folder for the files of a model, whether it exists or not."""
    return cache_dir() / "models" / model.name


def find(name: str) -> Path | None:
    """Return the folder of a model if all of its files are present and intact.

    Raises:
        ConfigurationError: If no model has this name.
    """
    model = model_named(name)
    return None if any(fault_of(model, file) for file in model.files) else folder_of(model)


def require(name: str) -> Path:
    """Return the folder of a model.

    Raises:
        ModelUnavailable: If a file is missing or broken; the message names it and the fix.
        ConfigurationError: If no model has this name.
    """
    model = model_named(name)
    folder = folder_of(model)
    faults = [fault for file in model.files if (fault := fault_of(model, file))]
    if faults:
        absent = not any((folder / file.name).exists() for file in model.files)
        reason = f"it is not in {folder.parent}" if absent else "; ".join(faults)
        raise ModelUnavailable(
            f"the model {name} cannot be used: {reason}\nRun: duologue models fetch {name}"
        )
    return folder


def default_brain() -> str | None:
    """Return the name of the best language model in the cache."""
    return next((name for name in BRAINS if find(name)), None)


def fault_of(model: ModelWeights, file: File) -> str | None:
    """Return what is wrong with a file, as a clause for a message; hashes it if it has changed."""
    path = folder_of(model) / file.name
    try:
        size = path.stat().st_size
        if size != file.size:
            return f"{path} has {size} of {file.size} bytes"
        if _line(path, file) not in _verified(path.parent):
            if sha256_of(path) != file.sha256:
                return f"{path} has the wrong contents"
            mark_verified(path, file)
    except FileNotFoundError:
        return f"{file.name} is not in {path.parent}"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return None


def verify(name: str) -> list[str]:
    """Hash the files of a model again, and return what is wrong with them.

    `require` hashes a file only if its size or its date has changed, because a model takes seconds.
    A disk that fails changes neither.

    Raises:
        ConfigurationError: If no model has this name.
    """
    model = model_named(name)
    folder = folder_of(model)
    with contextlib.suppress(OSError):
        (folder / "verified").unlink()
    return [fault for file in model.files if (fault := fault_of(model, file))]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def mark_verified(path: Path, file: File) -> None:
    """Record that the hash of a file was checked; does nothing in a read-only cache."""
    with contextlib.suppress(OSError):
        # The name comes last in a line, because it may contain spaces.
        others = [line for line in _verified(path.parent) if line.split(" ", 3)[-1] != file.name]
        text = "".join(f"{line}\n" for line in sorted([*others, _line(path, file)]))
        # Checking a file does not need the lock, so two processes may write at once: each writes a
        # file of its own name, and the last to finish replaces the record.
        note = path.parent / f".verified-{os.getpid()}-{threading.get_ident()}"
        note.write_text(text, encoding="utf-8")
        note.replace(path.parent / "verified")


if sys.platform == "win32":
    import msvcrt

    def _try_lock(stream: IO[bytes]) -> bool:
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(stream: IO[bytes]) -> bool:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.contextmanager
def locked(path: Path, *, on_wait: Callable[[], None]) -> Generator[None]:
    """Hold a lock between processes; the system releases it if the process dies.

    The file stays: if it were deleted, a waiting process would lock the deleted file, and a third
    one a new file.

    Args:
        path: The file to lock.
        on_wait: Called each time the lock is found to be held by another process.
    """
    with path.open("ab") as stream:
        while not _try_lock(stream):
            on_wait()
            time.sleep(_POLL_SECONDS)
        yield  # closing the file releases the lock


def _line(path: Path, file: File) -> str:
    stat = path.stat()
    return f"{file.sha256} {stat.st_size} {stat.st_mtime_ns} {file.name}"


def _verified(folder: Path) -> set[str]:
    try:
        return set((folder / "verified").read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return set()

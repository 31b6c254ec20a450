"""What is in the cache, and whether it is what it claims to be.

    <cache>/models/<model>/<file>       the weights
    <cache>/models/<model>/verified     one line per file whose hash was checked
    <cache>/models/<model>/partial/     what an unfinished fetch has so far

Hashing half a gigabyte at every start would cost a second, so a checked file is noted with its size
and modification time; only a file that changed since is hashed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path

from duologue.errors import MissingExtra, ModelUnavailable
from duologue.weights.manifest import BRAINS, File, Model, model_named

__all__ = [
    "CHUNK_BYTES",
    "cache_dir",
    "default_brain",
    "fault_of",
    "find",
    "folder_of",
    "mark_verified",
    "require",
    "sha256_of",
]

CHUNK_BYTES = 1 << 20


def cache_dir() -> Path:
    """Return the folder that holds what was fetched: `DUOLOGUE_CACHE`, or the user's cache.

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


def folder_of(model: Model) -> Path:
    """Return where the files of a model are, or would be."""
    return cache_dir() / "models" / model.name


def find(name: str) -> Path | None:
    """Return the folder of a model whose files are all there and intact, or None.

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
    """Return the name of the best language model that is here."""
    return next((name for name in BRAINS if find(name)), None)


def fault_of(model: Model, file: File) -> str | None:
    """Return what is wrong with a file as half a sentence, or None; hashes it if it changed."""
    path = folder_of(model) / file.name
    try:
        size = path.stat().st_size
        if size != file.size:
            return f"{path} has {size} of {file.size} bytes"
        if _line(path, file) not in _verified(path.parent):
            if sha256_of(path) != file.sha256:
                return f"{path} has other contents than it should"
            mark_verified(path, file)
    except FileNotFoundError:
        return f"{file.name} is not in {path.parent}"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def mark_verified(path: Path, file: File) -> None:
    """Note that the hash of a file was checked. In a read-only cache this is silently left out."""
    with contextlib.suppress(OSError):
        others = [line for line in _verified(path.parent) if line.split(" ", 3)[-1] != file.name]
        text = "".join(f"{line}\n" for line in sorted([*others, _line(path, file)]))
        # Nobody need hold the fetch lock to check a file, so the name is one that nobody else uses.
        note = path.parent / f".verified-{os.getpid()}-{threading.get_ident()}"
        note.write_text(text, encoding="utf-8")
        note.replace(path.parent / "verified")


def _line(path: Path, file: File) -> str:
    stat = path.stat()
    return f"{file.sha256} {stat.st_size} {stat.st_mtime_ns} {file.name}"


def _verified(folder: Path) -> set[str]:
    try:
        return set((folder / "verified").read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return set()

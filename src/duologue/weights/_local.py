"""What the user has already: a folder with the files, or one file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duologue.weights._verified_writer import SourceError, WrongContentsError

if TYPE_CHECKING:
    from io import BufferedReader
    from pathlib import Path

    from duologue.weights.manifest import File, Model

__all__ = ["open_file"]


def open_file(given: Path, model: Model, file: File) -> BufferedReader:
    """Open what the user has of a file, going by its name and size only.

    A folder may hold several models, each in a folder of its name: all Whispers have a `model.bin`.

    Raises:
        SourceError: If it is not there, or cannot be read.
    """
    candidates = [given / model.name / file.name, given / file.name]
    there = [path for path in ([given] if given.is_file() else candidates) if path.is_file()]
    if not there:
        raise SourceError(f"has no {file.name}")
    best = next((path for path in there if path.stat().st_size == file.size), None)
    if best is None:
        size = there[0].stat().st_size
        raise WrongContentsError(f"{there[0].name} has {size} of {file.size} bytes")
    try:
        return best.open("rb")
    except OSError as error:
        raise SourceError(f"{best.name} cannot be read ({error.strerror})") from error

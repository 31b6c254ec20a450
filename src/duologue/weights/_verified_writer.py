"""A file on its way into the cache: counted and hashed while it is written, renamed at the end."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from duologue.weights._cache import CHUNK_BYTES, mark_verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from duologue.weights.manifest import File

__all__ = ["Intake", "Progress", "SourceError", "WrongContentsError", "chunks_of"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one step of a fetch has come."""

    model: str
    step: str
    """What is being done, for people: `package 2 of 6`."""
    done: int
    """Bytes so far; starts anew with every step."""
    total: int
    """Bytes of the step; 0 where there is nothing to count."""


class SourceError(Exception):
    """A source does not have the file. The message is the reason, in a few words."""


class WrongContentsError(SourceError):
    """A source has a file of this name with other bytes in it."""


class Intake:
    """Takes the bytes of one file and lets it into the cache if they are the right ones.

    Leaving the context before `finish` keeps what was written, for a later `resume`.
    """

    def __init__(
        self, file: File, part: Path, *, report: Callable[[int], None], resume: bool = False
    ) -> None:
        self._file = file
        self._part = part
        self._report = report
        self._hash = hashlib.sha256()
        self._stream: IO[bytes] = part.open("ab+" if resume else "wb+")
        self.done = 0
        """Bytes taken so far."""
        self._read_what_is_there()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()

    @property
    def complete(self) -> bool:
        """Whether as many bytes are here as the file has."""
        return self.done == self._file.size

    def restart(self) -> None:
        """Forget what was taken so far."""
        self._stream.truncate(0)
        self._stream.seek(0)
        self._hash = hashlib.sha256()
        self.done = 0

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            WrongContentsError: If the file is not that long.
        """
        self.done += len(chunk)
        if self.done > self._file.size:
            self._discard()
            raise WrongContentsError("sends more bytes than the file has")
        self._hash.update(chunk)
        self._stream.write(chunk)
        self._report(self.done)

    def take(self, chunks: Iterable[bytes]) -> None:
        """Take many."""
        for chunk in chunks:
            self.write(chunk)

    def finish(self, target: Path) -> None:
        """Put the file in its place.

        Raises:
            SourceError: If bytes are missing; they are kept.
            WrongContentsError: If they are the wrong ones; they are deleted.
        """
        if not self.complete:
            raise SourceError(f"ended after {self.done} of {self._file.size} bytes")
        if self._hash.hexdigest() != self._file.sha256:
            self._discard()
            raise WrongContentsError("has other contents")
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        os.replace(self._part, target)
        mark_verified(target, self._file)

    def _read_what_is_there(self) -> None:
        self._stream.seek(0)
        for chunk in chunks_of(self._stream):
            self.done += len(chunk)
            self._hash.update(chunk)
        if self.done > self._file.size:
            self.restart()

    def _discard(self) -> None:
        self._stream.close()
        self._part.unlink()


def chunks_of(stream: IO[bytes]) -> Iterable[bytes]:
    """Yield what is left in a stream."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk

"""Writing a file into the cache: counted and hashed on the way, and renamed once verified."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from duologue.weights._cache import CHUNK_BYTES, mark_verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from duologue.weights.manifest import File

__all__ = ["Progress", "SourceError", "VerifiedWriter", "WrongContentsError", "chunks_of"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of one step of a fetch."""

    model: str
    step: str
    """Description of the step, for display: `package 2 of 6`."""
    done: int
    """Bytes so far; every step starts at 0."""
    total: int
    """Bytes of the step; 0 if there is nothing to count."""


class SourceError(Exception):
    """A source cannot deliver a file; the message is the reason in a few words."""


class WrongContentsError(SourceError):
    """A source delivers a file with the wrong size or hash."""


class VerifiedWriter:
    """Writer for one file, which enters the cache only with the right size and hash.

    Leaving the context before `finish` keeps the partial file, so that a later writer can `resume`.
    """

    def __init__(
        self, file: File, part: Path, *, report: Callable[[int], None], resume: bool = False
    ) -> None:
        self._file: Final = file
        self._part: Final = part
        self._report: Final = report
        self._hash = hashlib.sha256()
        self._stream: Final[IO[bytes]] = part.open("ab+" if resume else "wb+")
        self.done = 0
        """Bytes written so far."""
        self._hash_partial()  # a resumed file is hashed from its start

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
        """Whether the partial file has the full size."""
        return self.done == self._file.size

    def restart(self) -> None:
        """Discard the bytes written so far."""
        self._stream.truncate(0)
        self._stream.seek(0)
        self._hash = hashlib.sha256()
        self.done = 0

    def write(self, chunk: bytes) -> None:
        """Write the next bytes.

        Raises:
            WrongContentsError: If they exceed the file's size.
        """
        self.done += len(chunk)
        if self.done > self._file.size:
            self._discard()
            raise WrongContentsError("sends more bytes than the file has")
        self._hash.update(chunk)
        self._stream.write(chunk)
        self._report(self.done)

    def write_all(self, chunks: Iterable[bytes]) -> None:
        """Write all chunks."""
        for chunk in chunks:
            self.write(chunk)

    def finish(self, target: Path) -> None:
        """Verify the file and move it to `target`.

        Raises:
            SourceError: If bytes are missing; the partial file is kept.
            WrongContentsError: If the hash is wrong; the partial file is deleted.
        """
        if not self.complete:
            raise SourceError(f"ended after {self.done} of {self._file.size} bytes")
        if self._hash.hexdigest() != self._file.sha256:
            self._discard()
            raise WrongContentsError("has the wrong contents")
        self._stream.flush()
        os.fsync(self._stream.fileno())  # or a crash could leave a renamed file without its bytes
        self._stream.close()
        os.replace(self._part, target)
        mark_verified(target, self._file)

    def _hash_partial(self) -> None:
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
    """Yield the rest of a stream in chunks."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk

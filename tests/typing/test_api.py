"""Four type checkers accept the intended uses of the API in `api.py`, and report its mistakes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
API = Path(__file__).parent / "api.py"
SCRIPTS = Path(sysconfig.get_path("scripts"))

COMMANDS = {
    "mypy": f"--config-file=pyproject.toml --python-executable={sys.executable} {API}",
    "basedpyright": f"--project={API.parent} --pythonpath={sys.executable}",
    "pyrefly": "check --preset=strict --search-path=src --output-format=min-text"
    f" --python-interpreter-path={sys.executable} {API}",
    "ty": f"check --extra-search-path=src --output-format=concise --python={sys.prefix} {API}",
}

MISTAKE = re.compile(r"  # wrong(?: \(not ([^)]*)\))?: ")
REPORT = re.compile(r"(?=.*\berror\b).*?api\.py:(\d+):", re.IGNORECASE)
"""A line of what a checker tells: the severity stands before the place, or after it."""


def mistakes(checker: str) -> set[int]:
    """Return the lines that a checker must report."""
    lines = enumerate(API.read_text().splitlines(), start=1)
    marked = ((number, MISTAKE.search(line)) for number, line in lines)
    return {number for number, mark in marked if mark and checker not in (mark[1] or "").split()}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("checker", COMMANDS)
def test_a_checker_reports_the_mistakes_and_nothing_else(checker: str) -> None:
    done = subprocess.run(
        [str(SCRIPTS / checker), *COMMANDS[checker].split()],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    found = (REPORT.search(line) for line in done.stdout.splitlines())
    assert {int(each[1]) for each in found if each} == mistakes(checker), done.stdout + done.stderr


@pytest.mark.timeout(120)
def test_every_public_type_is_written_down() -> None:
    """Checkers infer differently: what is not annotated is another type for each of them."""
    command = [str(SCRIPTS / "basedpyright"), "--verifytypes", "duologue", "--ignoreexternal"]
    path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])  # it asks the first `python`
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Type completeness score: 100%" in done.stdout, done.stdout

"""The README: its example runs, and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_python_example_runs() -> None:
    [example] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    command = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    assert done.returncode == 0, done.stderr
    assert "output_tokens" in done.stdout
    assert re.search(r"You said: Hello there \d{5,} bytes of speech\n$", done.stdout)


def test_every_command_that_is_named_exists() -> None:
    named = set(re.findall(r"^duologue (\w+)", README.read_text(), re.MULTILINE))
    for name in named:
        command = [sys.executable, "-m", "duologue.cli", name, "--help"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_no_page_holds_the_marks_of_a_merge() -> None:
    pages = [README, *README.parent.glob("docs/**/*.md")]
    marked = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)
    assert [page.name for page in pages if marked.search(page.read_text())] == []

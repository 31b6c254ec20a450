"""`duologue talk` in a real terminal: tmux."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from duologue.audio.wav import write_wav

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="needs tmux (Debian: apt-get install tmux)"
)


class Terminal:
    """A terminal of 80 by 24 with a shell."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux")
        self._output = folder / "output"
        os.mkfifo(self._output)
        self._tmux("-f", os.devnull, "new-session", "-d", "-x", "80", "-y", "24", "sh")
        self._tmux("pipe-pane", f"cat > {self._output}")
        self._drawn = self._output.open("rb", buffering=0)

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", self._socket, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def keys(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def text(self) -> str:
        return self._tmux("capture-pane", "-p")

    def until(self, condition: Callable[[str], bool]) -> str:
        """Wait until the terminal shows something; whatever is drawn lets it look again."""
        while not condition(text := self.text()):
            assert self._drawn.read(65_536), text
        return text

    def close(self) -> None:
        self._tmux("kill-server")
        self._drawn.close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("quit_key", ["q", "C-c"])
def test_words_appear_keys_work_and_the_terminal_is_left_as_it_was(
    terminal: Terminal, tmp_path: Path, quit_key: str
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    write_wav(tmp_path / "quiet.wav", bytes(4_800))  # speech would interrupt the answer
    files = f"--wav {tmp_path / 'quiet.wav'} --out {tmp_path / 'out.wav'}"
    talk = f"{sys.executable} -m duologue.cli talk --brain scripted {files}"
    command = f"stty -a > {before}; {talk}; code=$?; stty -a > {after}; echo left-$code"
    terminal.keys(command, "Enter")
    terminal.until(lambda text: "● " in text and "Quit" in text)
    terminal.keys("m")
    terminal.until(lambda text: "muted" in text)
    terminal.keys("m", "t")
    terminal.until(lambda text: "Quit" not in text)  # keys are text now
    terminal.keys("Good morning", "Enter", "Escape")
    terminal.until(lambda text: "You said: Good morning" in text and "muted" not in text)
    terminal.until(lambda text: "Quit" in text)  # keys are commands again
    terminal.keys(quit_key)
    text = terminal.until(lambda text: "left-0" in text)
    assert "● " not in text
    assert "tokens" in text
    assert before.read_text() == after.read_text()

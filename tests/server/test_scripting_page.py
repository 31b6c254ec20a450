"""docs/server/scripting.md does what it says."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.doc_blocks import blocks
from tests.server.talking import outcomes

from duologue.errors import ConfigurationError
from duologue.server import LocalServer
from duologue.server.engine.script import load_script

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "server/scripting.md"
SUPPORT, IN_TURN = blocks(PAGE, "toml")
FUNCTION = next(block for block in blocks(PAGE, "python") if "def respond" in block)


@pytest.mark.asyncio
async def test_the_script_answers_as_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "support.toml"
    path.write_text(SUPPORT)
    assert load_script(path).transcripts[0] == "Where is my order 1234?"
    async with LocalServer(f"scripted:{path}") as server:
        told = await outcomes(
            server.url, "Where is my order 1234?", {"output": "late"}, "A refund!", "Hi"
        )
    assert told[0] == ["One moment, I look up 1234. ", {"number": "1234"}]
    assert told[1] in {"I am sorry: it is late.", "It comes a day late."}
    assert told[2:] == [("desk_closed", "the refund desk is closed"), "How can I help?"]


@pytest.mark.asyncio
async def test_next_rules_answer_turn_by_turn(tmp_path: Path) -> None:
    path = tmp_path / "turns.toml"
    path.write_text(IN_TURN)
    async with LocalServer(f"scripted:{path}") as server:
        told = await outcomes(server.url, "x", "x", {"output": "on"}, "x")
    rooms = [{"room": "kitchen"}, {"room": "hall"}]
    assert told == ["Good morning. Who is speaking?", rooms, "Both lights are on.", "You said: x"]


@pytest.mark.asyncio
async def test_the_python_script_answers_as_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "support.py"
    path.write_text(FUNCTION)
    async with LocalServer(f"scripted:{path}") as server:
        told = await outcomes(server.url, "two and two", {"output": "4"}, "x")
    assert told == [["Let me count. ", {"a": 2, "b": 2}], "It is 4.", "Pardon?"]


def test_a_fault_is_told_as_shown(tmp_path: Path) -> None:
    path = tmp_path / "support.toml"
    path.write_text("[[rules]]\nsya = 'Hi'")
    [shown] = blocks(PAGE, "text")
    with pytest.raises(ConfigurationError) as refused:
        load_script(path)
    expected = shown.strip().removeprefix("Error: ").removesuffix("…")
    assert str(refused.value).removeprefix(f"{tmp_path}/").startswith(expected)


def test_the_command_serves_the_script(tmp_path: Path) -> None:
    (tmp_path / "support.toml").write_text(SUPPORT)
    [line] = blocks(PAGE, "sh")
    program, *arguments = shlex.split(line)
    assert program == "duologue"
    command = [sys.executable, "-m", "duologue.cli", *arguments, "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            _, stages, url = (process.stdout.readline() for _ in range(3))
            assert "brain: script support.toml" in stages
            assert asyncio.run(outcomes(url.split()[0], "Hi")) == ["How can I help?"]
        finally:
            process.terminate()

"""docs/server/scripting.md does what it says."""

from __future__ import annotations

import asyncio
import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.doc_blocks import blocks
from websockets.asyncio.client import connect

from duologue.errors import ConfigurationError
from duologue.server import LocalServer
from duologue.server.engine.script import load_script

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PAGE = "server/scripting.md"
SUPPORT, IN_TURN = blocks(PAGE, "toml")
FUNCTION = next(block for block in blocks(PAGE, "python") if "def respond" in block)


async def outcomes(url: str, *turns: str | dict[str, Any]) -> list[Any]:
    """Return what answers to each user text, or function output: words, calls, or an error."""
    found: list[Any] = []
    call_id = ""
    async with asyncio.timeout(10), connect(url) as connection:
        for turn in turns:
            item: dict[str, Any] = {"type": "function_call_output", "call_id": call_id}
            if isinstance(turn, str):
                part = {"type": "input_text", "text": turn}
                item = {"type": "message", "role": "user", "content": [part]}
            else:
                item |= turn
            await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
            params = {"output_modalities": ["text"]}
            await connection.send(json.dumps({"type": "response.create", "response": params}))
            while (event := json.loads(await connection.recv()))["type"] != "response.done":
                pass
            found.append(_outcome(event["response"]))
            calls = [item["call_id"] for item in event["response"]["output"] if "call_id" in item]
            call_id = calls[-1] if calls else call_id
    return found


def _outcome(response: dict[str, Any]) -> Any:
    if response["status"] == "failed":
        error = response["status_details"]["error"]
        return error["code"], error["message"]
    parts: Sequence[Any] = [
        item["content"][0]["text"] if item["type"] == "message" else json.loads(item["arguments"])
        for item in response["output"]
    ]
    return parts[0] if len(parts) == 1 else list(parts)


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
